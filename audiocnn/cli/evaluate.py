"""`audiocnn evaluate`: a model against labelled clips."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.cli.tables import csv_table
from audiocnn.datasets.manifest import labels_of, parse_where, read_manifest
from audiocnn.errors import ArgumentError, AudioError, DatasetError, did_you_mean
from audiocnn.evaluation.annotated import Detected, detect, read_annotated
from audiocnn.evaluation.clip_scores import ScoredClip, evaluate_clips, score_clips
from audiocnn.evaluation.intervals import FalseAlarms
from audiocnn.evaluation.metrics import Evaluation
from audiocnn.evaluation.sed_metrics import COLLAR, default_collar, evaluate_detection
from audiocnn.inference.bundle import Bundle
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.zoo.class_selection import load_classes

MANY = 24  # classes from which on only those with clips are shown


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(ReadingOptions):
    """Options of `audiocnn evaluate`; see its ``--help``."""

    data: str
    model: str
    classes: str | None
    where: Sequence[str]
    group: str | None
    events: bool
    collar: float | None
    predictions: str | None
    json: bool


def run(args: argparse.Namespace) -> int:
    """Score every clip, compare, print; 1 if clips could not be read."""
    options = options_of(EvaluateOptions, args)
    if options.collar is not None and not options.events:
        raise ArgumentError("--collar is about events: give --events as well")
    bundle = load_classes(options.model, options.classes)
    reading = reading_of(options, bundle.front)
    if options.events:
        return run_events(options, bundle, reading)
    clips = read_manifest(options.data, parse_where(options.where), reading, bundle.rate)
    check_labels(options.data, labels_of(clips), bundle)
    scored: list[ScoredClip] = []
    with show_progress("evaluate", len(clips)) as progress:
        for result in score_clips(bundle, clips, reading):
            if isinstance(result, AudioError):
                progress.finished(0.0, str(result))
            else:
                progress.finished(result.seconds)
                scored.append(result)
    if not scored:
        raise DatasetError(f"{options.data}: none of the {len(clips)} clips could be read")
    if options.predictions:
        write_predictions(options.predictions, scored, bundle.labels)
    found = evaluate_clips(bundle, scored, options.group)
    print(json.dumps(found.as_dict(), indent=1) if options.json else as_text(found))
    return 1 if progress.failed else 0


def run_events(options: EvaluateOptions, bundle: Bundle, reading: SignalReadOptions) -> int:
    """Find events in whole recordings, compare with annotations, print."""
    for name in ("predictions", "group", "labels"):
        if getattr(options, name):
            raise ArgumentError(f"--{name} is about clips, and --events about recordings")
    truth = read_annotated(options.data, parse_where(options.where), bundle.front)
    check_labels(options.data, sorted({e.label for r in truth for e in r.events}), bundle)
    heard: list[Detected] = []
    with show_progress("evaluate", len(truth)) as progress:
        for recording in truth:
            try:
                heard.append(detect(bundle, recording, reading))
                progress.finished(heard[-1].seconds)
            except AudioError as error:
                progress.finished(0.0, str(error))
    if not heard:
        raise DatasetError(f"{options.data}: none of the {len(truth)} recordings could be read")
    collar = default_collar(bundle.window) if options.collar is None else options.collar
    found = evaluate_detection(heard, bundle.labels, collar)
    print(json.dumps(found, indent=1) if options.json else events_as_text(found))
    return 1 if progress.failed else 0


def events_as_text(found: dict[str, Any]) -> str:
    """Lay the figures of event detection out for reading."""
    alarms, shown = found["false_alarms"], found["overall"]
    gap = max(1, 7 - len(f"{found['collar']:g}") - 1)
    lines = [
        f"{found['recordings']} recordings, {found['hours']:.3f} h, {found['events']} annotated "
        f"events; {found['detected']} detected",
        f"segment F1 (1 s)         {_maybe(shown['segment_f1'])}",
        f"event F1 ({found['collar']:g} s collar){'':{gap}}{_maybe(shown['event_f1'])}",
        "PSDS 1, 2                "
        + (
            "needs two annotated labels"
            if found["psds_1"] is None
            else f"{found['psds_1']:8.3f}, {found['psds_2']:.3f}"
        ),
    ]
    if alarms:
        lines.append(
            f"false alarms per hour     {alarms['per_hour']:8.2f} (95 % bounds {alarms['low']:.2f} "
            f"to {alarms['high']:.2f}; {alarms['events']} in {alarms['hours']:,.3f} h without an "
            "annotated event)"
        )
    if found["collar"] != COLLAR:
        strict = _maybe(shown["event_f1_dcase"]).strip()
        lines.append(
            f"With DCASE's collar of {COLLAR:g} s event F1 is {strict}: onsets "
            "are known to about half a window of the model, which is the collar here "
            "(--collar)."
        )
    width = max(5, *map(len, found["per_class"]))
    lines += ["", f"{'label':{width}}  events  segment F1  event F1  precision    recall"]
    for label, row in found["per_class"].items():
        lines.append(
            f"{label:{width}}  {row['events']:6}  {_maybe(row['segment_f1']):>10}  "
            f"{_maybe(row['event_f1'])}  {_maybe(row['event_precision']):>9}  "
            f"{_maybe(row['event_recall']):>8}"
        )
    return "\n".join(lines)


def _maybe(share: float | None) -> str:
    return percent(math.nan if share is None else share)


def check_labels(data: str, labels: Sequence[str], bundle: Bundle) -> None:
    """Refuse labels that the model does not know, before the work."""
    for label in labels:
        if label not in bundle.labels:
            raise DatasetError(
                f"{data}: label {label!r} is none of the model's"
                f"{did_you_mean(label, bundle.labels)}; it knows {_some(bundle.labels)} "
                "(leave others out with --where, or leave their label empty: then they are "
                "background)"
            )


def _some(labels: Sequence[str]) -> str:
    if len(labels) <= MANY:
        return ", ".join(labels)
    return f"{', '.join(labels[:8])} ... ({len(labels):,}; audiocnn info MODEL --json lists all)"


def write_predictions(path: str, scored: Sequence[ScoredClip], labels: Sequence[str]) -> None:
    """Write path, true label and a column of scores per label."""
    with csv_table(path, ["path", "label", *labels]) as write:
        for s in scored:
            write([s.clip.path, "|".join(s.clip.labels), *(f"{v:.6f}" for v in s.scores.tolist())])


def as_text(found: Evaluation) -> str:
    """Lay the figures out for reading."""
    lines = [f"{found.clips} clips with a label, {found.backgrounds} without"]
    if found.clips:
        lines += [
            f"accuracy                 {percent(found.accuracy)} {_between(found.accuracy_bounds)}",
            f"accuracy with rejection  {percent(found.accuracy_with_rejection)}",
            f"rejected                 {percent(found.rejected)}",
            f"macro F1                 {percent(found.macro_f1)}",
            f"mean average precision   {percent(found.mean_average_precision)}",
            f"event of its label       {percent(found.events_found)} "
            f"{_between(found.events_found_bounds)}",
            *_reliability(found),
        ]
    if found.group_bounds:
        lines.append("95 % bounds by drawing groups:")
        for name, bounds in found.group_bounds.items():
            lines.append(f"  {name.replace('_', ' '):23}{_between(bounds)}")
    if found.false_alarms:
        lines += _alarms(found, found.false_alarms)
    if found.clips:
        lines += _per_class(found) + _confusion(found)
    return "\n".join(lines)


def _reliability(found: Evaluation) -> list[str]:
    if found.reliability is None:
        return [f"calibration error        {percent(found.calibration_error)}"]
    r = found.reliability
    return [
        f"calibration error        {percent(r.error)} (not calibrated: "
        f"{percent(r.error_before).strip()})",
        f"Brier score              {r.brier:8.4f} (not calibrated: {r.brier_before:.4f})",
        "best score, and how often it is right (95 % bounds):",
        *(f"  {b.low:.1f} to {b.high:.1f}  {b.n:5} clips  mean {b.confidence:.2f}"
          f"  right {percent(b.right)} {_between(b.right_bounds)}" for b in r.bins),
    ]  # fmt: skip


def _confusion(found: Evaluation) -> list[str]:
    confused = sorted(
        ((n, true, said) for true, row in found.confusion.items() for said, n in row.items()
         if said != true), key=lambda row: (-row[0], row[1], row[2]))  # fmt: skip
    if not confused:
        return []
    return ["", "most often taken for another:"] + [
        f"  {n:4} of {found.per_class[true].n:4} {true} as {said}"
        for n, true, said in confused[:10]
    ]


def _per_class(found: Evaluation) -> list[str]:
    shown = found.per_class
    if len(shown) > MANY:  # of hundreds of classes, those that there are clips of
        shown = {label: figures for label, figures in shown.items() if figures.n}
    width = max(5, *map(len, shown))
    lines = ["", f"{'label':{width}}  clips  precision    recall        F1  average precision"]
    for label, f in shown.items():
        lines.append(
            f"{label:{width}}  {f.n:5}  {percent(f.precision):>9}  {percent(f.recall)}  "
            f"{percent(f.f1)}  {percent(f.average_precision):>17}"
        )
    if left := len(found.per_class) - len(shown):
        lines.append(f"and {left:,} classes of which there are no clips")
    return lines


def _alarms(found: Evaluation, alarms: FalseAlarms) -> list[str]:
    rate, (low, high) = alarms.rate, alarms.active_bounds
    return [
        f"without a label: an event in {found.background_alarms} of {found.backgrounds} clips; "
        f"none, as is right, in {percent(found.none_of_these).strip()} "
        f"{_between(found.none_of_these_bounds)}",
        f"false alarms per hour     {rate.per_hour:8.2f} (95 % bounds {rate.low:.2f} to "
        f"{rate.high:.2f}); {alarms.claim}",
        f"time active              {100 * alarms.active:6.2f} % (95 % bounds {100 * low:.2f} to "
        f"{100 * high:.2f})",
    ]


def _between(bounds: tuple[float, float]) -> str:
    return f"(95 % bounds {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"


def percent(share: float) -> str:
    """Write a share for reading; a dash where there is none."""
    return "       -" if math.isnan(share) else f"{100 * share:6.1f} %"
