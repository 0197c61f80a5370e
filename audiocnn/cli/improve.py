"""`audiocnn improve`: a model corrected by verdicts on its events."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from audiocnn.cli.paths import reading_of


def run(args: argparse.Namespace) -> int:
    """Correct the model; print old against new, class by class."""
    from audiocnn.training.heads.improve import improve

    _, compared = improve(
        args.model, args.reviews, args.output, overwrite=args.overwrite,
        reading=reading_of(args),
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    if args.json:
        print(json.dumps([asdict(row) for row in compared], indent=1))
    else:
        for row in compared:
            print(row)
    print(f"written: {args.output}", file=sys.stderr)
    return 0
