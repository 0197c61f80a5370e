"""Logits to probabilities, on sounds that the network was not fitted on."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.errors import DatasetError
from audiocnn.inference.windows import Calibration

Array = NDArray[np.float32]
# Of offsets about their mean, a priori: chosen by what calibration on 12 to 240 clips of one
# fold (of ESC-10) or speaker (of FSDD) is worth on another, for another network
# (scripts/compare_deviations).
DEVIATION = 0.5


def fit_calibration(
    logits: Array, targets: Array, weights: Array | None = None, n: int | None = None
) -> Calibration:
    """Fit one slope, and an offset per class, by maximum likelihood.

    Parameters
    ----------
    logits, targets
        (C, W) of windows that the network was not fitted on; targets 0 or 1.
    weights
        (W,) how much each window counts; all alike if None.
    n
        How many of them are independent of each other: the windows of a recording are
        alike, and so are those of a speaker. All of them if None.

    Raises
    ------
    DatasetError
        If there are no windows.

    Notes
    -----
    A slope shared by all classes keeps their order as far as the offsets allow,
    and is sure even where a class has few windows. Offsets are drawn to their
    mean by a normal prior: with few recordings they are hardly more than chance, and
    would favour one class over another where the network does not.
    """
    n_classes, n_windows = logits.shape
    if n_windows == 0:
        raise DatasetError("no windows to calibrate on: all are silent, or there are none")
    pull = 1 / DEVIATION**2 / (n_windows if n is None else max(1, n))
    w = np.ones(n_windows) if weights is None else np.asarray(weights, np.float64)
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
