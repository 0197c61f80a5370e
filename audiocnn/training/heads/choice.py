"""Which head: pooling, L2 strength and hidden layer, chosen by grouped cross-validation.

Every candidate is fitted once without each part. A part's own windows are scored by the
candidate that was best on the other parts, so a choice is never judged by the windows
that it was made on; the head of the bundle is the candidate that was best on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.training.heads.hidden import fit_hidden
from audiocnn.training.heads.logistic import (
    Array,
    Float64,
    Layers,
    cross_entropy,
    fit_path,
    fit_ridge_path,
    make_basis,
)

RIDGE_STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
STRENGTHS = (0.1, 0.03, 0.01, 0.003, 0.001)
HIDDEN_STRENGTHS = (0.01, 0.003, 0.001)
GAIN = 0.02  # share of the loss by which a more costly candidate must be better


@dataclass(frozen=True, order=True)
class Candidate:
    """A way of making a head.

    Parameters
    ----------
    pooling
        Of a window's columns: see `audiocnn.inference.head`.
    hidden
        Units of the hidden layer; 0 for none.
    strength
        Of the L2 penalty.
    loss
        What is minimised: ``"logistic"``, or ``"squared"`` for a ridge regression.
    """

    pooling: str
    hidden: int
    strength: float
    loss: str = "logistic"

    def __str__(self) -> str:
        """Describe it in a few words."""
        layer = f", hidden layer of {self.hidden}" if self.hidden else ""
        kind = "ridge, " if self.loss == "squared" else ""
        return f"{kind}pooling {self.pooling}{layer}, L2 {self.strength:g}"


@dataclass(frozen=True, eq=False)
class FittedHead:
    """Standardisation and layers of a head, on the features of its pooling.

    Parameters
    ----------
    candidate
        How it was made.
    offset, scale
        (F,) of the features.
    layers
        Weights (out, in) and biases (out,); ReLU between them.
    """

    candidate: Candidate
    offset: Array
    scale: Array
    layers: Layers

    def logits(self, features: Array) -> Array:
        """Return the logits (N, C) of features (N, F)."""
        values = (features - self.offset) * self.scale
        for weights, biases in self.layers[:-1]:
            values = np.maximum(0, values @ weights.T + biases)
        weights, biases = self.layers[-1]
        return np.asarray(values @ weights.T + biases, np.float32)


@dataclass(frozen=True, eq=False)
class WindowTable:
    """Windows that heads are fitted on and compared on.

    Parameters
    ----------
    features
        By pooling, (N, F).
    targets
        (N, C), 0 to 1.
    weights
        (N,) how much each counts in a fit; 0 for those that take no part.
    part
        (N,) in which part each is held out; negative for none.
    judged
        (N,) whether candidates are compared on it.
    """

    features: Mapping[str, Array]
    targets: Array
    weights: Float64
    part: NDArray[np.int64]
    judged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Choice:
    """The outcome of a cross-validation.

    Parameters
    ----------
    best
        The candidate with the smallest loss over all parts.
    by_part
        For each part, the head that scores it: fitted without it, by the candidate that
        was best on the other parts.
    losses
        Mean loss of each candidate over the parts: binary cross-entropy of a window, summed
        over the classes.
    """

    best: Candidate
    by_part: Mapping[int, FittedHead]
    losses: Mapping[Candidate, float] = field(default_factory=dict)


def candidates_for(
    poolings: Sequence[str], hidden: int = 0, loss: str = "logistic"
) -> list[Candidate]:
    """List what is tried: every pooling and strength, without and with a hidden layer."""
    if loss == "squared":
        return [Candidate(p, 0, s, loss) for p in poolings for s in RIDGE_STRENGTHS]
    linear = [Candidate(pooling, 0, s) for pooling in poolings for s in STRENGTHS]
    if not hidden:
        return linear
    return linear + [Candidate(p, hidden, s) for p in poolings for s in HIDDEN_STRENGTHS]


def choose(table: WindowTable, candidates: Sequence[Candidate], seed: int = 0) -> Choice:
    """Compare candidates by cross-validation over the table's parts.

    Parameters
    ----------
    table
        Windows in at least two parts.
    candidates
        Of which the first is taken among equals.
    seed
        Of the hidden layers' first weights.

    Raises
    ------
    ArgumentError
        If there are fewer than two parts.
    """
    parts = [int(p) for p in np.unique(table.part) if p >= 0]
    if len(parts) < 2:
        raise ArgumentError(f"a choice by cross-validation needs two parts, got {len(parts)}")
    fitted = {part: fit(table, candidates, part, seed) for part in parts}
    losses = {part: _losses(table, fitted[part], part) for part in parts}
    by_part = {
        part: fitted[part][_best(candidates, [losses[p] for p in parts if p != part])]
        for part in parts
    }
    mean = {c: float(np.mean([losses[p][c] for p in parts])) for c in candidates}
    return Choice(_best(candidates, [losses[p] for p in parts]), by_part, mean)


def fit(
    table: WindowTable, candidates: Sequence[Candidate], without: int | None, seed: int = 0
) -> dict[Candidate, FittedHead]:
    """Fit candidates on all windows, or on all but those of one part."""
    rows = table.weights > 0
    if without is not None:
        rows &= table.part != without
    targets, weights = table.targets[rows], table.weights[rows]
    found: dict[Candidate, FittedHead] = {}
    for pooling in dict.fromkeys(c.pooling for c in candidates):
        basis = make_basis(table.features[pooling][rows], weights)
        own = [c for c in candidates if c.pooling == pooling]
        strengths = [c.strength for c in own if not c.hidden]
        squared = any(c.loss == "squared" for c in own)
        path = (fit_ridge_path if squared else fit_path)(basis, targets, weights, strengths)
        for c in own:
            layers = path[c.strength] if not c.hidden else fit_hidden(
                basis, targets, weights, c.hidden, c.strength, seed
            )  # fmt: skip
            found[c] = FittedHead(c, basis.offset, basis.scale, layers)
    return found


def _losses(
    table: WindowTable, fitted: Mapping[Candidate, FittedHead], part: int
) -> dict[Candidate, float]:
    """Measure heads on the judged windows of a part."""
    rows = np.flatnonzero(table.judged & (table.part == part) & (table.weights > 0))
    if not rows.size:
        return dict.fromkeys(fitted, 0.0)
    weights, targets = table.weights[rows], table.targets[rows]
    share = weights / weights.sum()
    found: dict[Candidate, float] = {}
    for candidate, head in fitted.items():
        values = head.logits(table.features[candidate.pooling][rows])
        each = (
            np.square(values - (2 * targets - 1)) if candidate.loss == "squared"
            else cross_entropy(values, targets)
        )  # fmt: skip
        found[candidate] = float(share @ each.sum(1))
    return found


def _best(
    candidates: Sequence[Candidate], losses: Sequence[Mapping[Candidate, float]]
) -> Candidate:
    """Return the candidate with the smallest mean loss; a costly one only if clearly better."""
    mean = {c: float(np.mean([of_part[c] for of_part in losses])) for c in candidates}
    linear = min((c for c in candidates if not c.hidden), key=mean.__getitem__)
    best = min(candidates, key=mean.__getitem__)
    return best if mean[best] < (1 - GAIN) * mean[linear] else linear
