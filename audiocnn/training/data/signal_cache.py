"""Signals are read once, every channel, into a file that training maps into memory."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import AudioError, DatasetError
from audiocnn.frontend.base import FrontEnd
from audiocnn.io.files.atomic import replacing
from audiocnn.io.signals.cache import open_held
from audiocnn.io.signals.reader import Samples, SignalReadOptions
from audiocnn.training.data.audio_cache import refuse_unreadable
from audiocnn.training.data.signal_dataset import Recorded

VERSION = 1
SAME_RATE = 1e-3  # by how much the rates of two recordings may differ, of their own


def cached_signals(
    clips: Sequence[Clip],
    reading: SignalReadOptions,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    wanted: tuple[str, ...] | None = None,
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
    wanted
        Names of a model's channels, if there is one already.

    Raises
    ------
    DatasetError
        If clips cannot be read (all of them are named), or have not all the same
        channels and rate.
    """
    key = hashlib.sha256(f"{VERSION} {asdict(reading)} {wanted}".encode())
    missing: list[str] = []
    for clip in clips:
        file = clip.recording.file
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
        _read_all(clips, _Reading(reading, wanted), stem, progress)
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        starts, sums, stored_rate = index["starts"], index["sums"], index["rate"]
        names = tuple(index["names"].tolist())
    shape = (int(starts[-1]), len(names))
    samples = (
        np.memmap(stem.with_suffix(".f32"), np.float32, mode="r", shape=shape)
        if shape[0]
        else np.empty(shape, np.float32)
    )
    known = not math.isnan(stored_rate)
    one = np.ones((len(names), 1), np.float32)
    return Recorded(
        samples, starts, sums, names, float(stored_rate) if known else 1.0, known, 0 * one, one
    )


@dataclass(frozen=True)
class _Reading:
    how: SignalReadOptions
    wanted: tuple[str, ...] | None


class _Reader:
    """Reads clips one after the other into a file, and sees that they are of one kind."""

    def __init__(self, reading: _Reading, file: IO[bytes]) -> None:
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
        with open_held(clip.path, self.reading.how, self.reading.wanted) as signal:
            self._compare(clip.path, signal.names, signal.rate)
            rate = signal.rate or 1.0
            first = round(clip.start * rate)
            last = None if clip.end is None else round(clip.end * rate)
            sums, begin = np.zeros((2, len(signal.names))), self.file.tell()
            n = 0
            try:
                with closing(signal.pieces_since(first)) as pieces:  # type: ignore[type-var]
                    for at, piece in pieces:
                        part = piece[
                            :, max(0, first - at) : None if last is None else max(0, last - at)
                        ]
                        self._keep(clip, part, sums, n + first, rate)
                        n += part.shape[1]
                        if last is not None and at + piece.shape[1] >= last:
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
    clips: Sequence[Clip], reading: _Reading, stem: Path,
    progress: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    bad: list[str] = []
    with replacing(stem.with_suffix(".f32")) as part, part.open("wb") as file:
        reader = _Reader(reading, file)
        for done, clip in zip(itertools.count(1), clips):
            try:
                reader.read(clip)
            except AudioError as error:
                bad.append(str(error))
            if progress:
                progress(done, len(clips))
        refuse_unreadable(bad, len(clips))
    with replacing(stem.with_suffix(".npz")) as part, part.open("wb") as file:
        np.savez(
            file,
            starts=np.array(reader.starts, np.int64),
            sums=np.stack(reader.sums),
            names=np.array(reader.names),
            rate=np.array(math.nan if reader.rate is None else reader.rate),
        )


def require_fit(found: Recorded, front: FrontEnd) -> None:
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
