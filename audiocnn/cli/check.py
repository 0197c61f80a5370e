"""`audiocnn check`: the dataset doctor."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from audiocnn.cli.paths import reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.cli.run_summary import counted
from audiocnn.datasets.doctor.doctor import Report, check_dataset
from audiocnn.datasets.doctor.findings import Finding
from audiocnn.datasets.manifest import parse_where

SHOWN = 5  # files of a finding
WIDEST_TEXT = 60  # characters of a cell of prose
LONGEST_LINE = 10_000  # characters: no path is folded
COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def run(args: argparse.Namespace) -> int:
    """Examine, print what was found; 1 if any of it is an error."""
    with show_progress("check", 0) as progress:
        report = check_dataset(
            args.data,
            where=parse_where(args.where),
            group=args.group,
            predictions=args.predictions,
            cache=Path(args.cache) if args.cache else None,
            workers=args.workers,
            progress=progress.count,
            reading=reading_of(args),
        )
    if args.json:
        print(json.dumps(report.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(report, None if args.all else SHOWN)
    return 1 if report.has_errors else 0


def _print(report: Report, shown: int | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # In a pipe or a file, paths are not folded: programs and people search for them.
    console = Console(width=None if sys.stdout.isatty() else LONGEST_LINE, highlight=False)
    console.print(_size(report), markup=False)
    if not report.findings:
        console.print("nothing to complain about")
        return
    table = Table(show_lines=True, expand=False)
    for name in ("", "what", "where", "what to do"):
        table.add_column(name, overflow="fold", max_width=None if name == "where" else WIDEST_TEXT)
    for finding in report.findings:
        table.add_row(
            Text(f"{finding.severity}\n{finding.kind}", COLOURS[finding.severity]),
            Text(finding.message),
            Text(_where(finding, shown)),
            Text(finding.advice),
        )
    console.print(table)


def _size(report: Report) -> str:
    counts = report.classes.values()
    each = f", {min(counts)} to {counted(max(counts), 'recording')} each" if counts else ""
    classes = "1 class" if len(counts) == 1 else f"{len(counts)} classes"
    return (
        f"{counted(report.clips, 'clip')} with a label and {report.backgrounds:,} without, in"
        f" {counted(report.recordings, 'recording')}, {report.seconds / 60:.1f} minutes;"
        f" {classes}{each}"
    )


def _where(finding: Finding, shown: int | None) -> str:
    places = finding.places[:shown]
    lines = [f"{p.path}: {p.detail}" if p.detail else p.path for p in places]
    if len(places) < len(finding.places):
        lines.append(f"and {len(finding.places) - len(places)} more (--all, --json)")
    return "\n".join(lines)
