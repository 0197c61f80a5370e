"""Columns to window scores, and what makes of a logit a probability.

The logit of a window is the weighted mean of its columns' evidence; calibration
turns it into a probability. Sums are taken directly over each window's columns:
a running sum would drift over a day, and one NaN would poison it for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.frontend.framing import n_windows
from audiocnn.inference.engine import Array, Columns, Grid


@dataclass(frozen=True)
class Scores:
    """A run of windows of one gap-free segment.

    Parameters
    ----------
    start
        Seconds since the stream began at which the first window starts.
    window, hop
        Length of a window, and from one to the next, in seconds.
    values
        (C, W) calibrated probabilities; live, W is mostly 1. W may be 0.
    padded
        Seconds of zeros behind a segment that was shorter than a window (then
        this run has one window).
    last
        Whether the segment ends with this run. What follows begins anew.
    """

    start: float
    window: float
    hop: float
    values: Array
    padded: float = 0.0
    last: bool = False


def window_times(run: Scores) -> NDArray[np.float64]:
    """Return the start and end times (2, W) of a run's windows, in seconds, without padding."""
    begins = run.start + run.hop * np.arange(run.values.shape[1])
    return np.stack((begins, begins + run.window - run.padded))


@dataclass(frozen=True)
class Calibration:
    """Window logits to probabilities: ``sigmoid(slope * logit + offset)`` per class.

    Parameters
    ----------
    slope, offset
        One number per class. Fitted on windows that the network was not fitted
        on (Platt scaling [1]_).

    References
    ----------
    .. [1] J. Platt, Probabilistic outputs for support vector machines, 1999.
    """

    slope: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that the two fit and that all numbers are finite."""
        if len(self.slope) != len(self.offset):
            raise ArgumentError(
                f"slope and offset differ in length: {len(self.slope)} and {len(self.offset)}"
            )
        if not np.isfinite([*self.slope, *self.offset]).all():
            raise ArgumentError(f"calibration must be finite, got {self}")


def calibrate(logits: NDArray[np.floating], calibration: Calibration) -> Array:
    """Turn logits (C, W) into probabilities (C, W)."""
    slope, offset = (
        np.asarray(v, np.float32)[:, None] for v in (calibration.slope, calibration.offset)
    )
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-(slope * logits + offset))), np.float32)


def pool_windows(columns: Array, size: int, step: int) -> Array:
    """Pool whole windows of columns into logits.

    Parameters
    ----------
    columns
        (2, C, T) evidence and weight.
    size, step
        Columns in a window and between windows; ``step`` may exceed ``size``.

    Returns
    -------
    array (C, W)
        The weighted mean of each window's evidence.
    """
    evidence, weight = columns
    if n_windows(evidence.shape[-1], size, step) == 0:
        return np.empty((evidence.shape[0], 0), np.float32)
    both = np.stack((evidence * weight, weight))
    cut = np.lib.stride_tricks.sliding_window_view(both, size, axis=-1)[..., ::step, :]
    sums = cut.sum(axis=-1, dtype=np.float64)
    return np.asarray(sums[0] / sums[1], np.float32)


def score_windows(
    columns: Iterable[Columns], grid: Grid, calibration: Calibration | None = None
) -> Iterator[Scores]:
    """Turn runs of columns into runs of window scores.

    Parameters
    ----------
    columns
        As `run_network` gives them.
    grid
        Where windows lie.
    calibration
        None to get the bare logits.

    Yields
    ------
    Scores
        A run whenever windows are complete, on a grid that begins with the
        segment. If the grid leaves columns behind its last window, one more
        window on the last whole columns follows, in a run of its own.
    """
    kept: Array | None = None  # columns that windows still need
    first = done = 0  # index in the segment of kept's first column; windows scored
    begin = 0  # sample at which the segment begins

    def scores(window: int, logits: Array, run: Columns, last: bool) -> Scores:
        values = logits if calibration is None else calibrate(logits, calibration)
        told = grid if run.rate is None else replace(grid, rate=run.rate)
        start = (begin + window * grid.period) / told.rate
        return Scores(start, told.window, told.hop, values, run.padded / told.rate, last)

    for run in columns:
        if run.values is not None:
            if kept is None:
                kept, begin, first, done = run.values, run.start, 0, 0
            else:
                kept = np.concatenate((kept, run.values), axis=-1)
        assert kept is not None, "a segment has at least one window: hear() pads it"
        n_columns = first + kept.shape[-1]
        logits = pool_windows(kept[..., max(0, done * grid.step - first) :], grid.size, grid.step)
        n_new = logits.shape[-1]
        behind = run.last and n_columns - grid.size != (done + n_new - 1) * grid.step
        if n_new or (run.last and not behind):
            yield scores(done * grid.step, logits, run, run.last and not behind)
        if behind:
            logits = pool_windows(kept[..., -grid.size :], grid.size, 1)
            yield scores(n_columns - grid.size, logits, run, True)
        done += n_new
        keep_from = max(first, min(done * grid.step, n_columns - grid.size))
        kept, first = (None, 0) if run.last else (kept[..., keep_from - first :], keep_from)


def score_columns(run: Columns, calibration: Calibration) -> Array | None:
    """Give every column a score of its own (C, T): where in a window a sound is.

    The calibration was fitted on windows; for single columns it is a guide.
    """
    return None if run.values is None else calibrate(run.values[0], calibration)
