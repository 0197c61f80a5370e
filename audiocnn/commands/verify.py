"""`audiocnn verify`: whether the stream gives the scores of the file, on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from audiocnn.audio import find_recordings, read_blocks
from audiocnn.blocks import Block
from audiocnn.bundle import Bundle, load
from audiocnn.events import Event, find_events
from audiocnn.listening import listen
from audiocnn.scoring import Scores

ALLOWED = 1e-5  # DESIGN.md: whole or in pieces, the scores agree within it


def run(args: argparse.Namespace) -> int:
    """Compare every recording; 1 if one differs by more than is allowed."""
    bundle = load(args.model)
    rng = np.random.default_rng(args.seed)
    worst = 0.0
    for path in find_recordings(args.paths):
        blocks = list(read_blocks(path, bundle.rate))
        whole = list(listen(bundle, blocks, args.hop))
        pieces = list(listen(bundle, cut(blocks, rng), args.hop))
        difference, n = compare(whole, pieces)
        events = [_events(bundle, runs) for runs in (whole, pieces)]
        same = len(events[0]) == len(events[1]) and all(map(_alike, *events))
        difference = difference if same else float("inf")
        print(
            f"{path}: {n} windows, largest difference {difference:.2g}, "
            f"{len(events[0])} events{'' if same else ' THAT DIFFER'}"
        )
        worst = max(worst, difference)
    print(f"{'good' if worst <= ALLOWED else 'BAD'}: {worst:.2g}, allowed {ALLOWED}")
    return 0 if worst <= ALLOWED else 1


def cut(blocks: list[Block], rng: np.random.Generator) -> Iterator[Block]:
    """Cut blocks at random: empty pieces, single samples, pieces up to 2 s."""
    for block in blocks:
        at, end = 0, block.samples.size
        while at < end:
            kind = rng.integers(8)
            n = 0 if kind == 0 else 1 if kind == 1 else int(rng.integers(1, 2 * block.rate))
            yield Block(block.samples[at : at + n], block.start + at, block.rate)
            at += n


def compare(whole: list[Scores], pieces: list[Scores]) -> tuple[float, int]:
    """Give the largest difference between two runs of scores, and the number of windows."""
    a, b = (np.concatenate([run.values for run in runs], axis=1) for runs in (whole, pieces))
    if a.shape != b.shape:
        return float("inf"), a.shape[1]
    return float(np.abs(a - b).max(initial=0)), a.shape[1]


def _events(bundle: Bundle, runs: list[Scores]) -> list[Event]:
    return list(find_events(runs, bundle.rules))


def _alike(a: Event, b: Event) -> bool:
    assert a.end is not None
    assert b.end is not None
    times = abs(a.start - b.start) < 1e-6 and abs(a.end - b.end) < 1e-6
    return a.label == b.label and times and abs((a.score or 0) - (b.score or 0)) <= ALLOWED
