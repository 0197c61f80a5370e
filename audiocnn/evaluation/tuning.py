"""Tune event rules for a budget of false alarms: chosen on one half, measured on the other.

Figures on the half that rules were chosen on are optimistic, so all claims come from the
other half, with confidence intervals. Too few hours cannot show a low rate: no alarm in T
hours shows fewer than 3 / T per hour (95 %), not less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from audiocnn.datasets.clip import targets_of
from audiocnn.evaluation.intervals import FalseAlarms, false_alarms, wilson_bounds
from audiocnn.evaluation.threshold_search import (
    THRESHOLDS,
    candidate_rules,
    choose_rules,
    clip_runs,
    clip_seconds,
)
from audiocnn.evaluation.window_logits import WindowLogits
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.events import Event, EventRule, find_events

STRICT = (*THRESHOLDS, 0.999, 0.9995)
NO_ALARM = 3.0  # -ln 0.05: T hours without an alarm show a rate below this / T
WORST = 20  # recordings that are listed


@dataclass(frozen=True)
class Half:
    """Figures of a set of rules on one half.

    Parameters
    ----------
    alarms
        Events in the background.
    alarms_by_label
        Number of them by label.
    found, clips
        Number of labelled clips with an event of one of their labels, and of all.
    recall_bounds
        95 % interval (Wilson).
    found_by_label
        Number of clips found, and of all, by label.
    most_alarms
        The background recordings with the most events: path, source (if known), number of
        events, and the label and score of the highest one.
    """

    alarms: FalseAlarms
    alarms_by_label: Mapping[str, int]
    found: int
    clips: int
    recall_bounds: tuple[float, float]
    found_by_label: Mapping[str, tuple[int, int]]
    most_alarms: Sequence[Mapping[str, Any]]

    @property
    def recall(self) -> float:
        """Share of the clips that were found; NaN if there are none."""
        return self.found / self.clips if self.clips else math.nan


@dataclass(frozen=True)
class Tuned:
    """Rules chosen for a budget, and what the measurement shows.

    Parameters
    ----------
    budget
        False alarms an hour, over all labels.
    rules
        One per label.
    before, chosen, measured
        Figures of the model's own rules on the reporting half; of the new ones on the half
        that they were chosen on, and on the reporting half.
    """

    budget: float
    rules: Mapping[str, EventRule]
    before: Half
    chosen: Half
    measured: Half

    @property
    def shown(self) -> bool:
        """Whether the reporting half shows (95 %, one-sided) that the budget is kept."""
        return self.measured.alarms.below <= self.budget

    @property
    def verdict(self) -> str:
        """The claim that the measurement supports, and what a stronger one would need."""
        alarms, hours = self.measured.alarms, self.measured.alarms.hours
        needed = NO_ALARM / self.budget
        said = (
            f"{alarms.events} false alarm{'' if alarms.events == 1 else 's'} in {hours:.3g} h that "
            "were not used for tuning: "
            f"{alarms.rate.per_hour:.3g} per hour (95 % interval {alarms.rate.low:.3g} to "
            f"{alarms.rate.high:.3g})"
        )
        if self.shown:
            return f"{said}; this shows fewer than {alarms.below:.3g} per hour (95 %)"
        if alarms.rate.low > self.budget:
            return f"{said}; this is ABOVE the budget of {self.budget:g}"
        if hours < needed:
            return (
                f"{said}; NOT SHOWN: too few hours for a rate of {self.budget:g}: even without an "
                f"alarm they show fewer than {NO_ALARM / hours:.3g} per hour. It takes "
                f"{needed:.3g} h in this half, so {2 * needed:.3g} h of background in total"
            )
        return (
            f"{said}; this agrees with the budget of {self.budget:g} but does not show it: the "
            f"rate is below {alarms.below:.3g} per hour (95 %)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for the model card and for JSON."""
        return {
            "false_alarms_per_hour": self.budget,
            "shown": self.shown,
            "verdict": self.verdict,
            "rules": {label: asdict(rule) for label, rule in self.rules.items()},
            "before": half_as_dict(self.before),
            "chosen_on": half_as_dict(self.chosen),
            "measured_on": half_as_dict(self.measured),
        }


