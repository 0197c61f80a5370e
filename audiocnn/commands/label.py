"""`audiocnn label`: recordings to events."""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.annotations import format_events, format_of, write_events
from audiocnn.audio import find_recordings
from audiocnn.bundle import Bundle, grid_of, load
from audiocnn.errors import ArgumentError
from audiocnn.events import Event
from audiocnn.labeling.recordings import Labeled, TakeRows, label_recording, with_threshold

SKIP_NOTE = 1e-3  # seconds; less is no news


def run(args: argparse.Namespace) -> int:
    """Label, write, and say what was and was not heard."""
    if args.output:
        format_of(args.output)  # a wrong suffix is said before the work, not after it
    bundle = load(args.model)
    tell_rounding(bundle, args.hop)
    rules = None if args.threshold is None else with_threshold(dict(bundle.rules), args.threshold)
    paths = find_recordings(args.paths)
    results: list[Labeled] = []

    def events(windows: TakeRows | None, frames: TakeRows | None) -> Iterator[Event]:
        with progress(len(paths)) as step:
            for path in paths:
                result = label_recording(
                    bundle, path, hop=args.hop, rules=rules, on_windows=windows, on_frames=frames
                )
                results.append(result)
                step(result)
                yield from result.events

    with contextlib.ExitStack() as stack:
        windows = stack.enter_context(score_table(args.windows, bundle.labels))
        frames = stack.enter_context(score_table(args.frames, bundle.labels))
        found = events(windows, frames)
        if args.output:
            write_events(found, args.output)
        elif args.table:
            print_table(found, several=len(paths) > 1)
        else:
            for line in format_events(found, "jsonl" if args.json else "csv"):
                sys.stdout.write(line)
    return summarize(results, grid_of(bundle, args.hop).window)


def tell_rounding(bundle: Bundle, hop: float | None) -> None:
    """Say on stderr if window or hop had to be rounded to columns."""
    grid = grid_of(bundle, hop)
    if hop is not None and abs(grid.hop - hop) > SKIP_NOTE:
        period = grid.period / grid.rate
        print(
            f"hop rounded to {grid.hop:g} s: the model's columns are {period:g} s apart",
            file=sys.stderr,
        )


@contextlib.contextmanager
def score_table(path: str | None, labels: tuple[str, ...]) -> Iterator[TakeRows | None]:
    """Open a CSV of scores: path, start, end and a column per label; None for no path."""
    if path is None:
        yield None
        return
    target = Path(path)
    temporary = target.with_name(target.name + ".tmp")
    try:
        file: IO[str] = temporary.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror}") from error
    try:
        with file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", "start", "end", *labels])

            def take(name: str, times: NDArray[np.float64], values: NDArray[np.float32]) -> None:
                for begin, end, row in zip(*times, values.T, strict=True):
                    writer.writerow(
                        [name, f"{begin:.3f}", f"{end:.3f}", *(f"{v:.5f}" for v in row)]
                    )

            yield take
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def print_table(events: Iterator[Event], *, several: bool) -> None:
    """Lay events out for reading."""
    rows = list(events)
    width = max([len(e.label) for e in rows] + [5])
    print(f"{'start':>9}  {'end':>9}  {'label':{width}}  score")
    for e in rows:
        source = f"  {e.source}" if several else ""
        end = "" if e.end is None else f"{e.end:9.2f}"
        print(f"{e.start:9.2f}  {end:>9}  {e.label:{width}}  {e.score or 0:5.2f}{source}")


def summarize(results: list[Labeled], window: float) -> int:
    """Say on stderr what was heard, what not and why; 1 if anything failed."""
    failed = [r for r in results if r.error]
    for r in failed:
        kept = f" ({r.seconds:.1f} s before it were labelled)" if r.seconds else ""
        print(f"audiocnn label: {r.error}{kept}", file=sys.stderr)
    for r in results:
        if r.lost > SKIP_NOTE:
            print(f"{r.path}: {r.lost:.3f} s hold no finite samples: skipped", file=sys.stderr)
        if r.padded > SKIP_NOTE:
            print(f"{r.path}: shorter than a window of {window:g} s: padded", file=sys.stderr)
    seconds, scored = (sum(getattr(r, name) for r in results) for name in ("seconds", "scored"))
    print(
        f"{len(results)} recordings, {seconds:.1f} s, {scored:.1f} s scored, "
        f"{sum(len(r.events) for r in results)} events, {len(failed)} failed",
        file=sys.stderr,
    )
    return 1 if failed else 0


@contextlib.contextmanager
def progress(total: int) -> Iterator[Any]:
    """Show how far it is, on a terminal, when there is more than one recording."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda result: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    began, heard, failed = time.monotonic(), 0.0, 0
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total} {task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)

        def step(result: Labeled) -> None:
            nonlocal heard, failed
            heard, failed = heard + result.seconds, failed + bool(result.error)
            speed = heard / max(time.monotonic() - began, 1e-9)
            told = f"{heard / 3600:.2f} h, {speed:,.0f} x real time, {failed} failed"
            bar.update(task, advance=1, description=told)

        yield step
