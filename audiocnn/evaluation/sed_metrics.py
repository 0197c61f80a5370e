"""Metrics of event detection: segment and event F1, PSDS, false alarms.

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
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.evaluation.annotated import Detected
from audiocnn.evaluation.intervals import event_rate
from audiocnn.inference.events import Event

SEGMENT = 1.0  # seconds
COLLAR, LENGTH_SHARE = 0.2, 0.5  # seconds; offsets may also be off by this share of the length
# The two scenarios of DCASE 2021 to 2023, task 4: the first wants times, the second names.
PSDS = {
    "psds_1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0},
    "psds_2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3,
               "alpha_ct": 0.5, "alpha_st": 1.0},
}  # fmt: skip


def default_collar(window: float) -> float:
    """Return the collar for a model: half of its window, and at least that of DCASE.

    A window reports an event somewhere in it, so an onset is known to about half of its
    length; a collar that is shorter measures the window, not the model.
    """
    return max(COLLAR, round(window / 2, 3))


def evaluate_detection(
    heard: Sequence[Detected], labels: Sequence[str], collar: float = COLLAR
) -> dict[str, Any]:
    """Compute all figures of event detection as plain values; None where there is none.

    Parameters
    ----------
    heard
        At least one recording.
    labels
        Of the model.
    collar
        Seconds by which an onset may be off for an event to count as found; offsets may
        be off by it or by half of the event's length. Figures with DCASE's collar of
        0.2 s are given as well, as ``event_f1_dcase``.

    Raises
    ------
    ArgumentError
        If the collar is not above 0.
    AudiocnnError
        If the packages that count are not installed.
    """
    if not (math.isfinite(collar) and collar > 0):
        raise ArgumentError(f"the collar must be above 0 s, got {collar:g}")
    segment, event = _by_sed_eval(heard, labels, collar)
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
    strict = event if collar == COLLAR else _by_sed_eval(heard, labels, COLLAR)[1]
    overall["event_f1_dcase"] = _share(strict["overall"]["f_measure"]["f_measure"])
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
        "collar": collar,
        "overall": overall,
        "macro": macro,
        **_psds(heard, labels),
        "false_alarms": _alarms_elsewhere(heard),
        "per_class": per_class,
    }


def _by_sed_eval(
    heard: Sequence[Detected], labels: Sequence[str], collar: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dcase_util's use of pkg_resources
        try:
            from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        segment = SegmentBasedMetrics(list(labels), time_resolution=SEGMENT)
        event = EventBasedMetrics(list(labels), t_collar=collar, percentage_of_length=LENGTH_SHARE)
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
    """Return the PSDS of both scenarios over the annotated labels; None for fewer than two."""
    known = [label for label in labels if any(e.label == label for h in heard for e in h.truth)]
    if len(known) < 2:  # sed_scores_eval 0.0.4 counts confusions, so it takes two labels
        return dict.fromkeys(PSDS)
    try:
        from sed_scores_eval.base_modules.scores import create_score_dataframe
        from sed_scores_eval.intersection_based import psds
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    rows = [list(labels).index(label) for label in known]
    truth = {h.path: _merged(h.truth) for h in heard}
    lengths = {h.path: max(h.seconds, *(e[1] for e in truth[h.path]), 0.0) for h in heard}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas'
        scores = {
            h.path: _writable(create_score_dataframe(h.scores[rows].T, h.edges, known))
            for h in heard
        }
        return {name: float(psds(scores, truth, lengths, **how)[0]) for name, how in PSDS.items()}


def _writable(frame: Any) -> Any:
    """Return a data frame whose arrays are writable.

    sed_scores_eval 0.0.4 passes them to code that requires it, although it writes nothing;
    since pandas 3 the arrays of a data frame are read-only.
    """
    plain = type(frame)
    methods = {
        "_constructor": property(lambda self: kind),
        "to_numpy": lambda self: np.array(plain.to_numpy(self)),
    }
    kind = type("WritableFrame", (plain,), methods)
    return kind(frame)


def _merged(events: Sequence[Event]) -> list[tuple[float, float, str]]:
    """Join overlapping annotations of one label, as PSDS requires."""
    out: list[tuple[float, float, str]] = []
    for event in sorted(events, key=lambda e: (e.label, e.start)):
        assert event.end is not None, "detect() ends all events"
        if out and out[-1][2] == event.label and event.start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], event.end), event.label)
        else:
            out.append((event.start, event.end, event.label))
    return out


def _alarms_elsewhere(heard: Sequence[Detected]) -> dict[str, float] | None:
    """Return the rate of events detected where nothing is annotated."""
    alarms, free = 0, 0.0
    for h in heard:
        stretches = _merged([replace(e, label="") for e in h.truth])
        free += h.seconds - sum(min(end, h.seconds) - start for start, end, _ in stretches)
        for e in h.found:
            assert e.end is not None, "events of a finished recording have an end"
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
