"""Platt scaling of logits, fitted on windows that the network was not fitted on."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.errors import DatasetError
from audiocnn.inference.windows import Calibration

Array = NDArray[np.float32]
# Prior standard deviation of the offsets about their mean. Chosen by the log loss on another
# fold (ESC-10) or speaker (FSDD) after calibration on 12 to 240 clips of one, for another
# network (scripts/compare_deviations).
DEVIATION = 0.5


def fit_calibration(
    logits: Array, targets: Array, weights: NDArray[np.floating] | None = None, n: int | None = None
) -> Calibration:
    """Fit one slope, and an offset per class, by maximum likelihood.

    Parameters
    ----------
    logits, targets
        (C, W) of windows that the network was not fitted on; targets 0 or 1.
    weights
        (W,) weight of each window, or (C, W) of each window for each class; equal if None.
    n
        Number of independent windows: those of one recording or speaker are correlated.
        All of them if None.

    Raises
    ------
    DatasetError
        If there are no windows.

    Notes
    -----
    The slope is shared by all classes, so it is well determined even where a class has
    few windows. A normal prior shrinks the offsets towards their mean: with few
    recordings their estimates are mostly noise, and would favour one class over another
    where the network does not.
    """
    n_classes, n_windows = logits.shape
    if n_windows == 0:
        raise DatasetError("no windows to calibrate on: all are silent, or there are none")
    pull = 1 / DEVIATION**2 / (n_windows if n is None else max(1, n))
    w = np.ones(logits.shape[1:]) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offset = np.exp(x[0]), x[1:]
        z = slope * logits + offset[:, None]
        value = (w * (np.logaddexp(0, z) - targets * z)).sum()
        error = w * (1 / (1 + np.exp(-z)) - targets)
        away = (offset - offset.mean()) * pull
        gradient = np.concatenate(([(error * logits).sum() * slope], error.sum(1) + away))
        return float(value + 0.5 * (away * (offset - offset.mean())).sum()), gradient

    found = scipy.optimize.minimize(loss, np.zeros(n_classes + 1), jac=True, method="L-BFGS-B",
                                    bounds=[(-3, 3)] + [(-12, 12)] * n_classes)  # fmt: skip
    slope = float(np.exp(found.x[0]))
    return Calibration((slope,) * n_classes, tuple(float(v) for v in found.x[1:]))
