"""Spectrogram pictures as PNG, with one colour scale for the page, clips and review.

A PNG with a palette needs no more than zlib, so pictures need no imaging library.
"""

from __future__ import annotations

import functools
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

# The colour scale, from quiet to loud: position, red, green, blue. The page's live
# spectrogram uses the same (static/colors.js; a test compares).
STOPS = (
    (0.00, 9, 12, 26),
    (0.22, 33, 28, 84),
    (0.45, 101, 34, 128),
    (0.65, 190, 55, 110),
    (0.82, 243, 118, 74),
    (0.93, 253, 186, 96),
    (1.00, 255, 246, 205),
)


@functools.cache
def palette() -> NDArray[np.uint8]:
    """Give the 256 colours (256, 3)."""
    positions = [stop[0] for stop in STOPS]
    at = np.linspace(0, 1, 256)
    channels = [np.interp(at, positions, [stop[c] for stop in STOPS]) for c in (1, 2, 3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def encode_png(indices: NDArray[np.uint8]) -> bytes:
    """Encode an image of palette indices (height, width), first row at the top."""
    height, width = indices.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", palette().tobytes()),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
        _chunk(b"IEND", b""),
    ))  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
