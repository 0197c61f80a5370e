"""Logistic regression for many classes at once, over a path of L2 strengths.

One sigmoid per class, so a window may carry several labels, or none. The loss of
all classes is minimised together by L-BFGS in the eigenbasis of the features'
second moments, where the problem is nearly round: some twenty iterations, whatever the
strength. The basis is found once and serves every strength and class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError

Array = NDArray[np.float32]
Float64 = NDArray[np.float64]
Layers = tuple[tuple[Array, Array], ...]
CURVATURE = 0.05  # of the sigmoid on average: 1/4 at most, little where windows are clear
NEGLIGIBLE = 1e-7  # directions with a smaller share of the largest variance are dropped
ITERATIONS = 100
TOLERANCE = 1e-4  # of the gradient in the eigenbasis: more changes no decision


@dataclass(frozen=True, eq=False)
class Basis:
    """Standardised features in the eigenbasis of their second moments.

    Parameters
    ----------
    offset, scale
        (F,) subtracted from the features, and multiplied with the difference.
    vectors
        (F, R) eigenvectors of the moments of the standardised features.
    values
        (R,) their eigenvalues.
    coordinates
        (N, R) the features in this basis.
    """

    offset: Array
    scale: Array
    vectors: Array
    values: Float64
    coordinates: Array


def standardize(features: Array, weights: Float64) -> tuple[Array, Array]:
    """Return the weighted mean (F,) of features (N, F), and one over their deviation (F,).

    A feature that hardly varies is not enlarged: the deviation is taken as at least a
    thousandth of the largest one.
    """
    share = weights / weights.sum()
    mean = share @ features.astype(np.float64)
    square = share @ features.astype(np.float64) ** 2
    deviation = np.sqrt(np.maximum(0.0, square - mean**2))
    floor = max(1e-9, 1e-3 * float(deviation.max(initial=0.0)))
    return mean.astype(np.float32), (1 / np.maximum(deviation, floor)).astype(np.float32)


def make_basis(features: Array, weights: Float64) -> Basis:
    """Standardise features (N, F) and rotate them into the eigenbasis of their moments.

    Parameters
    ----------
    features
        (N, F) finite numbers.
    weights
        (N,) how much each row counts, at least 0.

    Raises
    ------
    ArgumentError
        If there are no rows, or a value is not finite.
    """
    if not features.size or not np.isfinite(features).all():
        raise ArgumentError(
            f"features must be finite numbers and at least one row, got shape {features.shape}"
            + ("" if np.isfinite(features).all() else " with values that are not finite")
        )
    offset, scale = standardize(features, weights)
    x = (features - offset) * scale
    share = (weights / weights.sum()).astype(np.float32)
    if x.shape[0] < x.shape[1]:  # fewer windows than features: the same basis from products
        weighted = x * np.sqrt(share)[:, None]
        values, left = scipy.linalg.eigh((weighted @ weighted.T).astype(np.float64))
    else:
        moments = (x * share[:, None]).T @ x
        values, left = scipy.linalg.eigh(moments.astype(np.float64))
    kept = values > NEGLIGIBLE * max(values[-1], 1e-30)
    values, vectors = values[kept], left[:, kept].astype(np.float32)
    if x.shape[0] < x.shape[1]:
        vectors = (weighted.T @ vectors) / np.sqrt(values).astype(np.float32)
    return Basis(offset, scale, vectors, values, x @ vectors)


def fit_ridge_path(
    basis: Basis, targets: Array, weights: Float64, strengths: Sequence[float]
) -> dict[float, Layers]:
    """Fit a ridge regression to targets of -1 and 1 for each of several L2 strengths.

    Where there are many more features than windows it classifies better than a logistic
    regression, and has a closed form. Its outputs are no logits before they are calibrated.

    Parameters
    ----------
    basis, targets, weights, strengths
        As for `fit_path`.
    """
    share = weights / weights.sum()
    y = 2 * targets.astype(np.float64) - 1
    mean = share @ y
    moments = basis.coordinates.astype(np.float64).T @ (share[:, None] * (y - mean))
    found: dict[float, Layers] = {}
    for strength in strengths:
        solved = moments / (basis.values + strength)[:, None]
        layer = (basis.vectors.astype(np.float64) @ solved).T.astype(np.float32)
        found[strength] = ((layer, mean.astype(np.float32)),)
    return found


def fit_path(
    basis: Basis, targets: Array, weights: Float64, strengths: Sequence[float]
) -> dict[float, Layers]:
    """Fit one sigmoid per class for each of several L2 strengths.

    Parameters
    ----------
    basis
        Of the features of N windows.
    targets
        (N, C), 0 to 1.
    weights
        (N,) how much each window counts.
    strengths
        Of the penalty, above 0.

    Returns
    -------
    dict
        By strength: one layer of weights (C, F) and biases (C,) on the standardised
        features.

    Notes
    -----
    The loss is the weighted mean over windows of the binary cross-entropy, summed over
    the classes, plus ``strength / 2 * |weights|²``. Each strength begins with the solution
    of the next larger one.
    """
    if not all(strength > 0 for strength in strengths):
        raise ArgumentError(f"L2 strengths must be above 0, got {list(strengths)}")
    share = (weights / weights.sum()).astype(np.float32)
    n_classes, rank = targets.shape[1], basis.values.size
    start = np.zeros((n_classes, rank + 1))
    start[:, -1] = prior_logits(targets, weights)
    found: dict[float, Layers] = {}
    for strength in sorted(strengths, reverse=True):
        start = _minimize(basis, targets, share, strength, start)
        layer = (start[:, :-1] @ basis.vectors.T.astype(np.float64)).astype(np.float32)
        found[strength] = ((layer, start[:, -1].astype(np.float32)),)
    return found


def prior_logits(targets: Array, weights: Float64) -> Float64:
    """Return the logit (C,) of each class's weighted share of the windows."""
    share = np.clip(weights / weights.sum() @ targets.astype(np.float64), 1e-3, 1 - 1e-3)
    return np.asarray(np.log(share / (1 - share)))


def cross_entropy(logits: Array, targets: Array) -> Array:
    """Return the binary cross-entropy of each logit, of any shape, against targets 0 to 1."""
    return np.asarray(np.logaddexp(0, logits) - targets * logits, np.float32)


def sigmoid(logits: Array) -> Array:
    """Return probabilities of logits, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)


def _minimize(
    basis: Basis, targets: Array, share: Array, strength: float, start: Float64
) -> Float64:
    """Minimise over coordinates that are scaled by the expected curvature of the loss."""
    unit = np.append(1 / np.sqrt(CURVATURE * basis.values + strength), 1.0)
    z = basis.coordinates

    def loss(flat: Float64) -> tuple[float, Float64]:
        w = flat.reshape(start.shape) * unit
        logits = z @ w[:, :-1].T.astype(np.float32) + w[:, -1].astype(np.float32)
        value = float((share @ cross_entropy(logits, targets)).sum())
        error = share[:, None] * (sigmoid(logits) - targets)
        gradient = np.column_stack((error.T @ z, error.sum(0))).astype(np.float64)
        gradient[:, :-1] += strength * w[:, :-1]
        penalty = 0.5 * strength * float((w[:, :-1] ** 2).sum())
        return value + penalty, (gradient * unit).ravel()

    options = {"maxiter": ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-7}
    flat = scipy.optimize.minimize(
        loss, (start / unit).ravel(), jac=True, method="L-BFGS-B", options=options
    ).x
    return np.asarray(flat.reshape(start.shape) * unit)
