"""`audiocnn label`: recordings to events."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from audiocnn.annotations.formats import format_events
from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.cli.label_run import run_with_ledger
from audiocnn.cli.paths import gather, reading_of
from audiocnn.cli.progress import watching
from audiocnn.cli.run_summary import Tally, finish, tell_missing, watched
from audiocnn.cli.tables import score_table
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.inference.bundle import Bundle, grid_of, load
from audiocnn.inference.events import Event
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.label import Observers, with_threshold
from audiocnn.labeling.outputs import Output, choose_output, common_folder, write_outputs
from audiocnn.labeling.remote import is_url, label_anywhere

WORTH_A_LINE = 1e-3  # seconds; less is no news
OF_SOUND = frozenset({"audacity", "raven", "kaleidoscope"})


def run(args: argparse.Namespace) -> int:
    """Label, write, and say what was and was not heard."""
    clock = clock_of(args)
    output = choose_output(args.output, args.format, clock) if args.output else None
    streamed = bool(args.windows or args.frames)
    check_options(args, streamed)
    bundle = load(args.model, accelerator=args.accelerator)
    rules = bundle.rules
    if args.threshold is not None:
        rules = with_threshold(bundle.rules, args.threshold)
    reading = reading_of(args, bundle.front)
    check_sound(bundle, output)
    tell_rounding(bundle, args.hop)
    meant = gather(listed(args), bundle.front, args.include, args.exclude)
    paths = meant.paths
    if meant.missing and not paths:
        raise AudioError("; ".join(meant.missing))
    check_output(args, output, paths)
    if output and not streamed:
        return run_with_ledger(args, bundle, rules, output, meant, reading)
    tally = Tally()
    shown = bool(output) or not sys.stdout.isatty()
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(watching("label", len(paths), shown=shown, graceful=True))
        tell_missing(meant.missing, tally, watch)
        windows = stack.enter_context(score_table(args.windows, bundle.labels))
        frames = stack.enter_context(score_table(args.frames, bundle.labels))
        taps = Observers(windows, frames, watch.heard)
        label = functools.partial(
            label_anywhere, bundle, hop=args.hop, rules=rules, taps=taps, reading=reading
        )
        told = watched(map(label, paths), watch, tally)
        events = (event for result in told for event in result.events)
        if output:
            write_outputs(told, output, root=common_folder(paths))
        elif args.table:
            print_table(events, bundle.labels, several=len(paths) > 1)
        else:
            form = "jsonl" if args.json else "csv"
            sys.stdout.writelines(format_events(events, form, clock=clock))
    sys.stdout.flush()
    return finish(tally, watch)


def check_options(args: argparse.Namespace, streamed: bool) -> None:
    """Refuse what does not go together."""
    of_a_run = {
        "--workers": args.workers, "--cluster": args.cluster, "--retry": args.retry,
        "--restart": args.restart, "--by-content": args.by_content, "--ledger": args.ledger,
        "--only-write": args.only_write,
    }  # fmt: skip
    given = [name for name, value in of_a_run.items() if value]
    if given and streamed:
        raise ArgumentError(
            f"--windows and --frames are written by one process as it goes: not with {given[0]}"
        )
    if given and not args.output:
        raise ArgumentError(f"{given[0]} is for a run that is kept: give -o OUT as well")
    if args.format and not args.output:
        raise ArgumentError(
            "--format is of files: give -o FOLDER as well; on stdout events are CSV, --json or "
            "--table"
        )
    if args.workers is not None and args.workers < 1:
        raise ArgumentError(f"--workers must be at least 1, got {args.workers}")
    if args.workers and args.cluster:
        raise ArgumentError("--workers are of this machine, --cluster says the others: give one")
    if not args.paths and not args.list and not args.only_write:
        raise ArgumentError("nothing to label: name recordings, folders, or a --list of them")


def check_sound(bundle: Bundle, output: Output | None) -> None:
    """Refuse a form that is made to lie beside sound, for a model of other signals."""
    if output and output.format in OF_SOUND and not bundle.front.sound:
        raise ArgumentError(
            f"{output.path}: {output.format} labels are read beside sound, and {bundle.name} is a "
            "model of other signals: write .csv, .jsonl or .parquet"
        )


def check_output(args: argparse.Namespace, output: Output | None, paths: Sequence[str]) -> None:
    """Refuse a form that cannot hold so many recordings, and to write over one of them."""
    if output and output.format == "audacity" and not output.folder and len(paths) > 1:
        raise ArgumentError(
            f"{args.output}: Audacity labels belong to one recording, and there are {len(paths)}: "
            "name a folder with --format audacity, or write .csv, .jsonl or .selections.txt"
        )
    for name in ("output", "windows", "frames", "ledger"):
        out = getattr(args, name)
        if out and os.path.isfile(out):
            for path in paths:
                if not is_url(path) and os.path.samefile(out, RecordingRef.of(path).file):
                    raise ArgumentError(
                        f"--{name} {out} is a recording that is to be labelled: name another file"
                    )


def listed(args: argparse.Namespace) -> Iterator[str]:
    """Give the paths that were named: as arguments, in a file, on stdin."""
    yield from args.paths
    if args.list == "-":
        yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
    elif args.list:
        try:
            with open(args.list, encoding="utf-8", errors="surrogateescape") as file:
                yield from (line.rstrip("\r\n") for line in file if line.strip())
        except OSError as error:
            raise ArgumentError(f"--list {args.list} cannot be read: {error.strerror}") from error


def clock_of(args: argparse.Namespace) -> Clock | None:
    """Say which wall-clock times were asked for."""
    if args.timezone:
        return Clock(parse_zone(args.timezone))
    return Clock() if args.times else None


def tell_rounding(bundle: Bundle, hop: float | None) -> None:
    """Say on stderr if a hop that was asked for had to be rounded to columns."""
    grid = grid_of(bundle, hop)
    if hop is not None and abs(grid.hop - hop) > WORTH_A_LINE:
        told = f"hop {hop:g} s is {grid.hop:.4g} s: rounded to columns"
        print(f"{told}, {grid.period / grid.rate:g} s apart", file=sys.stderr)


def print_table(events: Iterable[Event], labels: Iterable[str], *, several: bool) -> None:
    """Lay events out for reading, as they come."""
    width = max(5, *map(len, labels))
    print(f"{'start':>9}  {'end':>9}  {'label':{width}}  score{'  path' if several else ''}")
    for event in events:
        assert event.end is not None, "find_events ends what it begins"
        source = f"  {event.source}" if several else ""
        times = f"{event.start:9.2f}  {event.end:9.2f}"
        print(f"{times}  {event.label:{width}}  {event.score or 0:5.2f}{source}")
