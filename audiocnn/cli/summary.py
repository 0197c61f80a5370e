"""`audiocnn summary`: a run by class, day and hour."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.run_summary import counted, coverage_text
from audiocnn.errors import ArgumentError
from audiocnn.labeling.finished_run import open_run
from audiocnn.labeling.summary import GROUPINGS, EmptyDays, Summary, summarize
from audiocnn.labeling.summary_page import check_picture, write_picture

BARS = " ▁▂▃▄▅▆▇█"
MOST_NAMED = 3  # classes beside a day or group


@dataclass(frozen=True)
class SummaryOptions:
    """Options of `audiocnn summary`; see its ``--help``."""

    run: str
    output: str | None
    timezone: str | None
    by: str | None
    clips: str | None
    json: bool


def run(args: argparse.Namespace) -> int:
    """Count, draw if asked to, and print."""
    options = options_of(SummaryOptions, args)
    clock = Clock(parse_zone(options.timezone) if options.timezone else None)
    if options.output:
        check_picture(Path(options.output))
    if options.clips and not (options.output or "").lower().endswith(".html"):
        raise ArgumentError("--clips are linked in a page: give -o FILE.html as well")
    found = open_run(options.run)
    events = None if found.from_ledger else found.events()
    results = found.results() if found.results else None
    summary = summarize(events, results, clock, GROUPINGS[options.by] if options.by else None)
    if options.output:
        title = " ".join([Path(options.run).name, _days(summary)])
        write_picture(
            summary, options.output, title,
            lines=list(headlines(summary, options.timezone)), by=options.by or "",
            clips=options.clips,
        )  # fmt: skip
        print(f"written: {options.output}", file=sys.stderr)
    if options.json:
        print(json.dumps(summary.as_dict(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(as_text(summary, options)))
    return 0


def headlines(summary: Summary, zone: str | None) -> Iterator[str]:
    """Give coverage, number of events, and the days with their time zone."""
    if summary.coverage:
        yield f"{coverage_text(summary.coverage)}; {summary.coverage.failed} failed"
    else:
        yield "no ledger beside it: which seconds were scored is not known"
    classes = "1 class" if len(summary.labels) == 1 else f"{len(summary.labels)} classes"
    yield f"{counted(summary.n_events, 'event')} of {classes}"
    if days := _days(summary):
        yield f"{days}, {f'in {zone}' if zone else 'as the names of the recordings have it'}"
    if summary.untimed:
        yield (
            f"{counted(summary.untimed, 'event')} without day and hour: the recordings' names do "
            "not tell when they began"
        )


def as_text(summary: Summary, options: SummaryOptions) -> Iterator[str]:
    """Lay a summary out for reading."""
    lines = list(headlines(summary, options.timezone))
    yield from (*lines[:2], "", *lines[2:])
    days = summary.days()
    width = max(5, *map(len, summary.labels)) if summary.labels else 5
    if days:
        yield f"{'':{width}}  {'':>42}  0     6     12    18"
    yield f"{'label':{width}}  {'events':>9}  {'seconds':>12}  {'recordings':>10}  {'best':>5}"
    for label, found in summary.labels.items():
        best = "" if found.best is None else f"{found.best:.2f}"
        line = f"{found.events:9,}  {found.seconds:12,.1f}  {found.recordings:10,}  {best:>5}"
        yield f"{label:{width}}  {line}  {bars(found.by_hour())}".rstrip()
    if options.by:
        yield ""
        yield from by_group(summary, options.by)
    if days:
        yield ""
        yield from by_day(summary)


def by_day(summary: Summary) -> Iterator[str]:
    """Lay out the days: hours scored, number of events, and the most frequent classes."""
    counts: dict[str, dict[str, int]] = {}
    for label, found in summary.labels.items():
        for name, n in found.by_day().items():
            counts.setdefault(name, {})[label] = n
    scored = summary.coverage.by_day() if summary.coverage else {}
    yield f"{'day':10}  {'hours scored':>12}  {'events':>9}  most"
    for day in summary.days():
        if isinstance(day, EmptyDays):
            yield f"{'':10}  {day.n} days without recordings, from {day.first.isoformat()} on"
            continue
        of = counts.get(day.isoformat(), {})
        hours = f"{scored.get(day.isoformat(), 0) / 3600:.2f}" if summary.coverage else ""
        line = f"{hours:>12}  {sum(of.values()):9,}  {most_frequent(of)}"
        yield f"{day.isoformat()}  {line}".rstrip()


def by_group(summary: Summary, by: str) -> Iterator[str]:
    """Lay out the groups: recordings, hours scored, events, and the most frequent classes."""
    width = max(len(by), *map(len, summary.groups)) if summary.groups else len(by)
    yield f"{by:{width}}  {'recordings':>10}  {'hours scored':>12}  {'events':>9}  most"
    for name, group in summary.groups.items():
        recordings, hours = "", ""
        if group.coverage:
            recordings = f"{group.coverage.recordings:,}"
            hours = f"{group.coverage.scored / 3600:.2f}"
        of = {label: found.events for label, found in group.labels.items()}
        line = f"{recordings:>10}  {hours:>12}  {group.n_events:9,}  {most_frequent(of)}"
        yield f"{name:{width}}  {line}".rstrip()


def most_frequent(counts: dict[str, int]) -> str:
    """Name the most frequent classes with their numbers."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{label} {n:,}" for label, n in ordered[:MOST_NAMED])
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return named + more


def bars(values: Sequence[float]) -> str:
    """Draw values as blocks, a character each; anything above zero is visible."""
    most = max(values, default=0)
    return "".join(BARS[0 if not v else max(1, round(v / most * (len(BARS) - 1)))] for v in values)


def _days(summary: Summary) -> str:
    days = [day for day in summary.days() if isinstance(day, date)]
    if not days:
        return ""
    first, last = days[0].isoformat(), days[-1].isoformat()
    return first if first == last else f"{first} to {last}"
