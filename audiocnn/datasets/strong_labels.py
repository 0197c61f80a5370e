"""Long recordings with annotations beside them, as clips: what sounds when, and when nothing.

    night.wav  night.txt                       Audacity
    night.wav  night.selections.txt            Raven, also night.Table.1.selections.txt

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

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from audiocnn.annotations.formats import read_events
from audiocnn.datasets.clip import Clip
from audiocnn.errors import AudioError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.audio.reader import audio_info

MARGIN = 0.5  # seconds beside a mark that are neither class nor background
SHORTEST_BACKGROUND = 1.0  # seconds
SLIVER = 0.1  # seconds; shorter overlaps are how exactly somebody clicked
BEYOND_END = 0.1  # seconds by which a mark may pass the end: programs round
RAVEN = re.compile(r"(\.Table\.\d+)?\.selections\.txt", re.IGNORECASE)
TIMES = re.compile(r"\s*\d+(\.\d*)?\t\s*\d*(\.\d*)?(\t|$)")


def find_annotations(recordings: Sequence[Path]) -> dict[Path, list[Path]]:
    """Find the annotation files that lie beside recordings.

    Returns
    -------
    dict
        Files by recording, for those that have any. An ``x.txt`` beside ``x.wav`` is one
        if its first line begins with two times between tabs; one without a word in it
        (nothing was heard) is one if other recordings have annotations.
    """
    names: dict[Path, list[str]] = {}
    found: dict[Path, list[Path]] = {}
    empty: dict[Path, Path] = {}
    for recording in recordings:
        folder = recording.parent
        if folder not in names:
            names[folder] = sorted(entry.name for entry in folder.iterdir())
        raven = [folder / n for n in _beside(recording, names[folder]) if _is_raven(recording, n)]
        if raven:
            found[recording] = raven
        labels = recording.with_suffix(".txt")
        if labels.name in names[folder] and labels.is_file():
            first = _first_line(labels)
            if first is None:
                empty[recording] = labels
            elif TIMES.match(first):
                found.setdefault(recording, []).append(labels)
    if found:
        found |= {recording: [file] for recording, file in empty.items() if recording not in found}
    return found


def read_strong_labels(annotations: Mapping[Path, Sequence[Path]]) -> dict[Path, list[Event]]:
    """Read what people heard, and when, by recording.

    Parameters
    ----------
    annotations
        Annotation files by recording, as `find_annotations` gives them.

    Returns
    -------
    dict
        Events by recording, in the order of onset; ``source`` is the recording. An
        event without a label marks what nobody could name.

    Raises
    ------
    DatasetError
        If a file cannot be read, or a mark has no length.
    """
    events: dict[Path, list[Event]] = {}
    for recording, files in annotations.items():
        found = []
        for file in files:
            for event in read_events(file):
                if event.end is None or event.end <= event.start:
                    raise DatasetError(
                        f"{file}: {event.label!r} at {event.start:g} s is a point: mark it from"
                        " where it begins to where it ends"
                    )
                found += [
                    Event(label, event.start, event.end, event.score, str(recording))
                    for label in _names(event.label) or ("",)
                ]
        events[recording] = sorted(found, key=lambda e: (e.start, e.end or 0.0, e.label))
    return events


def clips_of(recording: Path, events: Sequence[Event]) -> list[Clip]:
    """Cut an annotated recording into clips: what sounds, and the background between.

    Parameters
    ----------
    recording
        The file; its header is read, for its length.
    events
        All that was marked in it, see `read_strong_labels`.

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
    """Give the stretches in which the same named classes sound, by onset."""
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


def _beside(recording: Path, names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if name.startswith(recording.stem))


def _is_raven(recording: Path, name: str) -> bool:
    rests = (name.removeprefix(begin) for begin in (recording.name, recording.stem))
    return any(rest != name and RAVEN.fullmatch(rest) for rest in rests)


def _first_line(path: Path) -> str | None:
    """Give the first line with anything on it; None if there is none."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return next((line for line in file if line.strip()), None)
