"""From a feature set to a head, and to what heads say of clips that they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.manifest import assign_folds
from audiocnn.inference.head import Head
from audiocnn.training.heads.choice import (
    Choice,
    FittedHead,
    WindowTable,
    candidates_for,
    choose,
    fit,
)
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.embedding import ClipWindows
from audiocnn.training.heads.feature_set import FeatureSet
from audiocnn.training.predictions import Predictions, audible, join
from audiocnn.training.run_results import NEVER

INNER = 4  # parts for choosing a head where one part alone is held out
GROUP = "group"  # column by which clips are kept together
RAREST = 10.0  # how much more a clip of a rare class may count
FEWEST_BACKGROUND = 12_000  # windows of background that are fitted on, where there are more


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head, and the window logits of what was held out.

    Parameters
    ----------
    head
        Of the bundle.
    choice
        How its kind was chosen.
    held_out, background
        Window logits of clips and of background, each by a head that was fitted without
        them; no background: None.
    """

    head: Head
    choice: Choice
    held_out: Predictions
    background: Predictions | None


def fit_head(data: FeatureSet, config: HeadConfig) -> HeadFit:
    """Choose, fit and apply heads.

    Parameters
    ----------
    data
        The features, labels and parts.
    config
        How: hidden layer, balance, weight of background.
    """
    table = make_table(data, config)
    candidates = candidates_for(data.poolings, config.hidden, config.loss)
    if data.split.crossed:
        choice = choose(table, candidates, config.seed)
        final = fit(table, [choice.best], None, config.seed)[choice.best]
        by_part: Mapping[int, FittedHead] = choice.by_part
    else:  # one part is held out; what is left chooses, and is fitted on
        (part,) = data.split.parts
        choice = choose(inner_table(data, config, part), candidates, config.seed)
        final = fit(table, [choice.best], part, config.seed)[choice.best]
        by_part = {part: final}
    parts = [
        logits_of(head, data.plain, np.isin(np.arange(len(data.clips)), data.split.judged(part)))
        for part, head in by_part.items()
    ]
    quiet = None
    if data.quiet is not None and data.quiet.clip.size:
        quiet = join([
            logits_of(head, data.quiet, data.background_part == part)
            for part, head in by_part.items()
        ])  # fmt: skip
    made = Head(data.labels, final.candidate.pooling, final.offset, final.scale, final.layers)
    return HeadFit(made, choice, in_order(join(parts)), None if quiet is None else in_order(quiet))


def make_table(
    data: FeatureSet,
    config: HeadConfig,
    part: NDArray[np.int64] | None = None,
    background_part: NDArray[np.int64] | None = None,
) -> WindowTable:
    """Lay out what is fitted on: audible windows of clips, varied ones, and background.

    Parameters
    ----------
    data, config
        The features, and how classes and background are weighed.
    part, background_part
        Parts of clips and backgrounds, if others than those of ``data``.
    """
    part = data.split.part if part is None else part
    background_part = data.background_part if background_part is None else background_part
    loud = np.flatnonzero(audible(data.plain, config.silence_db, config.faint_db))
    quiet = background_rows(data, loud.size + data.varied.clip.size)
    sources = [(data.plain, loud), (data.varied, np.arange(data.varied.clip.size))]
    if data.quiet is not None:
        sources.append((data.quiet, quiet))
    features = {
        pooling: np.concatenate([windows.features[pooling][rows] for windows, rows in sources])
        for pooling in data.poolings
    }
    clip = np.concatenate([data.plain.clip[loud], data.varied.clip])
    weights = clip_weights(data.targets, config.balance)
    each = weights[clip] / np.bincount(clip, minlength=len(weights))[clip]
    share = config.backgrounds * each.sum() / max(1, quiet.size)
    n_judged = len(data.clips) if data.split.n_judged is None else data.split.n_judged
    judged = (clip < n_judged) & (np.arange(clip.size) < loud.size)
    none = np.zeros((quiet.size, len(data.labels)), np.float32)
    of_quiet = background_part[data.quiet.clip[quiet]] if data.quiet is not None else quiet
    return WindowTable(
        features,
        np.concatenate([data.targets[clip], none]),
        np.concatenate([each, np.full(quiet.size, share)]),
        np.concatenate([part[clip], of_quiet]),
        np.concatenate([judged, np.ones(quiet.size, bool)]),
    )


def background_rows(data: FeatureSet, n_others: int) -> NDArray[np.intp]:
    """Choose the windows of background that are fitted on: spread evenly over all."""
    if data.quiet is None:
        return np.zeros(0, np.intp)
    n = data.quiet.clip.size
    most = max(FEWEST_BACKGROUND, n_others)
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def clip_weights(targets: NDArray[np.float32], balance: str) -> NDArray[np.float64]:
    """Return how much each clip (K,) counts: by the rarity of its labels, or 1."""
    if balance == "none":
        return np.ones(len(targets))
    counts = np.maximum(targets.sum(axis=0), 1)
    rarity = np.clip(counts.max() / counts, 1, RAREST)
    n_labels = targets.sum(axis=1)
    return np.where(n_labels > 0, targets @ rarity / np.maximum(n_labels, 1), 1.0)


def inner_table(data: FeatureSet, config: HeadConfig, held: int) -> WindowTable:
    """Lay out what is not held out, in parts for the choice of a head."""
    left = np.flatnonzero(data.split.part != held)
    groups = data.split.group[left]
    n = int(min(INNER, np.unique(groups).size))
    part = np.full(len(data.clips), NEVER)
    part[left] = deal([data.clips[k] for k in left.tolist()], groups, n, config.seed)
    quiet = np.where(data.background_part == held, NEVER, np.arange(data.background_part.size) % n)
    return without(make_table(data, config, part, quiet), NEVER)


def deal(clips: Sequence[Clip], groups: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """Deal clips to n parts, groups together and classes evenly."""
    named = [
        replace(clip, columns={GROUP: str(g)})
        for clip, g in zip(clips, groups.tolist(), strict=True)
    ]
    return assign_folds(named, n, GROUP, np.random.default_rng([seed, 3])).astype(np.int64)


def without(table: WindowTable, part: int) -> WindowTable:
    """Return the windows of a part no weight."""
    return replace(table, weights=np.where(table.part == part, 0.0, table.weights))


def logits_of(head: FittedHead, windows: ClipWindows, chosen: NDArray[np.bool_]) -> Predictions:
    """Score the windows of the clips (K,) that are chosen."""
    rows = np.flatnonzero(chosen[windows.clip])
    features = windows.features[head.candidate.pooling]
    return Predictions(
        np.ascontiguousarray(head.logits(features[rows]).T), windows.clip[rows],
        windows.power[rows], windows.begins[rows], windows.ends[rows],
    )  # fmt: skip


def in_order(predictions: Predictions) -> Predictions:
    """Sort windows by clip, as they were."""
    rows = np.argsort(predictions.clip, kind="stable")
    return Predictions(
        np.ascontiguousarray(predictions.logits[:, rows]), predictions.clip[rows],
        predictions.power[rows], predictions.begins[rows], predictions.ends[rows],
    )  # fmt: skip
