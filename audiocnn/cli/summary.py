"""`audiocnn summary`: a run by class, day and hour."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.cli.run_summary import counted, duration
from audiocnn.labeling.finished_run import open_run
from audiocnn.labeling.summary import Heard, OfLabel, Summary, summarize
from audiocnn.labeling.summary_plot import check_picture, write_picture

BARS = " ▁▂▃▄▅▆▇█"
MOST_NAMED = 3  # classes beside a day


def run(args: argparse.Namespace) -> int:
    """Count, draw if asked to, and print."""
    clock = Clock(parse_zone(args.timezone) if args.timezone else None)
    if args.output:
        check_picture(Path(args.output))
    found = open_run(args.run)
    events = None if found.from_ledger else found.events()
    summary = summarize(events, found.results() if found.results else None, clock)
    if args.output:
        write_picture(summary, args.output, " ".join([Path(args.run).name, _days(summary)]))
        print(f"written: {args.output}", file=sys.stderr)
    if args.json:
        print(json.dumps(summary.as_dict(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(as_text(summary, args.timezone)))
    return 0


def as_text(summary: Summary, zone: str | None = None) -> Iterator[str]:
    """Lay a summary out for reading."""
    if summary.heard:
        yield heard_in_words(summary.heard)
    else:
        yield "no ledger beside it: what was heard is not known"
    n_events = sum(found.events for found in summary.labels.values())
    yield f"{counted(n_events, 'event')} of {len(summary.labels)} classes"
    yield ""
    if days := _days(summary):
        yield f"{days}, {f'in {zone}' if zone else 'as the names of the recordings have it'}"
    if summary.untimed:
        yield (
            f"{counted(summary.untimed, 'event')} without day and hour: the recordings' names do "
            "not say when they began"
        )
    width = max(5, *map(len, summary.labels)) if summary.labels else 5
    if days:
        yield f"{'':{width}}  {'':>42}  0     6     12    18"
    yield f"{'label':{width}}  {'events':>9}  {'seconds':>12}  {'recordings':>10}  {'best':>5}"
    for label, found in summary.labels.items():
        best = "" if found.best is None else f"{found.best:.2f}"
        line = f"{found.events:9,}  {found.seconds:12,.1f}  {found.recordings:10,}  {best:>5}"
        yield f"{label:{width}}  {line}  {bars(found.by_hour())}".rstrip()
    if days:
        yield ""
        yield from by_day(summary)


def by_day(summary: Summary) -> Iterator[str]:
    """Lay out the days: how much was heard, how many events, and of what most."""
    counts: dict[str, dict[str, int]] = {}
    for label, found in summary.labels.items():
        for day, n in OfLabel.by_day(found).items():
            counts.setdefault(day, {})[label] = n
    heard = summary.heard.by_day() if summary.heard else {}
    yield f"{'day':10}  {'hours heard':>11}  {'events':>9}  most"
    for date in summary.days():
        day = date.isoformat()
        of = sorted(counts.get(day, {}).items(), key=lambda item: (-item[1], item[0]))
        hours = f"{heard.get(day, 0) / 3600:.2f}" if summary.heard else ""
        most = ", ".join(f"{label} {n:,}" for label, n in of[:MOST_NAMED])
        more = f" and {len(of) - MOST_NAMED} more" if len(of) > MOST_NAMED else ""
        yield f"{day}  {hours:>11}  {sum(n for _, n in of):9,}  {most}{more}".rstrip()


def heard_in_words(heard: Heard) -> str:
    """Say what was heard and what not, and why."""
    skipped = "".join(
        f", {duration(seconds)} skipped ({reason})" for reason, seconds in heard.skipped.items()
    )
    return (
        f"{counted(heard.recordings, 'recording')}, {duration(heard.seconds)}: "
        f"{duration(heard.scored)} scored{skipped}; {heard.failed} failed"
    )


def bars(values: Sequence[float]) -> str:
    """Draw values as blocks, a character each; anything above none shows."""
    most = max(values, default=0)
    return "".join(BARS[0 if not v else max(1, round(v / most * (len(BARS) - 1)))] for v in values)


def _days(summary: Summary) -> str:
    days = summary.days()
    if not days:
        return ""
    first, last = days[0].isoformat(), days[-1].isoformat()
    return first if first == last else f"{first} to {last}"
