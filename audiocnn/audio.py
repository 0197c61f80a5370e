"""Recordings to samples: mixed to mono, resampled, in blocks of any length.

A file is a stream: it is read a piece at a time, in constant memory, and the
cutting changes no bit of what comes out. Samples that are not finite are never
handed on and never replaced; they split the stream into gap-free segments, and
each segment is resampled like a file of its own:

    input     |=============NaN==========|          samples at the file's rate
    blocks    |=====|=====|==|  |=====|==|          start jumps over the gap

Nothing here knows what the samples are used for, or (decoding.py does) how they
were stored.
"""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocnn.decoding import AudioInfo, Source, check_file, open_recording
from audiocnn.errors import ArgumentError, AudioError

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioInfo",
    "Block",
    "audio_info",
    "cut_blocks",
    "find_recordings",
    "mix",
    "read_audio",
    "read_blocks",
    "resample_blocks",
]

AUDIO_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .flac .m4a .m4b .mka .mkv .mov .mp3 .mp4"
    " .oga .ogg .opus .rf64 .snd .w64 .wav .wave .webm .wma .wv".split()
)
LOUDEST = 1e15  # full scale is 1; beyond it the power of a frame is not finite in float32

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive samples of a stream.

    Parameters
    ----------
    samples
        (N,) mono, full scale at 1, all finite.
    start
        Samples, at ``rate``, since the stream began. Larger than where the
        block before ended: samples were lost in between.
    rate
        Samples per second.
    """

    samples: Samples
    start: int
    rate: int

    def __post_init__(self) -> None:
        """Check the shape and the ranges, once."""
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            found = f"{self.samples.dtype} of shape {self.samples.shape}"
            raise ArgumentError(f"samples must be float32 of shape (N,), got {found}")
        if self.start < 0 or self.rate < 1:
            raise ArgumentError(
                f"start must be at least 0 and rate at least 1, got {self.start} and {self.rate}"
            )


def audio_info(path: str | Path) -> AudioInfo:
    """Read what a recording's header says, without decoding it.

    Raises
    ------
    AudioError
        If it cannot be opened.
    """
    with open_recording(path) as source:
        return source.info


def read_blocks(
    path: str | Path, rate: int, *, seconds: float = 10.0, channel: int | None = None
) -> Iterator[Block]:
    """Read a recording of any length in constant memory, at the rate that is wanted.

    Parameters
    ----------
    path
        A file that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, AIFF, ...) or,
        with ``audiocnn[av]``, FFmpeg.
    rate
        Samples per second of the blocks.
    seconds
        Length of a block; the last of a gap-free segment may be shorter. It
        decides about memory, never about samples.
    channel
        Which channel, counted from 0; the mean of all if left out.

    Yields
    ------
    Block
        In order; ``start`` jumps over samples that are not finite.

    Raises
    ------
    AudioError
        At once: if the file is missing, empty or not permitted. While reading:
        if it cannot be decoded, holds no (finite) sample, or, after the good
        part was handed out, if it is cut off or damaged.

    Notes
    -----
    The blocks of a segment, joined, are what ``soxr.resample`` gives for the
    segment as a whole, bit for bit.

    Examples
    --------
    >>> for block in read_blocks("night.flac", 32000):  # doctest: +SKIP
    ...     print(block.start / block.rate, abs(block.samples).max())
    """
    _check_request(rate, seconds, channel)
    return _read(check_file(path), rate, seconds, channel)


def read_audio(
    path: str | Path,
    rate: int,
    *,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
) -> Samples:
    """Read a recording, or a part of it, as one array.

    Parameters
    ----------
    path, rate, channel
        As in `read_blocks`.
    start, end
        Seconds; to the end of the recording if ``end`` is None or lies beyond.

    Returns
    -------
    array (N,)
        The samples that `read_blocks` gives there, bit for bit.

    Raises
    ------
    AudioError
        As in `read_blocks`; if the part is empty, or samples are missing in it.

    Notes
    -----
    All before ``start`` is decoded as well, and nothing far behind ``end``.
    """
    _check_request(rate, 1.0, channel)
    if start < 0 or (end is not None and end <= start):
        raise ArgumentError(f"start must be at least 0 and end after it, got {start} and {end}")
    first, last = round(start * rate), np.inf if end is None else round(end * rate)
    parts, at = [], 0
    with open_recording(path) as source:
        for block in _blocks_of(source, rate, 10.0, channel):
            if max(at, first) < min(block.start, last):
                raise _gap(source.path, max(at, first), min(block.start, last), rate)
            at = block.start + len(block.samples)
            parts.append(block.samples[max(0, first - block.start) : min(at, last) - block.start])
        ...
