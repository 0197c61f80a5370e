"""Reading signals other than sound, as channels over time.

A signal is (K, N), in its own units and at its own rate; it is never mixed or
resampled. Which columns are its channels, and how the rate is known, is said by the
file (a time column, a WAV header), by the caller, or by the model that is to see it.

Missing values are refused, made gaps, or interpolated, as asked; nothing is filled in
silence. Nothing here knows what the samples are used for.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.audio.blocks import LOUDEST
from audiocnn.io.audio.decoder import Source, check_file, open_recording
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import (
    DEFAULT_OPTIONS,
    SignalReadOptions,
    choose_channels,
    time_column,
)
from audiocnn.io.signals.columns import Rows, check_names
from audiocnn.io.signals.missing_values import Missed, counted, interpolated, refusing
from audiocnn.io.signals.series import open_series
from audiocnn.io.signals.tabular import open_rows
from audiocnn.io.signals.time_axis import Placed, numbered, timed

__all__ = [
    "DEFAULT_OPTIONS",
    "Samples",
    "Signal",
    "SignalReadOptions",
    "Whole",
    "open_signal",
]

Samples = NDArray[np.float32]

AT_ONCE = 1 << 14  # samples of a gap, or of what is held, that are given at once


@dataclass(frozen=True, eq=False)
class Whole:
    """All parts of a signal, one behind the other.

    Parameters
    ----------
    starts
        The sample at which each begins.
    ends
        Where each ends in ``samples``.
    samples
        (K, N) of them all, NaN where a value is missing.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    samples: Samples

    def since(self, first: int) -> Iterator[tuple[int, Samples]]:
        """Yield them from a sample on, `AT_ONCE` of it at a time."""
        for k in range(max(0, bisect.bisect_right(self.starts, first) - 1), len(self.starts)):
            begin = self.ends[k - 1] if k else 0
            skipped = max(0, first - self.starts[k])
            for at in range(begin + skipped, self.ends[k], AT_ONCE):
                part = self.samples[:, at : min(at + AT_ONCE, self.ends[k])]
                yield self.starts[k] + at - begin, np.ascontiguousarray(part)


@dataclass
class Signal:
    """An open recording; the counts grow while ``parts`` or ``pieces`` are taken.

    Parameters
    ----------
    path
        What it is.
    names
        Of its channels.
    rate
        Samples per second; None if nothing says it.
    parts
        The sample at which each begins, and (K, N) float32, in order; NaN where a value
        is missing and stays so. Where whole rows are missing, the next part begins later.
    missed
        What was not there (and, if asked, was interpolated).
    n_samples
        Up to which there was anything so far.
    whole
        If all of it is held (see `held`); it stands for ``parts`` then.
    """

    path: Path
    names: tuple[str, ...]
    rate: float | None
    parts: Iterator[tuple[int, Samples]] = field(default_factory=lambda: iter(()))
    missed: Missed = field(default_factory=Missed)
    n_samples: int = 0
    whole: Whole | None = None

    def parts_since(self, first: int) -> Iterator[tuple[int, Samples]]:
        """Yield the parts; those before a sample are left out where that saves reading them."""
        return self.parts if self.whole is None else self.whole.since(first)

    def pieces_since(self, first: int) -> Iterator[tuple[int, Samples]]:
        """Yield the parts, as `parts_since`, with NaN for what is missing between them."""
        end = 0 if self.whole is None else first
        for at, part in self.parts_since(first):
            while end < at:
                n = min(AT_ONCE, at - end)
                yield end, np.full((len(self.names), n), np.nan, np.float32)
                end += n
            yield at, part
            end = at + part.shape[1]

    @functools.cached_property
    def pieces(self) -> Iterator[Samples]:
        """The parts (K, N), with NaN for what is missing between them."""
        return (piece for _, piece in self.pieces_since(0))


@contextmanager
def open_signal(
    path: str | Path | RecordingRef,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    wanted: Sequence[str] | None = None,
) -> Iterator[Signal]:
    """Open a recording of any signal.

    Parameters
    ----------
    path
        CSV or TSV (a row a sample), NPY ((N,), or (N, K): the longer axis is time),
        NPZ (an array a channel), Parquet (``audiocnn[parquet]``), a series in a file of
        many (see `series`), or sound, whose channels are kept and are called 0, 1 ...
    reading
        How.
    wanted
        Names of a model's channels, see `choose_channels`; None if there is no model.

    Yields
    ------
    Signal
        Open until the context ends.

    Raises
    ------
    AudioError
        If it cannot be read, columns are not there, steps of time are uneven, or
        values are missing or no numbers; says where.
    """
    ref = RecordingRef.of(path)
    path = ref.path
    check_file(ref.file)
    if ref.is_sound:
        with open_recording(path) as source:
            rate, there = source.info.rate, list(map(str, range(source.info.channels)))
            names = choose_channels(path, there, reading, wanted)
            at = [there.index(name) for name in names]
            rows = numbered(piece[:, at].astype(np.float64) for piece in _undamaged(source))
            yield _signal(
                Signal(path, names, float(rate)),
                reading,
                rows,
                lambda row: f"{path}, {row / rate:g} s",
            )
        return
    if (series := open_series(ref)) is not None:
        yield _from_rows(path, series, reading, wanted)
        return
    with open_rows(path) as rows_of_file:
        yield _from_rows(path, rows_of_file, reading, wanted)


def _undamaged(source: Source) -> Iterator[Samples]:
    yield from source.pieces
    if source.damage:
        raise AudioError(f"{source.path} {source.damage}; copy it again, or repair it")


def _from_rows(
    path: Path, rows: Rows, reading: SignalReadOptions, wanted: Sequence[str] | None
) -> Signal:
    check_names(str(path), rows.names)
    time = time_column(path, rows.names, reading)
    others = [name for name in rows.names if name != time]
    names = choose_channels(path, others, reading, wanted)
    if time is None or reading.rate is not None:
        rate, placed = reading.rate or rows.rate, numbered(rows.read(names, None))
    else:
        rate, placed = timed(str(path), rows, names, time)
    return _signal(Signal(path, names, rate), reading, placed, rows.place)


def _signal(
    signal: Signal, reading: SignalReadOptions, rows: Placed, place: Callable[[int], str]
) -> Signal:
    """Apply the option for missing values."""
    rows = _usable(rows)
    if reading.missing == "refuse":
        rows = refusing(rows, signal.names, place)
    elif reading.missing == "gap":
        rows = counted(rows, signal.missed)
    else:
        rows = interpolated(str(signal.path), rows, signal.names, signal.missed)
    signal.parts = _watched(signal, rows)
    return signal


def _usable(rows: Placed) -> Placed:
    """Treat values that are not finite, or beyond `LOUDEST`, as missing."""
    for at, part in rows:
        part[~(np.abs(part) <= LOUDEST)] = np.nan
        yield at, part


def _watched(signal: Signal, rows: Placed) -> Iterator[tuple[int, Samples]]:
    for at, part in rows:
        if len(part):
            signal.n_samples = at + len(part)
            yield at, np.ascontiguousarray(part.T, np.float32)
    if not signal.n_samples:
        raise AudioError(f"{signal.path} holds no samples: record it again")