def half_as_dict(half: Half) -> dict[str, Any]:
    """Return the figures of a half as plain values, rounded."""
    rate = half.alarms.rate
    return {
        "hours": round(half.alarms.hours, 3),
        "alarms": half.alarms.events,
        "alarms_per_hour": round(rate.per_hour, 3),
        "alarms_per_hour_bounds": [round(rate.low, 3), round(rate.high, 3)],
        "alarms_per_hour_below": round(half.alarms.below, 3),
        "alarms_by_label": {label: n for label, n in half.alarms_by_label.items() if n},
        "clips": half.clips,
        "found": half.found,
        "recall": round(half.recall, 4) if half.clips else None,
        "recall_bounds": [round(v, 4) for v in half.recall_bounds],
        "found_by_label": {label: list(v) for label, v in half.found_by_label.items()},
        "most_alarms": [dict(row) for row in half.most_alarms],
    }


def tune(
    bundle: Bundle,
    background: tuple[WindowLogits, WindowLogits],
    examples: tuple[WindowLogits, WindowLogits],
    budget: float,
) -> Tuned:
    """Choose rules on the first halves, and measure them on the second ones.

    Parameters
    ----------
    bundle
        The model; its calibration stays.
    background, examples
        Sounds that are none of the classes, and labelled clips, in two halves each that
        share no source, none of which the network was fitted on.
    budget
        False alarms an hour, over all labels.
    """
    grid = grid_of(bundle)
    gap = max([2 * grid.hop, *(rule.join_gap for rule in bundle.rules.values())])
    candidates = candidate_rules(
        [grid.hop, 2 * grid.hop, 4 * grid.hop], [0.0, 0.75 * grid.window, 1.25 * grid.window],
        gap, (0.6, 0.85), STRICT,
    )  # fmt: skip
    rules = choose_rules(
        bundle.labels, background[0], grid, bundle.calibration, candidates, budget=budget,
        examples=(examples[0], targets_of(examples[0].clips, bundle.labels)), wary=True,
        usual=bundle.rules,
    )  # fmt: skip
    rules = {
        label: replace(rule, cooldown=bundle.rules[label].cooldown) for label, rule in rules.items()
    }
    return Tuned(
        budget,
        rules,
        judge_half(bundle, bundle.rules, background[1], examples[1]),
        judge_half(bundle, rules, background[0], examples[0]),
        judge_half(bundle, rules, background[1], examples[1]),
    )


def judge_half(
    bundle: Bundle, rules: Mapping[str, EventRule], background: WindowLogits, examples: WindowLogits
) -> Half:
    """Count false alarms in the background, and labelled clips that are found."""
    alarms: list[Event] = []
    grid = grid_of(bundle)
    for k, runs in clip_runs(background, grid, bundle.calibration):
        alarms += find_events(runs, rules, source=str(background.clips[k].path))
    found_by_label = dict.fromkeys(rules, (0, 0))
    found = total = 0
    for k, runs in clip_runs(examples, grid, bundle.calibration):
        labels = examples.clips[k].labels
        heard = {event.label for event in find_events(runs, rules)}
        for label in labels:
            hits, n = found_by_label[label]
            found_by_label[label] = (hits + (label in heard), n + 1)
        found, total = found + bool(heard & set(labels)), total + bool(labels)
    return Half(
        false_alarms(alarms, float(clip_seconds(background).sum())),
        {label: sum(event.label == label for event in alarms) for label in rules},
        found, total, wilson_bounds(found, total), found_by_label, worst(background, alarms),
    )  # fmt: skip


def worst(background: WindowLogits, alarms: Sequence[Event]) -> list[dict[str, Any]]:
    """List the recordings with the most false alarms."""
    by_path: dict[str, list[Event]] = {}
    for event in alarms:
        by_path.setdefault(event.source, []).append(event)
    source = {str(clip.path): clip.columns.get("source", "") for clip in background.clips}
    rows = []
    for path, events in sorted(by_path.items(), key=lambda item: (-len(item[1]), item[0]))[:WORST]:
        loudest = max(events, key=lambda event: event.score or 0.0)
        row: dict[str, Any] = {"path": path, "source": source[path], "events": len(events)}
        row |= {"label": loudest.label, "start": round(loudest.start, 2)}
        rows.append(row | {"score": round(loudest.score or 0.0, 4)})
    return rows
