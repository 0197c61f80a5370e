"""`audiocnn train`: a dataset to a bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiocnn.cli.paths import reading_of
from audiocnn.cli.report import write
from audiocnn.cli.run_summary import counted
from audiocnn.datasets.doctor.doctor import check_dataset
from audiocnn.datasets.manifest import parse_where
from audiocnn.errors import AudiocnnError

CHOICES = (
    "arch", "size", "window", "epochs", "batch", "learning_rate", "balance", "patience",
    "precision",
)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train, and say how it goes on stderr."""
    try:
        from audiocnn.training.train import train_bundle
    except ModuleNotFoundError as error:
        raise AudiocnnError(
            f"training needs {error.name}, which is not installed; run: "
            "pip install 'audiocnn[train]'"
        ) from error
    try:
        return _train(args, train_bundle)
    except KeyboardInterrupt:
        print(f"\nstopped; what is done is kept in {args.output}.run: the same command goes on "
              "from the last whole epoch", file=sys.stderr)  # fmt: skip
        raise


def _train(args: argparse.Namespace, train_bundle: Callable[..., Any]) -> int:
    chosen = {name: getattr(args, name) for name in CHOICES if getattr(args, name) is not None}
    with _showing() as (tell, watcher):
        bundle = train_bundle(
            args.data,
            args.output,
            where=parse_where(args.where),
            valid=parse_where([args.valid]) if args.valid else None,
            folds=args.folds,
            group=args.group,
            background=args.background,
            start=args.start,
            reviews=args.reviews,
            cache=args.cache,
            reading=reading_of(args),
            kind=args.front,
            seed=args.seed,
            overwrite=args.overwrite,
            devices=args.devices,
            log=args.log,
            progress=tell,
            watcher=watcher,
            **chosen,
        )
        if bundle is not None and not args.no_report:
            tell(f"report: {write(Path(args.output), findings=_findings(args, tell))}")
    if bundle is not None:  # else another process says it
        print(args.output)
    return 0


def _findings(args: argparse.Namespace, tell: Callable[[str], None]) -> list[Any]:
    """Ask the doctor about the data, now that a model can contradict its labels."""
    scores = Path(f"{args.output}.run", "predictions.csv")
    tell("checking the data")
    try:
        found = check_dataset(
            args.data, where=parse_where(args.where), group=args.group,
            predictions=scores if scores.exists() else None, reading=reading_of(args),
        ).as_dict()["findings"]  # fmt: skip
    except AudiocnnError as error:  # the model is there, and worth more than this
        tell(f"the data could not be checked: {error}")
        return []
    worth = [one for one in found if one["severity"] != "note"]
    if worth:
        labels = f" --labels {args.labels}" if args.labels else ""
        tell(
            f"the data: {counted(len(worth), 'finding')}, in the report and by: "
            f"audiocnn check {args.data}{labels}"
        )
    return list(found)


@contextmanager
def _showing() -> Iterator[tuple[Callable[[str], None], Callable[[Any], None] | None]]:
    """Show lines, and epochs as a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr, flush=True), None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[said]}")
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as bar:
        task = bar.add_task("reading", total=None, said="")

        def watch(step: Any) -> None:
            done, _, said = str(step).partition("  loss")
            bar.update(task, total=step.epochs, completed=step.epoch, description=done,
                       said=f"loss{said}")  # fmt: skip

        yield lambda line: bar.console.print(line, markup=False), watch
