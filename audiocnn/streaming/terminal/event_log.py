"""The running log of a terminal view: events and gaps, with time, length and score.

It takes messages and gives entries; the view draws them. An onset
and its event are one entry. Gaps that follow each other are one entry too: a device that
stutters must not push the events out of sight.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime

from audiocnn.streaming.messages import EventMessage, Gap, Message, Onset

KEPT = 200  # entries


@dataclass
class Entry:
    """A line of the log."""

    kind: str  # "event", "gap" or "day"
    time: datetime | None  # local; None if it is unknown
    label: str
    length: float = math.nan  # seconds; NaN while it lasts
    score: float = math.nan
    sounding: bool = False
    count: int = 1


class EventLog:
    """The newest entries, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self._open: dict[str, Entry] = {}
        self._day: date | None = None

    @property
    def sounding(self) -> int:
        """Number of events in progress."""
        return len(self._open)

    def message(self, message: Message) -> bool:
        """Take a message; True if it changed the log."""
        if isinstance(message, Gap):
            self._gap(message)
        elif isinstance(message, Onset | EventMessage):
            self._event(message)
        else:
            return False
        return True

    def _event(self, message: Onset | EventMessage) -> None:
        entry = self._open.get(message.id)
        if entry is None:
            entry = Entry("event", local_time(message.time), message.label)
            self._append(entry)
        if message.score is not None and not message.score <= entry.score:
            entry.score = message.score
        entry.sounding = isinstance(message, Onset)
        if isinstance(message, EventMessage):
            self._open.pop(message.id, None)
            entry.length = message.end - message.start
        else:
            self._open[message.id] = entry

    def _gap(self, message: Gap) -> None:
        length, reason = message.end - message.start, message.reason or "sound lost"
        last = self.entries[-1] if self.entries else None
        if last is not None and last.kind == "gap" and last.label == reason:
            last.count += 1
            last.length += length
        else:
            self._append(Entry("gap", local_time(message.time), reason, length))

    def _append(self, entry: Entry) -> None:
        day = entry.time.date() if entry.time else self._day
        if day != self._day and self._day is not None:
            self.entries.append(Entry("day", entry.time, ""))
        self._day = day
        self.entries.append(entry)
        while len(self.entries) > KEPT:
            gone = self.entries.popleft()
            self._open = {key: kept for key, kept in self._open.items() if kept is not gone}


def local_time(text: str) -> datetime | None:
    """Read a message's UTC time as local time; None if it is no time."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def spell(seconds: float) -> str:
    """Write a length of time in as few letters as do."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{seconds / 3600:.1f} h"
