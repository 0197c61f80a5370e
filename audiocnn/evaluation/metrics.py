"""Metrics of clip scores and events against labels, with confidence intervals.

Takes arrays and returns figures. The same functions serve `audiocnn evaluate`, the scripts
and the model cards. Every proportion and rate has an interval, because test sets are small.
Undefined values (the precision of a label that was never predicted, the accuracy without
labelled clips) are NaN here and null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, did_you_mean
from audiocnn.evaluation.calibration_error import Reliability, calibration_error
from audiocnn.evaluation.intervals import FalseAlarms, share_bounds, wilson_bounds

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
SILENCE_POWER = 1e-7  # -70 dB of full scale: a window below it carries no label


def clip_score(values: Array, how: str, audible: Mask | None = None) -> Array:
    """Pool the window scores of a clip.

    Parameters
    ----------
    values
        (C, W) scores, W at least 1.
    how
        ``"max"`` or ``"mean"``, as stored in the bundle.
    audible
        (W,) which windows have energy. The others are left out, unless none has.

    Returns
    -------
    array (C,)
    """
    if how not in ("max", "mean"):
        raise ArgumentError(f"clip scores are the max or the mean of windows, got {how!r}")
    if audible is not None and audible.any():
        values = values[:, audible]
    return np.asarray(values.max(axis=1) if how == "max" else values.mean(axis=1))


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one label.

    Parameters
    ----------
    n
        Number of clips with the label.
    precision, recall, f1
        Of the prediction "this label has the best score". A clip with several labels has
        one best score, so recall cannot reach 1 there: see ``average_precision``.
    recall_bounds
        95 % (Wilson).
    average_precision
        Of ranking all clips, backgrounds too, by this label's score: the area under the
        precision-recall curve, summed over its steps.
    """

    n: int
    precision: float
    recall: float
    f1: float
    average_precision: float
    recall_bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Evaluation:
    """Figures of a model on labelled clips.

    Parameters
    ----------
    clips
        Clips with a label; the figures down to ``calibration_error`` are of these.
    accuracy
        Share whose best score is one of their labels, ignoring rejection.
    accuracy_bounds
        95 %, exact.
    accuracy_with_rejection
        Share whose best score is correct and reaches the label's threshold.
    rejected
        Share whose best score does not reach its label's threshold.
    macro_f1, mean_average_precision
        Means over the labels that occur.
    events_found
        Share of clips with an event of one of their labels.
    events_found_bounds
        95 %, exact.
    calibration_error
        Expected calibration error of the best score, ten bins.
    backgrounds, background_alarms
        Number of clips without a label, and of those among them with an event.
    none_of_these, none_of_these_bounds
        Share of the clips without a label that have no event, and its exact 95 % interval:
        rejection of sounds that are none of the classes.
    per_class, confusion
        Figures by label; clips by true label and best score.
    false_alarms
        Per hour, in the clips without a label, if measured.
    reliability
        Calibration of the scores, before and after, if measured.
    group_bounds
        95 % intervals of ``accuracy``, ``macro_f1`` and ``mean_average_precision`` by the
        group bootstrap, if requested.
    """

    clips: int
    accuracy: float
    accuracy_bounds: tuple[float, float]
    accuracy_with_rejection: float
    rejected: float
    macro_f1: float
    mean_average_precision: float
    events_found: float
    events_found_bounds: tuple[float, float]
    calibration_error: float
    backgrounds: int
    background_alarms: int
    per_class: dict[str, ClassFigures]
    confusion: dict[str, dict[str, int]]
    none_of_these: float = math.nan
    none_of_these_bounds: tuple[float, float] = (math.nan, math.nan)
    false_alarms: FalseAlarms | None = None
    reliability: Reliability | None = None
    group_bounds: dict[str, tuple[float, float]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def evaluate(
    scores: Array,
    truth: Sequence[Sequence[str]],
    events: Sequence[Iterable[str]],
    labels: Sequence[str],
    thresholds: Sequence[float],
) -> Evaluation:
    """Compare clip scores and events with labels.

    Parameters
    ----------
    scores
        (K, C) clip scores, K at least 1.
    truth
        The labels of each clip; none for a background.
    events
        The labels of the events found in each clip.
    labels, thresholds
        The model's labels and the `on` of their rules.

    Raises
    ------
    ArgumentError
        If the lengths differ, a score is not finite, or a clip has a label that
        the model does not know.
    """
    scores = np.asarray(scores)
    if scores.shape != (len(truth), len(labels)) or len(events) != len(truth) or not len(truth):
        raise ArgumentError(
            f"scores of shape {scores.shape} do not fit {len(truth)} truths, {len(events)} "
            f"lists of events and {len(labels)} labels; there must be at least one clip"
        )
    if not np.isfinite(scores).all():
        raise ArgumentError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    targets, heard = one_hot(truth, labels), one_hot(events, labels)
    known = targets.any(axis=1)
    best = scores.argmax(axis=1)
    sure = np.asarray(scores.max(axis=1) >= np.asarray(thresholds)[best])[known]
    right = np.asarray(targets[np.arange(len(best)), best])[known]
    found = np.asarray((heard & targets).any(axis=1))[known]
    quiet = np.asarray(~heard[~known].any(axis=1))
    per_class = _per_class(scores, targets, best, labels)
    occurring = [figures for figures in per_class.values() if figures.n]
    return Evaluation(
        clips=int(known.sum()),
        accuracy=_mean(right),
        accuracy_bounds=_bounds(right),
        accuracy_with_rejection=_mean(right & sure),
        rejected=_mean(~sure),
        macro_f1=_mean([figures.f1 for figures in occurring]),
        mean_average_precision=_mean([figures.average_precision for figures in occurring]),
        events_found=_mean(found),
        events_found_bounds=_bounds(found),
        calibration_error=calibration_error(scores[known].max(axis=1), right),
        backgrounds=int((~known).sum()),
        background_alarms=int((~quiet).sum()),
        per_class=per_class,
        confusion=_confusion(targets[known], best[known], labels),
        none_of_these=_mean(quiet),
        none_of_these_bounds=_bounds(quiet),
    )


def average_precision(scores: Array, true: Mask) -> float:
    """Compute the average precision of a ranking.

    Parameters
    ----------
    scores, true
        (K,) scores of a label, and whether each clip has it.

    Returns
    -------
    float
        1 if all clips with the label score above all others; NaN if no clip has it. Clips
        with equal scores are taken together, so their order does not matter.
    """
    if not true.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(true[order])
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # of each run of ties
    gained = np.diff(hits[last], prepend=0) / hits[-1]
    return float(np.sum(gained * hits[last] / (last + 1)))


def one_hot(names: Sequence[Iterable[str]], labels: Sequence[str]) -> Mask:
    """Return (K, C) which of the labels each clip has.

    Raises
    ------
    ArgumentError
        If a name is none of the labels.
    """
    at = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(names), len(labels)), bool)
    for row, of_clip in enumerate(names):
        for name in of_clip:
            if name not in at:
                raise ArgumentError(
                    f"label {name!r} is none of the model's{did_you_mean(name, labels)}: "
                    f"{', '.join(labels)}"
                )
            table[row, at[name]] = True
    return table


def _per_class(
    scores: Array, targets: Mask, best: NDArray[np.intp], labels: Sequence[str]
) -> dict[str, ClassFigures]:
    out, known = {}, targets.any(axis=1)
    for i, label in enumerate(labels):
        said, true = (best == i) & known, targets[:, i]
        hits, n, n_said = (int(x.sum()) for x in (said & true, true, said))
        f1 = 2 * hits / (n + n_said) if n else math.nan
        precision, recall = hits / n_said if n_said else math.nan, hits / n if n else math.nan
        ranked = average_precision(scores[:, i], true)
        bounds = wilson_bounds(hits, n)
        out[label] = ClassFigures(n, precision, recall, f1, ranked, bounds)
    return out


def _confusion(
    targets: Mask, best: NDArray[np.intp], labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for row, said in zip(targets, best.tolist(), strict=True):
        for i in np.flatnonzero(row).tolist():
            of = out.setdefault(labels[i], {})
            of[labels[said]] = of.get(labels[said], 0) + 1
    return out


def _mean(values: Sequence[float] | Mask) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _bounds(right: Mask) -> tuple[float, float]:
    return share_bounds(int(right.sum()), len(right)) if len(right) else (math.nan, math.nan)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
