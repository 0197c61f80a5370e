"""`audiocnn diff`: two models over the same recordings, event by event."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, gather, reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.cli.tables import csv_table
from audiocnn.datasets.manifest import Clip, parse_where, read_manifest
from audiocnn.errors import ArgumentError, AudioError, DatasetError
from audiocnn.evaluation.model_diff import Compared, Pair, Summary, compare_clip, summarize
from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.events import Event
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.io.signals.discovery import lists_recordings
from audiocnn.io.signals.series import series_in

SHOWN = 20  # recordings
COLUMNS = ("path", "label", "verdict", "right", "start_a", "end_a", "score_a", "start_b", "end_b",
           "score_b")  # fmt: skip
VERDICTS = ("same", "scored", "moved", "A", "B", "A alone knows", "B alone knows")


@dataclass(frozen=True, kw_only=True)
class DiffOptions(ReadingOptions):
    """Options of `audiocnn diff`; see its ``--help``."""

    a: str
    b: str
    paths: Sequence[str]
    where: Sequence[str]
    overlap: float
    output: str | None
    json: bool


def run(args: argparse.Namespace) -> int:
    """Compare, and list disagreements; 1 if recordings could not be read."""
    options = options_of(DiffOptions, args)
    if not 0 <= options.overlap <= 1:
        raise ArgumentError(f"--overlap is a share, 0 to 1, got {options.overlap:g}")
    a, b = load(options.a), load(options.b)
    if a.front.sound != b.front.sound:
        raise ArgumentError(
            f"{options.a} and {options.b}: one is a model of sound, the other of another signal: "
            "they have no recording in common"
        )
    if not set(a.labels) & set(b.labels):
        raise ArgumentError(
            f"{options.a} and {options.b} have no label in common: there is nothing to compare"
        )
    reading = reading_of(options, a.front)
    clips, labelled, missing = choose_clips(options, (a, b), reading)
    results: list[Compared] = []
    with show_progress("diff", len(clips)) as progress:
        for problem in missing:
            progress.failed += 1
            progress.say(f"audiocnn diff: {problem}")
        for clip in clips:
            try:
                result = compare_clip(
                    a, b, clip, labelled=labelled, overlap=options.overlap, reading=reading
                )
            except AudioError as error:
                progress.finished(0.0, str(error))
                continue
            results.append(result)
            progress.finished(0.0)
    if not results:
        raise DatasetError(f"none of the {len(clips)} recordings could be read")
    results.sort(key=lambda result: (-result.disagreement, str(result.clip.path)))
    if options.output:
        write_pairs(options.output, results)
    found = summarize(results)
    if options.json:
        print(json.dumps(as_dict(options, a, b, found, results, labelled), indent=1))
    else:
        print(as_text(options, a, b, found, results, labelled))
    return 1 if progress.failed else 0


def choose_clips(
    options: DiffOptions, bundles: Sequence[Bundle], reading: SignalReadOptions
) -> tuple[list[Clip], bool, list[str]]:
    """List clips, whether their labels are known, and what was not found.

    One CSV, one folder with a clips.csv, or one whose folders are named like labels that a
    model has, is a dataset with labels; other paths are recordings without.
    """
    paths, front = options.paths, bundles[0].front
    if len(paths) == 1 and (reading.labels or _is_dataset(Path(paths[0]), bundles)):
        found = read_manifest(paths[0], parse_where(options.where), reading, front.rate)
        return found, True, []
    if options.where:
        raise ArgumentError("--where chooses rows of a CSV: give one CSV, or a folder with one")
    recordings = gather(paths, front)
    return [Clip(Path(path), ()) for path in recordings.paths], False, list(recordings.missing)


def _is_dataset(path: Path, bundles: Sequence[Bundle]) -> bool:
    if (path / "clips.csv").exists():
        return True
    if path.suffix.lower() == ".csv":
        return bundles[0].front.sound or lists_recordings(path)
    if path.is_file() and (series := series_in(path)) is not None:
        return series[1] is not None
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()} if path.is_dir() else set()
    known = {label for bundle in bundles for label in bundle.labels}
    return len(folders) >= 2 and folders <= known


def write_pairs(path: str, results: Sequence[Compared]) -> None:
    """Write every event, which model found it, and whether it is right."""
    with csv_table(path, COLUMNS) as write:
        for result in results:
            for pair in result.pairs:
                write([result.clip.path, pair.label, _verdict(pair),
                       "" if pair.right is None else "yes" if pair.right else "no",
                       *_cells(pair.a), *_cells(pair.b)])  # fmt: skip


def _verdict(pair: Pair) -> str:
    return f"{pair.verdict} alone knows" if pair.foreign else pair.verdict


def _cells(event: Event | None) -> list[str]:
    if event is None:
        return ["", "", ""]
    return [f"{value:.6f}" for value in (event.start, event.end or 0.0, event.score or 0.0)]


def as_dict(
    options: DiffOptions, a: Bundle, b: Bundle, found: Summary, results: Sequence[Compared],
    labelled: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the outcome as plain values, for JSON."""
    rows = [
        {
            "path": str(result.clip.path),
            "labels": list(result.clip.labels) if labelled else None,
            "seconds_apart": round(result.disagreement, 3),
            "right_a": result.right_a,
            "right_b": result.right_b,
            "events": [
                {"label": pair.label, "verdict": _verdict(pair), "right": pair.right,
                 "a": _plain(pair.a), "b": _plain(pair.b)}
                for pair in result.pairs
            ],
        }
        for result in results
    ]  # fmt: skip
    out: dict[str, Any] = {"a": options.a, "b": options.b, "recordings": found.recordings}
    out |= {"only_a_knows": [label for label in a.labels if label not in b.labels]}
    out |= {"only_b_knows": [label for label in b.labels if label not in a.labels]}
    out |= {"events": found.verdicts}
    if labelled:
        out["right"] = {"both": found.both_right, "only_a": found.only_a, "only_b": found.only_b,
                        "neither": found.neither, "p_value": round(found.p_value, 4)}  # fmt: skip
    return out | {"by_recording": rows}


