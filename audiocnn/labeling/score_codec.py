"""Codec of window scores: a recording's scores as bytes, exactly.

Little-endian; a run after the other, then compressed:

    magic   b"acs1"
    run     start, window, hop, padded (4 float64), last (1 byte), C, W (2 uint32),
            C * W float32

They are stored to find events by other rules later. Runs that follow each other in a
segment are joined first, so a recording without a gap is one run, or two where its last
window is not on the grid of the others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from audiocnn.errors import DatasetError
from audiocnn.inference.windows import Scores

MAGIC = b"acs1"
HEAD = struct.Struct("<4d?2I")
LEVEL = 1  # of compression: scores near zero compress well, others hardly


def joined_runs(runs: Iterable[Scores]) -> Iterator[Scores]:
    """Join runs of windows that follow each other on one grid."""
    held: list[Scores] = []
    for run in runs:
        if held and not _follows(held, run):
            yield _join(held)
            held = []
        if run.values.shape[1] or run.last:
            held.append(run)
        if run.last:
            yield _join(held)
            held = []
    if held:
        yield _join(held)


def pack_scores(runs: Iterable[Scores]) -> bytes:
    """Encode runs."""
    parts = [MAGIC]
    for run in joined_runs(runs):
        values = np.ascontiguousarray(run.values, "<f4")
        parts.append(HEAD.pack(run.start, run.window, run.hop, run.padded, run.last, *values.shape))
        parts.append(values.tobytes())
    return zlib.compress(b"".join(parts), LEVEL)


def unpack_scores(data: bytes) -> Iterator[Scores]:
    """Decode runs, bit for bit.

    Raises
    ------
    DatasetError
        If `pack_scores` did not write these bytes.
    """
    try:
        raw = zlib.decompress(data)
        if not raw.startswith(MAGIC):
            raise DatasetError("stored scores were written by a later version")
        at = len(MAGIC)
        while at < len(raw):
            start, window, hop, padded, last, n_classes, n = HEAD.unpack_from(raw, at)
            at += HEAD.size
            values = np.frombuffer(raw, "<f4", n_classes * n, at).reshape(n_classes, n)
            at += values.nbytes
            yield Scores(start, window, hop, values, padded, last)
    except (zlib.error, struct.error, ValueError) as error:
        raise DatasetError(f"stored scores are damaged: {error}") from error


def _follows(held: list[Scores], run: Scores) -> bool:
    """Return whether a run follows those that are held, on the same grid."""
    n = sum(one.values.shape[1] for one in held)
    expected = held[0].start + n * held[0].hop
    return not run.values.shape[1] or abs(run.start - expected) < held[0].hop * 1e-3


def _join(held: list[Scores]) -> Scores:
    if len(held) == 1:
        return held[0]
    first, last = held[0], held[-1]
    values = np.concatenate([run.values for run in held], axis=1)
    padded = max(run.padded for run in held)
    return Scores(first.start, first.window, first.hop, values, padded, last.last)
