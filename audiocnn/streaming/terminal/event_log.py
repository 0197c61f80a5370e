"""The running log of a terminal view: what was heard when, for how long, how surely.

It takes messages and gives entries; how they are drawn is the view's business. An onset
and its event are one entry. Gaps that follow each other are one entry too: a device that
stutters must not push away what was heard.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

KEPT = 200  # entries


@dataclass
class Entry:
    """A line of the log."""

    kind: str  # "event", "gap" or "day"
    time: datetime | None  # local; None if the message did not say
    label: str
    length: float = math.nan  # seconds; NaN if the message did not say
    score: float = math.nan
    sounding: bool = False
    count: int = 1


class EventLog:
    """The newest entries, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self._open: dict[Any, Entry] = {}
        self._day: date | None = None

    @property
    def sounding(self) -> int:
        """How many events have begun and not ended."""
        return len(self._open)

    def message(self, message: Mapping[str, Any]) -> bool:
        """Take a message; tell whether it changed the log."""
        kind = message.get("type")
        if kind == "gap":
            self._gap(message)
        elif kind in ("onset", "event"):
            self._event(message, ended=kind == "event")
        else:
            return False
        return True

    def _event(self, message: Mapping[str, Any], *, ended: bool) -> None:
        key = message.get("id")
        entry = self._open.get(key)
        if entry is None:
            entry = Entry("event", local_time(message.get("time")), str(message.get("label")))
            self._append(entry)
        score = number(message.get("score"))
        if not score <= entry.score and not math.isnan(score):
            entry.score = score
        entry.sounding = not ended
        if ended:
            self._open.pop(key, None)
            entry.length = length_of(message)
        else:
            self._open[key] = entry

    def _gap(self, message: Mapping[str, Any]) -> None:
        length, reason = length_of(message), str(message.get("reason") or "sound lost")
        last = self.entries[-1] if self.entries else None
        if last is not None and last.kind == "gap" and last.label == reason:
            last.count += 1
            last.length += length
        else:
            self._append(Entry("gap", local_time(message.get("time")), reason, length))

    def _append(self, entry: Entry) -> None:
        day = entry.time.date() if entry.time else self._day
        if day != self._day and self._day is not None:
            self.entries.append(Entry("day", entry.time, ""))
        self._day = day
        self.entries.append(entry)
        while len(self.entries) > KEPT:
            gone = self.entries.popleft()
            self._open = {key: kept for key, kept in self._open.items() if kept is not gone}


def local_time(text: Any) -> datetime | None:
    """Read an ISO time (UTC, if it does not say) as local time; None if it is none."""
    try:
        time = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return (time if time.tzinfo else datetime.fromisoformat(f"{text}+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def number(value: Any) -> float:
    """Give a number, or NaN for what is none."""
    return float(value) if isinstance(value, int | float) else math.nan


def length_of(message: Mapping[str, Any]) -> float:
    """Give the seconds from a message's start to its end; NaN if it does not say."""
    return number(message.get("end")) - number(message.get("start"))


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
