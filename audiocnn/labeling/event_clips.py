"""Clips of events for review: which events are chosen, and their sounds cut out.

Signals other than sound are drawn instead. A run may have millions of events: while they
pass, only as many of each class are kept as are wanted in the end.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from audiocnn.datasets.reviews import DRAWN, Cut
from audiocnn.errors import ArgumentError, AudioError, did_you_mean
from audiocnn.inference.events import Event
from audiocnn.io.audio.excerpts import read_excerpt, write_flac
from audiocnn.io.files.safe_names import safe_name
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.event_plots import TraceOptions, draw_trace, read_trace, write_trace

ORDERS = ("best", "doubtful", "time")
LONGEST_NAME = 60  # characters of a recording's name in a clip's
MARGIN = 2.0  # seconds of sound around an event


def choose_events(
    events: Iterable[Event],
    *,
    order: str = "best",
    limit: int | None = None,
    labels: Collection[str] = (),
) -> list[Event]:
    """Choose events of each class.

    Parameters
    ----------
    events
        Taken one by one.
    order
        ``best``: highest score first. ``doubtful``: nearest to 0.5 first, where a
        verdict on a probability teaches most. ``time``: in the order of ``events``.
        Events without a score come last.
    limit
        How many of each class; all of them if None.
    labels
        Only events of these classes; of all if empty.

    Returns
    -------
    list of Event
        By label, and in order within a label.

    Raises
    ------
    ArgumentError
        If ``order`` or ``limit`` is out of range, or no event has one of the labels.
    """
    if order not in ORDERS:
        raise ArgumentError(f"the order is one of {', '.join(ORDERS)}, got {order!r}")
    if limit is not None and limit < 1:
        raise ArgumentError(f"limit must be at least 1, got {limit}")
    kept: dict[str, list[tuple[float, int, Event]]] = {}
    for number, event in enumerate(events):
        heap = kept.setdefault(event.label, [])
        if labels and event.label not in labels:
            continue
        item = (-_rank(event, order, number), -number, event)  # the worst of a heap is on top
        if limit is None or len(heap) < limit:
            heapq.heappush(heap, item)
        elif item[:2] > heap[0][:2]:
            heapq.heapreplace(heap, item)
    for label in labels:
        if label not in kept:
            there = ", ".join(sorted(kept)) or "none"
            raise ArgumentError(
                f"no event of {label!r}{did_you_mean(label, kept)}; found labels: {there}"
            )
    return [event for label in sorted(kept) for _, _, event in sorted(kept[label], reverse=True)]


def cut_events(
    events: Iterable[Event],
    folder: Path,
    *,
    margin: float | None = None,
    longest: float = 60.0,
    open_path: Callable[[str], Path] = Path,
    options: TraceOptions = TraceOptions(),  # noqa: B008 (it is frozen)
) -> Iterator[Cut | AudioError]:
    """Cut the sounds of events out of their recordings, into a folder for each label.

    Parameters
    ----------
    events
        By label, in the order in which their clips are numbered.
    folder
        Where ``label/number_score_recording_start.flac`` is written, or ``.svg`` for a
        signal other than sound.
    margin
        Seconds before and after each; None for `MARGIN` (sound) or the length of the
        event (other signals).
    longest
        Seconds of one event at most; a longer one is cut.
    open_path
        Returns the path of an event's source.
    options
        How signals other than sound are read.

    Yields
    ------
    Cut or AudioError
        For each event, in order: its clip, or the error.

    Raises
    ------
    ArgumentError
        If a clip cannot be written.
    """
    if not ((margin is None or (math.isfinite(margin) and margin >= 0)) and longest > 0):
        raise ArgumentError(
            f"margin must be 0 seconds or more and longest above 0, got {margin} and {longest}"
        )
    taken: dict[str, int] = {}
    for label, members in itertools.groupby(events, lambda event: event.label):
        name = safe_name(label)  # the same for "Owl" and "owl", as for some file systems
        taken[name] = taken.get(name, 0) + 1
        where = folder / (name if taken[name] == 1 else f"{name}-{taken[name]}")
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(f"cannot make the folder {where}: {error.strerror}") from error
        for number, event in enumerate(members, start=1):
            try:
                yield _cut(event, number, where, (margin, longest), open_path, options)
            except AudioError as error:
                yield error


def _cut(
    event: Event,
    number: int,
    where: Path,
    limits: tuple[float | None, float],
    open_path: Callable[[str], Path],
    options: TraceOptions,
) -> Cut:
    if not event.source:
        raise AudioError(
            f"an event at {event.start:.3f} s does not name its recording (Audacity's format has "
            "no names): use another format of the run, or its ledger"
        )
    drawn = not RecordingRef.of(event.source).is_sound
    margin, longest = limits
    end = event.start if event.end is None else min(event.end, event.start + longest)
    if margin is None:
        margin = end - event.start if drawn else MARGIN
    begin, stop = max(0.0, event.start - margin), end + margin
    name = re.split(r"[/\\]", event.source)[-1]
    stem = re.sub(r"[^A-Za-z0-9._+-]+", "_", os.path.splitext(name)[0])[:LONGEST_NAME]
    score = "" if event.score is None else f"_{event.score:.2f}"
    if drawn:
        path = where / f"{number:04d}{score}_{stem}_{event.start:.6g}s{DRAWN}"
        trace = read_trace(open_path(event.source), begin, max(stop, begin + 1e-9), options)
        title = f"{event.label}{score.replace('_', ' ')}, {event.source} from {event.start:g} s"
        write_trace(draw_trace(trace, event.start, end, title), path)
        return Cut(f"{where.name}/{path.name}", event, event.start - begin)
    path = where / f"{number:04d}{score}_{stem}_{event.start:.1f}s.flac"
    excerpt = read_excerpt(open_path(event.source), begin, max(stop, begin + 0.01))
    write_flac(excerpt, path)
    offset = max(0.0, event.start - excerpt.start / excerpt.rate)
    return Cut(f"{where.name}/{path.name}", event, offset)


def _rank(event: Event, order: str, number: int) -> float:
    if order == "time":
        return number
    if event.score is None:
        return math.inf
    return -event.score if order == "best" else abs(event.score - 0.5)
