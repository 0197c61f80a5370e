"""Recordings of other signals than sound: tables, arrays and many-channelled WAV to pieces.

A signal is channels over time, (K, N), in its own units and at its own rate; it is
never mixed or resampled. Which columns are its channels, and how the rate is known,
is said by the file (a time column, a WAV header), by the caller, or by the model.

Missing values are refused, made gaps, or interpolated, as asked; nothing is filled in
silence. Nothing here knows what the samples are used for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.decoding import check_file, open_recording
from audiocnn.errors import ArgumentError, AudioError, did_you_mean
from audiocnn.rows import TIMES, Numbers, Rows, open_rows, pick_columns

Samples = NDArray[np.float32]
Placed = Iterator[tuple[int, Numbers]]  # sample at which rows begin, and the rows

MISSING = ("refuse", "gap", "interpolate")
SIGNAL_SUFFIXES = frozenset({".csv", ".npy", ".npz", ".parquet", ".tsv"})
UNEVEN = 0.05  # of a period: how far a step of time may be off and count as one
LONGEST_LINE = 1 << 20  # samples that a straight line may be drawn over


@dataclass(frozen=True)
class Reading:
    """How a signal is to be read.

    Parameters
    ----------
    columns
        Names of the channels, or their numbers from 0; empty for all but the time.
    time
        Name of the column with the time: seconds, or ISO dates. A column called
        ``time``, ``timestamp``, ``datetime`` or ``date`` is taken for it.
    rate
        Samples per second: rows are taken as they come, whatever a time column says.
    missing
        What becomes of missing values: ``"refuse"``, ``"gap"`` (as if nothing had
        been recorded), or ``"interpolate"`` (on a straight line).
    """

    columns: tuple[str, ...] = ()
    time: str | None = None
    rate: float | None = None
    missing: str = "refuse"

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.missing not in MISSING:
            raise ArgumentError(
                f"missing values can be {', '.join(MISSING)}, not {self.missing!r}"
                f"{did_you_mean(self.missing, MISSING)}"
            )
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ArgumentError(f"a rate must be above 0 Hz, got {self.rate}")


@dataclass
class Signal:
    """An open recording; the counts grow while ``pieces`` are taken.

    Parameters
    ----------
    path
        What it is.
    names
        Of its channels.
    rate
        Samples per second; None if nothing says it.
    pieces
        (K, N) float32, in order; NaN where a value is missing and stays so.
    n_samples
        Of each channel, that came out so far.
    n_missing
        Values that were not there (and, if asked, were interpolated).
    """

    path: Path
    names: tuple[str, ...]
    rate: float | None
    pieces: Iterator[Samples] = field(default_factory=lambda: iter(()))
    n_samples: int = 0
    n_missing: int = 0


def is_signal_file(path: str | Path) -> bool:
    """Tell by its name whether a file holds a signal as a table or array."""
    return Path(path).suffix.lower() in SIGNAL_SUFFIXES


@contextmanager
def open_signal(path: str | Path, reading: Reading = Reading()) -> Iterator[Signal]:
    """Open a recording of any signal.

    Parameters
    ----------
    path
        CSV or TSV (a row a sample), NPY ((N,), or (N, K): the longer axis is time),
        NPZ (an array a channel), Parquet (``audiocnn[parquet]``), or sound, whose
        channels are kept and are called 0, 1 and so on.
    reading
        How.

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
    path = check_file(path)
    if not is_signal_file(path):
        with open_recording(path) as source:
            names = tuple(str(k) for k in range(source.info.channels))
            signal = Signal(path, _picked(path, names, reading), float(source.info.rate))
            at = [names.index(name) for name in signal.names]
            parts = _numbered(piece[:, at].astype(np.float64) for piece in source.pieces)
            rate = source.info.rate
            signal.pieces = _filled(signal, reading, parts, lambda row: f"{path}, {row / rate} s")
            yield signal
            if source.damage:
                raise AudioError(f"{path} {source.damage}; copy it again, or repair it")
            return
    with open_rows(path) as rows:
        time = _time_column(path, rows.names, reading)
        names = _picked(path, tuple(n for n in rows.names if n != time), reading)
        rate, parts = _placed(path, rows, names, time, reading)
        signal = Signal(path, names, rate)
        signal.pieces = _filled(signal, reading, parts, rows.place)
        yield signal


def _picked(path: Path, names: Sequence[str], reading: Reading) -> tuple[str, ...]:
    return pick_columns(path, names, reading.columns) if reading.columns else tuple(names)


def _time_column(path: Path, names: Sequence[str], reading: Reading) -> str | None:
    if reading.time is not None:
        return pick_columns(path, names, [reading.time])[0]
    return next((n for n in names if n.lower() in TIMES and n not in reading.columns), None)


