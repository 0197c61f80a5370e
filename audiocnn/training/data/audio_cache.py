"""Decoded waveforms, memory-mapped, at the model's rate.

Decoding and resampling cost more than a small network's training step, so they
are done once: all clips lie one after the other in one file of 16-bit numbers,
each with a scale of its own (its peak), so quiet clips keep their resolution.
The operating system pages in what is used: a dataset may be larger than memory.
A cache is found again by what it was made of: paths, sizes, times and rate.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import DatasetError
from audiocnn.io.files.atomic import replacing
from audiocnn.training.data.spool import Spool, spool_parts

VERSION = 1
LEVEL_STEP = 0.05  # seconds over which `levels` are taken


class Stored(Protocol):
    """What training needs of the clips of a dataset, sound or not; see `Waveforms`."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each clip begins, and the last ends, in samples."""

    @property
    def rate(self) -> float:
        """Samples per second."""

    @property
    def step(self) -> int:
        """Samples between the places where a window may begin."""

    def read(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip, as the front end sees it; zeros where it has none."""

    def recorded(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip, as it was recorded."""

    def length(self, clip: int) -> int:
        """Count the samples of a clip."""

    def clip_levels(self, clip: int) -> NDArray[np.float32]:
        """Return the mean power of every step of a clip."""

    def power(self, clip: int, start: int, length: int) -> float:
        """Measure the energy of part of a clip."""

    def digest(self) -> tuple[NDArray[Any], ...]:
        """Return what tells these clips from others, small."""


@dataclass(frozen=True)
class Waveforms:
    """The decoded clips of a dataset.

    Parameters
    ----------
    samples
        (N,) all clips end to end, int16, memory-mapped.
    starts
        (K + 1,) where each clip begins; the last entry is N.
    scales
        (K,) what full scale of a clip's numbers means.
    levels
        (L,) mean power of every `LEVEL_STEP` seconds of each clip.
    level_starts
        (K + 1,) where each clip's levels begin.
    rate
        Samples per second.
    """

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]
    scales: NDArray[np.float32]
    levels: NDArray[np.float32]
    level_starts: NDArray[np.int64]
    rate: int

    def read(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip, float32; zeros where it has none."""
        begin, end = self.starts[clip], self.starts[clip + 1]
        out = np.zeros(length, np.float32)
        a, b = max(begin, begin + start), min(end, begin + start + length)
        if b > a:
            at = a - begin - start
            out[at : at + b - a] = self.samples[a:b] * (self.scales[clip] / 32767)
        return out

    @property
    def step(self) -> int:
        """Samples between the places where a window may begin."""
        return max(1, round(self.rate * LEVEL_STEP))

    def recorded(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip as it was recorded: the same."""
        return self.read(clip, start, length)

    def length(self, clip: int) -> int:
        """Count the samples of a clip."""
        return int(self.starts[clip + 1] - self.starts[clip])

    def clip_levels(self, clip: int) -> NDArray[np.float32]:
        """Return the mean powers of a clip."""
        return self.levels[self.level_starts[clip] : self.level_starts[clip + 1]]

    def power(self, clip: int, start: int, length: int) -> float:
        """Measure the energy of part of a clip."""
        return float(np.square(self.read(clip, start, length), dtype=np.float64).sum())

    def digest(self) -> tuple[NDArray[Any], ...]:
        """Return what tells these clips from others, a thousandth of the samples."""
        return self.levels, self.starts, self.scales


def cached_waveforms(
    clips: Sequence[Clip],
    rate: int,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    channel: int | None = None,
) -> Waveforms:
    """Decode clips, or find that it was done before.

    Parameters
    ----------
    clips
        What to decode; ``start`` and ``end`` are honoured.
    rate
        Samples per second.
    folder
        Where caches lie; made if missing.
    progress
        Called with clips done and in all.
    channel
        Which channel, counted from 0; the mean of all if None.

    Raises
    ------
    DatasetError
        If clips cannot be read: all of them are named, not the first alone.
    """
    key = hashlib.sha256(f"{VERSION} {rate} {channel}".encode())
    missing: list[str] = []
    for clip in clips:
        try:
            stat = clip.path.stat()
        except OSError as error:
            missing.append(f"{clip.path}: {error.strerror}")
            continue
        what = (str(clip.path.resolve()), stat.st_size, stat.st_mtime_ns, clip.start, clip.end)
        key.update(repr(what).encode())
    refuse_unreadable(missing, len(clips))
    stem = folder / key.hexdigest()[:24]
    if not stem.with_suffix(".npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _decode(clips, rate, channel, stem, progress)
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        arrays = {name: index[name] for name in index.files}
    pcm = stem.with_suffix(".pcm")  # of no clips at all it is empty, and cannot be mapped
    samples = np.memmap(pcm, np.int16, mode="r") if arrays["starts"][-1] else np.empty(0, np.int16)
    return Waveforms(samples, rate=rate, **arrays)


def _decode(
    clips: Sequence[Clip],
    rate: int,
    channel: int | None,
    stem: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    starts, scales, levels, level_starts, bad = [0], [], [], [0], []
    with replacing(stem.with_suffix(".pcm")) as part, part.open("wb") as file:
        for done, spooled in enumerate(_spooled(clips, rate, channel, stem.parent), 1):
            if isinstance(spooled, str):
                bad.append(spooled)
                continue
            n, scale, powers = _store(spooled, file, rate)
            starts.append(starts[-1] + n)
            scales.append(scale)
            levels.append(powers)
            level_starts.append(level_starts[-1] + powers.size)
            if progress:
                progress(done, len(clips))
        refuse_unreadable(bad, len(clips))
    with replacing(stem.with_suffix(".npz")) as part, part.open("wb") as file:
        np.savez(
            file,
            starts=np.array(starts, np.int64),
            scales=np.array(scales, np.float32),
            levels=np.concatenate(levels) if levels else np.empty(0, np.float32),
            level_starts=np.array(level_starts, np.int64),
        )


def _spooled(
    clips: Sequence[Clip], rate: int, channel: int | None, folder: Path
) -> Iterator[Spool | str]:
    for path, parts in itertools.groupby(clips, lambda clip: clip.path):
        yield from spool_parts(path, list(parts), rate, folder, channel)


def _store(spooled: Spool, file: IO[bytes], rate: int) -> tuple[int, float, NDArray[np.float32]]:
    """Write a clip as 16 bits of its own peak; give its length, peak and mean powers."""
    step = max(1, round(rate * LEVEL_STEP))
    peak, n, powers = 0.0, 0, []

    def pieces() -> Iterator[NDArray[np.float32]]:
        spooled.seek(0)
        while piece := spooled.read(4 * 2000 * step):
            yield np.frombuffer(piece, np.float32)

    for x in pieces():
        peak, n = max(peak, float(np.abs(x).max())), n + x.size
        powers.append(_powers(x, step))
    scale = peak or 1.0
    for x in pieces():
        file.write(np.rint(x * (32767 / scale)).astype("<i2").tobytes())
    return n, scale, np.concatenate(powers)


def refuse_unreadable(bad: list[str], n_clips: int) -> None:
    """Name the clips that cannot be read, if there are any.

    Raises
    ------
    DatasetError
        With the first twenty.
    """
    if bad:
        raise DatasetError(
            f"{len(bad)} of {n_clips} clips cannot be read; repair or remove them:\n"
            + "\n".join(bad[:20])
            + (f"\nand {len(bad) - 20} more" if len(bad) > 20 else "")
        )


def _powers(x: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Mean power of every ``step`` samples; the last part may be shorter."""
    if not x.size:
        return np.zeros(1, np.float32)
    edges = np.arange(0, x.size, step)
    counts = np.diff(np.append(edges, x.size))
    return (np.add.reduceat(x.astype(np.float64) ** 2, edges) / counts).astype(np.float32)
