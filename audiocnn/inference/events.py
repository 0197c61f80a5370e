r"""Window scores to events: smoothing, hysteresis, merging; the same live and offline.

Windows overlap, so each owns the time around its centre that is nearer to it
than to its neighbours; the first and the last own the segment's ends too. A label
is then on or off at any time, and an event is a stretch of it:

    score     __/‾‾‾‾‾\\__/‾‾\\________
    on  ------.........................   begins at or above `on`
    off ---------------.................  lasts while at or above `off`
    event       |==============|          a pause up to `join_gap` is part of it

Everything is a function of the scores so far: however they are cut into runs,
the events are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.inference.windows import Scores

TIME_NOISE = 1e-6  # seconds; what sums of floating-point times may be off by, after a year too


@dataclass(frozen=True)
class Event:
    """A labelled stretch of time, from onset to offset.

    Parameters
    ----------
    label
        Its class.
    start, end
        Seconds since the stream began; ``end`` is None while it is active.
    score
        Highest (smoothed) score of its windows, 0 to 1; None if it has none
        (annotations made by people).
    source
        The recording or stream in which it occurs; may be empty.
    """

    label: str
    start: float
    end: float | None
    score: float | None = None
    source: str = ""


@dataclass(frozen=True)
class EventRule:
    """When the scores of a label are an event.

    Parameters
    ----------
    on, off
        An event begins at a score of ``on`` and lasts while it is at least
        ``off``; ``0 < off <= on <= 1``.
    smooth
        Seconds over which scores are averaged (the newest windows); 0 for none.
    min_length
        Shorter events are dropped, seconds.
    join_gap
        Pauses up to this length are part of the event, seconds.
    cooldown
        After an event, none of the label begins for so long, seconds.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    on: float = 0.5
    off: float = 0.3
    smooth: float = 0.0
    min_length: float = 0.0
    join_gap: float = 0.0
    cooldown: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.off <= self.on <= 1:
            raise ArgumentError(
                f"a rule needs 0 < off <= on <= 1, got off={self.off}, on={self.on}"
            )
        for name in ("smooth", "min_length", "join_gap", "cooldown"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ArgumentError(f"{name} must be a number of seconds, 0 or more, got {value}")


@dataclass(frozen=True)
class Decision:
    """How a rule decided one window of a label, for `find_events(explain=...)`.

    Parameters
    ----------
    label, start, end
        Of which label; the time that the window owns, seconds since the stream began.
    score
        The smoothed score.
    verdict
        Which part of the rule decided, in words: "below 0.62", "begins", "lasts",
        "too short yet", "pauses", "ends", "dropped: too short" or "cooldown".
    """

    label: str
    start: float
    end: float
    score: float
    verdict: str


Explain = Callable[[Decision], None]


@dataclass
class _Track:
    """State of one label: the event that is active or pauses, if any."""

    start: float | None = None
    end: float = 0.0
    score: float = 0.0
    sounding: bool = False
    reported: bool = False
    quiet_until: float = -math.inf


@dataclass
class _Timeline:
    """State of a segment: its last scores, and up to where time is owned."""

    recent: NDArray[np.float64]
    n_seen: int = 0
    owned_to: float = 0.0
    scored_to: float = 0.0


def find_events(
    scores: Iterable[Scores],
    rules: Mapping[str, EventRule],
    *,
    source: str = "",
    onsets: bool = False,
    explain: Explain | None = None,
) -> Iterator[Event]:
    """Turn runs of window scores into events, as they end.

    Parameters
    ----------
    scores
        As `Pipeline.scores` yields them; classes in the order of ``rules``.
    rules
        One per label.
    source
        Put into every event.
    onsets
        Also yield each event once when it begins, with ``end`` None, as soon as
        it is certain (that is, as long as ``min_length``).
    explain
        Called for every window of every label, with the part of its rule that decided.

    Yields
    ------
    Event
        In the order in which they end. A gap ends active events.

    Notes
    -----
    Averaging over `smooth` seconds comes late by half of that; the times are
    moved back by as much.
    """
    finder = EventFinder(rules, source=source, onsets=onsets, explain=explain)
    for run in scores:
        yield from finder.push(run)
    yield from finder.close()


class EventFinder:
    """Window scores on their way to events; parameters as for `find_events`."""

    def __init__(
        self, rules: Mapping[str, EventRule], *, source: str = "", onsets: bool = False,
        explain: Explain | None = None,
    ) -> None:  # fmt: skip
        self._names, self._rules = list(rules), list(rules.values())
        self._source, self._onsets, self._explain = source, onsets, explain
        self._groups = {
            smooth: [i for i, rule in enumerate(self._rules) if rule.smooth == smooth]
            for smooth in sorted({rule.smooth for rule in self._rules})
        }
        self._thresholds = np.array([rule.on for rule in self._rules])
        self._reset()

    def _reset(self) -> None:
        self._tracks = [_Track() for _ in self._rules]
        self._lines: dict[float, _Timeline] = {}

    def push(self, run: Scores) -> list[Event]:
        """Take the next run of windows; return the events that it begins or ends.

        Raises
        ------
        ArgumentError
            If it has another number of classes than there are rules.
        """
        if run.values.shape[0] != len(self._rules):
            raise ArgumentError(
                f"the scores have {run.values.shape[0]} classes, the rules {len(self._rules)}"
            )
        found: list[tuple[int, Event]] = []
        for smooth, members in self._groups.items():
            found += self._follow_group(run, smooth, members)
        events = [  # as they end, label by label
            replace(event, source=self._source)
            for _, event in sorted(found, key=lambda item: item[0])
            if self._onsets or event.end is not None
        ]
        return events + self.close() if run.last else events

    def close(self) -> list[Event]:
        """End the segment: return the events that are still active, and reset the state."""
        found = [
            replace(event, source=self._source)
            for track, rule, name in zip(self._tracks, self._rules, self._names, strict=True)
            if (event := _close(track, rule, name))
        ]
        self._reset()
        return found

    def _follow_group(
        self, run: Scores, smooth: float, members: list[int]
    ) -> Iterator[tuple[int, Event]]:
        """Follow the labels of one smoothing; yield the window that ends each event, too."""
        tracks, rules, explain = self._tracks, self._rules, self._explain
        line = self._lines.setdefault(smooth, _Timeline(np.empty((len(members), 0))))
        smoothed, edges = _place(line, run, run.values[members], smooth)
        rest = np.array([[line.owned_to], [line.scored_to]])  # the last window's, at the end
        loud = np.any(smoothed >= self._thresholds[members, None], axis=1).tolist()
        for i, values, is_loud in zip(members, smoothed, loud, strict=True):
            if is_loud or tracks[i].start is not None or explain:
                yield from _follow(tracks[i], rules[i], self._names[i], values, edges, explain)
            if run.last and tracks[i].sounding:
                still = np.array([rules[i].off])
                for _, event in _follow(tracks[i], rules[i], self._names[i], still, rest, None):
                    yield run.values.shape[1], event


def _place(
    line: _Timeline, run: Scores, values: NDArray[np.float32], smooth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth a run's scores and compute which time each window owns.

    Returns
    -------
    smoothed
        (C, W) means of the newest windows, up to ``smooth`` seconds of them.
    edges
        (2, W) begin and end of the time that each window owns.
    """
    n = values.shape[1]
    if n == 0:
        return np.empty(values.shape), np.empty((2, 0))
    width = max(1, round(smooth / run.hop))
    x: NDArray[np.float64] = np.concatenate((line.recent, values), axis=1, dtype=np.float64)
    counts = np.minimum(np.arange(line.n_seen, line.n_seen + n) + 1, width)
    smoothed = x[:, x.shape[1] - n :].copy()
    for back in range(1, width):  # direct sums: nothing drifts over months
        new = x[:, max(0, x.shape[1] - n - back) : max(0, x.shape[1] - back)]
        smoothed[:, n - new.shape[1] :] += new
    smoothed /= counts
    centres = run.start + run.hop * np.arange(n) + run.window / 2 - (counts - 1) * run.hop / 2
    half = min(run.hop, run.window) / 2
    line.scored_to = run.start + run.hop * (n - 1) + run.window - run.padded
    begins, ends = centres - half, np.minimum(centres + half, line.scored_to)
    begins[0] = max(line.owned_to, begins[0]) if line.n_seen else run.start
    begins[1:] = np.maximum(begins[1:], ends[:-1])
    line.owned_to, line.n_seen = float(ends[-1]), line.n_seen + n
    line.recent = x[:, max(0, x.shape[1] - width + 1) :] if width > 1 else x[:, :0]
    return smoothed, np.stack((begins, ends))


def _follow(
    track: _Track,
    rule: EventRule,
    label: str,
    smoothed: NDArray[np.float64],
    edges: NDArray[np.float64],
    explain: Explain | None,
) -> Iterator[tuple[int, Event]]:
    """Apply one label's hysteresis to a run; yield events and the windows that decided them."""
    rows = zip(smoothed.tolist(), *edges.tolist(), strict=True)
    for at, (value, begin, end) in enumerate(rows):
        if value < (rule.off if track.sounding else rule.on):
            verdict = f"below {rule.on:g}" if track.start is None else "pauses"
            track.sounding = False
            if track.start is not None and end - track.end > rule.join_gap + TIME_NOISE:
                verdict = "ends" if track.reported else "dropped: too short"
                if event := _close(track, rule, label):
                    yield at, event
        else:
            # With a hop longer than the window, a pause may be longer than the windows in it.
            paused = 0.0 if track.start is None or track.sounding else begin - track.end
            if paused > rule.join_gap + TIME_NOISE and (event := _close(track, rule, label)):
                yield at, event
            if track.start is None and begin < track.quiet_until - TIME_NOISE:
                verdict = "cooldown"
            else:
                if track.start is None:
                    track.start, track.score, track.reported = begin, value, False
                track.sounding, track.end, track.score = True, end, max(track.score, value)
                verdict = "lasts" if track.reported else "too short yet"
                if not track.reported and end - track.start >= rule.min_length - TIME_NOISE:
                    verdict, track.reported = "begins", True
                    yield at, Event(label, track.start, None, track.score)
        if explain:
            explain(Decision(label, begin, end, value, verdict))


def _close(track: _Track, rule: EventRule, label: str) -> Event | None:
    """End the active event; None if there is none, or it is too short."""
    if track.start is None:
        return None
    event = Event(label, track.start, track.end, track.score) if track.reported else None
    track.start, track.sounding = None, False
    if event:
        track.quiet_until = track.end + rule.cooldown
    return event
