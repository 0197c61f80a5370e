"""Signals other than sound, as training reads them: every channel, at their own rate.

The clips of a dataset are read once and lie one after the other in a file of 32-bit
floats, memory-mapped, in the unit in which they were recorded; so a dataset may be
larger than memory. Training sees them through a front end: its offset taken away, and
divided by its scale. A cache is found again by what it was made of.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError, DatasetError
from audiocnn.fronts import RawSpec, SpectrumSpec
from audiocnn.manifest import Clip
from audiocnn.series import file_of
from audiocnn.signals import Reading, Samples, open_signal
from audiocnn.training.cache import refuse_unreadable

VERSION = 1
SAME_RATE = 1e-3  # by how much the rates of two recordings may differ, of their own
STARTS_A_WINDOW = 16  # places in a window's length at which another may begin


@dataclass(frozen=True)
class Recorded:
    """The clips of a dataset, all of the same channels and rate.

    Parameters
    ----------
    samples
        (N, K) all clips end to end, float32, memory-mapped, as they were recorded.
    starts
        (n_clips + 1,) where each clip begins; the last entry is N.
    sums
        (n_clips, 2, K) of every clip: sum of its samples, and of their squares.
    names
        Of the channels.
    rate
        Samples per second.
    rate_known
        Whether any of the files, or the caller, said the rate.
    offset, scale
        (K, 1) what a front end takes away, and divides by.
    step
        Samples between the places where a window may begin.
    """

    samples: NDArray[np.float32]
    starts: NDArray[np.int64]
    sums: NDArray[np.float64]
    names: tuple[str, ...]
    rate: float
    rate_known: bool
    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    step: int = 1

    def read(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Give part of a clip (K, length), as the front end sees it; 0 where it has none."""
        out = np.zeros((len(self.names), length), np.float32)
        a, b = max(0, start), min(self.length(clip), start + length)
        if b > a:
            found = self.recorded(clip, a, b - a)
            out[:, a - start : b - start] = (found - self.offset) / self.scale
        return out

    def recorded(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Give part of a clip (K, length) in the unit in which it was recorded."""
        begin = int(self.starts[clip]) + start
        return np.ascontiguousarray(self.samples[begin : begin + length].T)

    def length(self, clip: int) -> int:
        """Count the samples of a clip."""
        return int(self.starts[clip + 1] - self.starts[clip])

    def clip_levels(self, clip: int) -> NDArray[np.float32]:
        """Give 1 for each step of a clip: no part of a signal is silence."""
        return np.ones(max(1, -(-self.length(clip) // self.step)), np.float32)

    def power(self, clip: int, start: int, length: int) -> float:
        """Give 1 for every sample: a signal at rest says something too."""
        return float(length)

    def digest(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Give what tells these clips from others, small."""
        return self.sums, self.starts

    def spread(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Measure mean and standard deviation of each channel over all clips; 1 where it is 0."""
        n = max(1, int(self.starts[-1]))
        mean, square = self.sums.sum(0) / n
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        # A constant channel has none; what rounding leaves of it is none either.
        deviation[deviation <= 1e-6 * np.abs(mean)] = 0
        rounded = ([float(f"{v:.7g}") for v in values] for values in (mean, deviation))
        offset, scale = (tuple(values) for values in rounded)
        return offset, tuple(s or 1.0 for s in scale)

    def seen_through(self, front: RawSpec | SpectrumSpec, n_window: int) -> Recorded:
        """Give the same clips as a front end sees them, for windows of so many samples."""
        offset, scale = (np.array(v, np.float32)[:, None] for v in (front.offset, front.scale))
        return replace(self, offset=offset, scale=scale, step=max(1, n_window // STARTS_A_WINDOW))


def cached_signals(
    clips: Sequence[Clip],
    reading: Reading,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Recorded:
    """Read clips, or find that it was done before.

    Parameters
    ----------
    clips
        What to read; ``start`` and ``end`` are honoured.
    reading
        How: columns, rate, what becomes of missing values.
    folder
        Where caches lie; made if missing.
    progress
        Called with clips done and in all.

    Raises
    ------
    DatasetError
        If clips cannot be read (all of them are named), or have not all the same
        channels and rate.
    """
    key = hashlib.sha256(f"{VERSION} {asdict(reading)}".encode())
    missing: list[str] = []
    for clip in clips:
        file = file_of(clip.path)
        try:
            stat = file.stat()
        except OSError as error:
            missing.append(f"{file}: {error.strerror}")
            continue
        what = (str(clip.path.absolute()), stat.st_size, stat.st_mtime_ns, clip.start, clip.end)
        key.update(repr(what).encode())
    refuse_unreadable(missing, len(clips))
    stem = folder / key.hexdigest()[:24]
    if not stem.with_suffix(".npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _read_all(clips, reading, stem, progress)
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        starts, sums, told = index["starts"], index["sums"], index["rate"]
        names = tuple(index["names"].tolist())
    shape = (int(starts[-1]), len(names))
    samples = (
        np.memmap(stem.with_suffix(".f32"), np.float32, mode="r", shape=shape)
        if shape[0]
        else np.empty(shape, np.float32)
    )
    known = not math.isnan(told)
    one = np.ones((len(names), 1), np.float32)
    return Recorded(
        samples, starts, sums, names, float(told) if known else 1.0, known, 0 * one, one
    )


class _Reader:
    """Reads clips one after the other into a file, and sees that they are of one kind."""

    def __init__(self, reading: Reading, file: IO[bytes]) -> None:
        self.reading, self.file = reading, file
        self.names: tuple[str, ...] = ()
        self.rate: float | None = None
        self.first = Path()
        self.starts: list[int] = [0]
        self.sums: list[NDArray[np.float64]] = []

    def read(self, clip: Clip) -> None:
        """Read one.

        Raises
        ------
        AudioError
            If it cannot be read, or is unlike those before.
        """
        with open_signal(clip.path, self.reading) as signal:
            self._compare(clip.path, signal.names, signal.rate)
            rate = signal.rate or 1.0
            first = round(clip.start * rate)
            last = None if clip.end is None else round(clip.end * rate)
            sums, begin = np.zeros((2, len(signal.names))), self.file.tell()
            n = at = 0
            try:
                with closing(signal.pieces):  # type: ignore[type-var]
                    for piece in signal.pieces:
                        end = at + piece.shape[1]
                        part = piece[:, max(0, first - at) : None if last is None else last - at]
                        self._keep(clip, part, sums, n + first, rate)
                        n, at = n + part.shape[1], end
                        if last is not None and at >= last:
                            break
                if n == 0:
                    raise AudioError(f"{clip.path}: no sample lies between {clip.start:g} s and "
                                     "its end")  # fmt: skip
            except AudioError:
                self.file.seek(begin)
                self.file.truncate()
                raise
        self.starts.append(self.starts[-1] + n)
        self.sums.append(sums)

    def _keep(
        self, clip: Clip, part: Samples, sums: NDArray[np.float64], first: int, rate: float
    ) -> None:
        bad = ~np.isfinite(part).all(0)
        if bad.any():
            at = (first + int(np.argmax(bad))) / rate
            raise AudioError(
                f"{clip.path}: a value is missing at {at:g} s, and training needs them all: give "
                "--missing interpolate, or leave that part out with start and end"
            )
        x = part.astype(np.float64)
        sums += np.stack([x.sum(1), (x**2).sum(1)])
        self.file.write(np.ascontiguousarray(part.T, "<f4").tobytes())

    def _compare(self, path: Path, names: tuple[str, ...], rate: float | None) -> None:
        if not self.names:
            self.names, self.rate, self.first = names, rate, path
            return
        if names != self.names:
            raise AudioError(
                f"{path} has the channels {', '.join(names)}, {self.first} has "
                f"{', '.join(self.names)}: choose those that all have with --columns"
            )
        if (rate is None) != (self.rate is None) or (
            rate and self.rate and abs(rate / self.rate - 1) > SAME_RATE
        ):
            raise AudioError(
                f"{path} is at {_hertz(rate)}, {self.first} at {_hertz(self.rate)}: all must have "
                "one rate; bring them to one, or train on one kind"
            )


def _hertz(rate: float | None) -> str:
    return "no known rate" if rate is None else f"{rate:g} Hz"


def _read_all(
    clips: Sequence[Clip], reading: Reading, stem: Path,
    progress: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    bad: list[str] = []
    temporary = stem.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        reader = _Reader(reading, file)
        for done, clip in zip(itertools.count(1), clips):
            try:
                reader.read(clip)
            except AudioError as error:
                bad.append(str(error))
            if progress:
                progress(done, len(clips))
    if bad:
        temporary.unlink()
        refuse_unreadable(bad, len(clips))
    temporary.replace(stem.with_suffix(".f32"))
    index = stem.with_suffix(f".{os.getpid()}.npz.tmp")
    with index.open("wb") as file:
        np.savez(
            file,
            starts=np.array(reader.starts, np.int64),
            sums=np.stack(reader.sums),
            names=np.array(reader.names),
            rate=np.array(math.nan if reader.rate is None else reader.rate),
        )
    index.replace(stem.with_suffix(".npz"))


def require_fit(found: Recorded, front: RawSpec | SpectrumSpec) -> None:
    """See that clips have the channels and the rate of a front end.

    Raises
    ------
    DatasetError
        If not; names what they have.
    """
    if found.names != front.names:
        raise DatasetError(
            f"these recordings have the channels {', '.join(found.names)}, the model's are "
            f"{', '.join(front.names)}: choose them with --columns"
        )
    if found.rate_known and abs(found.rate / front.rate - 1) > SAME_RATE:
        raise DatasetError(
            f"these recordings are at {found.rate:g} Hz, the model's rate is {front.rate:g} Hz: "
            "bring them to it, or train on one kind"
        )
