"""One recording to its events, and what of it was heard; many, one after the other.

A recording that cannot be read, or not to its end, is a result like any other: it
says why, keeps the events up to the damage, and costs no other recording anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.audio import read_blocks
from audiocnn.blocks import Block
from audiocnn.bundle import Bundle, grid_of
from audiocnn.engine import Columns, hear
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.evaluation import SILENCE_POWER
from audiocnn.events import Event, EventRule, find_events
from audiocnn.scoring import Scores, score_columns, score_windows

TakeRows = Callable[[str, NDArray[np.float64], NDArray[np.float32]], None]


@dataclass(frozen=True)
class Labeled:
    """What came of one recording.

    Parameters
    ----------
    path
        The recording.
    events
        By onset.
    seconds
        Sound that was decoded.
    scored
        Seconds that windows have seen.
    lost
        Seconds inside it that hold no finite samples.
    padded
        Seconds of zeros behind a recording shorter than one window.
    error
        Why it could not be read (to its end); empty if it could.
    """

    path: str
    events: tuple[Event, ...]
    seconds: float
    scored: float
    lost: float
    padded: float
    error: str = ""


def label_recording(
    bundle: Bundle,
    path: str | Path,
    *,
    hop: float | None = None,
    rules: dict[str, EventRule] | None = None,
    on_windows: TakeRows | None = None,
    on_frames: TakeRows | None = None,
) -> Labeled:
    """Find the events of one recording, in constant memory.

    Parameters
    ----------
    bundle
        The model.
    path
        The recording.
    hop
        Seconds between windows; the bundle's if None.
    rules
        Instead of the bundle's.
    on_windows, on_frames
        Called with the path, (2, W) begins and ends in seconds, and (C, W)
        scores, as runs of windows, or of the network's columns, are there.

    Raises
    ------
    ArgumentError
        If ``hop`` makes no sense. What is wrong with the recording is in the result.
    """
    grid, name = grid_of(bundle, hop), str(path)
    told = {"heard": 0, "end": 0, "scored": 0.0, "padded": 0.0, "lost": 0}
    error = ""

    def blocks() -> Iterator[Block]:
        nonlocal error
        try:
            for block in read_blocks(path, bundle.rate):
                told["lost"] += block.start - told["end"]
                told["heard"] += block.samples.size
                told["end"] = block.start + block.samples.size
                yield block
        except AudioError as problem:  # what was good before it counts
            error = str(problem)

    def columns() -> Iterator[Columns]:
        for run in hear(bundle.graph, bundle.front, grid, blocks()):
            if on_frames and (scores := score_columns(run, bundle.calibration)) is not None:
                begins = (run.start + grid.period * np.arange(scores.shape[1])) / grid.rate
                on_frames(name, np.stack((begins, begins + grid.reach / grid.rate)), scores)
            yield run

    def scores() -> Iterator[Scores]:
        for run in score_windows(columns(), grid, bundle.calibration):
            begins = run.start + run.hop * np.arange(run.values.shape[1])
            ends = begins + run.window - run.padded
            if on_windows and begins.size:
                on_windows(name, np.stack((begins, ends)), run.values)
            told["padded"] += run.padded
            if begins.size:
                new = np.maximum(begins, np.append(told["scored_to"], ends[:-1]))
                told["scored"] += float(np.maximum(0, ends - new).sum())
                told["scored_to"] = float(ends[-1])
            yield run

    told["scored_to"] = 0.0
    found = sorted(
        find_events(scores(), rules or bundle.rules, source=name),
        key=lambda event: (event.start, event.label),
    )
    rate = bundle.rate
    return Labeled(
        name, tuple(found), told["heard"] / rate, told["scored"], told["lost"] / rate,
        told["padded"], error,
    )  # fmt: skip


def label_recordings(
    bundle: Bundle, paths: Iterable[str | Path], **how: object
) -> Iterator[Labeled]:
    """Label many recordings, one after the other; see `label_recording`."""
    for path in paths:
        yield label_recording(bundle, path, **how)  # type: ignore[arg-type]


def with_threshold(rules: dict[str, EventRule], on: float) -> dict[str, EventRule]:
    """Replace every `on`; `off` keeps its share of it.

    Raises
    ------
    ArgumentError
        If ``on`` is not above 0 and at most 1.
    """
    if not 0 < on <= 1:
        raise ArgumentError(f"a threshold lies above 0 and at most at 1, got {on}")
    return {
        label: EventRule(
            on, on * rule.off / rule.on, rule.smooth, rule.min_length, rule.join_gap, rule.cooldown
        )
        for label, rule in rules.items()
    }


def score_clip(
    bundle: Bundle, path: str | Path, start: float = 0.0, end: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[Event]]:
    """Score a short clip, for evaluation: its windows, which are audible, its events.

    Returns
    -------
    values (C, W), audible (W,), events

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    from audiocnn.audio import read_audio

    samples = read_audio(path, bundle.rate, start=start, end=end)
    grid = grid_of(bundle)
    columns = hear(bundle.graph, bundle.front, grid, [Block(samples, 0, bundle.rate)])
    runs = list(score_windows(columns, grid, bundle.calibration))
    begins = np.concatenate([r.start + r.hop * np.arange(r.values.shape[1]) for r in runs])
    first = np.rint(begins * bundle.rate).astype(np.int64)
    sums = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    last = np.minimum(first + grid.window_samples, samples.size)
    audible = (sums[last] - sums[first]) / grid.window_samples >= SILENCE_POWER
    events = list(find_events(runs, bundle.rules, source=str(path)))
    return np.concatenate([r.values for r in runs], axis=1), audible, events