def _placed(
    path: Path, rows: Rows, names: tuple[str, ...], time: str | None, reading: Reading
) -> tuple[float | None, Placed]:
    """Give the rate, and the rows in their places."""
    if time is None or reading.rate is not None:
        return reading.rate, _numbered(rows.read(names))
    chunks = rows.read([time, *names])
    first = next(chunks, np.empty((0, 1 + len(names))))
    if len(first) < 2:
        raise AudioError(f"{path}: has {len(first)} rows; to tell its rate takes two, or --rate")
    period = float(np.median(np.diff(first[:, 0])))
    if not 0 < period < float("inf"):
        raise AudioError(
            f"{path}: {time!r} goes on by {period:g} s, so it is no time: sort the rows, or "
            "give --rate to take them as they come"
        )
    rate = float(f"{1 / period:.6g}")  # times are rounded when they are written
    return rate, _timed(itertools.chain([first], chunks), rate, rows, time)


def _numbered(chunks: Iterable[Numbers]) -> Placed:
    at = 0
    for chunk in chunks:
        yield at, chunk
        at += len(chunk)


def _timed(chunks: Iterable[Numbers], rate: float, rows: Rows, time: str) -> Placed:
    """Hold rows against an even grid; where whole rows are missing, the next begin later."""
    at = n_rows = 0
    before: float | None = None
    for chunk in chunks:
        lead = chunk[0, 0] - 1 / rate if before is None else before
        steps = np.diff(chunk[:, 0], prepend=lead) * rate
        whole = np.rint(steps)
        bad = ~((np.abs(steps - whole) <= UNEVEN * np.maximum(1, whole)) & (whole >= 1))
        if bad.any():
            k = int(np.argmax(bad))
            raise AudioError(
                f"{rows.place(n_rows + k)}: {time!r} goes on by {steps[k] / rate:.6g} s where the "
                f"steps are {1 / rate:.6g} s: bring it to even steps, or give --rate to take the "
                "rows as they come"
            )
        begin = 0
        for k in np.flatnonzero(whole > 1).tolist():  # rows are missing before this one
            if k > begin:
                yield at, chunk[begin:k, 1:]
            at, begin = at + k - begin + int(whole[k]) - 1, k
        yield at, chunk[begin:, 1:]
        at += len(chunk) - begin
        n_rows += len(chunk)
        before = float(chunk[-1, 0])


def _filled(
    signal: Signal, reading: Reading, parts: Iterable[tuple[int, Numbers]],
    place: Callable[[int], str],
) -> Iterator[Samples]:  # fmt: skip
    """Do with missing values what was asked."""
    whole = _with_gaps(signal, reading, parts, place)
    for part in _interpolated(signal, whole) if reading.missing == "interpolate" else whole:
        signal.n_samples += len(part)
        yield np.ascontiguousarray(part.T, np.float32)


def _with_gaps(
    signal: Signal, reading: Reading, parts: Iterable[tuple[int, Numbers]],
    place: Callable[[int], str],
) -> Iterator[Numbers]:  # fmt: skip
    n_rows = end = 0
    for at, part in parts:
        lost = np.full((at - end, part.shape[1]), np.nan)
        gone = np.isnan(part)
        signal.n_missing += lost.size + int(np.count_nonzero(gone))
        if (lost.size or gone.any()) and reading.missing == "refuse":
            row, column = np.argwhere(gone)[0].tolist() if not lost.size else (0, 0)
            what = f"{at - end} rows before it" if lost.size else repr(signal.names[column])
            raise AudioError(
                f"{place(n_rows + row)}: no value for {what}: give --missing gap to leave that "
                "out, or --missing interpolate to draw a line over it"
            )
        if lost.size:
            yield lost
        yield part
        n_rows, end = n_rows + len(part), at + len(part)


def _interpolated(signal: Signal, parts: Iterable[Numbers]) -> Iterator[Numbers]:
    """Draw lines over what is missing; at both ends the nearest value stands."""
    held: list[Numbers] = []
    n_before = 0  # 1 if what is held begins with a sample that was given out
    for part in itertools.chain(parts, [None]):
        if part is not None:
            held.append(part)
            if sum(map(len, held)) > LONGEST_LINE and np.isnan(part[-1]).any():
                raise AudioError(
                    f"{signal.path}: a channel has no value for more than {LONGEST_LINE} samples, "
                    "too long for a line: give --missing gap, or leave the channel out"
                )
        if not held or (part is not None and np.isnan(part[-1]).any()):
            continue  # a line needs its other end
        block = np.concatenate(held)
        for column in block.T:
            good = ~np.isnan(column)
            if not good.any():
                raise AudioError(f"{signal.path}: a channel has no value at all: leave it out")
            column[~good] = np.interp(np.flatnonzero(~good), np.flatnonzero(good), column[good])
        if len(block) > n_before:
            yield block[n_before:]
        held, n_before = [block[-1:]], 1
