"""How good a training is, by what its networks said of clips that they were not fitted on.

Calibration and rules are chosen on held-out clips too, so a clip's own part takes no
part in choosing those that it is judged by; the bundle gets those chosen on all. Clips
of one group sound alike, so bounds come from drawing groups again, not clips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.group_bootstrap import group_bounds
from audiocnn.evaluation.intervals import FalseAlarms, false_alarms
from audiocnn.evaluation.metrics import clip_score, evaluate
from audiocnn.evaluation.threshold_search import candidate_rules, choose_rules, clip_runs
from audiocnn.inference.engine import Grid
from audiocnn.inference.events import Event, EventRule, find_events
from audiocnn.inference.windows import Calibration, calibrate
from audiocnn.training.calibrate import calibrate_on
from audiocnn.training.config import JudgingConfig
from audiocnn.training.predictions import Predictions, audible, join
from audiocnn.training.run_results import NEVER

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
LEFT_OUT = 0.05  # of true clips: what a threshold may reject where recall matters most
FALSE_ALARMS = 5.0  # an hour, over all labels, where a background allows to choose for it


@dataclass(frozen=True)
class HeldOut:
    """Windows that networks were not fitted on, and in which part each clip is judged.

    Parameters
    ----------
    clips, part, group, targets
        Predictions, and for each clip the part (K,), the group (K,) and the labels
        (K, C).
    background, background_part
        The same of sounds that are none of the classes; None if there are none.
    alike
        (K,) clips that calibration counts as one; those of a group if None. Where parts
        are speakers, thousands of clips of four of them say little of the fifth, and
        offsets fitted to them would do harm.
    """

    clips: Predictions
    part: NDArray[np.int64]
    group: NDArray[np.int64]
    targets: Array
    background: Predictions | None
    background_part: NDArray[np.int64]
    alike: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Judgement:
    """What held-out sounds say of a model.

    Parameters
    ----------
    calibration, rules
        Chosen on all held-out sounds: those of the bundle.
    scores
        (K, C) clip scores by the calibration of the other parts; NaN for clips that
        were not held out or are silent.
    figures
        Plain values, see `judge`.
    """

    calibration: Calibration
    rules: Mapping[str, EventRule]
    scores: Array
    figures: dict[str, Any]


def judge(held: HeldOut, labels: tuple[str, ...], config: JudgingConfig, grid: Grid) -> Judgement:
    """Choose calibration and rules, and measure what they and the networks are worth.

    Parameters
    ----------
    held
        What the networks said.
    labels, config, grid
        Of the model.

    Returns
    -------
    Judgement
        Its figures are those of `Evaluation`; ``accuracy_bounds``, ``macro_f1_bounds``
        and ``mean_average_precision_bounds`` are 95 % by bootstrap over ``groups``;
        ``by_part`` the accuracies of the parts; ``background_accepted`` the share of
        background windows that reach a threshold; ``silent`` clips were left out.
    """
    scores = np.full(held.targets.shape, np.nan, np.float32)
    sure = np.zeros(len(scores), bool)
    heard: list[set[str]] = [set() for _ in scores]
    alarms: list[Event] = []
    accepted: list[Mask] = []
    parts = [int(p) for p in np.unique(held.part) if p != NEVER]
    for part in parts:
        calibration, rules = _choose(held, labels, config, grid, part if parts[1:] else None)
        own = held.clips.of(held.part == part)
        _score_clips(own, calibration, rules, config, scores, sure)
        for k, runs in clip_runs(own, grid, calibration):
            heard[k] = {event.label for event in find_events(runs, rules)}
        if held.background is not None:
            quiet = held.background.of(_background_of(held, part, parts))
            limits = np.array([rule.on for rule in rules.values()])[:, None]
            accepted.append(np.any(calibrate(quiet.logits, calibration) >= limits, axis=0))
            for k, runs in clip_runs(quiet, grid, calibration):
                alarms += (replace(e, source=str(k)) for e in find_events(runs, rules))
    calibration, rules = _choose(held, labels, config, grid, None)
    known = ~np.isnan(scores[:, 0])
    figures = _figures(scores, sure, heard, held, labels, known)
    figures |= {
        "silent": int((np.isin(np.arange(known.size), held.clips.clip) & ~known).sum()),
        "parts": len(parts),
        **_background_figures(alarms, accepted, held.background),
    }
    return Judgement(calibration, rules, scores, figures)


def _choose(
    held: HeldOut, labels: tuple[str, ...], config: JudgingConfig, grid: Grid, without: int | None
) -> tuple[Calibration, dict[str, EventRule]]:
    """Fit calibration and rules on all parts, or on all but one."""
    clips, background = held.clips, held.background
    alike = held.group if held.alike is None else held.alike
    if without is not None:
        clips = clips.of(held.part != without)
        background = background and background.of(np.not_equal(held.background_part, without))
    background = None if background is None or not background.clip.size else background
    calibration = calibrate_on(clips, background, held.targets, config, alike)
    # Clips without a label are background too.
    nothing = clips.of(np.logical_not(held.targets.any(1)))
    if not nothing.clip.size:
        quiet = background
    elif background is None:
        quiet = nothing
    else:
        quiet = join([background, nothing], [0, int(background.clip.max()) + 1])
    rules = choose_rules(
        labels, quiet, grid, calibration, candidate_rules([config.hop], join_gap=config.hop),
        budget=FALSE_ALARMS, examples=(clips, held.targets),
    )  # fmt: skip
    return calibration, rules


def _background_of(held: HeldOut, part: int, parts: Sequence[int]) -> NDArray[np.bool_]:
    """Return which backgrounds are judged with a part: its own, or a share of the one part's."""
    own = held.background_part
    if set(own.tolist()) - {NEVER} >= set(parts):
        return np.equal(own, part)
    rows = np.arange(own.size)
    return np.asarray((own != NEVER) & (rows % len(parts) == parts.index(part)))


