"""Label one recording: its events, and which of its seconds were scored.

A recording that cannot be read, or not to its end, still gives a result: its ``error``
states why, and events up to the damage are kept. No state is shared between recordings,
so each may be labelled by another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError, about
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, require_labels
from audiocnn.inference.engine import Columns
from audiocnn.inference.events import Event, EventRule, find_events
from audiocnn.inference.model_input import blocks_of, open_for, read_for
from audiocnn.inference.pipeline import Pipeline
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import AudioInfo, audio_info
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.io.signals.reader import Signal
from audiocnn.labeling.coverage import (
    MISSING,
    NOT_FINITE,
    Coverage,
    CoverageMeter,
    coverage_of,
    signal_coverage,
    watch_blocks,
    watch_windows,
)
from audiocnn.labeling.fingerprints import UNKNOWN, FileFingerprint

TakeRows = Callable[[str, NDArray[np.float64], NDArray[np.float32]], None]


@dataclass(frozen=True)
class Observers:
    """Callbacks while a recording is labelled.

    Parameters
    ----------
    windows, frames
        Called with the recording's name, (2, W) begins and ends in seconds, and (C, W)
        scores, for each run of windows, or of the network's columns.
    progress
        Called with the recording's name, the seconds decoded so far, and its duration
        in seconds (None if the header does not give one), before each block. An
        exception that it raises ends the work.
    """

    windows: TakeRows | None = None
    frames: TakeRows | None = None
    progress: Callable[[str, float, float | None], None] | None = None


NO_OBSERVERS = Observers()


@dataclass(frozen=True)
class LabelResult:
    """The result of labelling one recording.

    Parameters
    ----------
    path
        The recording, as the user named it.
    events
        By onset.
    coverage
        Which seconds were scored, and which were skipped, and why.
    error
        Why it could not be read (to its end); empty if it could.
    fingerprint
        Of the file that was read.
    scores
        Packed window scores, see `pack_scores`; empty where they are not kept.
    """

    path: str
    events: tuple[Event, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    error: str = ""
    fingerprint: FileFingerprint = UNKNOWN
    scores: bytes = field(default=b"", repr=False)


def label_recording(
    bundle: Bundle,
    path: str | Path,
    *,
    hop: float | None = None,
    rules: Mapping[str, EventRule] | None = None,
    observers: Observers = NO_OBSERVERS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> LabelResult:
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
        Event rules by label, in place of the bundle's.
    observers
        Callbacks for scores and progress.
    reading
        How a signal other than sound is read.

    Returns
    -------
    LabelResult
        Without fingerprint and scores. Faults of the recording are in its ``error``.

    Raises
    ------
    ArgumentError
        If ``hop`` is out of range.
    """
    source = _Source(path, bundle.front, reading)
    runs = _scored(bundle, source, hop, observers)
    events = events_of(runs, rules or bundle.rules, str(path))
    return LabelResult(str(path), events, source.coverage(), source.error)


def score_recording(
    bundle: Bundle,
    path: str | Path,
    *,
    hop: float | None = None,
    observers: Observers = NO_OBSERVERS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    name: str = "",
) -> tuple[tuple[Scores, ...], Coverage, str]:
    """Score a recording and keep the scores: a few megabytes for a day.

    Parameters
    ----------
    bundle, path, hop, observers, reading
        As for `label_recording`.
    name
        What observers and errors call the recording; its path if empty.

    Returns
    -------
    runs
        Its window scores.
    coverage, error
        As in `LabelResult`.
    """
    source = _Source(path, bundle.front, reading, name)
    runs = tuple(_scored(bundle, source, hop, observers))
    return runs, source.coverage(), source.error


def events_of(
    runs: Iterable[Scores], rules: Mapping[str, EventRule], name: str
) -> tuple[Event, ...]:
    """Find the events of a recording, by onset."""
    found = find_events(runs, rules, source=name)
    return tuple(sorted(found, key=lambda event: (event.start, event.label)))


def with_threshold(rules: Mapping[str, EventRule], on: float) -> dict[str, EventRule]:
    """Replace every threshold `on`; `off` is moved in proportion.

    Parameters
    ----------
    rules
        One per label; their other fields stay.
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
    bundle: Bundle, source: _Source, hop: float | None, observers: Observers
) -> Iterator[Scores]:
    name, meter = source.name, source.meter
    blocks = watch_blocks(_readable(source), meter)
    if observers.progress:
        blocks = _report_progress(blocks, source, partial(observers.progress, name))
    pipeline, observe = require_labels(bundle).pipeline(hop), None
    if observers.frames:
        observe = partial(_report_frames, pipeline, partial(observers.frames, name))
    runs = watch_windows(pipeline.scores(blocks, observe), meter)
    return _report_windows(runs, partial(observers.windows, name)) if observers.windows else runs


@dataclass
class _Source:
    """A recording that is being read, with its header, coverage and error."""

    path: str | Path
    front: FrontEnd
    reading: SignalReadOptions = DEFAULT_OPTIONS
    name: str = ""
    info: AudioInfo | None = None
    signal: Signal | None = None
    error: str = ""
    meter: CoverageMeter = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.name or str(self.path)
        reason = NOT_FINITE if self.front.sound else MISSING
        self.meter = CoverageMeter(self.front.rate, reason)

    def coverage(self) -> Coverage:
        """Return the coverage, once all blocks have passed."""
        if self.front.sound:
            return coverage_of(self.meter, self.info, self.error)
        return signal_coverage(self.meter, self.signal, self.reading.missing == "interpolate")


def _readable(source: _Source) -> Iterator[Block]:
    """Read up to the end or the first damage, which becomes the source's error."""
    try:
        with about(source.path):
            if not source.front.sound:
                with open_for(source.path, source.front, source.reading) as source.signal:
                    yield from blocks_of(source.signal)
                return
            if RecordingRef.of(source.path).is_sound:
                source.info = audio_info(source.path)
                if source.info.stamped:
                    source.meter.gap = MISSING
            yield from read_for(source.path, source.front, source.reading)
    except AudioError as problem:
        source.error = str(problem.renamed(source.name))
    except Exception as problem:  # a fault in a decoder must not cost other recordings
        source.error = f"{source.name} broke its decoder ({type(problem).__name__}: {problem})"


def _report_progress(
    blocks: Iterable[Block], source: _Source, report: Callable[..., None]
) -> Iterator[Block]:
    for block in blocks:
        seconds = (block.start + block.samples.shape[-1]) / block.rate
        report(seconds, source.info.duration if source.info else None)
        yield block


def _report_windows(runs: Iterable[Scores], report: Callable[..., None]) -> Iterator[Scores]:
    for run in runs:
        if run.values.shape[1]:
            report(run.times, run.values)
        yield run


def _report_frames(pipeline: Pipeline, report: Callable[..., None], run: Columns) -> None:
    if (scores := pipeline.column_scores(run)) is not None:
        grid = pipeline.grid
        rate = run.rate or grid.rate
        begins = (run.start + grid.period * np.arange(scores.shape[1])) / rate
        report(np.stack((begins, begins + grid.reach / rate)), scores)
