"""`audiocnn evaluate`: a model against labelled clips."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

from audiocnn.bundle import load
from audiocnn.errors import AudioError, DatasetError, did_you_mean
from audiocnn.evaluation import Evaluation, clip_score, evaluate
from audiocnn.labeling.recordings import score_clip
from audiocnn.manifest import Clip, labels_of, parse_where, read_manifest


def run(args: argparse.Namespace) -> int:
    """Score every clip, compare, print; 1 if clips could not be read."""
    bundle = load(args.model)
    clips = read_manifest(args.data, where=parse_where(args.where))
    for label in labels_of(clips):
        if label not in bundle.labels:
            hint = did_you_mean(label, bundle.labels)
            raise DatasetError(
                f"{args.data}: label {label!r} is none of the model's{hint}: "
                f"{', '.join(bundle.labels)}"
            )
    scores, heard, kept, failed = [], [], [], 0
    for clip in clips:
        try:
            values, audible, events = score_clip(bundle, clip.path, clip.start, clip.end)
        except AudioError as error:
            failed += 1
            print(f"audiocnn evaluate: {error}", file=sys.stderr)
            continue
        scores.append(clip_score(values, bundle.clip_score, audible))
        heard.append({event.label for event in events})
        kept.append(clip)
    if not kept:
        raise DatasetError(f"{args.data}: none of the {len(clips)} clips could be read")
    thresholds = [rule.on for rule in bundle.rules.values()]
    table = np.stack(scores)
    result = evaluate(table, [c.labels for c in kept], heard, bundle.labels, thresholds)
    if args.predictions:
        write_predictions(Path(args.predictions), kept, table, bundle.labels)
    print(json.dumps(result.as_dict(), indent=1) if args.json else as_text(result))
    return 1 if failed else 0


def write_predictions(
    path: Path, clips: list[Clip], scores: np.ndarray, labels: tuple[str, ...]
) -> None:
    """Write path, true label and a column of scores per label."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", *labels])
        for clip, row in zip(clips, scores, strict=True):
            writer.writerow([clip.path, "|".join(clip.labels), *(f"{v:.5f}" for v in row)])
    temporary.replace(path)


def as_text(result: Evaluation) -> str:
    """Lay the figures out for reading."""
    low, high = result.accuracy_bounds
    lines = [
        f"{result.clips} clips",
        f"accuracy                 {100 * result.accuracy:6.1f} %  "
        f"(95 % bounds {100 * low:.1f} to {100 * high:.1f})",
        f"accuracy with rejection  {100 * result.accuracy_with_rejection:6.1f} %",
        f"rejected                 {100 * result.rejected:6.1f} %",
        f"macro F1                 {100 * result.macro_f1:6.1f} %",
        f"event of its label       {100 * result.events_found:6.1f} %",
        f"calibration error        {100 * result.calibration_error:6.1f} %",
    ]
    if result.backgrounds:
        lines.append(
            f"backgrounds with an event  {result.background_alarms} of {result.backgrounds}"
        )
    width = max(len(label) for label in result.per_class)
    lines += ["", f"{'label':{width}}  clips  precision  recall     F1"]
    for label, f in result.per_class.items():
        lines.append(
            f"{label:{width}}  {f.n:5}  {100 * f.precision:8.1f}  {100 * f.recall:6.1f}  "
            f"{100 * f.f1:5.1f}"
        )
    return "\n".join(lines)
