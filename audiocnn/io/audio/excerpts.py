"""Excerpts of recordings at their own rate and with their own channels, for listening.

Where the decoder can seek to a sample, nothing before the part is decoded: an event at
the end of a day costs what one at its beginning costs. MP3 and what FFmpeg reads do not
promise that, and are read from their beginning.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.decoder import check_sound, open_recording
from audiocnn.io.files.atomic import replacing

UNSOUGHT = frozenset({"MP3", "RAW"})  # what libsndfile seeks in by guessing
DEEP = frozenset({"PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_24", "ALAC_32", "ALAC_20"})


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of a recording.

    Parameters
    ----------
    samples
        (N, channels), full scale at 1.
    start
        Which sample of the recording is the first.
    rate
        Samples per second.
    deep
        Whether 16 bits would be less than what was recorded.
    """

    samples: NDArray[np.float32]
    start: int
    rate: int
    deep: bool


def read_excerpt(path: str | Path, start: float, end: float) -> Excerpt:
    """Read a part of a recording, decoding no more than need be.

    Parameters
    ----------
    path
        The recording.
    start, end
        Seconds, ``0 <= start < end``; what lies behind the recording's end is left out.

    Raises
    ------
    AudioError
        If the recording cannot be read, or ends before ``start``.

    Examples
    --------
    >>> read_excerpt("night.flac", 3600.0, 3605.0).samples.shape  # doctest: +SKIP
    (240000, 2)
    """
    if not 0 <= start < end:
        raise ArgumentError(f"an excerpt needs 0 <= start < end, got {start} and {end}")
    path = check_sound(path)
    found = _sought(path, start, end) or _from_the_beginning(path, start, end)
    if not len(found.samples):
        raise AudioError(f"{path} ends before {start:.3f} s: it is not what was labelled")
    return found


def _sought(path: Path, start: float, end: float) -> Excerpt | None:
    """Seek and read; None if that cannot be relied on."""
    try:
        with soundfile.SoundFile(os.fsencode(path) if os.name != "nt" else path) as file:
            first, last = round(start * file.samplerate), round(end * file.samplerate)
            if file.format in UNSOUGHT or not file.seekable() or file.frames < first:
                return None
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
            if len(samples) < min(last, file.frames) - first:
                return None
            return Excerpt(samples, first, file.samplerate, file.subtype in DEEP)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless .raw
        return None


def _from_the_beginning(path: Path, start: float, end: float) -> Excerpt:
    with open_recording(path) as source:
        rate, at, parts = source.info.rate, 0, []
        first, last = round(start * rate), round(end * rate)
        for piece in source.pieces:
            if (part := piece[max(0, first - at) : max(0, last - at)]).size:
                parts.append(part)
            at += len(piece)
            if at >= last:
                break
        empty = np.empty((0, source.info.channels), np.float32)
        samples = np.concatenate(parts) if parts else empty
        return Excerpt(samples, first, rate, source.info.subtype in DEEP)


def write_flac(excerpt: Excerpt, path: Path) -> None:
    """Write an excerpt as FLAC, in 16 bits or, if there is more in it, 24.

    More channels than the eight that FLAC has become one; samples that are not finite
    become silence. The file appears when it is complete.

    Raises
    ------
    ArgumentError
        If it cannot be written.
    """
    samples = np.nan_to_num(excerpt.samples, posinf=1.0, neginf=-1.0)
    if samples.shape[1] > 8:
        samples = samples.mean(axis=1, keepdims=True)
    subtype = "PCM_24" if excerpt.deep else "PCM_16"
    try:
        with replacing(path) as part, part.open("wb") as file:
            soundfile.write(file, np.clip(samples, -1, 1), excerpt.rate, subtype, format="FLAC")
    except (OSError, soundfile.LibsndfileError) as error:
        raise ArgumentError(f"cannot write {path}: {error}") from error
