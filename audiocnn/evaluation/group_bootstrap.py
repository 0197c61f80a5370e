"""Bounds of figures whose clips come in groups: drawing groups again, not clips.

Clips of one source sound alike, so a hundred clips of five sources say little more
than five do; bounds that take them for independent are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.intervals import share_bounds

Array = NDArray[np.float32]
DRAWS = 1000  # of the bootstrap; fewer where there are very many scores


def group_bounds(
    scores: Array, targets: NDArray[np.bool_], group: NDArray[np.int64]
) -> dict[str, tuple[float, float]]:
    """Bound accuracy, macro F1 and mean average precision, 95 %, by bootstrap over groups.

    Parameters
    ----------
    scores, targets
        (K, C) of clips.
    group
        (K,) clips of one number are drawn together.

    Returns
    -------
    dict
        Of each figure its bounds. Where all clips are right, or all wrong, drawing
        again shows nothing: then they are the exact bounds of as many trials as
        there are groups, which is wide and honest. Of one group nothing is known: 0 and 1.
    """
    rng = np.random.default_rng(0)
    names, at = np.unique(group, return_inverse=True)
    n = min(DRAWS, max(100, 20_000_000 // max(1, scores.size)))
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n)
    weights = times[:, at].astype(np.float64)  # (draws, K): how often each clip is there
    best = scores.argmax(1)
    right = targets[np.arange(len(best)), best]
    labelled = targets.any(1)
    n_labelled = np.maximum(weights[:, labelled].sum(1), 1e-9)
    draws: dict[str, NDArray[np.float64]] = {
        "accuracy": weights[:, labelled & right].sum(1) / n_labelled
    }
    f1, precision = [], []
    for i in range(targets.shape[1]):
        true, said = targets[:, i], (best == i) & labelled
        n_true, n_said = weights[:, true].sum(1), weights[:, said].sum(1)
        there = n_true > 0
        both = 2 * weights[:, true & said].sum(1) / np.maximum(n_true + n_said, 1)
        f1.append(np.where(there, both, np.nan))
        precision.append(np.where(there, _weighted_precision(scores[:, i], true, weights), np.nan))
    draws |= {"macro_f1": _mean_known(f1), "mean_average_precision": _mean_known(precision)}
    out = {}
    for name, values in draws.items():
        low, high = (float(v) for v in np.nanquantile(values, (0.025, 0.975)))
        out[name] = known_bounds(low, high, len(names))
    return out


def known_bounds(low: float, high: float, n_groups: int) -> tuple[float, float]:
    """Widen the interval of a proportion of 0 or 1, where the bootstrap has no variance.

    Returns
    -------
    low, high
        Unchanged, or the exact interval of as many trials as there are groups; 0 and 1 for
        a single group.
    """
    if n_groups < 2:
        return 0.0, 1.0
    if low == high and low in (0.0, 1.0):
        return share_bounds(n_groups if low else 0, n_groups)
    return low, high


def _weighted_precision(
    scores: Array, true: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average precision in each draw: precision at each true clip, by how often it is there."""
    order = np.argsort(-scores, kind="stable")
    heavy = weights[:, order]
    hits = np.cumsum(heavy * true[order], axis=1)
    at = hits / np.maximum(np.cumsum(heavy, axis=1), 1e-9)
    gained = heavy * true[order]
    return np.asarray((at * gained).sum(1) / np.maximum(gained.sum(1), 1e-9))


def _mean_known(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    table = np.array(values)
    known = ~np.isnan(table)
    return np.asarray(np.where(known, table, 0).sum(0) / np.maximum(known.sum(0), 1))
