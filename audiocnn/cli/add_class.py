"""`audiocnn add-class`: a class added to a model from a few clips, in seconds."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from audiocnn.cli.paths import reading_of
from audiocnn.datasets.manifest import Clip, labels_of, parse_where, read_manifest
from audiocnn.errors import ArgumentError
from audiocnn.io.audio.reader import find_recordings


def run(args: argparse.Namespace) -> int:
    """Add the classes, and report what the new model is worth on stderr."""
    from audiocnn.evaluation.intervals import share_bounds
    from audiocnn.training.heads.extend import add_class

    clips = list_new_clips(args)
    bundle = add_class(
        args.model, clips, args.output, overwrite=args.overwrite, reading=reading_of(args),
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    for label in labels_of(clips):
        row = bundle.card["per_class"][label]
        found = round(row["n"] * (row["recall"] or 0))
        low, high = share_bounds(found, row["n"])
        print(
            f"{label}: {found} of {row['n']} clips named rightly while they were held out "
            f"({100 * low:.0f} to {100 * high:.0f} %, 95 % bounds)"
            + ("; record more for a narrower figure" if row["n"] < 20 else ""),
            file=sys.stderr,
        )
    print(args.output)
    return 0


def list_new_clips(args: argparse.Namespace) -> list[Clip]:
    """List the clips: recordings directly in a folder are of the class named like it.

    Raises
    ------
    ArgumentError
        If there are class folders beside ``--label``, or nothing at all.
    """
    folder = Path(args.clips)
    if folder.is_dir() and not (folder / "clips.csv").exists():
        here = [path for path in find_recordings([folder]) if path.parent == folder]
        if here:
            return [Clip(path, (args.label or folder.resolve().name,)) for path in here]
    clips = read_manifest(folder, where=parse_where(args.where), reading=reading_of(args))
    labels = labels_of(clips)
    if args.label and len(labels) > 1:
        raise ArgumentError(
            f"--label {args.label} names one class, and {folder} has {len(labels)} "
            f"({', '.join(labels[:5])}): leave --label out"
        )
    if args.label:
        clips = [replace(clip, labels=(args.label,)) for clip in clips if clip.labels]
    return clips
