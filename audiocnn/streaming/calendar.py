"""Days and hours of a time zone, and how much of each was analysed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from audiocnn.errors import ArgumentError

MOST_DAYS = 400  # in one request


@dataclass(frozen=True)
class Span:
    """A stretch of time: seconds since 1970, and its name in the viewer's calendar."""

    start: float
    end: float
    name: str


def zone(name: str) -> ZoneInfo:
    """Find a time zone.

    Raises
    ------
    ArgumentError
        If there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ArgumentError(f"no time zone {name[:60]!r}; one is 'Europe/Berlin'") from error


def parse_day(text: str) -> date:
    """Read a day written as 2026-11-28.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentError(f"a day is written as 2026-11-28, got {text[:40]!r}") from None


def days_between(first: date, last: date, zone: ZoneInfo) -> list[Span]:
    """Give the days from first to last, both included.

    Raises
    ------
    ArgumentError
        If they are in the wrong order or more than `MOST_DAYS`.
    """
    n_days = (last - first).days + 1
    if not 1 <= n_days <= MOST_DAYS:
        raise ArgumentError(f"between 1 and {MOST_DAYS} days, got {first} to {last}")
    days = [first + timedelta(days=n) for n in range(n_days + 1)]
    edges = [datetime(d.year, d.month, d.day, tzinfo=zone).timestamp() for d in days]
    names = (day.isoformat() for day in days)
    return [Span(a, b, n) for a, b, n in zip(edges, edges[1:], names, strict=False)]


def hours_of(day: date, zone: ZoneInfo) -> list[Span]:
    """Give the hours of a day: 23 or 25 where clocks are changed."""
    (whole,) = days_between(day, day, zone)
    edges = [whole.start]
    while edges[-1] < whole.end - 1:
        edges.append(min(edges[-1] + 3600.0, whole.end))
    names = (datetime.fromtimestamp(edge, zone).strftime("%H") for edge in edges)
    return [Span(a, b, n) for a, b, n in zip(edges, edges[1:], names, strict=False)]


def heard_in(
    spans: Sequence[Span],
    sessions: Iterable[tuple[Any, ...]],
    gaps: Iterable[tuple[Any, ...]],
) -> list[float]:
    """Give the share of each span in which sound was analysed, the mean over sources.

    Parameters
    ----------
    spans
        In order.
    sessions
        (source, UTC of begin, UTC of end).
    gaps
        (source, UTC of begin, seconds).
    """
    heard: dict[str, list[float]] = {}
    for source, began, ended in sessions:
        _add(heard.setdefault(source, [0.0] * len(spans)), spans, _at(began), _at(ended), 1)
    for source, began, seconds in gaps:
        if source in heard:
            start = _at(began)
            _add(heard[source], spans, start, start + float(seconds or 0), -1)
    now, shares = time.time(), []
    for at, span in enumerate(spans):
        length = max(1.0, min(span.end, now) - span.start)  # what has yet to come is no gap
        seconds = sum(values[at] for values in heard.values())
        shares.append(min(1.0, max(0.0, seconds / length / max(1, len(heard)))))
    return shares


def _add(into: list[float], spans: Sequence[Span], start: float, end: float, sign: int) -> None:
    for at, span in enumerate(spans):
        overlap = min(end, span.end) - max(start, span.start)
        if overlap > 0:
            into[at] += sign * overlap


def timestamp(when: float | None = None) -> str:
    """Write seconds since 1970 (None: now) as the database has times: UTC, milliseconds."""
    moment = datetime.fromtimestamp(time.time() if when is None else when, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
