"""`audiocnn train`: a dataset to a bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiocnn.cli.paths import reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.cli.report import write
from audiocnn.cli.run_summary import counted
from audiocnn.datasets.doctor.doctor import check_dataset
from audiocnn.datasets.manifest import parse_where
from audiocnn.errors import ArgumentError, AudiocnnError

CHOICES = (
    "arch", "size", "window", "epochs", "batch", "learning_rate", "balance", "patience",
    "precision",
)  # fmt: skip


HEAD_CHOICES = ("window", "hop", "hidden", "balance", "copies")
# Of the options of `train`, those that concern a network that is fitted itself.
NETWORK_OPTIONS = (
    "arch", "size", "epochs", "batch", "learning_rate", "patience", "precision", "start", "front",
)  # fmt: skip
AUTO = "auto"  # --backbone: what is best in cross-validation
HEAD_OPTIONS = ("hidden", "hop", "copies", "no_embeddings", "use_length")


def run(args: argparse.Namespace) -> int:
    """Train, and report progress on stderr."""
    if _compares(args):
        return _train_best(args)
    if not args.backbone and not args.fine_tune and _has_default_backbone(args):
        args.backbone = AUTO
    if args.backbone and not args.fine_tune:
        return _train_head(args)
    if args.backbone:
        args.start, args.backbone = args.backbone, None
    elif args.fine_tune:
        raise ArgumentError("--fine-tune needs --backbone NAME: the model to train further")
    _refuse(args, HEAD_OPTIONS, "needs --backbone NAME, without --fine-tune")
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


def _has_default_backbone(args: argparse.Namespace) -> bool:
    """Whether a head is fitted where nobody says how to train: on sound, with a backbone."""
    if any(getattr(args, name) for name in NETWORK_OPTIONS) or args.devices != 1:
        return False
    if args.log != "csv" or args.labels or args.columns:
        return False
    from audiocnn.training.heads.compare import general_backbones
    from audiocnn.training.preparation import gather_clips, others

    clips = gather_clips(args.data, parse_where(args.where), reading_of(args))
    names = general_backbones()
    # `sounds` alone is no default: on short words it is far behind a network from scratch.
    if others(clips) or not set(names) - {"sounds"}:
        return False
    print(f"on a backbone at hand ({', '.join(names)}), the default; for a network from scratch: "
          "--arch cnn2d", file=sys.stderr)  # fmt: skip
    return True


def _train_head(args: argparse.Namespace) -> int:
    """Train a head on a backbone: without PyTorch."""
    from audiocnn.training.heads.train import train_head

    _refuse(args, NETWORK_OPTIONS, "has no meaning with --backbone: only a head is fitted; for "
            "the whole network add --fine-tune")  # fmt: skip
    chosen = {n: getattr(args, n) for n in HEAD_CHOICES if getattr(args, n) is not None}
    if chosen.get("balance") in ("sampling", "loss"):  # a head draws nothing: it weighs
        chosen["balance"] = "weights"
    try:
        with _showing() as (tell, _):
            train_head(
                args.data,
                args.output,
                args.backbone,
                where=parse_where(args.where),
                valid=parse_where([args.valid]) if args.valid else None,
                folds=args.folds,
                group=args.group,
                background=args.background,
                reviews=args.reviews,
                cache=args.cache,
                reading=reading_of(args),
                seed=args.seed,
                overwrite=args.overwrite,
                keep_embeddings=not args.no_embeddings,
                compare=not args.no_comparison,
                use_length=args.use_length,
                progress=tell,
                **chosen,
            )
            if not args.no_report:
                _report(args, tell)
    except KeyboardInterrupt:
        print(f"\nstopped; the embeddings that are computed are kept in {args.output}.run: the "
              "same command continues with them", file=sys.stderr)  # fmt: skip
        raise
    print(args.output)
    return 0


def _compares(args: argparse.Namespace) -> bool:
    """Whether several ways of training are compared: on signals, unless one is named."""
    named = any(getattr(args, name) for name in (*NETWORK_OPTIONS, *HEAD_OPTIONS, "window"))
    if named or args.backbone not in (None, AUTO) or args.fine_tune or args.reviews:
        return False
    if args.devices != 1 or args.log != "csv":
        return False
    from audiocnn.training.preparation import gather_clips, others

    return others(gather_clips(args.data, parse_where(args.where), reading_of(args)))


def _train_best(args: argparse.Namespace) -> int:
    """Train signals by fixed kernels and by a network, and keep what is better."""
    from audiocnn.training.best_of import train_best
    from audiocnn.training.heads.train import train_head

    with _showing() as (tell, watcher):
        common: dict[str, Any] = {
            "where": parse_where(args.where), "folds": args.folds, "group": args.group,
            "valid": parse_where([args.valid]) if args.valid else None,
            "background": args.background, "cache": args.cache, "reading": reading_of(args),
            "seed": args.seed, "progress": tell,
        }  # fmt: skip
        ways: dict[str, Callable[[Path], Any]] = {
            "rocket": lambda out: train_head(args.data, out, "rocket", **common)
        }
        try:
            from audiocnn.training.train import train_bundle
        except ModuleNotFoundError as error:
            tell(f"a network is not tried: {error.name} is not installed "
                 "(pip install 'audiocnn[train]')")  # fmt: skip
        else:
            ways["network"] = lambda out: train_bundle(args.data, out, watcher=watcher, **common)
        train_best(args.output, ways, tell, overwrite=args.overwrite)
        if not args.no_report:
            _report(args, tell)
    print(args.output)
    return 0


def _report(args: argparse.Namespace, tell: Callable[[str], None]) -> None:
    """Write the report; a missing drawing library does not undo a training."""
    try:
        tell(f"report: {write(Path(args.output), findings=_findings(args, tell))}")
    except AudiocnnError as error:
        tell(f"no report: {error}")


def _refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Refuse options that were given and have no effect."""
    given = [name for name in names if getattr(args, name)]
    if given:
        option = "--from" if given[0] == "start" else f"--{given[0].replace('_', '-')}"
        raise ArgumentError(f"{option} {why}")


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
    """Print lines and, where stderr is a terminal, epochs as a bar."""
    with show_progress("train", 0) as progress:

        def watch(step: Any) -> None:
            progress.count(step.epoch, step.epochs, str(step))

        yield progress.say, watch if progress.shown else None
