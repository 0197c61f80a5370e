"""Summary of a run: events by class, day and hour, and which seconds were scored.

Everything is counted while it passes; memory grows with the days, classes and groups of a
run, not with its events. An event belongs to the hour in which it begins. Events of
recordings whose names do not tell when they began are counted without day and hour.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from audiocnn.annotations.start_times import STAMP, Clock, moment, start_time
from audiocnn.inference.events import Event
from audiocnn.labeling.label import LabelResult

Number = TypeVar("Number", int, float)
FOLDED = 3  # empty days in a row that become one
Hour = tuple[date, int]


@dataclass
class LabelSummary:
    """Events of one class.

    Parameters
    ----------
    events, seconds, recordings
        Number, total length, and number of recordings with one.
    best
        Highest score; None if no event has a score.
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
        """Return the number of events of each day that has some."""
        return _by_day(self.hours)

    def by_hour(self) -> list[int]:
        """Return the number of events in each of the 24 hours, over all days."""
        counts = [0] * 24
        for (_, hour), n in self.hours.items():
            counts[hour] += n
        return counts


@dataclass
class CoverageSummary:
    """Coverage of the recordings of a run.

    Parameters
    ----------
    recordings, failed
        Their number, and that of those that could not be read to their end.
    seconds, scored, skipped
        Total length, seconds in windows, and seconds skipped by reason.
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
        """Return the seconds scored on each day."""
        return _by_day(self.hours)

    def add(self, result: LabelResult, start: datetime | None) -> None:
        """Add a recording."""
        coverage = result.coverage
        self.recordings += 1
        self.failed += bool(result.error)
        self.seconds += coverage.seconds
        self.scored += coverage.scored
        for skipped in coverage.skipped:
            self.skipped[skipped.reason] += skipped.seconds
        if start is not None and coverage.seconds:
            share = coverage.scored / coverage.seconds  # skipped seconds are spread evenly
            for hour, seconds in hours_of(start, coverage.seconds):
                self.hours[hour] += seconds * share


@dataclass(frozen=True)
class EmptyDays:
    """Days in a row without recordings and events."""

    first: date
    n: int


@dataclass
class Summary:
    """A run in numbers.

    Parameters
    ----------
    labels
        By class, sorted.
    untimed
        Events of which neither day nor hour is known.
    coverage
        None where there is no ledger.
    groups
        The same for each group of recordings, sorted; empty if none are wanted.
    """

    labels: dict[str, LabelSummary] = field(default_factory=dict)
    untimed: int = 0
    coverage: CoverageSummary | None = None
    groups: dict[str, Summary] = field(default_factory=dict)

    @property
    def n_events(self) -> int:
        """Number of events of all classes."""
        return sum(label.events for label in self.labels.values())

    def days(self) -> list[date | EmptyDays]:
        """List the days from the first to the last; several empty ones in a row are one entry."""
        hours = {hour for label in self.labels.values() for hour in label.hours}
        known = {day for day, _ in hours | set(self.coverage.hours if self.coverage else ())}
        days: list[date | EmptyDays] = []
        for day in sorted(known):
            if days:
                before = days[-1]
                assert isinstance(before, date)
                n = (day - before).days - 1
                if n >= FOLDED:
                    days.append(EmptyDays(before + timedelta(days=1), n))
                else:
                    days += [before + timedelta(days=1 + k) for k in range(n)]
            days.append(day)
        return days

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
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
        values: dict[str, Any] = {"labels": labels, "untimed": self.untimed, "coverage": None}
        if self.coverage:
            values["coverage"] = {
                "recordings": self.coverage.recordings,
                "failed": self.coverage.failed,
                "seconds": round(self.coverage.seconds, 3),
                "scored": round(self.coverage.scored, 3),
                "skipped": {name: round(s, 3) for name, s in self.coverage.skipped.items()},
                "hours": _as_list(self.coverage.hours),
            }
        if self.groups:
            values["groups"] = {name: group.as_dict() for name, group in self.groups.items()}
        return values


def folder_of(path: str) -> str:
    """Return the folder of a recording, the whole path to it."""
    return re.sub(r"[/\\]?[^/\\]*$", "", path) or "."


def site_of(path: str) -> str:
    """Return the site of a recording: what its name has before date and time, or its folder.

    Examples
    --------
    >>> site_of("june/SITE_A_20210605_043000.wav")
    'SITE_A'
    >>> site_of("SITE_B/20210605_043000.WAV")
    'SITE_B'
    """
    name = re.split(r"[/\\]", path)[-1]
    stamp = STAMP.search(name)
    prefix = name[: stamp.start()].strip("_-. ") if stamp else ""
    return prefix or re.split(r"[/\\]", folder_of(path))[-1]


GROUPINGS: Mapping[str, Callable[[str], str]] = {"folder": folder_of, "site": site_of}


def summarize(
    events: Iterable[Event] | None,
    results: Iterable[LabelResult] | None,
    clock: Clock,
    by: Callable[[str], str] | None = None,
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
    by
        Gives the group of a recording by its path; None for no groups.
    """
    summary = Summary(coverage=None if results is None else CoverageSummary())
    starts = _Starts(clock)

    def parts(path: str) -> list[Summary]:
        if by is None:
            return [summary]
        coverage = None if results is None else CoverageSummary()
        return [summary, summary.groups.setdefault(by(path), Summary(coverage=coverage))]

    for result in results or ():
        for part in parts(result.path):
            assert part.coverage is not None
            part.coverage.add(result, starts.of(result.path))
        if events is None:
            _count(parts, result.events, starts)
    _count(parts, events or (), starts)
    for part in (summary, *summary.groups.values()):
        part.labels = dict(sorted(part.labels.items()))
    summary.groups = dict(sorted(summary.groups.items()))
    return summary


def hours_of(start: datetime, seconds: float) -> Iterator[tuple[Hour, float]]:
    """Cut a stretch of time at the full hours.

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
    """When recordings began; caches the last, as events come recording by recording."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._path, self._start = clock, "", start_time("", clock)

    def of(self, path: str) -> datetime | None:
        if path != self._path:
            self._path, self._start = path, start_time(path, self._clock)
        return self._start


def _count(parts: Callable[[str], list[Summary]], events: Iterable[Event], starts: _Starts) -> None:
    for event in events:
        start = starts.of(event.source)
        now = None if start is None else moment(start, event.start)
        for part in parts(event.source):
            found = part.labels.setdefault(event.label, LabelSummary())
            found.add(event)
            if now is None:
                part.untimed += 1
            else:
                found.hours[now.date(), now.hour] += 1


def _by_day(hours: Mapping[Hour, Number]) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for (day, _), n in sorted(hours.items()):
        found[day.isoformat()] = found[day.isoformat()] + n if day.isoformat() in found else n
    return found


def _as_list(hours: Mapping[Hour, float]) -> list[list[Any]]:
    return [[day.isoformat(), hour, round(n, 3)] for (day, hour), n in sorted(hours.items())]
