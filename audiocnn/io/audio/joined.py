"""Recordings that were joined in one file, read as one.

    44.1 kHz stereo |=====| 22.05 kHz mono |===|          in the file
    44.1 kHz stereo |==========================|          as it is read

The rate and the number of channels are the largest of all parts, so that nothing is lost;
other parts are resampled, and mono is given on every channel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soxr

from audiocnn.io.audio.byte_ranges import Layout
from audiocnn.io.audio.source import AudioInfo, Frames, Source

Open = Callable[[ExitStack], Source]


def joined_source(path: Path, parts: Sequence[Open], layout: Layout) -> Source:
    """Open joined recordings as one.

    Parameters
    ----------
    path
        The file.
    parts
        Open one recording each.
    layout
        Of the file: what cannot be read, and what is to be noted.

    Returns
    -------
    Source
        Its parts are opened one after the other.
    """
    infos = []
    for part in parts:
        with ExitStack() as stack:
            infos.append(part(stack).info)
    rate, channels = max(i.rate for i in infos), max(i.channels for i in infos)
    frames = durations = None
    if all(i.duration is not None for i in infos):
        durations = sum(i.duration or 0.0 for i in infos)
    if all(i.frames is not None and i.rate == rate for i in infos):
        frames = sum(i.frames or 0 for i in infos)
    cut = bool(layout.unread) or any(i.cut for i in infos)
    first = infos[0]
    info = AudioInfo(
        rate, channels, frames, durations, first.format, first.subtype, cut, False, first.stamped
    )
    source = Source(path, info, notes=layout.notes)
    source.pieces = _pieces(source, parts, layout.unread)
    return source


def _pieces(source: Source, parts: Sequence[Open], unread: str) -> Iterator[Frames]:
    """Yield the pieces of all parts; those behind a damaged part are read as well."""
    damage = ""
    for number, part in enumerate(parts, start=1):
        with ExitStack() as stack:
            inner = part(stack)
            for piece in _converted(inner, source.info):
                source.n_frames += len(piece)
                yield piece
        if inner.damage and not damage:
            damage = inner.damage
            if len(parts) > 1:
                damage = f"is {len(parts)} recordings in one, and number {number} {damage}"
    source.damage = damage or unread


def _converted(inner: Source, info: AudioInfo) -> Iterator[Frames]:
    """Yield the pieces of a part at the rate and with the channels of the whole."""
    channels = inner.info.channels
    pieces = inner.pieces
    if inner.info.rate != info.rate:
        pieces = _resampled(pieces, inner.info.rate, info.rate, channels)
    for piece in pieces:
        if channels < info.channels:
            # A mono part sounds on every channel; the mean of them is then the part itself.
            piece = piece[:, np.arange(info.channels) % channels]
        yield piece


def _resampled(
    pieces: Iterator[Frames], rate_in: int, rate_out: int, channels: int
) -> Iterator[Frames]:
    resampler = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", quality="HQ")
    for piece in itertools.chain(pieces, [None]):
        new = np.empty((0, channels), np.float32) if piece is None else piece
        new = np.ascontiguousarray(new[:, 0] if channels == 1 else new)
        ready = resampler.resample_chunk(new, last=piece is None)
        yield ready.reshape(-1, channels)
