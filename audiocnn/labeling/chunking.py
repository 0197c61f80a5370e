"""A long recording in parts, for several workers, with the scores of the whole.

A part is the windows that begin in it. Every window is a matter of its own samples
alone, so a part needs none before its first window but for the resampler's, and reads
on until its last window ends:

    whole     |w0---|                    windows, one every hop
                 |w1---|
                    |w2---|
                       |w3---|
    part 1          |w2---|
       reads   ....|---------|....       .... is for the resampler, and thrown away

Parts begin where a window, a sample of the recording and a sample for the model
coincide. Only formats are split in which one may seek to the sample and in which every
sample is finite. Whoever reads a part sees less of a recording than whoever reads it
all, so what is cut off is not split, and where a part finds anything amiss, the
recording is read as a whole: what is wrong with it is then said as ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.engine import Grid, run_network
from audiocnn.inference.windows import Scores, score_windows
from audiocnn.io.audio.blocks import Block, Samples, mix, resample_blocks
from audiocnn.io.audio.decoder import AudioInfo
from audiocnn.io.audio.libsndfile import Unsought
from audiocnn.labeling.coverage import Coverage, Meter, coverage_of, watch_windows

LONG = 1800.0  # seconds; a shorter recording is not split
PART = 900.0  # seconds of a part, about
PREROLL = 0.05  # seconds that the resampler needs to settle, to 1e-7
SEEKABLE = frozenset({"AIFF", "FLAC", "OGG", "RF64", "W64", "WAV", "WAVEX"})
EXACT = frozenset({  # no floats, which may hold NaN; no codec whose samples depend on those before
    "ALAW", "PCM_16", "PCM_24", "PCM_32", "PCM_S8", "PCM_U8", "ULAW", "VORBIS",
})  # fmt: skip
PIECE = 1 << 16  # frames decoded at once
AGAIN = 1 << 10  # frames that are read twice, to see that none went missing before them


@dataclass(frozen=True)
class Part:
    """The windows of a recording that begin in a stretch of it.

    Parameters
    ----------
    first, last
        Samples for the model at which it begins and the next begins; ``last`` is
        None for the last part.
    frame, before
        Sample of the recording at ``first``, and how many before it are decoded for
        the resampler.
    """

    first: int
    last: int | None
    frame: int
    before: int


@dataclass(frozen=True)
class PartScores:
    """What came of a part.

    Parameters
    ----------
    runs
        Its windows.
    end
        Samples for the model up to which there was sound.
    """

    runs: tuple[Scores, ...]
    end: int


def split(info: AudioInfo, grid: Grid, seconds: float = PART, long: float = LONG) -> list[Part]:
    """Say in which parts a recording can be scored; in none if it must be read as a whole.

    Parameters
    ----------
    info
        What its header says.
    grid
        Where windows lie.
    seconds
        Length of a part, about.
    long
        Shorter recordings are not split.
    """
    if (
        info.format not in SEEKABLE or info.subtype not in EXACT or info.frames is None
        or info.cut or info.duration is None or info.duration < max(long, 2 * seconds)
    ):  # fmt: skip
        return []
    common = math.gcd(info.rate, int(grid.rate))
    step = math.lcm(grid.step * grid.period, int(grid.rate) // common)  # samples for the model
    if step > seconds * grid.rate:
        return []
    size = round(seconds * grid.rate / step) * step
    total = info.frames * int(grid.rate) // info.rate
    n_parts = (total - grid.window_samples) // size  # the last is longer, by less than another
    settle = info.rate // common
    before = math.ceil(PREROLL * info.rate / settle) * settle
    return (
        [
            Part(
                k * size,
                (k + 1) * size if k + 1 < n_parts else None,
                k * size * info.rate // int(grid.rate),
                min(before, k * size * info.rate // int(grid.rate)),
            )
            for k in range(n_parts)
        ]
        if n_parts > 1
        else []
    )


def score_part(bundle: Bundle, grid: Grid, path: str | Path, part: Part) -> PartScores:
    """Score the windows that begin in a part.

    Raises
    ------
    AudioError
        If less can be read than there should be, or anything is not finite.
    """
    end = 0

    def blocks() -> Iterator[Block]:
        nonlocal end
        at = part.first
        for samples in _samples(path, part, grid):
            yield Block(samples, at, grid.rate)
            at = end = at + samples.size

    source = blocks()
    columns = run_network(bundle.graph, bundle.front, grid, source)
    runs = tuple(_own(score_windows(columns, grid, bundle.calibration), part, grid))
    for _ in source:  # to its end, where it says whether anything was amiss
        pass
    return PartScores(runs, end)


def join_parts(
    parts: Sequence[PartScores], info: AudioInfo, rate: float
) -> tuple[list[Scores], Coverage]:
    """Put the parts of a recording together, in order: its scores, and what was heard."""
    end = parts[-1].end
    meter = Meter(rate, end=end)
    meter.ends.append(end / rate)
    runs = list(watch_windows((run for part in parts for run in part.runs), meter))
    return runs, coverage_of(meter, info, "")


def _own(runs: Iterator[Scores], part: Part, grid: Grid) -> Iterator[Scores]:
    """Keep the windows that begin before the next part does."""
    if part.last is None:
        yield from runs
        return
    left = (part.last - part.first) // (grid.step * grid.period)
    for run in runs:
        values = run.values[:, :left]
        left -= values.shape[1]
        if values.shape[1]:
            yield Scores(run.start, run.window, run.hop, values)
        if not left:
            return
    raise AudioError(f"a part from {part.first / grid.rate:.3f} s on is shorter than it should be")


def _samples(path: str | Path, part: Part, grid: Grid) -> Iterator[Samples]:
    """Give the samples for the model from where the part begins; more than it needs."""
    with Unsought(path) as file:
        rate, skip = file.samplerate, part.before * int(grid.rate) // file.samplerate
        n = None
        if part.last is not None:  # its last window, and some for the resampler to settle
            n_out = part.last - part.first + grid.window_samples
            n = part.before + math.ceil(n_out * rate / grid.rate) + round(2 * PREROLL * rate)
        pieces = _decoded(file, part.frame - part.before, n)
        for samples in resample_blocks(pieces, rate, int(grid.rate)):
            if skip < samples.size:
                yield samples[skip:]
            skip = max(0, skip - samples.size)


def _decoded(file: soundfile.SoundFile, begin: int, n: int | None) -> Iterator[Samples]:
    """Decode a stretch; libsndfile fails, or leaves a hole in Ogg out without a word."""
    left = file.frames - begin if n is None else min(n, file.frames - begin)
    end = begin + left
    try:
        file.seek(begin)
        while left > 0:
            frames = file.read(min(PIECE, left), dtype="float32", always_2d=True)
            if not len(frames):
                raise AudioError(f"{file.name}: ends before its header says")
            left -= len(frames)
            piece = mix(frames)
            if not np.isfinite(piece).all():
                raise AudioError(f"{file.name}: is not finite everywhere")
            last = frames[-AGAIN:]
            yield piece
        if file.format == "OGG" and end > begin:
            file.seek(end - len(last))
            if not np.array_equal(file.read(len(last), dtype="float32", always_2d=True), last):
                raise AudioError(f"{file.name}: has a hole")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{file.name}: {error}") from error
