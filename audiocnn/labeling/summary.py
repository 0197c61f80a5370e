"""A run in numbers: how many events of which class, on which day, at which hour.

Everything is counted while it passes by; what is kept grows with the days and the
classes of a run, never with its events. An event belongs to the hour in which it
begins. Where recordings' names do not say when they began, their events are counted,
and have neither day nor hour.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from audiocnn.annotations.start_times import Clock, moment, start_time
from audiocnn.inference.events import Event
from audiocnn.labeling.label import LabelResult

Number = TypeVar("Number", int, float)
MANY_DAYS = 400
Hour = tuple[date, int]


@dataclass
class OfLabel:
    """What was found of one class.

    Parameters
    ----------
    events, seconds, recordings
        How many, how long together, in how many recordings.
    best
        Highest score; None if none has one.
    hours
        Events by day and hour, where these are known.
    """

    events: int = 0
    seconds: float = 0.0
    recordings: int = 0
    best: float | None = None
    hours: Counter[Hour] = field(default_factory=Counter)
    last: str | None = None  # recording: the events of one come together

    def add(self, event: Event) -> None:
        """Count an event."""
        self.events += 1
        self.seconds += (event.start if event.end is None else event.end) - event.start
        if event.score is not None:
            self.best = event.score if self.best is None else max(self.best, event.score)
        if event.source != self.last:
            self.recordings, self.last = self.recordings + 1, event.source

    def by_day(self) -> dict[str, int]:
        """Give the events of each day that has some."""
        return _by_day(self.hours)

    def by_hour(self) -> list[int]:
        """Give the events in each of the 24 hours of all days."""
        found = [0] * 24
        for (_, hour), n in self.hours.items():
            found[hour] += n
        return found


@dataclass
class Heard:
    """What was heard of the recordings.

    Parameters
    ----------
    recordings, failed
        How many, and how many of them could not be read to their end.
    seconds, scored, skipped
        Of sound, together; skipped by reason.
    hours
        Seconds scored by day and hour, where these are known.
    """

    recordings: int = 0
    failed: int = 0
    seconds: float = 0.0
    scored: float = 0.0
    skipped: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    hours: dict[Hour, float] = field(default_factory=lambda: defaultdict(float))

    def by_day(self) -> dict[str, float]:
        """Give the seconds scored on each day."""
        return _by_day(self.hours)

    def add(self, result: LabelResult, start: datetime | None) -> None:
        """Count a recording."""
        coverage = result.coverage
        self.recordings += 1
        self.failed += bool(result.error)
        self.seconds += coverage.seconds
        self.scored += coverage.scored
        for skipped in coverage.skipped:
            self.skipped[skipped.reason] += skipped.seconds
        if start is not None and coverage.seconds:
            share = coverage.scored / coverage.seconds  # what was skipped is spread evenly
            for hour, seconds in hours_of(start, coverage.seconds):
                self.hours[hour] += seconds * share


@dataclass
class Summary:
    """A run in numbers.

    Parameters
    ----------
    labels
        By class, sorted.
    untimed
        Events of which neither day nor hour is known.
    heard
        None where there is no ledger to say it.
    """

    labels: dict[str, OfLabel] = field(default_factory=dict)
    untimed: int = 0
    heard: Heard | None = None

    def days(self) -> list[date]:
        """List the days from the first to the last: all, or if these are many, those with sound."""
        hours = {hour for found in self.labels.values() for hour in found.hours}
        there = {day for day, _ in hours | set(self.heard.hours if self.heard else ())}
        if not there:
            return []
        first, last = min(there), max(there)
        if (last - first).days >= MANY_DAYS:  # or one wrong clock would make a century of them
            return sorted(there)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def as_dict(self) -> dict[str, Any]:
        """Give all of it for JSON."""
        labels = {
            label: {
                "events": found.events,
                "seconds": round(found.seconds, 3),
                "recordings": found.recordings,
                "best": found.best,
                "by_hour": found.by_hour(),
                "by_day": found.by_day(),
                "hours": _as_list(found.hours),
            }
            for label, found in self.labels.items()
        }
        told: dict[str, Any] = {"labels": labels, "untimed": self.untimed, "coverage": None}
        if self.heard:
            told["coverage"] = {
                "recordings": self.heard.recordings,
                "failed": self.heard.failed,
                "seconds": round(self.heard.seconds, 3),
                "scored": round(self.heard.scored, 3),
                "skipped": {name: round(s, 3) for name, s in self.heard.skipped.items()},
                "hours": _as_list(self.heard.hours),
            }
        return told


def summarize(
    events: Iterable[Event] | None, results: Iterable[LabelResult] | None, clock: Clock
) -> Summary:
    """Count a run.

    Parameters
    ----------
    events
        Of a run's output; None: those of ``results``.
    results
        Of its ledger; None if there is none.
    clock
        Which day and hour it is.
    """
    summary = Summary(heard=None if results is None else Heard())
    starts = _Starts(clock)
    if results is not None and summary.heard is not None:
        for result in results:
            summary.heard.add(result, starts.of(result.path))
            if events is None:
                _count(summary, result.events, starts)
    if events is not None:
        _count(summary, events, starts)
    summary.labels = dict(sorted(summary.labels.items()))
    return summary


def hours_of(start: datetime, seconds: float) -> Iterator[tuple[Hour, float]]:
    """Cut a stretch of time at the hours of the clock.

    Yields
    ------
    hour
        Day and hour.
    seconds
        How much of the stretch lies in it.
    """
    at = 0.0
    while at < seconds:
        now = moment(start, at)
        into = now.minute * 60 + now.second + now.microsecond / 1e6
        step = min(3600 - into, seconds - at)
        yield (now.date(), now.hour), step
        at += step


class _Starts:
    """When recordings began; remembers the last, for events come recording by recording."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._path, self._start = clock, "", start_time("", clock)

    def of(self, path: str) -> datetime | None:
        if path != self._path:
            self._path, self._start = path, start_time(path, self._clock)
        return self._start


def _count(summary: Summary, events: Iterable[Event], starts: _Starts) -> None:
    for event in events:
        found = summary.labels.get(event.label)
        if found is None:
            found = summary.labels[event.label] = OfLabel()
        found.add(event)
        if (start := starts.of(event.source)) is None:
            summary.untimed += 1
        else:
            now = moment(start, event.start)
            found.hours[now.date(), now.hour] += 1


def _by_day(hours: Mapping[Hour, Number]) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for (day, _), n in sorted(hours.items()):
        found[day.isoformat()] = found[day.isoformat()] + n if day.isoformat() in found else n
    return found


def _as_list(hours: Mapping[Hour, float]) -> list[list[Any]]:
    return [[day.isoformat(), hour, round(n, 3)] for (day, hour), n in sorted(hours.items())]
