"""Calibration error and reliability table.

Takes arrays and returns figures, like `audiocnn.evaluation.metrics`, which uses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.intervals import wilson_bounds

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability table: the best scores in a range, and how many are correct.

    Parameters
    ----------
    low, high
        Range of the scores; the last bin includes 1.
    n
        Number of scores.
    confidence
        Their mean.
    right, right_bounds
        The share that is correct, and its 95 % interval (Wilson).
    """

    low: float
    high: float
    n: int
    confidence: float
    right: float
    right_bounds: tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """How well scores agree with probabilities, before and after calibration.

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
    """Compute the expected calibration error.

    Parameters
    ----------
    confidence, right
        (K,) scores, 0 to 1, and whether each prediction is correct.
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
    """Sort scores (K,) into bins of equal width, and count the correct ones in each."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    table = []
    for b in np.unique(which).tolist():
        inside = which == b
        n, hits = int(inside.sum()), int(right[inside].sum())
        mean = float(confidence[inside].mean())
        table.append(Bin(b / bins, (b + 1) / bins, n, mean, hits / n, wilson_bounds(hits, n)))
    return tuple(table)


def measure_reliability(scores: Array, before: Array, targets: Mask) -> Reliability:
    """Compare the scores of clips with their labels.

    Parameters
    ----------
    scores, before
        (K, C) of clips, calibrated, and as the sigmoid of the bare logits.
    targets
        (K, C) the labels of each clip. Figures of the best score use the clips that have a
        label.
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
