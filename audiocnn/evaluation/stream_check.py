"""Check that a stream gives the scores of the file, on this machine, with this model.

A recording is scored in blocks of ten minutes, and again in pieces cut at random before the
resampler and behind it, with single samples and empty pieces among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.events import Event, find_events
from audiocnn.inference.model_input import open_pieces, read_for
from audiocnn.inference.pipeline import listen
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import Block, cut_blocks
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

ALLOWED = 1e-5  # difference of scores, streamed and whole: see docs/architecture.md
WHOLE = 600.0  # seconds of a block that counts as whole: memory has an end, recordings may not
LONGEST = 2.0  # seconds of a random piece, at most
SAME_TIME = 1e-6  # seconds


@dataclass(frozen=True)
class Verified:
    """Difference between the scores of a recording in pieces and as a whole.

    Parameters
    ----------
    path
        The recording.
    windows, events
        How many the whole has.
    difference
        Largest difference of a score; infinite if the windows are not the same.
    same_events
        Whether the events agree: label, times within a microsecond, score within
        `ALLOWED`.
    error
        Why it could not be read (to its end); empty if it could.
    """

    path: str
    windows: int
    events: int
    difference: float
    same_events: bool
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether the scores agree within the tolerance, over the whole recording."""
        return self.difference <= ALLOWED and self.same_events and not self.error


def verify_recording(
    bundle: Bundle,
    path: str | Path,
    hop: float | None = None,
    seed: int = 0,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Verified:
    """Score a recording whole and in random pieces, and compare.

    Parameters
    ----------
    bundle, path
        The model and the recording, which is read twice, in constant memory but
        for the scores.
    hop
        Seconds between windows; the bundle's if None.
    seed
        Of the cuts.
    reading
        How a signal other than sound is read.
    """
    errors: list[str] = []

    def readable(blocks: Iterator[Block]) -> Iterator[Block]:
        try:
            yield from blocks
        except AudioError as error:
            errors.append(str(error))

    def score(blocks: Iterator[Block]) -> list[Scores]:
        return list(listen(bundle, readable(blocks), hop))

    try:
        whole = score(read_for(path, bundle.front, reading, seconds=WHOLE))
        pieces = score(random_blocks(bundle, path, np.random.default_rng(seed), reading))
    except AudioError as error:
        return Verified(str(path), 0, 0, 0.0, True, str(error))
    found, again = (list(find_events(runs, bundle.rules)) for runs in (whole, pieces))
    same = len(found) == len(again) and all(map(_alike, found, again))
    windows = sum(run.values.shape[1] for run in whole)
    difference = largest_difference(whole, pieces)
    return Verified(str(path), windows, len(found), difference, same, "".join(errors[:1]))


def random_blocks(
    bundle: Bundle, path: str | Path, rng: np.random.Generator, reading: SignalReadOptions
) -> Iterator[Block]:
    """Read a recording in pieces cut at random, at its own sample rate and at the model's."""
    front = bundle.front
    with open_pieces(path, front, reading) as (pieces, rate):
        target = front.stream_rate(rate)
        seconds = max(LONGEST, grid_of(bundle).window)
        before, behind = (max(1, round(seconds * r)) for r in (rate, target))
        cuts = (cut for piece in pieces for cut in random_cuts(piece, before, rng))
        for block in cut_blocks(cuts, rate, target):
            at = block.start
            for cut in random_cuts(block.samples, behind, rng):
                yield Block(cut, at, target)
                at += cut.shape[-1]


def random_cuts(
    samples: NDArray[np.float32], longest: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Cut samples at random: an eighth of the pieces are empty, an eighth single samples."""
    at = 0
    while at < samples.shape[-1]:
        kind = rng.integers(8)
        n = 0 if kind == 0 else 1 if kind == 1 else int(rng.integers(1, longest + 1))
        yield samples[..., at : at + n]
        at += n


def largest_difference(whole: list[Scores], pieces: list[Scores]) -> float:
    """Compare all windows: infinite if their number or times differ, or a score is NaN."""
    if not whole or not pieces:
        return 0.0 if whole == pieces else float("inf")
    times, times_in_pieces = (
        np.concatenate([run.times for run in runs], axis=1) for runs in (whole, pieces)
    )
    if times.shape != times_in_pieces.shape or np.any(np.abs(times - times_in_pieces) > SAME_TIME):
        return float("inf")
    a, b = (np.concatenate([run.values for run in runs], axis=1) for runs in (whole, pieces))
    worst = float(np.abs(a - b).max(initial=0.0))
    return worst if np.isfinite(worst) else float("inf")


def _alike(a: Event, b: Event) -> bool:
    times = abs(a.start - b.start) + abs((a.end or 0.0) - (b.end or 0.0)) < SAME_TIME
    return a.label == b.label and times and abs((a.score or 0.0) - (b.score or 0.0)) <= ALLOWED
