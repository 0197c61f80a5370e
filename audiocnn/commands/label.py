"""`audiocnn label`: recordings to events."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audiocnn.annotations import format_events
from audiocnn.audio import find_recordings
from audiocnn.bundle import Bundle, grid_of, load
from audiocnn.commands.tables import score_table
from audiocnn.commands.watch import Watch, watching
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.events import Event, EventRule
from audiocnn.labeling.cluster import connected
from audiocnn.labeling.nodes import Job, errand_of, label_on_cluster, model_files
from audiocnn.labeling.outputs import choose_output, common_folder, write_outputs
from audiocnn.labeling.recordings import Labeled, Taps, with_threshold
from audiocnn.labeling.remote import find_remote, is_url, label_anywhere
from audiocnn.start_times import Clock, parse_zone

WORTH_A_LINE = 1e-3  # seconds; less is no news


@dataclass
class Tally:
    """What the recordings gave together; nothing of any one of them is kept."""

    recordings: int = 0
    events: int = 0
    failed: int = 0
    padded: int = 0
    seconds: float = 0.0
    scored: float = 0.0
    skipped: dict[str, float] = field(default_factory=dict)

    def add(self, result: Labeled) -> None:
        """Add a recording."""
        self.recordings += 1
        self.events += len(result.events)
        self.failed += bool(result.error)
        self.padded += result.coverage.padded > WORTH_A_LINE
        self.seconds += result.coverage.seconds
        self.scored += result.coverage.scored
        for skipped in result.coverage.skipped:
            self.skipped[skipped.reason] = self.skipped.get(skipped.reason, 0) + skipped.seconds


def run(args: argparse.Namespace) -> int:
    """Label, write, and say what was and was not heard."""
    clock = clock_of(args)
    output = choose_output(args.output, args.format, clock) if args.output else None
    if args.cluster and (args.windows or args.frames):
        raise ArgumentError("--windows and --frames are written on one machine, not by a cluster")
    bundle = load(args.model)
    rules = None if args.threshold is None else with_threshold(bundle.rules, args.threshold)
    paths, missing = gather(args.paths)
    if output and output.format == "audacity" and not output.folder and len(paths) > 1:
        raise ArgumentError(
            f"{args.output}: Audacity labels belong to one recording, and there are {len(paths)}: "
            "name a folder with --format audacity, or write .csv, .jsonl or .selections.txt"
        )
    tell_rounding(bundle, args.hop)
    tally = Tally()
    shown = bool(args.output) or not sys.stdout.isatty()
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(watching("label", len(paths), shown=shown, graceful=True))
        for problem in missing:
            tally.add(Labeled("", error=problem))
            watch.say(f"audiocnn label: {problem}")
        results = find_results(args, bundle, rules, paths, watch, stack)
        told = watched(results, watch, tally)
        events = (event for result in told for event in result.events)
        if output:
            write_outputs(told, output, root=common_folder(paths))
        elif args.table:
            print_table(events, bundle.labels, several=len(paths) > 1)
        else:
            form = "jsonl" if args.json else "csv"
            sys.stdout.writelines(format_events(events, form, clock=clock))
    sys.stdout.flush()
    print(summary(tally, watch), file=sys.stderr)
    return 130 if watch.interrupted else 1 if tally.failed else 0


def find_results(
    args: argparse.Namespace, bundle: Bundle, rules: Mapping[str, EventRule] | None,
    paths: Sequence[str], watch: Watch, stack: contextlib.ExitStack,
) -> Iterator[Labeled]:  # fmt: skip
    """Label, here or on a cluster; what that opens, the stack closes."""
    if args.cluster:
        ray = stack.enter_context(connected(args.cluster))
        job = Job(model_files(args.model), args.hop, rules)
        found = label_on_cluster(ray, job, map(errand_of, paths), tick=watch.tick)
        return in_order(paths, found)
    windows = stack.enter_context(score_table(args.windows, bundle.labels))
    frames = stack.enter_context(score_table(args.frames, bundle.labels))
    label = functools.partial(
        label_anywhere, bundle, hop=args.hop, rules=rules, taps=Taps(windows, frames, watch.heard)
    )
    return map(label, paths)


def clock_of(args: argparse.Namespace) -> Clock | None:
    """Say which wall-clock times were asked for."""
    if args.timezone:
        return Clock(parse_zone(args.timezone))
    return Clock() if args.times else None


def gather(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """List the recordings that are meant, each once, and say what was not found."""
    found: dict[str, None] = {}
    missing = []
    for path in paths:
        try:
            if is_url(path):
                found |= dict.fromkeys(remote.url for remote in find_remote(path))
            else:
                found |= dict.fromkeys(map(str, find_recordings([path])))
        except AudioError as error:
            missing.append(str(error))
    return list(found), missing


def in_order(paths: Iterable[str], results: Iterable[Labeled]) -> Iterator[Labeled]:
    """Hold results back until those of the recordings before them are there."""
    held: dict[str, Labeled] = {}
    left = iter(results)
    for path in paths:
        while path not in held:
            result = next(left)
            held[result.path] = result
        yield held.pop(path)


def watched(results: Iterator[Labeled], watch: Watch, tally: Tally) -> Iterator[Labeled]:
    """Pass results on, saying what is wrong with which recording."""
    while not watch.interrupted:
        try:
            result = next(results, None)
        except KeyboardInterrupt:  # what is done stays; the one it was at does not count
            return
        if result is None:
            return
        tally.add(result)
        watch.finished(result.coverage.seconds, result.error)
        for skipped in result.coverage.skipped:
            if skipped.reason in ("not finite", "unreadable") and skipped.seconds > WORTH_A_LINE:
                watch.say(
                    f"{result.path}: {skipped.seconds:.3f} s {skipped.reason}, "
                    f"from {skipped.first:.3f} s on"
                )
        yield result


def tell_rounding(bundle: Bundle, hop: float | None) -> None:
    """Say on stderr if window or hop had to be rounded to columns."""
    grid = grid_of(bundle, hop)
    asked = {"window": bundle.window, "hop": bundle.hop if hop is None else hop}
    rounded = [
        f"{name} {wanted:g} s is {getattr(grid, name):.4g} s"
        for name, wanted in asked.items()
        if abs(getattr(grid, name) - wanted) > WORTH_A_LINE
    ]
    if rounded:
        told = f"{', '.join(rounded)}: rounded to columns, {grid.period / grid.rate:g} s apart"
        print(told, file=sys.stderr)


def print_table(events: Iterable[Event], labels: Iterable[str], *, several: bool) -> None:
    """Lay events out for reading, as they come."""
    width = max(5, *map(len, labels))
    print(f"{'start':>9}  {'end':>9}  {'label':{width}}  score{'  path' if several else ''}")
    for event in events:
        assert event.end is not None, "find_events ends what it begins"
        source = f"  {event.source}" if several else ""
        times = f"{event.start:9.2f}  {event.end:9.2f}"
        print(f"{times}  {event.label:{width}}  {event.score or 0:5.2f}{source}")


def summary(tally: Tally, watch: Watch) -> str:
    """Say what was heard and what not, and why."""
    skipped = "".join(
        f", {duration(seconds)} skipped ({reason})" for reason, seconds in tally.skipped.items()
    )
    padded = f", {counted(tally.padded, 'recording')} padded to a window" if tally.padded else ""
    said = (
        f"{counted(tally.recordings, 'recording')}, {duration(tally.seconds)}: "
        f"{duration(tally.scored)} scored{skipped}{padded}; "
        f"{counted(tally.events, 'event')}, {tally.failed} failed"
    )
    if watch.interrupted:
        left = watch.total - watch.done
        return f"interrupted, with {counted(left, 'recording')} left; done: {said}"
    return said


def counted(n: int, what: str) -> str:
    """Say how many, in the right number."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Say how long, in seconds or hours."""
    return f"{seconds:.2f} s" if seconds < 600 else f"{seconds / 3600:.2f} h"
