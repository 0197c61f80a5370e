"""Validation and conversion of events for all formats."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, NamedTuple

from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import check_text, parse_number, parse_seconds


class Row(NamedTuple):
    """An event to be written.

    Parameters
    ----------
    event
        The event; its times are those in its own recording.
    time
        When it began by the clock, if that is known.
    lead
        Seconds of all the recordings before its own.
    nyquist
        Highest frequency in its recording, Hz; None where that is not known.
    """

    event: Event
    time: datetime | None = None
    lead: float = 0.0
    nyquist: float | None = None


def check_event(event: Event) -> Event:
    """Refuse times and scores that no format can hold.

    Raises
    ------
    ArgumentError
        If they are not finite, or out of order.
    """
    end = event.start if event.end is None else event.end
    if not (math.isfinite(event.start) and math.isfinite(end) and 0 <= event.start <= end):
        raise ArgumentError(f"an event needs 0 <= start <= end, got {event}")
    if event.score is not None and not math.isfinite(event.score):
        raise ArgumentError(f"the score of an event must be finite, got {event}")
    return event


def end_of(event: Event, format: str) -> float:
    """Return the end of an event, for a format that needs one.

    Raises
    ------
    ArgumentError
        If the event still sounds.
    """
    if event.end is None:
        raise ArgumentError(f"{format} needs an end, and this still sounds: {event}")
    return event.end


def one_line(text: str, format: str) -> str:
    """Return a text unchanged if a format of lines and tabs without quotes can hold it.

    Raises
    ------
    ArgumentError
        If it has either in it.
    """
    if any(character in text for character in "\t\r\n"):
        raise ArgumentError(
            f"{format} files cannot hold a tab or a line end, got {text!r}: write .csv or .jsonl"
        )
    return text


def event_of(place: str, start: str, end: str, label: str, score: str, source: str) -> Event:
    """Make an event of texts; an empty end or score is None.

    Raises
    ------
    DatasetError
        If they make no sense; begins with ``place``.
    """
    begin = parse_seconds(place, "start", start)
    stop = parse_seconds(place, "end", end) if end else None
    if stop is not None and stop < begin:
        raise DatasetError(f"{place}: the end lies before the start, found {start} to {end}")
    value = parse_number(place, "score", score) if score else None
    return Event(check_text(place, "label", label), begin, stop, value, source)


def text_of(place: str, name: str, value: Any) -> str:
    """Convert a typed value to the text that `event_of` takes.

    Raises
    ------
    DatasetError
        If it is of another type than ``name`` is.
    """
    wanted: tuple[type, ...] = (str,) if name in ("label", "path") else (int, float)
    if value is None and name != "label":
        return ""
    if not isinstance(value, wanted) or isinstance(value, bool):
        kind = "a text" if wanted == (str,) else "a number"
        raise DatasetError(f"{place}: {name} must be {kind}, found {value!r}")
    return str(value)


def iso_time(time: datetime | None) -> str:
    """Write a wall-clock time by ISO 8601, in milliseconds; nothing where there is none."""
    return "" if time is None else time.isoformat(timespec="milliseconds")
