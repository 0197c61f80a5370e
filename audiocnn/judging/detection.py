"""Events found against events annotated: segment and event F1, PSDS, false alarms.

The counting is that of the field's own packages (`audiocnn[judge]`, imported when they
are used), so that figures can be compared with those of others: segments of 1 s and
events with a collar by sed_eval [1]_, PSDS by sed_scores_eval [2]_, [3]_.

References
----------
.. [1] A. Mesaros, T. Heittola, T. Virtanen, Metrics for polyphonic sound event detection,
   Applied Sciences 6, 2016.
.. [2] Ç. Bilen et al., A framework for the robust evaluation of sound event detection,
   ICASSP 2020.
.. [3] J. Ebbers, R. Serizel, R. Haeb-Umbach, Threshold independent evaluation of sound
   event detection scores, ICASSP 2022.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.annotations import FORMATS, read_events
from audiocnn.audio import find_recordings
from audiocnn.bundle import Bundle, grid_of
from audiocnn.errors import AudiocnnError, DatasetError
from audiocnn.events import Event, find_events
from audiocnn.judging.rules import clip_runs
from audiocnn.judging.windows import Heard, hear_clip
from audiocnn.manifest import Clip, read_manifest
from audiocnn.rates import event_rate
from audiocnn.scoring import calibrate

SEGMENT = 1.0  # seconds
COLLAR, LENGTH_SHARE = 0.2, 0.5  # seconds; offsets may also be off by this share of the length
# The two scenarios of DCASE 2021 to 2023, task 4: the first wants times, the second names.
PSDS = {
    "psds_1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0},
    "psds_2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3,
               "alpha_ct": 0.5, "alpha_st": 1.0},
}  # fmt: skip


@dataclass(frozen=True)
class Annotated:
    """A whole recording and the events that someone heard in it; ends None: to its end."""

    path: Path
    events: tuple[Event, ...]


@dataclass(frozen=True, eq=False)
class Detected:
    """What a model found in an annotated recording.

    Parameters
    ----------
    truth, found
        Events, all with an end.
    path, seconds
        The recording, and its length.
    edges, scores
        (W + 1,) seconds between which each window speaks, and (C, W) its scores.
    """

    path: str
    seconds: float
    truth: tuple[Event, ...]
    found: tuple[Event, ...]
    edges: NDArray[np.float64]
    scores: NDArray[np.float32]


def read_annotated(
    data: str | Path, where: Mapping[str, Collection[str]] | None = None
) -> list[Annotated]:
    """List recordings with their annotated events.

    Parameters
    ----------
    data
        A CSV (or a folder with a ``clips.csv``) whose rows are events: path, start, end,
        label; a row without a label says that nothing is to be heard in the recording.
        Or a folder of recordings with annotations beside them, of the same name: night.wav
        and night.txt (Audacity), .selections.txt (Raven), .csv or .jsonl; a recording
        without is left out.
    where
        Only the rows that have these values by column.

    Raises
    ------
    DatasetError
        If there are none, or one cannot be understood.
    """
    data = Path(data)
    if data.suffix.lower() == ".csv" or (data / "clips.csv").exists():
        by_path: dict[Path, list[Event]] = {}
        for clip in read_manifest(data, where=where or {}):
            events = by_path.setdefault(clip.path, [])
            events += [Event(label, clip.start, clip.end) for label in clip.labels]
        return [Annotated(path, tuple(events)) for path, events in by_path.items()]
    if where:
        raise DatasetError(f"{data} has no clips.csv, so --where has no columns to look at")
    found = []
    for path in find_recordings([data]):
        beside = [path.with_name(path.stem + suffix) for suffix in FORMATS]
        if here := [file for file in beside if file.exists()]:
            found.append(Annotated(path, tuple(read_events(here[0]))))
    if not found:
        raise DatasetError(
            f"{data}: no recording has annotations beside it; night.wav wants night.txt (Audacity),"
            " night.selections.txt (Raven), night.csv or night.jsonl"
        )
    return found


def detect(bundle: Bundle, recording: Annotated) -> Detected:
    """Find events in a recording, by the bundle's rules.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    stretches = hear_clip(bundle, Clip(recording.path, ()))
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


def _windows(bundle: Bundle, heard: Heard) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Say between which times each window speaks: nearer to its centre than to another's."""
    centres = (heard.begins + heard.ends) / 2
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate(([heard.begins[0]], between, [heard.ends[-1]]))
    return edges, calibrate(heard.logits, bundle.calibration)


