"""Long recordings with annotations beside them, as clips: what sounds when, and when nothing.

    annotated      |--- rain ------------------|        |dog|
                          |dog|
    clips          [rain ][r+d][ rain          ]        [dog]
    background                                     [..]       [............]
                                              margin  margin

A clip is a stretch in which the same classes sound throughout, so no window of it is
given a class that is not there. What lies between is background of that recording: it
is what the model will hear most, from the very microphone. People set marks by eye, and
sounds ring on, so a margin beside each mark is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from audiocnn.datasets.clip import Clip
from audiocnn.errors import AudioError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.audio.reader import audio_info

MARGIN = 0.5  # seconds beside a mark that are neither class nor background
SHORTEST_BACKGROUND = 1.0  # seconds
SLIVER = 0.1  # seconds; shorter overlaps are the precision of marks set by hand
BEYOND_END = 0.1  # seconds by which a mark may pass the end: programs round


def strong_labels(events: Iterable[Event]) -> list[Event]:
    """Prepare the annotated events of a recording for training.

    Parameters
    ----------
    events
        As annotated, see `annotation_files.read_annotations`.

    Returns
    -------
    list of Event
        In the order of onset, one for each of several labels (``a|b``). An event without
        a label marks an unknown sound.

    Raises
    ------
    DatasetError
        If a mark has no length.
    """
    found = []
    for event in events:
        if event.end is None or event.end <= event.start:
            raise DatasetError(
                f"{event.source}: its annotation {event.label!r} at {event.start:g} s is a point: "
                "mark it from where it begins to where it ends"
            )
        found += [replace(event, label=label) for label in _names(event.label) or ("",)]
    return sorted(found, key=lambda e: (e.start, e.end or 0.0, e.label))


def clips_of(recording: Path, events: Sequence[Event]) -> list[Clip]:
    """Cut an annotated recording into clips: what sounds, and the background between.

    Parameters
    ----------
    recording
        The file; its header is read, for its length.
    events
        All that was marked in it, see `strong_labels`.

    Returns
    -------
    list of Clip
        In order; those without labels are background.

    Raises
    ------
    DatasetError
        If the recording cannot be opened, or ends before a mark does.
    """
    try:
        duration = audio_info(recording).duration
    except AudioError as error:
        raise DatasetError(str(error)) from error
    for event in events:
        if duration is not None and (event.end or 0.0) > duration + BEYOND_END:
            raise DatasetError(
                f"{recording} has {duration:.2f} s, and {event.label!r} is marked until"
                f" {event.end:.2f} s: do the annotations belong to it?"
            )
    sounding = [clip for clip in _pieces(recording, events, duration) if clip.labels]
    return sorted([*sounding, *_between(recording, events, duration)], key=lambda c: c.start)


def _pieces(recording: Path, events: Sequence[Event], duration: float | None) -> Iterator[Clip]:
    """Yield the stretches in which the same named classes sound, by onset."""
    spans = list(_spans(events))
    for at, (start, end, labels) in enumerate(spans):
        near = [spans[k][2] for k in (at - 1, at + 1) if 0 <= k < len(spans)]
        if not labels or "" in labels:
            continue
        if end - start < SLIVER and labels <= frozenset().union(*near):
            continue
        stop = end if duration is None else min(end, duration)
        if start < stop:
            yield Clip(recording, tuple(sorted(labels)), start, stop)


def _spans(events: Sequence[Event]) -> Iterator[tuple[float, float, frozenset[str]]]:
    """Cut time at each onset and end that changes what sounds, in one sweep."""
    # An event that ends where another of its label begins: two, not one.
    edges = sorted(
        (time, step, number)
        for number, event in enumerate(events)
        for time, step in ((event.start, 1), (event.end or 0.0, 0))
    )
    open_now: dict[int, str] = {}
    begun = 0.0
    for time, begins, number in edges:
        before = frozenset(open_now.values())
        if begins:
            open_now[number] = events[number].label
        else:
            del open_now[number]
        if frozenset(open_now.values()) != before:
            if time > begun:
                yield begun, time, before
            begun = time


def _between(recording: Path, events: Iterable[Event], duration: float | None) -> Iterator[Clip]:
    at = 0.0
    for event in sorted(events, key=lambda e: e.start):
        if event.start - MARGIN - at >= SHORTEST_BACKGROUND:
            yield Clip(recording, (), round(at, 6), round(event.start - MARGIN, 6))
        at = max(at, (event.end or 0.0) + MARGIN)
    if duration is None or duration - at >= SHORTEST_BACKGROUND:
        yield Clip(recording, (), round(at, 6), None)


def _names(label: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in label.split("|") if name.strip()))
