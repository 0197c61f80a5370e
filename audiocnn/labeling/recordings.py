"""One recording to its events, and what of it was heard.

A recording that cannot be read, or not to its end, is a result like any other: it
says why, keeps the events up to the damage, and costs no other recording anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.audio import read_audio, read_blocks
from audiocnn.blocks import Block
from audiocnn.bundle import Bundle, grid_of
from audiocnn.engine import Columns, Grid, hear
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
    told = _Heard()
    columns = hear(bundle.graph, bundle.front, grid, _good_blocks(path, bundle.rate, told))
    if on_frames:
        columns = _tell_frames(columns, bundle, grid, partial(on_frames, name))
    scores = _account(score_windows(columns, grid, bundle.calibration), told)
    if on_windows:
        scores = _tell_windows(scores, partial(on_windows, name))
    found = sorted(
        find_events(scores, rules or bundle.rules, source=name),
        key=lambda event: (event.start, event.label),
    )
    seconds, lost = told.samples / bundle.rate, told.lost / bundle.rate
    return Labeled(name, tuple(found), seconds, told.scored, lost, told.padded, told.error)


@dataclass
class _Heard:
    """What is noted of a recording while it streams by: samples, then seconds."""

    samples: int = 0
    lost: int = 0
    end: int = 0
    scored: float = 0.0
    scored_to: float = 0.0
    padded: float = 0.0
    error: str = ""


def _good_blocks(path: str | Path, rate: int, told: _Heard) -> Iterator[Block]:
    """Read as far as it goes: what was good before the damage counts."""
    try:
        for block in read_blocks(path, rate):
            told.lost += block.start - told.end
            told.samples += block.samples.size
            told.end = block.start + block.samples.size
            yield block
    except AudioError as problem:
        told.error = str(problem)


def _account(runs: Iterable[Scores], told: _Heard) -> Iterator[Scores]:
    """Add up the seconds that windows have seen, each once."""
    for run in runs:
        begins, ends = _times(run)
        told.padded += run.padded
        if begins.size:
            new = np.maximum(begins, np.append(told.scored_to, ends[:-1]))
            told.scored += float(np.maximum(0, ends - new).sum())
            told.scored_to = float(ends[-1])
        yield run


def _times(run: Scores) -> NDArray[np.float64]:
    begins = run.start + run.hop * np.arange(run.values.shape[1])
    return np.stack((begins, begins + run.window - run.padded))


def _tell_windows(runs: Iterable[Scores], tell: Callable[..., None]) -> Iterator[Scores]:
    for run in runs:
        if run.values.shape[1]:
            tell(_times(run), run.values)
        yield run


def _tell_frames(
    runs: Iterable[Columns], bundle: Bundle, grid: Grid, tell: Callable[..., None]
) -> Iterator[Columns]:
    for run in runs:
        if (scores := score_columns(run, bundle.calibration)) is not None:
            begins = (run.start + grid.period * np.arange(scores.shape[1])) / grid.rate
            tell(np.stack((begins, begins + grid.reach / grid.rate)), scores)
        yield run


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
