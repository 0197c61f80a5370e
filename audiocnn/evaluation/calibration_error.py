"""Whether a score of 0.8 is right eight times in ten, and how sure figures are.

Arrays in, figures out, like `audiocnn.evaluation.metrics`, which uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.evaluation.intervals import share_bounds, wilson_bounds

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """The best scores that lie between two values, and how many of them were right.

    Parameters
    ----------
    low, high
        Which scores; the last bin has 1 in it too.
    n
        How many.
    confidence
        Their mean.
    right, right_bounds
        The share that was right, and its 95 % bounds (Wilson).
    """

    low: float
    high: float
    n: int
    confidence: float
    right: float
    right_bounds: tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """How far scores can be taken as probabilities, before and after calibration.

    Parameters
    ----------
    error, error_before
        Expected calibration error of the best score [1]_; ``before`` of the sigmoid of
        the bare logits.
    brier, brier_before
        Mean of (score - truth)² over clips, backgrounds too, and labels [2]_.
    bins
        The reliability table, of the calibrated best score; empty bins are left out.

    References
    ----------
    .. [1] C. Guo et al., On calibration of modern neural networks, ICML 2017.
    .. [2] G. Brier, Verification of forecasts expressed in terms of probability, Monthly
       Weather Review 78, 1950.
    """

    error: float
    error_before: float
    brier: float
    brier_before: float
    bins: tuple[Bin, ...]


def calibration_error(confidence: Array, right: Mask, bins: int = BINS) -> float:
    """Say how far confidence lies from the share that is right, on average.

    Parameters
    ----------
    confidence, right
        (K,) scores, 0 to 1, and whether each was right.
    bins
        Of equal width.

    Returns
    -------
    float
        The expected calibration error [1]_; NaN for K = 0.

    References
    ----------
    .. [1] C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    if not len(confidence):
        return math.nan
    gaps = [b.n * abs(b.confidence - b.right) for b in reliability_table(confidence, right, bins)]
    return float(np.sum(gaps) / len(confidence))


def reliability_table(confidence: Array, right: Mask, bins: int = BINS) -> tuple[Bin, ...]:
    """Sort scores (K,) into bins of equal width, and say how many of each were right."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    table = []
    for b in np.unique(which).tolist():
        inside = which == b
        n, hits = int(inside.sum()), int(right[inside].sum())
        mean = float(confidence[inside].mean())
        table.append(Bin(b / bins, (b + 1) / bins, n, mean, hits / n, wilson_bounds(hits, n)))
    return tuple(table)


def measure_reliability(scores: Array, before: Array, targets: Mask) -> Reliability:
    """Compare scores with what was right.

    Parameters
    ----------
    scores, before
        (K, C) of clips, calibrated, and as the sigmoid of the bare logits.
    targets
        (K, C) which labels each clip has; the figures of the best score are of those that
        have any.
    """
    known = targets.any(axis=1)
    rows = np.arange(int(known.sum()))
    errors = []
    for values in (scores, before):
        best = values[known].argmax(axis=1)
        right = targets[known][rows, best]
        errors.append((values[known].max(axis=1, initial=0.0), right))
    brier = [float(np.mean((values - targets) ** 2)) for values in (scores, before)]
    return Reliability(
        calibration_error(*errors[0]), calibration_error(*errors[1]), brier[0], brier[1],
        reliability_table(*errors[0]),
    )  # fmt: skip


def bootstrap_bounds(
    statistic: Callable[[NDArray[np.intp]], Sequence[float]],
    groups: Sequence[str],
    rng: np.random.Generator,
    draws: int = 500,
) -> list[tuple[float, float]]:
    """Give 95 % bounds of figures, by drawing whole groups again and again.

    Parameters
    ----------
    statistic
        From indices of clips (some more than once) to figures; NaN where there is none.
    groups
        The group of each clip: those of one group are not independent, so a group is
        drawn or not as a whole [1]_.
    rng
        Draws.
    draws
        How many.

    Returns
    -------
    list of (low, high)
        A pair a figure: the 2.5th and 97.5th percentile, see `known_bounds`.

    Raises
    ------
    ArgumentError
        If there are fewer than two groups.

    References
    ----------
    .. [1] A. Davison, D. Hinkley, Bootstrap methods and their application, 1997, ch. 3.8.
    """
    names, group_of = np.unique(np.array(groups), return_inverse=True)
    if len(names) < 2:
        raise ArgumentError(f"bounds by groups take at least two groups, got {names.tolist()}")
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of))[:-1])
    figures = [
        statistic(np.concatenate([members[g] for g in rng.integers(0, len(names), len(names))]))
        for _ in range(draws)
    ]
    found = np.nanpercentile(np.array(figures, np.float64), (2.5, 97.5), axis=0).T.tolist()
    return [known_bounds(low, high, len(names)) for low, high in found]


def known_bounds(low: float, high: float, n_groups: int) -> tuple[float, float]:
    """Widen bounds of a share where drawing again shows nothing, for all are right, or wrong.

    Returns
    -------
    low, high
        As they were; or the exact bounds of as many trials as there are groups. Of one
        group nothing is known: 0 and 1.
    """
    if n_groups < 2:
        return 0.0, 1.0
    if low == high and low in (0.0, 1.0):
        return share_bounds(n_groups if low else 0, n_groups)
    return low, high
