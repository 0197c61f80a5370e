"""One recording to its events and what of it was heard; many, one after the other.

A recording that cannot be read, or not to its end, is a result like any other: it
says why, keeps the events up to the damage, and costs no other recording anything.
Nothing is kept between recordings, so that each may be labelled by another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.engine import Columns, Grid, run_network
from audiocnn.inference.events import Event, EventRule, find_events
from audiocnn.inference.model_input import blocks_of, open_for, read_for
from audiocnn.inference.windows import Scores, score_columns, score_windows, window_times
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import AudioInfo, audio_info
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.io.signals.reader import Signal
from audiocnn.labeling.coverage import (
    MISSING,
    NOT_FINITE,
    Coverage,
    Meter,
    coverage_of,
    signal_coverage,
    watch_blocks,
    watch_windows,
)

TakeRows = Callable[[str, NDArray[np.float64], NDArray[np.float32]], None]


@dataclass(frozen=True)
class Observers:
    """What listens in while a recording is labelled.

    Parameters
    ----------
    windows, frames
        Called with the path, (2, W) begins and ends in seconds, and (C, W) scores,
        as soon as runs of windows, or of the network's columns, are there.
    heard
        Called with the path, the seconds decoded so far, and of how many (None if
        the header does not say), before each block. What it raises ends the work.
    """

    windows: TakeRows | None = None
    frames: TakeRows | None = None
    heard: Callable[[str, float, float | None], None] | None = None


NO_TAPS = Observers()


@dataclass(frozen=True)
class Labeled:
    """What came of one recording.

    Parameters
    ----------
    path
        The recording.
    events
        By onset.
    coverage
        Which seconds of it were scored, and which not, and why.
    error
        Why it could not be read (to its end); empty if it could.
    """

    path: str
    events: tuple[Event, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    error: str = ""


def label_recording(
    bundle: Bundle,
    path: str | Path,
    *,
    hop: float | None = None,
    rules: Mapping[str, EventRule] | None = None,
    taps: Observers = NO_TAPS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Labeled:
    """Find the events of one recording, in constant memory (but for the events).

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
    taps
        What listens in.
    reading
        How a signal other than sound is read.

    Raises
    ------
    ArgumentError
        If ``hop`` makes no sense. What is wrong with the recording is in the result.
    """
    source = _Source(path, bundle.front, reading)
    runs = _scored(bundle, source, hop, taps)
    found = events_of(runs, rules or bundle.rules, str(path))
    return Labeled(str(path), found, source.coverage(), source.error)


def score_recording(
    bundle: Bundle,
    path: str | Path,
    *,
    hop: float | None = None,
    taps: Observers = NO_TAPS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> tuple[tuple[Scores, ...], Coverage, str]:
    """Score a recording and keep the scores: a few megabytes a day.

    Parameters
    ----------
    bundle, path, hop, taps, reading
        As for `label_recording`.

    Returns
    -------
    runs
        Its window scores.
    coverage, error
        As in `Labeled`.
    """
    source = _Source(path, bundle.front, reading)
    runs = tuple(_scored(bundle, source, hop, taps))
    return runs, source.coverage(), source.error


def events_of(
    runs: Iterable[Scores], rules: Mapping[str, EventRule], name: str
) -> tuple[Event, ...]:
    """Find the events of a recording, by onset."""
    found = find_events(runs, rules, source=name)
    return tuple(sorted(found, key=lambda event: (event.start, event.label)))


def label_recordings(
    bundle: Bundle,
    paths: Iterable[str | Path],
    *,
    hop: float | None = None,
    rules: Mapping[str, EventRule] | None = None,
    taps: Observers = NO_TAPS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Iterator[Labeled]:
    """Label many recordings, one after the other, as they are asked for.

    Parameters
    ----------
    bundle, hop, rules, taps, reading
        As for `label_recording`.
    paths
        The recordings.

    Yields
    ------
    Labeled
        One a recording, in the order of ``paths``, whatever became of it.
    """
    for path in paths:
        yield label_recording(bundle, path, hop=hop, rules=rules, taps=taps, reading=reading)


def with_threshold(rules: Mapping[str, EventRule], on: float) -> dict[str, EventRule]:
    """Replace every `on`; `off` keeps its share of it.

    Parameters
    ----------
    rules
        One per label; their lengths, gaps and so on stay.
    on
        The score at which an event of any label begins, above 0 and at most 1.

    Raises
    ------
    ArgumentError
        If ``on`` is out of range.
    """
    if not 0 < on <= 1:
        raise ArgumentError(f"a threshold lies above 0 and at most at 1, got {on}")
    return {
        label: replace(rule, on=on, off=min(on, on * rule.off / rule.on))
        for label, rule in rules.items()
    }


def _scored(
    bundle: Bundle, source: _Source, hop: float | None, taps: Observers
) -> Iterator[Scores]:
    grid, name, meter = grid_of(bundle, hop), str(source.path), source.meter
    blocks = watch_blocks(_readable(source), meter)
    if taps.heard:
        blocks = _tell_heard(blocks, source, partial(taps.heard, name))
    columns = run_network(bundle.graph, bundle.front, grid, blocks)
    if taps.frames:
        columns = _tell_frames(columns, bundle, grid, partial(taps.frames, name))
    runs = watch_windows(score_windows(columns, grid, bundle.calibration), meter)
    return _tell_windows(runs, partial(taps.windows, name)) if taps.windows else runs


@dataclass
class _Source:
    """A recording that is being read, and what is learnt of it on the way."""

    path: str | Path
    front: FrontEnd
    reading: SignalReadOptions = DEFAULT_OPTIONS
    info: AudioInfo | None = None
    signal: Signal | None = None
    error: str = ""
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.front.rate, NOT_FINITE if self.front.sound else MISSING)

    def coverage(self) -> Coverage:
        """Say what was heard of it, once it has streamed by."""
        if self.front.sound:
            return coverage_of(self.meter, self.info, self.error)
        return signal_coverage(self.meter, self.signal, self.reading.missing == "interpolate")


def _readable(source: _Source) -> Iterator[Block]:
    """Read as far as it goes: what was good before the damage counts."""
    try:
        if not source.front.sound:
            with open_for(source.path, source.front, source.reading) as source.signal:
                yield from blocks_of(source.signal)
            return
        if RecordingRef.of(source.path).is_sound:
            source.info = audio_info(source.path)
        yield from read_for(source.path, source.front)
    except AudioError as problem:
        source.error = str(problem)
    except Exception as problem:  # decoders are many, and no recording may cost another
        source.error = f"{source.path} broke its decoder ({type(problem).__name__}: {problem})"


def _tell_heard(
    blocks: Iterable[Block], source: _Source, tell: Callable[..., None]
) -> Iterator[Block]:
    for block in blocks:
        seconds = (block.start + block.samples.shape[-1]) / block.rate
        tell(seconds, source.info.duration if source.info else None)
        yield block


def _tell_windows(runs: Iterable[Scores], tell: Callable[..., None]) -> Iterator[Scores]:
    for run in runs:
        if run.values.shape[1]:
            tell(window_times(run), run.values)
        yield run


def _tell_frames(
    runs: Iterable[Columns], bundle: Bundle, grid: Grid, tell: Callable[..., None]
) -> Iterator[Columns]:
    for run in runs:
        if (scores := score_columns(run, bundle.calibration)) is not None:
            rate = run.rate or grid.rate
            begins = (run.start + grid.period * np.arange(scores.shape[1])) / rate
            tell(np.stack((begins, begins + grid.reach / rate)), scores)
        yield run
