"""Scores and events against labels: how good a model is, and how sure that is.

No torch, no files: arrays in, figures out. The same functions serve `audiocnn
evaluate`, the training and the model cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError

Array = NDArray[np.float32]
SILENCE_POWER = 1e-7  # -70 dB of full scale: a window below it carries no label


def clip_score(values: Array, how: str, audible: NDArray[np.bool_] | None = None) -> Array:
    """Gather the window scores of a clip.

    Parameters
    ----------
    values
        (C, W) scores, W at least 1.
    how
        ``"max"`` or ``"mean"``.
    audible
        (W,) which windows have energy; the others do not take part, unless none has.

    Returns
    -------
    array (C,)
    """
    if audible is not None and audible.any():
        values = values[:, audible]
    return np.asarray(values.max(axis=1) if how == "max" else values.mean(axis=1))


@dataclass(frozen=True)
class Rate:
    """Events per hour, with exact 95 % bounds (Poisson, Garwood [1]_).

    References
    ----------
    .. [1] F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28, 1936.
    """

    per_hour: float
    low: float
    high: float


def event_rate(events: int, hours: float) -> Rate:
    """Say how often events come, and between which bounds that is known.

    No event in T hours leaves rates up to 3.7 / T possible (two-sided 95 %).
    """
    if events < 0 or not hours > 0:
        raise ArgumentError(f"a rate needs events >= 0 and hours > 0, got {events} and {hours}")
    low = scipy.special.gammaincinv(events, 0.025) if events else 0.0
    high = scipy.special.gammaincinv(events + 1, 0.975)
    return Rate(events / hours, float(low) / hours, float(high) / hours)


def share_bounds(right: int, total: int) -> tuple[float, float]:
    """Give exact 95 % bounds of a share (Clopper and Pearson)."""
    if not 0 <= right <= total or total < 1:
        raise ArgumentError(f"a share needs 0 <= right <= total, got {right} of {total}")
    low = scipy.special.betaincinv(right, total - right + 1, 0.025) if right else 0.0
    high = scipy.special.betaincinv(right + 1, total - right, 0.975) if right < total else 1.0
    return float(low), float(high)


@dataclass(frozen=True)
class ClassFigures:
    """Of one label: clips that have it, and precision, recall and F1 of the best score."""

    clips: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """How a model did on labelled clips.

    Parameters
    ----------
    clips
        Clips with a label.
    accuracy
        Share whose best score is (one of) their label(s); rejection ignored.
    accuracy_bounds
        95 %, exact.
    accuracy_with_rejection
        Share whose best score is right and reaches the label's threshold.
    rejected
        Share whose best score does not reach its label's threshold.
    macro_f1
        Mean F1 of the labels that occur.
    event_recall
        Share of clips with an event of (one of) their label(s).
    calibration_error
        Expected calibration error of the best score, ten bins.
    backgrounds, background_alarms
        Clips without a label, and how many of them gave an event.
    per_class, confusion
        Figures by label; clips by true label and best score.
    """

    clips: int
    accuracy: float
    accuracy_bounds: tuple[float, float]
    accuracy_with_rejection: float
    rejected: float
    macro_f1: float
    event_recall: float
    calibration_error: float
    backgrounds: int
    background_alarms: int
    per_class: dict[str, ClassFigures]
    confusion: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, as JSON wants them."""
        return asdict(self)


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
        (K, C) clip scores.
    truth
        The labels of each clip; none for a background.
    events
        The labels of the events found in each clip.
    labels, thresholds
        The model's labels and the `on` of their rules.

    Raises
    ------
    ArgumentError
        If the lengths differ, or no clip has a label of the model.
    """
    if not len(scores) == len(truth) == len(events):
        raise ArgumentError(
            f"{len(scores)} scores, {len(truth)} truths and {len(events)} lists of events"
        )
    at = {label: i for i, label in enumerate(labels)}
    targets = np.array([[label in clip for label in labels] for clip in truth], bool)
    known = targets.any(axis=1)
    if not known.any():
        raise ArgumentError(
            f"no clip has a label that the model knows; it knows {', '.join(labels)}"
        )
    heard = np.zeros(targets.shape, bool)
    for row, names in enumerate(events):
        heard[row, [at[name] for name in names]] = True
    best = scores.argmax(axis=1)
    sure = scores.max(axis=1) >= np.asarray(thresholds)[best]
    right = targets[np.arange(len(best)), best]
    n = int(known.sum())
    per_class = _per_class(targets[known], best[known], labels)
    occurring = [f.f1 for f in per_class.values() if f.clips]
    return Evaluation(
        clips=n,
        accuracy=float(right[known].mean()),
        accuracy_bounds=share_bounds(int(right[known].sum()), n),
        accuracy_with_rejection=float((right & sure)[known].mean()),
        rejected=float((~sure[known]).mean()),
        macro_f1=float(np.mean(occurring)),
        event_recall=float((heard & targets).any(axis=1)[known].mean()),
        calibration_error=calibration_error(scores[known].max(axis=1), right[known]),
        backgrounds=int((~known).sum()),
        background_alarms=int(heard[~known].any(axis=1).sum()),
        per_class=per_class,
        confusion=_confusion(targets[known], best[known], labels),
    )


def calibration_error(confidence: Array, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Say how far confidence lies from the share that is right, on average.

    Parameters
    ----------
    confidence, right
        (K,) scores, 0 to 1, and whether each was right.
    bins
        Of equal width.
    """
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        np.mean(which == b) * abs(confidence[which == b].mean() - right[which == b].mean())
        for b in range(bins)
        if (which == b).any()
    ]
    return float(np.sum(gaps))


def _per_class(
    targets: NDArray[np.bool_], best: NDArray[np.intp], labels: Sequence[str]
) -> dict[str, ClassFigures]:
    out = {}
    for i, label in enumerate(labels):
        said, true = best == i, targets[:, i]
        hits = int((said & true).sum())
        precision = hits / said.sum() if said.any() else 0.0
        recall = hits / true.sum() if true.any() else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        out[label] = ClassFigures(int(true.sum()), float(precision), float(recall), float(f1))
    return out


def _confusion(
    targets: NDArray[np.bool_], best: NDArray[np.intp], labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for row, said in zip(targets, best, strict=True):
        for i in np.flatnonzero(row).tolist():
            of = out.setdefault(labels[i], {})
            of[labels[int(said)]] = of.get(labels[int(said)], 0) + 1
    return out