def _plain(event: Event | None) -> dict[str, float] | None:
    if event is None:
        return None
    return {"start": round(event.start, 6), "end": round(event.end or 0.0, 6),
            "score": round(event.score or 0.0, 6)}  # fmt: skip


def as_text(
    options: DiffOptions, a: Bundle, b: Bundle, found: Summary, results: Sequence[Compared],
    labelled: bool,
) -> str:  # fmt: skip
    """Lay the outcome out for reading."""
    lines = [f"A: {options.a}", f"B: {options.b}", f"{found.recordings} recordings"]
    for name, own, other in (("A", a, b), ("B", b, a)):
        if alone := [label for label in own.labels if label not in other.labels]:
            lines.append(f"{name} alone knows: {', '.join(alone)}")
    if labelled:
        lines.append(
            f"right: both {found.both_right}, only A {found.only_a}, only B {found.only_b}, "
            f"neither {found.neither} (as uneven as this by chance: p = {found.p_value:.3g})"
        )
    kinds = [v for v in VERDICTS if any(v in of for of in found.verdicts.values())]
    heads = {"A": "only A", "B": "only B", "scored": "other score", "moved": "other times"}
    width = max([5, *map(len, found.verdicts)])
    lines += ["", f"{'label':{width}}" + "".join(f"  {heads.get(k, k):>11}" for k in kinds)]
    for label, of in found.verdicts.items():
        lines.append(f"{label:{width}}" + "".join(f"  {of.get(k, 0):11}" for k in kinds))
    differing = [result for result in results if result.disagreement > 0]
    if differing:
        most = "" if len(differing) == 1 else "; those that differ most"
        differ = (
            "1 recording differs" if len(differing) == 1 else f"{len(differing)} recordings differ"
        )
        lines += ["", f"{differ}{most}:"]
    for result in differing[:SHOWN]:
        lines.append(f"{result.clip.path}{_truth(result, labelled)}")
        lines += [f"    {_line(pair, width)}" for pair in result.pairs
                  if pair.verdict not in ("same", "scored")]  # fmt: skip
    if len(differing) > SHOWN:
        where = options.output or "use -o CSV or --json for all"
        lines.append(f"and {len(differing) - SHOWN} more: {where}")
    return "\n".join(lines)


def _truth(result: Compared, labelled: bool) -> str:
    if not labelled:
        return ""
    who = {(True, True): "both are right", (True, False): "A is right",
           (False, True): "B is right", (False, False): "neither is right"}  # fmt: skip
    truth = "|".join(result.clip.labels) or "nothing"
    return f"  ({truth}: {who[bool(result.right_a), bool(result.right_b)]})"


def _line(pair: Pair, width: int) -> str:
    sides = [
        f"{name} {event.start:8.2f} to {event.end or 0.0:8.2f} ({event.score or 0.0:.2f})"
        if event
        else f"{name} {'-':>27}"
        for name, event in (("A", pair.a), ("B", pair.b))
    ]
    return f"{pair.label:{width}}  {sides[0]}   {sides[1]}"
