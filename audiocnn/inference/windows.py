"""Columns to window scores, and the calibration of logits to probabilities.

The logit of a window is the weighted mean of its columns' evidence; calibration
turns it into a probability. Sums are taken directly over each window's columns:
a running sum would drift over a day, and one NaN would poison it for ever. Other
poolings, of embeddings, take the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
        Whether the segment ends with this run; the next run begins another one.
    """

    start: float
    window: float
    hop: float
    values: Array
    padded: float = 0.0
    last: bool = False

    @property
    def times(self) -> NDArray[np.float64]:
        """Start and end (2, W) of the windows, in seconds, without padding."""
        begins = self.start + self.hop * np.arange(self.values.shape[1])
        return np.stack((begins, begins + self.window - self.padded))


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


def cut_windows(columns: Array, size: int, step: int) -> Array:
    """View columns (..., T) as whole windows (..., W, size), ``step`` columns apart."""
    if n_windows(columns.shape[-1], size, step) == 0:
        return np.empty((*columns.shape[:-1], 0, size), np.float32)
    return np.lib.stride_tricks.sliding_window_view(columns, size, axis=-1)[..., ::step, :]


Pool = Callable[[Array, int, int], Array]  # columns, size and step to values (C, W)


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
    cut = cut_windows(np.stack((evidence * weight, weight)), size, step)
    sums = cut.sum(axis=-1, dtype=np.float64)
    return np.asarray(sums[0] / sums[1], np.float32)


def score_windows(
    columns: Iterable[Columns], grid: Grid, calibration: Calibration | None = None,
    pool: Pool = pool_windows,
) -> Iterator[Scores]:  # fmt: skip
    """Turn runs of columns into runs of window scores.

    Parameters
    ----------
    columns
        As `run_network` yields them.
    grid
        Where windows lie.
    calibration
        None to get the logits.
    pool
        What makes values (C, W) of columns; ``size`` and ``step`` as in `pool_windows`.

    Yields
    ------
    Scores
        A run whenever windows are complete, on a grid that begins with the
        segment. If the grid leaves columns, or a closing column, behind its last
        window, one more window on the last whole columns follows, in a run of its own.
    """
    scorer = WindowScorer(grid, calibration, pool)
    for run in columns:
        yield from scorer.push(run)


class WindowScorer:
    """Columns on their way to window scores; parameters as for `score_windows`."""

    def __init__(
        self, grid: Grid, calibration: Calibration | None = None, pool: Pool = pool_windows
    ) -> None:
        self._grid, self._calibration, self._pool = grid, calibration, pool
        self._kept: Array | None = None  # columns that windows still need
        self._first = self._done = 0  # index of the first of them in the segment; windows scored
        self._begin = 0  # sample at which the segment begins

    def push(self, run: Columns) -> list[Scores]:
        """Take the next run of columns; return the runs of windows that it completes."""
        grid = self._grid
        if run.values is not None:
            if self._kept is None:
                self._kept, self._begin, self._first, self._done = run.values, run.start, 0, 0
            else:
                self._kept = np.concatenate((self._kept, run.values), axis=-1)
        kept, first, done = self._kept, self._first, self._done
        assert kept is not None, "a segment has at least one window: shorter ones are padded"
        n_columns = first + kept.shape[-1]
        at = self._begin + done * grid.hop_samples
        values = self._pool(kept[..., max(0, done * grid.step - first) :], grid.size, grid.step)
        done += values.shape[-1]
        behind: tuple[Array, int] | None = None
        if run.last and run.closing is not None:
            behind = run.closing, run.closing_start
        elif run.last and n_columns - grid.size != (done - 1) * grid.step:
            last = self._begin + (n_columns - grid.size) * grid.period
            behind = kept[..., -grid.size :], last
        found = []
        if values.shape[-1] or (run.last and behind is None):
            found.append(self._scores(at, values, run, run.last and behind is None))
        if behind is not None:
            found.append(self._scores(behind[1], self._pool(behind[0], grid.size, 1), run, True))
        keep_from = max(first, min(done * grid.step, n_columns - grid.size))
        self._kept = None if run.last else kept[..., keep_from - first :]
        self._first, self._done = keep_from, done
        return found

    def _scores(self, sample: int, logits: Array, run: Columns, last: bool) -> Scores:
        values = logits if self._calibration is None else calibrate(logits, self._calibration)
        timed = self._grid if run.rate is None else replace(self._grid, rate=run.rate)
        padded = run.padded / timed.rate
        return Scores(sample / timed.rate, timed.window, timed.hop, values, padded, last)
