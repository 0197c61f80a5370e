"""`audiocnn evaluate`: a model against labelled clips."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence

from audiocnn.bundle import Bundle, load
from audiocnn.commands.tables import csv_table
from audiocnn.commands.watch import watching
from audiocnn.errors import AudioError, DatasetError, did_you_mean
from audiocnn.evaluation import Evaluation
from audiocnn.labeling.clips import ScoredClip, evaluate_clips, score_clips
from audiocnn.manifest import labels_of, parse_where, read_manifest
from audiocnn.rates import FalseAlarms


def run(args: argparse.Namespace) -> int:
    """Score every clip, compare, print; 1 if clips could not be read."""
    bundle = load(args.model)
    clips = read_manifest(args.data, where=parse_where(args.where))
    check_labels(args.data, labels_of(clips), bundle)
    scored: list[ScoredClip] = []
    with watching("evaluate", len(clips)) as watch:
        for result in score_clips(bundle, clips):
            if isinstance(result, AudioError):
                watch.finished(0.0, str(result))
            else:
                watch.finished(result.seconds)
                scored.append(result)
    if not scored:
        raise DatasetError(f"{args.data}: none of the {len(clips)} clips could be read")
    if args.predictions:
        write_predictions(args.predictions, scored, bundle.labels)
    found = evaluate_clips(bundle, scored)
    print(json.dumps(found.as_dict(), indent=1) if args.json else as_text(found))
    return 1 if watch.failed else 0


def check_labels(data: str, labels: Sequence[str], bundle: Bundle) -> None:
    """Refuse labels that the model does not know, before the work."""
    for label in labels:
        if label not in bundle.labels:
            raise DatasetError(
                f"{data}: label {label!r} is none of the model's"
                f"{did_you_mean(label, bundle.labels)}; it knows {', '.join(bundle.labels)} "
                "(leave others out with --where, or leave their label empty: then they are "
                "background)"
            )


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
            f"calibration error        {percent(found.calibration_error)}",
        ]
    if found.false_alarms:
        lines += _alarms(found, found.false_alarms)
    return "\n".join([*lines, *(_per_class(found) if found.clips else [])])


def _per_class(found: Evaluation) -> list[str]:
    width = max(5, *map(len, found.per_class))
    lines = ["", f"{'label':{width}}  clips  precision    recall        F1  average precision"]
    for label, f in found.per_class.items():
        lines.append(
            f"{label:{width}}  {f.n:5}  {percent(f.precision):>9}  {percent(f.recall)}  "
            f"{percent(f.f1)}  {percent(f.average_precision):>17}"
        )
    return lines


def _alarms(found: Evaluation, alarms: FalseAlarms) -> list[str]:
    rate, (low, high) = alarms.rate, alarms.active_bounds
    return [
        f"without a label: an event in {found.background_alarms} of {found.backgrounds} clips",
        f"false alarms an hour     {rate.per_hour:8.2f} (95 % bounds {rate.low:.2f} to "
        f"{rate.high:.2f}); {alarms.claim}",
        f"time active              {100 * alarms.active:6.2f} % (95 % bounds {100 * low:.2f} to "
        f"{100 * high:.2f})",
    ]


def _between(bounds: tuple[float, float]) -> str:
    return f"(95 % bounds {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"


def percent(share: float) -> str:
    """Write a share for reading; a dash where there is none."""
    return "       -" if math.isnan(share) else f"{100 * share:6.1f} %"