def _score_clips(
    own: Predictions,
    calibration: Calibration,
    rules: Mapping[str, EventRule],
    config: JudgingConfig,
    scores: Array,
    sure: NDArray[np.bool_],
) -> None:
    """Enter the scores of clips, and whether the best reaches its threshold."""
    limits = np.array([rule.on for rule in rules.values()])
    values = calibrate(own.logits, calibration)
    loud = audible(own, config.silence_db, config.faint_db)
    rows = np.flatnonzero(loud)
    rows = rows[np.argsort(own.clip[rows], kind="stable")]
    clips, firsts = np.unique(own.clip[rows], return_index=True)
    for k, windows in zip(clips.tolist(), np.split(rows, firsts[1:]), strict=True):
        scores[k] = clip_score(values[:, windows], config.clip_score)
        best = int(scores[k].argmax())
        sure[k] = scores[k, best] >= limits[best]


def _figures(
    scores: Array, sure: NDArray[np.bool_], heard: Sequence[set[str]], held: HeldOut,
    labels: tuple[str, ...], known: NDArray[np.bool_],
) -> dict[str, Any]:  # fmt: skip
    rows = np.flatnonzero(known).tolist()
    targets = held.targets[known] > 0
    truth = [[labels[i] for i in np.flatnonzero(row)] for row in targets]
    found = evaluate(scores[known], truth, [heard[k] for k in rows], labels, [0.5] * len(labels))
    labelled = targets.any(1)
    best = scores[known].argmax(1)
    right, is_sure = targets[np.arange(len(best)), best][labelled], sure[known][labelled]
    bounds = group_bounds(scores[known], targets, held.group[known])
    described = replace(
        found,
        accuracy_bounds=bounds["accuracy"],
        accuracy_with_rejection=float(np.mean(right & is_sure)) if right.size else math.nan,
        rejected=float(np.mean(~is_sure)) if right.size else math.nan,
    ).as_dict()
    described.pop("false_alarms")
    part = held.part[known][labelled]
    return described | {
        "macro_f1_bounds": list(bounds["macro_f1"]),
        "mean_average_precision_bounds": list(bounds["mean_average_precision"]),
        "accepting_threshold": accepting_threshold(scores[known][labelled]),
        "unlabelled": int((~labelled).sum()),
        "unlabelled_heard": sum(bool(heard[rows[k]]) for k in np.flatnonzero(~labelled).tolist()),
        "groups": len(set(held.group[known].tolist())),
        "by_part": [round(float(right[part == p].mean()), 4) for p in np.unique(part)],
    }


def accepting_threshold(scores: Array) -> float | None:
    """Return the threshold that the best scores of all but `LEFT_OUT` of clips (K, C) reach."""
    return float(np.quantile(scores.max(axis=1), LEFT_OUT)) if len(scores) else None


def _background_figures(
    alarms: Sequence[Event], accepted: Sequence[NDArray[np.bool_]], background: Predictions | None
) -> dict[str, Any]:
    if background is None or not background.clip.size:
        return {"background_accepted": None, "false_alarms": None}
    lengths = np.zeros(int(background.clip.max()) + 1)
    np.maximum.at(lengths, background.clip, background.ends)
    found: FalseAlarms = false_alarms(alarms, float(lengths.sum()))
    share = float(np.concatenate(list(accepted)).mean())
    return {"background_accepted": share, "false_alarms": asdict(found)}
