"""Reading recordings as blocks of samples at any rate, and finding them in folders.

A file is a stream: it is read a piece at a time, and whole or in blocks of any
length the samples are the same, bit for bit. What a file stores, and whether all
of it came out, is decoding.py's business; how pieces become blocks, blocks.py's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.blocks import Block, Samples, cut_blocks, mix
from audiocnn.io.audio.decoder import AudioInfo, Source, check_sound, open_recording
from audiocnn.io.audio.levels import FLOATS, LevelWatch
from audiocnn.io.audio.notes import Note, log_notes
from audiocnn.io.recording import ARCHIVE_SUFFIX, RecordingRef

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioInfo",
    "Block",
    "audio_info",
    "find_recordings",
    "read_audio",
    "read_blocks",
    "search_folder",
]

AUDIO_SUFFIXES = frozenset({
    ".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac",
    ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".rf64",
    ".snd", ".w64", ".wav", ".wave", ".webm", ".wma", ".wv",
})  # fmt: skip

TakeNote = Callable[[Note], None]
MOST_GAPS = 1000  # and one a second: samples that are not finite are rare, but in noise


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
    path: str | Path,
    rate: float,
    *,
    seconds: float = 10.0,
    channel: int | None = None,
    note: TakeNote | None = None,
) -> Iterator[Block]:
    """Read a recording of any length in constant memory, at a given rate.

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
    note
        Called at the end with what should be known of the recording (float samples in
        another unit, channels in opposite phase, a wrong header); logged if left out.

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
    return _read(check_sound(path), rate, seconds, channel, note)


def read_audio(
    path: str | Path,
    rate: float,
    *,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
    note: TakeNote | None = None,
) -> Samples:
    """Read a recording, or a part of it, as one array.

    Parameters
    ----------
    path, rate, channel, note
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
    first, last = round(start * rate), sys.maxsize if end is None else round(end * rate)
    parts, at = [], 0
    with open_recording(path) as source:
        for block in _blocks_of(source, rate, 10.0, channel, note):
            _refuse_gap(source.path, max(at, first), min(block.start, last), rate)
            at = block.start + len(block.samples)
            parts.append(block.samples[max(0, first - block.start) : min(at, last) - block.start])
            if at >= last:
                break
        else:
            total = int(source.n_frames * rate // source.info.rate)
            _refuse_gap(source.path, max(at, first), min(total, last), rate)
    samples = np.concatenate(parts)
    if not len(samples):
        raise AudioError(f"{source.path}: no sample lies between {start} s and its end")
    return samples


def find_recordings(
    paths: Sequence[str | Path], on_error: Callable[[AudioError], None] | None = None
) -> list[Path]:
    """List the recordings in files and folders.

    Parameters
    ----------
    paths
        Files, taken as they are, and folders, searched to any depth for names
        that end like a recording; hidden files and folders are left out.
    on_error
        Called for each folder below that cannot be read, in place of raising.

    Returns
    -------
    list of Path
        In the order of ``paths``, sorted within a folder, each one once.

    Raises
    ------
    AudioError
        If a path is missing, a folder cannot be read, or there is no recording.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = search_folder(path, AUDIO_SUFFIXES | {ARCHIVE_SUFFIX}, on_error)
            found.update(dict.fromkeys(f for f in files if _is_recording(f)))
        elif path.exists():
            found[path] = None
        else:
            raise AudioError(f"no such file or folder: {path}")
    if paths and not found:
        where, suffixes = ", ".join(map(str, paths)), " ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"no recordings in {where}: none of its files ends in {suffixes}")
    return list(found)


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES or RecordingRef(path).is_sound


def search_folder(
    folder: Path,
    suffixes: Collection[str],
    on_error: Callable[[AudioError], None] | None = None,
) -> list[Path]:
    """List the files in a folder, to any depth, that end in one of the suffixes.

    Hidden files and folders are left out; the list is sorted. Folders that cannot be read
    are given to ``on_error``, if there is one.

    Raises
    ------
    AudioError
        If a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        message = f"cannot look into {error.filename}: {error.strerror}"
        problem = AudioError(message, str(error.filename))
        if on_error is None:
            raise problem from error
        on_error(problem)

    found, seen = [], set()
    for where, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:  # a link back to where we have been
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                found.append(Path(where, name))
    return sorted(found)


def _check_request(rate: float, seconds: float, channel: int | None) -> None:
    if rate < 1:
        raise ArgumentError(f"rate must be at least 1, got {rate}")
    if not seconds > 0:
        raise ArgumentError(f"seconds must be above 0, got {seconds}")
    if channel is not None and channel < 0:
        raise ArgumentError(f"channel counts from 0, got {channel}")


def _read(
    path: Path, rate: float, seconds: float, channel: int | None, note: TakeNote | None
) -> Iterator[Block]:
    with open_recording(path) as source:
        yield from _blocks_of(source, rate, seconds, channel, note)


def _blocks_of(
    source: Source,
    rate: float,
    seconds: float,
    channel: int | None,
    note: TakeNote | None = None,
) -> Iterator[Block]:
    if channel is not None and channel >= source.info.channels:
        raise AudioError(
            f"{source.path} has {source.info.channels} channel"
            f"{'' if source.info.channels == 1 else 's'}, counted from 0: no {channel}"
        )
    watch = LevelWatch(source.info.subtype in FLOATS, channel is None)
    pieces = (mix(piece, channel) for piece in _watched(source.pieces, watch))
    n_blocks = n_gaps = end = 0
    for block in cut_blocks(pieces, source.info.rate, rate, seconds=seconds):
        n_blocks += 1
        n_gaps += block.start > end
        end = block.start + block.samples.size
        if n_gaps > max(MOST_GAPS, end / rate):
            raise AudioError(
                f"{source.path} is damaged: up to {end / rate:.3f} s, {n_gaps} places are not "
                "finite; is it what its header says?"
            )
        yield block
    notes = (*source.notes, *watch.notes())
    if note is None:
        log_notes(source.path, notes)
    else:
        for one in notes:
            note(one)
    if source.damage:
        raise AudioError(f"{source.path} {source.damage}; copy it again, or repair it")
    if not source.n_frames:
        size = source.path.stat().st_size
        raise AudioError(f"{source.path} holds no samples in its {size} bytes: record it again")
    if not n_blocks:
        raise AudioError(f"{source.path} holds no finite sample among {source.n_frames}")


def _watched(pieces: Iterator[Samples], watch: LevelWatch) -> Iterator[Samples]:
    for piece in pieces:
        watch.take(piece)
        yield piece


def _refuse_gap(path: Path, start: int, end: int, rate: float) -> None:
    if start < end:
        raise AudioError(
            f"{path} is not finite from {start / rate:.3f} to {end / rate:.3f} s:"
            " take another part, or read_blocks, which goes around it"
        )
