"""`audiocnn models`: what ships, what is installed, what can be fetched."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiocnn.zoo.catalogue import Entry, list_models


def run(args: argparse.Namespace) -> int:
    """List models, or fetch, add or remove one; 1 if one is damaged."""
    actions: dict[str | None, Callable[[argparse.Namespace], int]] = {
        None: show, "get": get, "add": add, "remove": remove,
    }  # fmt: skip
    return actions[args.action](args)


def show(args: argparse.Namespace) -> int:
    """List all models; 1 if one is damaged."""
    entries = list_models(measure=args.measure)
    damaged = [entry for entry in entries if entry.error]
    if args.json:
        listed = {entry.name: asdict(entry) for entry in entries}
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        print("\n".join(as_table([entry for entry in entries if not entry.error])))
    for entry in damaged:
        print(f"audiocnn models: {entry.error}", file=sys.stderr)
    return 1 if damaged else 0


def as_table(entries: list[Entry]) -> Iterator[str]:
    """Lay the list out for reading."""
    rows = [("model", "", "classes", "size", "speed", "licence", "what")]
    for entry in entries:
        speed = f"{entry.times_real_time:,.0f} x" if entry.times_real_time else "-"
        rows.append((
            entry.name,
            entry.state,
            f"{entry.classes:,}" if entry.classes else "-",
            f"{entry.size / 1e6:.1f} MB",
            speed,
            f"{entry.licence}{' (!)' if entry.commercial_use is False else ''}",
            entry.title,
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for name, state, classes, size, speed, licence, title in rows:
        yield (
            f"{name:{widths[0]}}  {state:{widths[1]}}  {classes:>{widths[2]}}  "
            f"{size:>{widths[3]}}  {speed:>{widths[4]}}  {licence:{widths[5]}}  {title}"
        )
    yield ""
    if any(entry.state == "available" for entry in entries):
        yield "fetch one with: audiocnn models get NAME"
    yield "speed: times real time on one core of this machine; --measure measures it anew"
    if any(entry.commercial_use is False for entry in entries):
        yield "(!) this licence forbids commercial use"


def get(args: argparse.Namespace) -> int:
    """Fetch, convert, check and install a described network."""
    from audiocnn.zoo.install import install
    from audiocnn.zoo.registry import describe_network

    described = describe_network(args.name)
    terms = f"{described.licence.name}, {described.licence.holder}"
    if not described.licence.commercial:
        terms += "; commercial use is forbidden"
    print(f"{described.name}: {described.title}\nlicence: {terms}", file=sys.stderr)
    with shown_progress() as progress:
        installed = install(args.name, args.file, overwrite=args.overwrite, progress=progress)
    if not installed.new:
        print(f"{args.name} is installed already; --overwrite fetches it anew", file=sys.stderr)
    report(args.name, installed.folder, n_classes=described.n_classes)
    return 0


def add(args: argparse.Namespace) -> int:
    """Make an installed model of a network's file."""
    from audiocnn.zoo.add import Request
    from audiocnn.zoo.add import add as install_file
    from audiocnn.zoo.registry import Licence

    name = args.name or re.sub(r"[^a-z0-9._-]+", "-", Path(args.file).stem.lower()).strip("-.")
    known = args.licence != "not stated"
    licence = Licence(
        args.licence, False if args.non_commercial else (True if known else None), "not stated"
    )
    folder = install_file(
        Request(
            Path(args.file), name, args.sample_rate, args.window, args.hop,
            Path(args.labels) if args.labels else None, args.scores, args.embeddings,
            args.activation, args.gain, args.front, licence,
        ),
        overwrite=args.overwrite,
    )  # fmt: skip
    report(name, folder)
    return 0


def remove(args: argparse.Namespace) -> int:
    """Delete an installed model."""
    from audiocnn.zoo.install import remove as delete

    print(f"removed {delete(args.name)}", file=sys.stderr)
    return 0


def report(name: str, folder: Path, n_classes: int | None = None) -> None:
    """Say where a model is, what it costs, and how to go on."""
    from audiocnn.inference.bundle import load
    from audiocnn.zoo.cost import measure_cost

    bundle = load(folder, check=False)
    speed = measure_cost(bundle)
    print(folder)
    what = f"{len(bundle.labels):,} classes" if bundle.labels else "a backbone without classes"
    lines = [f"{name}: {what}, about {speed:,.0f} x real time on one core here"]
    if bundle.labels:
        lines.append(f"label with it: audiocnn label RECORDING --model {name} --table")
        lines.append("its scores are not calibrated until `audiocnn tune` or `audiocnn train`")
    if bundle.network.embeddings:
        lines.append(f"train on it:   audiocnn train DATA -o BUNDLE --backbone {name}")
    print("\n".join(lines), file=sys.stderr)


@contextlib.contextmanager
def shown_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each file that is downloaded, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), DownloadColumn(),
        TransferSpeedColumn(), console=Console(stderr=True), transient=True,
    ) as display:  # fmt: skip
        bars: dict[str, Any] = {}

        def update(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = display.add_task(name, total=total)
            display.update(bars[name], completed=done)

        yield update
