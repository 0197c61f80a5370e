"""`audiocnn train`: a dataset to a bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from audiocnn.errors import AudiocnnError
from audiocnn.manifest import parse_where

CHOICES = ("arch", "size", "window", "epochs")


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
        if args.cache:
            print("the same command will go on from the last epoch", file=sys.stderr)
        raise


def _train(args: argparse.Namespace, train_bundle: Callable[..., Any]) -> int:
    chosen = {name: getattr(args, name) for name in CHOICES if getattr(args, name) is not None}
    train_bundle(
        args.data,
        args.output,
        where=parse_where(args.where),
        valid=parse_where([args.valid]) if args.valid else None,
        group=args.group,
        background=args.background,
        cache=args.cache,
        seed=args.seed,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
        **chosen,
    )
    print(args.output)
    return 0
