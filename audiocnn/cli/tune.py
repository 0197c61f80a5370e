"""`audiocnn tune`: a model's rules for a budget of false alarms, in a new bundle."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiocnn.cli.evaluate import check_labels
from audiocnn.cli.paths import reading_of
from audiocnn.cli.progress import Progress, show_progress
from audiocnn.datasets.manifest import Clip, labels_of, parse_where, read_manifest
from audiocnn.errors import ArgumentError, AudioError, DatasetError
from audiocnn.evaluation.holdout import background_clips, chosen_half
from audiocnn.evaluation.network_calibration import calibrate_network, is_calibrated
from audiocnn.evaluation.threshold_search import clip_seconds
from audiocnn.evaluation.tuning import Half, Tuned, tune
from audiocnn.evaluation.window_logits import (
    WindowLogits,
    clips_logits,
    concatenate,
    select_segments,
)
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import check_free, extra_files, save
from audiocnn.inference.installed import folder_of
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.zoo.class_selection import load_classes

SECTION = "\n## Rules for a budget of false alarms\n"


def run(args: argparse.Namespace) -> int:
    """Score once, choose, measure, write; 1 if recordings could not be read."""
    if not 0 < args.false_alarms < math.inf:
        raise ArgumentError(f"--false-alarms must be above 0 per hour, got {args.false_alarms:g}")
    source = folder_of(args.model)
    if Path(args.output).resolve() == source.resolve():
        raise ArgumentError(f"-o {args.output} is the model itself: give the new one a folder")
    check_free(args.output, overwrite=args.overwrite)
    bundle = load_classes(args.model, args.classes)
    reading = reading_of(args, bundle.front)
    found = read_manifest(args.data, parse_where(args.where), reading, bundle.rate)
    clips = [clip for clip in found if clip.labels]
    check_labels(args.data, labels_of(clips), bundle)
    others = background_clips(args.background, parse_where(args.background_where), bundle.front)
    split = parse_where(args.split)
    check_split(split, clips, others)
    with show_progress("tune", len(clips) + len(others)) as progress:
        examples = hear_all(bundle, clips, args.data, progress, reading)
        background = hear_all(bundle, others, args.background, progress, reading)
    rng = np.random.default_rng(args.seed)
    halves = [in_halves(heard, split, args.group, rng) for heard in (background, examples)]
    if not is_calibrated(bundle):
        bundle = calibrate_network(bundle, halves[0][0], halves[1][0])
    tuned = tune(bundle, halves[0], halves[1], args.false_alarms)
    write_tuned(bundle, tuned, source, Path(args.output))
    print(json.dumps(tuned.as_dict(), indent=1) if args.json else as_text(tuned))
    print(f"written: {args.output}", file=sys.stderr)
    return 1 if progress.failed else 0


def check_split(
    split: Mapping[str, Collection[str]], clips: Sequence[Clip], others: Sequence[Clip]
) -> None:
    """Refuse a column that neither table has."""
    for column in split:
        if not any(all(column in clip.columns for clip in table) for table in (clips, others)):
            raise ArgumentError(
                f"--split {column}=...: neither the labelled clips nor the background have a "
                f"column {column!r}"
            )


def hear_all(
    bundle: Bundle,
    clips: Sequence[Clip],
    where: str,
    progress: Progress,
    reading: SignalReadOptions,
) -> WindowLogits:
    """Score all clips, saying which could not be read."""
    parts: list[WindowLogits] = []
    for result in clips_logits(bundle, clips, reading):
        if isinstance(result, AudioError):
            progress.finished(0.0, str(result))
        else:
            progress.finished(sum(float(part.ends[-1] - part.begins[0]) for part in result))
            parts += result
    if not parts:
        raise DatasetError(f"{where}: none of the {len(clips)} recordings could be read")
    return concatenate(parts)


def in_halves(
    heard: WindowLogits, split: Mapping[str, Collection[str]], group: str | None,
    rng: np.random.Generator,
) -> tuple[WindowLogits, WindowLogits]:  # fmt: skip
    """Part what was heard into the half to choose on and the half to report on."""
    half = chosen_half(heard.clips, clip_seconds(heard), split, group, rng)
    return select_segments(heard, half), select_segments(heard, ~half)


def write_tuned(bundle: Bundle, tuned: Tuned, source: Path, out: Path) -> None:
    """Write the bundle with its new rules; the card says what was chosen and measured."""
    described = tuned.as_dict()
    new = replace(
        bundle, rules=dict(tuned.rules), card={**bundle.card, "tuned": described}, name=out.name
    )
    readme = (source / "README.md").read_text(encoding="utf-8")
    text = readme.partition(SECTION)[0].rstrip() + "\n" + SECTION + card_text(tuned)
    save(new, out, readme=text, **extra_files(source))


def card_text(tuned: Tuned) -> str:
    """Say it in the model card; what stands above it was measured with other rules."""
    return (
        "\nChosen by `audiocnn tune` on one half of a background and of labelled clips, measured "
        "on the other half, which shares no source with the first. Figures further up that "
        "concern events were measured with the rules from before.\n\n"
        f"```\n{as_text(tuned)}\n```\n"
    )


def as_text(tuned: Tuned) -> str:
    """Lay the outcome out for reading."""
    width = max(5, *map(len, tuned.rules))
    lines = [
        f"budget: {tuned.budget:g} false alarms per hour, over all labels",
        tuned.verdict,
        "",
        f"{'half':14}  {'hours':>6}  alarms  {'per hour (95 % CI)':28}  recall (95 % bounds)",
    ]
    for name, half in (
        ("before", tuned.before), ("chosen on", tuned.chosen), ("measured on", tuned.measured),
    ):  # fmt: skip
        lines.append(f"{name:14}  {half_text(half)}")
    lines += ["", f"{'label':{width}}     on    off  smooth  length  alarms  recall, measured on"]
    for label, rule in tuned.rules.items():
        found, n = tuned.measured.found_by_label[label]
        lines.append(
            f"{label:{width}}  {rule.on:5.4g}  {rule.off:5.3f}  {rule.smooth:6.2f}  "
            f"{rule.min_length:6.2f}  {tuned.measured.alarms_by_label[label]:6}  {found} of {n}"
        )
    if tuned.measured.most_alarms:
        lines += ["", "heard wrongly, in the half measured on:"]
        lines += [
            f"  {row['events']:3} {row['label']:{width}} {row['score']:.3f} at "
            f"{row['start']:8.2f} s  {row['path']}"
            for row in tuned.measured.most_alarms
        ]
    return "\n".join(lines)


def half_text(half: Half) -> str:
    """Lay the figures of a half out in a line."""
    rate, (low, high) = half.alarms.rate, half.recall_bounds
    an_hour = f"{rate.per_hour:.2f} ({rate.low:.2f} to {rate.high:.2f})"
    recall = "-" if math.isnan(half.recall) else f"{100 * half.recall:.1f} %"
    return (
        f"{half.alarms.hours:6.2f}  {half.alarms.events:6}  {an_hour:28}  {recall} "
        f"({100 * low:.1f} to {100 * high:.1f}) of {half.clips} clips"
    )
