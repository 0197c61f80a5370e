"""`audiocnn embed`: a vector for every window of recordings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from audiocnn.cli.label import report_rounding
from audiocnn.cli.paths import gather, reading_of
from audiocnn.cli.progress import Progress, show_progress
from audiocnn.cli.run_summary import counted, duration
from audiocnn.errors import AudioError
from audiocnn.inference.bundle import load
from audiocnn.inference.embeddings import embed, n_features
from audiocnn.inference.model_input import read_for
from audiocnn.io.audio.reader import Block, audio_info
from audiocnn.labeling.embedding_files import vector_file


def run(args: argparse.Namespace) -> int:
    """Embed, write, and say how much; 1 if recordings could not be read to their end."""
    bundle = load(args.model)
    size, n_windows = n_features(bundle), 0
    reading = reading_of(args, bundle.front)
    recordings = gather(args.paths, bundle.front)
    paths, missing = recordings.paths, recordings.missing
    report_rounding(bundle, args.hop)
    with vector_file(args.output, size) as put, show_progress("embed", len(paths)) as progress:
        for problem in missing:
            progress.failed += 1
            progress.say(f"audiocnn embed: {problem}")
        for path in paths:
            error = ""
            try:
                length = audio_info(path).duration if bundle.front.sound else None
                blocks = _told(read_for(path, bundle.front, reading), progress, str(path), length)
                for found in embed(bundle, blocks, args.hop):
                    put(str(path), found)
                    n_windows += found.begins.size
            except AudioError as problem:
                error = str(problem)
            progress.finished(progress.part, error)
    print(
        f"{counted(n_windows, 'window')} of {duration(progress.seconds)}, {size} numbers each: "
        f"{args.output}",
        file=sys.stderr,
    )
    return 1 if progress.failed else 0


def _told(
    blocks: Iterator[Block], progress: Progress, path: str, length: float | None
) -> Iterator[Block]:
    for block in blocks:
        progress.advance(path, (block.start + block.samples.shape[-1]) / block.rate, length)
        yield block
