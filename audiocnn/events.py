"""Window scores to events: smoothing, hysteresis, merging. Under construction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """A sound with a name, from its onset to its offset.

    Parameters
    ----------
    label
        What it is.
    start, end
        Seconds since the stream began; ``end`` is None while it still sounds.
    score
        Highest (smoothed) score of its windows, 0 to 1; None if it has none
        (annotations made by people).
    source
        The recording or stream it was heard in; may be empty.
    """

    label: str
    start: float
    end: float | None
    score: float | None = None
    source: str = ""
