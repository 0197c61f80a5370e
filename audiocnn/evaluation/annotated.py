"""Recordings with annotated events (strong labels), and the events a model detects in them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.annotation_files import read_annotations
from audiocnn.datasets.manifest import Clip, read_manifest
from audiocnn.errors import DatasetError
from audiocnn.evaluation.threshold_search import clip_runs
from audiocnn.evaluation.window_logits import WindowLogits, clip_logits
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.events import Event, find_events
from audiocnn.inference.model_input import find_for
from audiocnn.inference.windows import calibrate
from audiocnn.io.audio.reader import find_recordings
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Annotated:
    """A recording and its annotated events; an end of None means the end of the recording."""

    path: Path
    events: tuple[Event, ...]


@dataclass(frozen=True, eq=False)
class Detected:
    """The events and scores of a model in an annotated recording.

    Parameters
    ----------
    truth, found
        Events, all with an end.
    path, seconds
        The recording, and its length.
    edges, scores
        (W + 1,) times between which each window's scores (C, W) apply, in seconds.
    """

    path: str
    seconds: float
    truth: tuple[Event, ...]
    found: tuple[Event, ...]
    edges: NDArray[np.float64]
    scores: NDArray[np.float32]


def read_annotated(
    data: str | Path,
    where: Mapping[str, Collection[str]] | None = None,
    front: FrontEnd | None = None,
) -> list[Annotated]:
    """List recordings with their annotated events.

    Parameters
    ----------
    data
        A CSV (or a folder with a ``clips.csv``) whose rows are events: path, start, end,
        label; a row without a label marks a recording without events.
        Or a folder of recordings with annotations beside them, as for training (see
        `annotation_files`); recordings without annotations are left out.
    where
        Values by column: only rows that have them.
    front
        The model's front end, if its signals are not sound.

    Raises
    ------
    DatasetError
        If there are none, or an annotation cannot be parsed.
    """
    data = Path(data)
    if data.suffix.lower() == ".csv" or (data / "clips.csv").exists():
        by_path: dict[Path, list[Event]] = {}
        for clip in read_manifest(data, where=where or {}):
            events = by_path.setdefault(clip.path, [])
            events += [Event(label, clip.start, clip.end) for label in clip.labels]
        return [Annotated(path, tuple(events)) for path, events in by_path.items()]
    if where:
        raise DatasetError(f"{data} has no clips.csv, so --where has no columns to select by")
    recordings = find_recordings([data]) if front is None else find_for([data], front)
    annotations = read_annotations(recordings)
    for note in annotations.notes:
        LOG.warning("%s", note)
    found = [Annotated(path, tuple(events)) for path, events in sorted(annotations.events.items())]
    if not found:
        raise DatasetError(
            f"{data}: no recording has annotations beside it; night.wav needs night.txt (Audacity),"
            " night.selections.txt (Raven), night.csv or night.jsonl"
        )
    return found


def detect(
    bundle: Bundle, recording: Annotated, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> Detected:
    """Detect events in a recording, by the bundle's rules.

    Parameters
    ----------
    bundle, recording
        The model, and the recording.
    reading
        How a signal other than sound is read.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    stretches = clip_logits(bundle, Clip(recording.path, ()), reading)
    grid, parts = grid_of(bundle), []
    found: list[Event] = []
    for stretch in stretches:
        for _, runs in clip_runs(stretch, grid, bundle.calibration):
            found += find_events(runs, bundle.rules, source=str(recording.path))
        parts.append(_windows(bundle, stretch))
    seconds = float(stretches[-1].ends[-1])
    truth = tuple(
        replace(event, end=seconds if event.end is None else event.end)
        for event in recording.events
    )
    edges = np.concatenate([*(edges[:-1] for edges, _ in parts), [seconds]])
    scores = np.concatenate([values for _, values in parts], axis=1)
    return Detected(str(recording.path), seconds, truth, tuple(found), edges, scores)


def _windows(
    bundle: Bundle, windows: WindowLogits
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the times that are nearer to a window's centre than to another's, and the scores."""
    centres = (windows.begins + windows.ends) / 2
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate(([windows.begins[0]], between, [windows.ends[-1]]))
    return edges, calibrate(windows.logits, bundle.calibration)
