"""The sample rate by a column of times, and the position of each row on an even grid.

    times    0.00  0.02  0.04        0.10  0.12        seconds, as they are written
    places   0     1     2           5     6           rows are missing between 2 and 5

A time may be off its place by a quarter of a step, for clocks are read late and times
are rounded; what is further off is refused. Behind missing rows the grid begins anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.files.numpy_files import LOWEST_RATE
from audiocnn.io.signals.channels import time_unit
from audiocnn.io.signals.columns import Rows

Numbers = NDArray[np.float64]
Placed = Iterator[tuple[int, Numbers]]  # the sample at which rows begin, and the rows
OFF = 0.25  # of a step
ROUNDED = 1e-4  # share of a rate that is taken for rounding


def numbered(chunks: Iterable[Numbers]) -> Placed:
    """Take rows as they come, one a sample."""
    at = 0
    for chunk in chunks:
        yield at, chunk
        at += len(chunk)


def timed(where: str, rows: Rows, names: tuple[str, ...], time: str) -> tuple[float, Placed]:
    """Determine the rate by a column of times, and place the other columns on the grid.

    Parameters
    ----------
    where
        The file, for messages.
    rows, names
        It, and the columns that are wanted.
    time
        The column.

    Raises
    ------
    AudioError
        If it is no time. While the rows are taken: if they are uneven.
    """
    chunks = rows.read(names, time)
    first = next(chunks, np.empty((0, 1 + len(names))))
    unit = time_unit(time, float(first[0, 0])) if len(first) else 1.0
    first = _scaled(first, unit)
    chunks = (_scaled(chunk, unit) for chunk in chunks)
    times = first[:, 0]
    if len(times) < 2:
        raise AudioError(
            f"{where}: has {len(times)} row{'' if len(times) == 1 else 's'}; to tell its rate "
            "takes two, or --rate"
        )
    if np.isnan(times).any():
        row = int(np.argmax(np.isnan(times)))
        raise AudioError(f"{rows.place(row)}: no value for {time!r}; give --rate, or mend it")
    steps = np.diff(times)
    step = float(np.sort(steps)[(len(steps) - 1) // 2])
    if not step > 0:
        raise AudioError(
            f"{where}: {time!r} goes on by {step:g} s, so it is no time: sort the rows, or "
            "give --rate to take them as they come"
        )
    rate = _rate(times, steps, step)
    if rate < LOWEST_RATE:
        raise AudioError(
            f"{where}: {time!r} goes on by {step:.6g} s, a rate of {rate:.3g} Hz: is it in another "
            "unit? Write it into the name, as 'time (ms)', or give --rate"
        )
    return rate, _on_grid(itertools.chain([first], chunks), rate, rows, time)


def _scaled(chunk: Numbers, unit: float) -> Numbers:
    """Return rows whose times are in seconds."""
    if unit == 1.0:
        return chunk
    chunk = chunk.copy()
    chunk[:, 0] *= unit
    return chunk


def _rate(times: Numbers, steps: Numbers, step: float) -> float:
    """Return the rate, rounded to the figures that the times support.

    The slope of a line through the longest stretch without a gap; the ends alone would be
    off by what they are rounded by.
    """
    for _ in range(3):  # of steps of 2 and 3 ms, 2.5 is meant
        step = float(steps[(steps > 0.5 * step) & (steps < 1.6 * step)].mean())
    edges = np.flatnonzero(np.diff(np.rint(steps / step) == 1, prepend=False, append=False))
    begin, end = max(edges.reshape(-1, 2).tolist(), key=lambda run: run[1] - run[0])
    t = times[begin : end + 1]
    n = np.arange(len(t)) - (len(t) - 1) / 2
    rate = float((n @ n) / (n @ (t - t.mean())))
    for digits in range(1, 9):
        written = float(f"{rate:.{digits}g}")
        if abs(written / rate - 1) <= min(ROUNDED, 0.1 / len(t)):
            return written
    return rate


def _on_grid(chunks: Iterable[Numbers], rate: float, rows: Rows, time: str) -> Placed:
    at = n_rows = 0
    before: float | None = None
    for chunk in chunks:
        times = chunk[:, 0]
        steps = np.diff(times, prepend=times[0] - 1 / rate if before is None else before) * rate
        whole = np.rint(steps)
        breaks = [0, *(k for k in np.flatnonzero(whole > 1).tolist() if k), len(chunk)]
        for begin, end in itertools.pairwise(breaks):
            drift = np.cumsum(steps[begin + 1 : end] - whole[begin + 1 : end])
            drift = np.append(0.0, drift)
            if (
                not (whole[begin:end] >= 1).all()
                or not (np.abs(drift - np.median(drift)) <= OFF).all()
            ):
                _refuse(steps[begin:end], rate, rows, n_rows + begin, time)
            at += int(whole[begin]) - 1 if at else 0
            yield at, chunk[begin:end, 1:]
            at += end - begin
        n_rows += len(chunk)
        before = float(times[-1])


def _refuse(steps: Numbers, rate: float, rows: Rows, first: int, time: str) -> None:
    off = np.abs(steps - np.maximum(1, np.rint(steps)))
    k = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
    if np.isnan(steps[k]):
        raise AudioError(f"{rows.place(first + k)}: no value for {time!r}; give --rate, or mend it")
    raise AudioError(
        f"{rows.place(first + k)}: {time!r} goes on by {steps[k] / rate:.6g} s where the steps "
        f"are {1 / rate:.6g} s: bring it to even steps, or give --rate to take the rows as they "
        "come"
    )
