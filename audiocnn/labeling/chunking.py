"""A long recording in chunks, for several workers, with the scores of the whole.

A chunk is the windows that begin in it. A window depends on its own samples alone, so
a chunk needs none before its first window but for the resampler's pre-roll, and is read
until its last window ends:

    whole     |w0---|                    windows, one every hop
                 |w1---|
                    |w2---|
                       |w3---|
    chunk 1         |w2---|
       reads   ....|---------|....       .... settles the resampler, and is dropped

Chunks begin where a window, a sample of the recording and a model sample coincide. Only
formats with exact seeking and finite samples are split. A chunk reader sees less of a
recording than a reader of all of it, so a recording that is cut off is not split, and
where a chunk finds any fault the recording is read as a whole, which then reports it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.engine import Grid
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import Block, Samples, mix, resample_blocks
from audiocnn.io.audio.decoder import AudioInfo
from audiocnn.io.audio.libsndfile import ForwardFile
from audiocnn.labeling.coverage import Coverage, CoverageMeter, coverage_of, watch_windows

MIN_SECONDS = 1800.0  # seconds; a shorter recording is not split
CHUNK_SECONDS = 900.0  # length of a chunk, about
PREROLL = 0.05  # seconds that the resampler needs to settle, to 1e-7
SEEKABLE = frozenset({"AIFF", "FLAC", "OGG", "RF64", "W64", "WAV", "WAVEX"})
EXACT = frozenset({  # no floats, which may hold NaN; no codec whose samples depend on those before
    "ALAW", "PCM_16", "PCM_24", "PCM_32", "PCM_S8", "PCM_U8", "ULAW", "VORBIS",
})  # fmt: skip
READ_FRAMES = 1 << 16  # frames decoded at once
REREAD = 1 << 10  # frames that are read twice, to detect missing ones before them


@dataclass(frozen=True)
class Chunk:
    """A stretch of a recording, with the windows that begin in it.

    Parameters
    ----------
    first, last
        Model samples at which it and its successor begin; ``last`` is None for the
        last chunk.
    frame, before
        Sample of the recording at ``first``, and number of samples before it that are
        decoded for the resampler.
    """

    first: int
    last: int | None
    frame: int
    before: int


@dataclass(frozen=True)
class ChunkScores:
    """Window scores of a chunk.

    Parameters
    ----------
    runs
        Its windows.
    end
        End of its sound, in model samples.
    """

    runs: tuple[Scores, ...]
    end: int


def plan_chunks(
    info: AudioInfo, grid: Grid, seconds: float = CHUNK_SECONDS, long: float = MIN_SECONDS
) -> list[Chunk]:
    """Say in which chunks a recording can be scored; in none if it must be read as a whole.

    Parameters
    ----------
    info
        Its header.
    grid
        Position of the windows.
    seconds
        Approximate length of a chunk.
    long
        Shorter recordings are not split, seconds.
    """
    if (
        info.format not in SEEKABLE or info.subtype not in EXACT or info.frames is None
        or info.cut or not info.plain
        or info.duration is None or info.duration < max(long, 2 * seconds)
    ):  # fmt: skip
        return []
    common = math.gcd(info.rate, int(grid.rate))
    step = math.lcm(grid.hop_samples, int(grid.rate) // common)  # samples for the model
    if step > seconds * grid.rate:
        return []
    size = round(seconds * grid.rate / step) * step
    total = info.frames * int(grid.rate) // info.rate
    n_chunks = (total - grid.window_samples) // size  # the last is longer, by less than another
    settle = info.rate // common
    before = math.ceil(PREROLL * info.rate / settle) * settle
    return (
        [
            Chunk(
                k * size,
                (k + 1) * size if k + 1 < n_chunks else None,
                k * size * info.rate // int(grid.rate),
                min(before, k * size * info.rate // int(grid.rate)),
            )
            for k in range(n_chunks)
        ]
        if n_chunks > 1
        else []
    )


def score_chunk(
    bundle: Bundle, grid: Grid, path: str | Path, chunk: Chunk, channel: int | None = None
) -> ChunkScores:
    """Score the windows that begin in a chunk.

    Raises
    ------
    AudioError
        If it is shorter than the header says, or a sample is not finite.
    """
    end = 0

    def blocks() -> Iterator[Block]:
        nonlocal end
        at = chunk.first
        for samples in _samples(path, chunk, grid, channel):
            yield Block(samples, at, grid.rate)
            at = end = at + samples.size

    source = blocks()
    pipeline = replace(bundle.pipeline(), grid=grid)
    runs = tuple(_own(pipeline.scores(source), chunk, grid))
    for _ in source:  # faults are found at its end
        pass
    return ChunkScores(runs, end)


def join_chunks(
    chunks: Sequence[ChunkScores], info: AudioInfo, rate: float
) -> tuple[list[Scores], Coverage]:
    """Join the chunks of a recording, in order, to its scores and coverage."""
    end = chunks[-1].end
    meter = CoverageMeter(rate, end=end)
    meter.ends.append(end / rate)
    runs = list(watch_windows((run for chunk in chunks for run in chunk.runs), meter))
    return runs, coverage_of(meter, info, "")


def _own(runs: Iterator[Scores], chunk: Chunk, grid: Grid) -> Iterator[Scores]:
    """Keep the windows that begin before the next chunk does."""
    if chunk.last is None:
        yield from runs
        return
    left = (chunk.last - chunk.first) // grid.hop_samples
    for run in runs:
        values = run.values[:, :left]
        left -= values.shape[1]
        if values.shape[1]:
            yield Scores(run.start, run.window, run.hop, values)
        if not left:
            return
    raise AudioError(
        f"a chunk from {chunk.first / grid.rate:.3f} s on is shorter than it should be"
    )


def _samples(path: str | Path, chunk: Chunk, grid: Grid, channel: int | None) -> Iterator[Samples]:
    """Give the model samples from the begin of a chunk; more than it needs."""
    with ForwardFile(path) as file:
        rate, skip = file.samplerate, chunk.before * int(grid.rate) // file.samplerate
        n = None
        if chunk.last is not None:  # its last window, and some for the resampler to settle
            n_out = chunk.last - chunk.first + grid.window_samples
            n = chunk.before + math.ceil(n_out * rate / grid.rate) + round(2 * PREROLL * rate)
        pieces = _decoded(file, chunk.frame - chunk.before, n, channel)
        for samples in resample_blocks(pieces, rate, int(grid.rate)):
            if skip < samples.size:
                yield samples[skip:]
            skip = max(0, skip - samples.size)


def _decoded(
    file: soundfile.SoundFile, begin: int, n: int | None, channel: int | None
) -> Iterator[Samples]:
    """Decode a stretch; libsndfile raises, or skips a hole in Ogg silently."""
    left = file.frames - begin if n is None else min(n, file.frames - begin)
    end = begin + left
    try:
        file.seek(begin)
        while left > 0:
            frames = file.read(min(READ_FRAMES, left), dtype="float32", always_2d=True)
            if channel is not None and channel >= frames.shape[1]:
                raise AudioError(f"{file.name} has no channel {channel}")
            if not len(frames):
                raise AudioError(f"{file.name}: ends before its header says")
            left -= len(frames)
            piece = mix(frames, channel)
            if not np.isfinite(piece).all():
                raise AudioError(f"{file.name}: is not finite everywhere")
            last = frames[-REREAD:]
            yield piece
        if file.format == "OGG" and end > begin:
            file.seek(end - len(last))
            if not np.array_equal(file.read(len(last), dtype="float32", always_2d=True), last):
                raise AudioError(f"{file.name}: has a hole")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{file.name}: {error}") from error