def evaluate_detection(heard: Sequence[Detected], labels: Sequence[str]) -> dict[str, Any]:
    """Give all figures of event detection as plain values; None where there is none.

    Parameters
    ----------
    heard
        At least one recording.
    labels
        Of the model.

    Raises
    ------
    AudiocnnError
        If the packages that count are not installed.
    """
    segment, event = _by_sed_eval(heard, labels)
    n_true = {label: sum(e.label == label for h in heard for e in h.truth) for label in labels}
    per_class = {
        label: {
            "events": n_true[label],
            "detected": sum(e.label == label for h in heard for e in h.found),
            "segment_f1": _share(segment["class_wise"][label]["f_measure"]["f_measure"]),
            "event_f1": _share(event["class_wise"][label]["f_measure"]["f_measure"]),
            "event_precision": _share(event["class_wise"][label]["f_measure"]["precision"]),
            "event_recall": _share(event["class_wise"][label]["f_measure"]["recall"]),
        }
        for label in labels
    }
    overall = {
        name: _share(figures["overall"]["f_measure"]["f_measure"])
        for name, figures in (("segment_f1", segment), ("event_f1", event))
    }
    known = [row for row in per_class.values() if row["events"]]
    macro = {
        name: float(np.mean([row[name] or 0.0 for row in known])) if known else None
        for name in ("segment_f1", "event_f1")
    }
    return {
        "recordings": len(heard),
        "hours": sum(h.seconds for h in heard) / 3600,
        "events": sum(n_true.values()),
        "detected": sum(len(h.found) for h in heard),
        "overall": overall,
        "macro": macro,
        **_psds(heard, labels),
        "false_alarms": _alarms_elsewhere(heard),
        "per_class": per_class,
    }


def _by_sed_eval(
    heard: Sequence[Detected], labels: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dcase_util's use of pkg_resources
        try:
            from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        segment = SegmentBasedMetrics(list(labels), time_resolution=SEGMENT)
        event = EventBasedMetrics(list(labels), t_collar=COLLAR, percentage_of_length=LENGTH_SHARE)
        for h in heard:
            truth, found = _rows(h, h.truth), _rows(h, h.found)
            segment.evaluate(truth, found, evaluated_length_seconds=h.seconds)
            event.evaluate(truth, found)
        return (_results(segment), _results(event))


def _results(metric: Any) -> dict[str, Any]:
    return {
        "overall": metric.results_overall_metrics(),
        "class_wise": metric.results_class_wise_metrics(),
    }


def _rows(h: Detected, events: Sequence[Event]) -> list[dict[str, Any]]:
    return [
        {"event_label": e.label, "event_onset": e.start, "event_offset": e.end, "filename": h.path}
        for e in events
    ]


def _psds(heard: Sequence[Detected], labels: Sequence[str]) -> dict[str, float | None]:
    """Give the PSDS of both scenarios, over the labels that are annotated."""
    known = [label for label in labels if any(e.label == label for h in heard for e in h.truth)]
    if not known:
        return dict.fromkeys(PSDS)
    try:
        from sed_scores_eval.base_modules.scores import create_score_dataframe
        from sed_scores_eval.intersection_based import psds
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    rows = [list(labels).index(label) for label in known]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas'
        scores = {h.path: create_score_dataframe(h.scores[rows].T, h.edges, known) for h in heard}
    truth = {h.path: _merged(h.truth) for h in heard}
    lengths = {h.path: max(h.seconds, *(e[1] for e in truth[h.path]), 0.0) for h in heard}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: float(psds(scores, truth, lengths, **how)[0]) for name, how in PSDS.items()}


def _merged(events: Sequence[Event]) -> list[tuple[float, float, str]]:
    """Join annotations of one label that overlap, as PSDS wants them."""
    out: list[tuple[float, float, str]] = []
    for event in sorted(events, key=lambda e: (e.label, e.start)):
        assert event.end is not None, "detect ends them"
        if out and out[-1][2] == event.label and event.start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], event.end), event.label)
        else:
            out.append((event.start, event.end, event.label))
    return out


def _alarms_elsewhere(heard: Sequence[Detected]) -> dict[str, float] | None:
    """Rate the events found where nothing is annotated at all."""
    alarms, free = 0, 0.0
    for h in heard:
        stretches = _merged([replace(e, label="") for e in h.truth])
        free += h.seconds - sum(min(end, h.seconds) - start for start, end, _ in stretches)
        for e in h.found:
            assert e.end is not None, "find_events ends them"
            alarms += not any(start < e.end and e.start < end for start, end, _ in stretches)
    if free <= 0:
        return None
    rate = event_rate(alarms, free / 3600)
    return {"events": alarms, "hours": free / 3600, "per_hour": rate.per_hour, "low": rate.low,
            "high": rate.high}  # fmt: skip


def _share(value: float) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _missing(error: ModuleNotFoundError) -> AudiocnnError:
    return AudiocnnError(
        f"figures of event detection need {error.name}, which is not installed; run: "
        "pip install 'audiocnn[judge]'"
    )
