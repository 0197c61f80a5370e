"""A head with one hidden layer: where classes are no half-spaces of the embedding.

Fitted like the linear one, by L-BFGS on all windows at once, from random weights that
depend on the seed alone. It works on the features in the eigenbasis, scaled to equal
variance, which makes the first layer's problem round.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.training.heads.logistic import (
    Array,
    Basis,
    Float64,
    Layers,
    cross_entropy,
    prior_logits,
    sigmoid,
)

ITERATIONS = 150
FLOOR = 1e-3  # of the largest eigenvalue: smaller directions are not enlarged to match it


def fit_hidden(
    basis: Basis, targets: Array, weights: Float64, n_hidden: int, strength: float, seed: int
) -> Layers:
    """Fit a hidden layer with ReLU and one sigmoid per class.

    Parameters
    ----------
    basis
        Of the features of N windows.
    targets
        (N, C), 0 to 1.
    weights
        (N,) how much each window counts.
    n_hidden
        Units of the hidden layer.
    strength
        Of the L2 penalty on the weights of both layers, above 0.
    seed
        Of the first weights.

    Returns
    -------
    tuple
        Two layers of weights and biases: (H, F) and (H,) on the standardised features,
        (C, H) and (C,).
    """
    if n_hidden < 1 or not strength > 0:
        raise ArgumentError(
            f"a hidden layer needs at least 1 unit and a strength above 0, got {n_hidden} "
            f"and {strength}"
        )
    share = (weights / weights.sum()).astype(np.float32)
    unit = 1 / np.sqrt(basis.values + FLOOR * basis.values[-1])
    z = basis.coordinates * unit.astype(np.float32)
    shapes = ((n_hidden, z.shape[1]), (n_hidden,), (targets.shape[1], n_hidden), targets.shape[1:])
    rng = np.random.default_rng(seed)
    first = [
        rng.standard_normal(shapes[0]) * np.sqrt(2 / z.shape[1]), np.zeros(n_hidden),
        rng.standard_normal(shapes[2]) * np.sqrt(1 / n_hidden), prior_logits(targets, weights),
    ]  # fmt: skip
    edges = np.cumsum([part.size for part in first])[:-1]

    def loss(flat: Float64) -> tuple[float, Float64]:
        w1, b1, w2, b2 = (
            part.reshape(shape).astype(np.float32)
            for part, shape in zip(np.split(flat, edges), shapes, strict=True)
        )
        active = np.maximum(0, z @ w1.T + b1)
        logits = active @ w2.T + b2
        error = share[:, None] * (sigmoid(logits) - targets)
        back = (error @ w2) * (active > 0)
        parts = (
            back.T @ z + strength * w1, back.sum(0), error.T @ active + strength * w2, error.sum(0),
        )  # fmt: skip
        penalty = 0.5 * strength * float((w1.astype(np.float64) ** 2).sum() + (w2**2).sum())
        value = float((share @ cross_entropy(logits, targets)).sum()) + penalty
        return value, np.concatenate([part.ravel() for part in parts]).astype(np.float64)

    start = np.concatenate([part.ravel() for part in first])
    options = {"maxiter": ITERATIONS, "gtol": 1e-4, "ftol": 1e-6}
    flat = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    w1, b1, w2, b2 = (p.reshape(s) for p, s in zip(np.split(flat, edges), shapes, strict=True))
    w1 = (w1 * unit) @ basis.vectors.T.astype(np.float64)
    return _float32(w1, b1), _float32(w2, b2)


def _float32(weights: NDArray[np.float64], biases: NDArray[np.float64]) -> tuple[Array, Array]:
    return weights.astype(np.float32), biases.astype(np.float32)
