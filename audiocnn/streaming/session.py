"""What is known of a live session: how much was heard and lost, what time it is, what sounds.

`audiocnn.streaming.run` runs one; here is what it notes, and the messages that come
of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import Event
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import finite
from audiocnn.streaming.inputs.chunk import Piece, Samples
from audiocnn.streaming.ring_buffer import Recent
from audiocnn.streaming.stream_clock import StreamClock

Message = Mapping[str, Any]
MOST_GAPS = 1000  # that a summary lists
AHEAD = 15.0  # seconds before its time that sound may come: what waited in a pipe at the start
SETTLED = 60.0  # seconds after which it is taken to come as it sounds


@dataclass(frozen=True)
class Gap:
    """A stretch that was not heard: seconds since the session began, and why."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class Plan:
    """How to listen.

    Parameters
    ----------
    hop
        Seconds between windows; the bundle's if None.
    seconds
        How long; None until the input ends or the session is stopped.
    heartbeat
        Seconds between messages that all is well; 0 for none.
    scores
        Whether every window's scores are a message.
    block
        Seconds of sound that are looked at together: events come later by up to that,
        and looking costs less the longer it is.
    recent
        Seconds of sound that messages can give to sinks that save it; 0 for none.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    """

    hop: float | None = None
    seconds: float | None = None
    heartbeat: float = 60.0
    scores: bool = False
    block: float = 0.1
    recent: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.hop is not None and not 0 < self.hop < float("inf"):
            raise ArgumentError(f"hop must be above 0 seconds, got {self.hop}")
        if self.seconds is not None and not self.seconds > 0:
            raise ArgumentError(f"seconds must be above 0, got {self.seconds}")
        if not 0 < self.block <= 10:
            raise ArgumentError(f"block must be above 0 and at most 10 seconds, got {self.block}")
        if not (0 <= self.heartbeat < float("inf") and 0 <= self.recent < float("inf")):
            raise ArgumentError("heartbeat and recent must be 0 seconds or more")


@dataclass(eq=False)
class Session:
    """What is known of a session while it runs, and what remains of it afterwards.

    Parameters
    ----------
    rate
        Samples per second of the input.
    send
        Takes messages.
    plan
        How to listen.
    fetch
        Where messages get sound from; the newest sound that was heard if None.
    """

    rate: float
    send: Callable[[Message], None]
    plan: Plan = Plan()
    fetch: Callable[[float, float], tuple[Samples, float, float]] | None = None
    began: float = field(default_factory=time.time)
    samples: int = 0  # of the stream so far, lost ones too
    lost: int = 0  # of them
    gaps: list[Gap] = field(default_factory=list)
    n_gaps: int = 0
    n_events: int = 0
    n_windows: int = 0

    def __post_init__(self) -> None:
        """Make what goes with it."""
        self.clock, self.recent = StreamClock(self.began), Recent(self.rate, self.plan.recent)
        self.stopped = threading.Event()
        self._sounding: dict[str, tuple[int, str]] = {}
        self._began_at, self._comes_now = time.monotonic(), True
        self._lost_from: int | None = None
        self._reason = ""
        self._beat_at = self._beat_cpu = 0.0
        self.load = 0.0  # share of one core since the last heartbeat

    @property
    def seconds(self) -> float:
        """Length of the stream so far."""
        return self.samples / self.rate

    @property
    def heard(self) -> float:
        """Seconds of it that were not lost."""
        return (self.samples - self.lost) / self.rate

    @property
    def is_lost(self) -> str:
        """Why nothing is heard at the moment; empty if it is."""
        return self._reason if self._lost_from is not None else ""

    def stop(self) -> None:
        """End the session at the next piece; may be called from a signal handler."""
        self.stopped.set()

    def take(self, piece: Piece) -> None:
        """Note a piece before it goes its way."""
        good = finite(piece.samples)
        back = self._lost_from is not None
        begin = self.samples
        self.samples += good.size
        if not good.all() or back:
            edges = np.flatnonzero(np.diff(good, prepend=not back)).tolist()
            for at in edges:
                if self._lost_from is None:
                    self._lost_from = begin + at
                    self._reason = piece.lost or "not finite"
                else:
                    self._end_gap(begin + at)
            self.lost += int(good.size - np.count_nonzero(good))
        if good.size and good[-1]:
            self.clock.note(self.seconds, self._heard_at(piece), anew=back)
        self.recent.add(piece.samples)

    def _heard_at(self, piece: Piece) -> float | None:
        """Give a piece's time, unless sound comes too fast to be of now: a recording in a pipe."""
        if piece.time is None or not self._comes_now:
            return None
        elapsed = time.monotonic() - self._began_at
        soonest = self.seconds - AHEAD  # by both clocks, for the world's may just have been set
        if elapsed < SETTLED and max(elapsed, piece.time - self.began) < soonest:
            self._comes_now, self.clock = False, StreamClock(self.began)
            return None
        return piece.time

    def beat(self) -> None:
        """Send a heartbeat when one is due."""
        now, cpu = time.monotonic(), time.process_time()
        if not self._beat_at:
            self._beat_at, self._beat_cpu = now, cpu
        if not self.plan.heartbeat or now - self._beat_at < self.plan.heartbeat:
            return
        self.load = (cpu - self._beat_cpu) / (now - self._beat_at)
        self._beat_at, self._beat_cpu = now, cpu
        self.send({"type": "heartbeat", **self._state(), "load": round(self.load, 4)})

    def tell(self, event: Event) -> None:
        """Send an event's onset or end."""
        if event.end is None:
            self.n_events += 1
            self._sounding[event.label] = self.n_events, self.clock.text(event.start)
            number, began = self._sounding[event.label]
        else:
            number, began = self._sounding.pop(event.label)
        self.send({
            "type": "onset" if event.end is None else "event", "id": number,
            "time": began, "start": round(event.start, 6),
            "end": None if event.end is None else round(event.end, 6), "label": event.label,
            "score": event.score, "audio": self.fetch or self.recent.fetch,
        })  # fmt: skip

    def tell_scores(self, run: Scores, labels: tuple[str, ...]) -> None:
        """Send the scores of a run's windows."""
        for at in range(run.values.shape[1]):
            start = run.start + at * run.hop
            scores = dict(zip(labels, run.values[:, at].tolist(), strict=True))
            self.send({
                "type": "scores", "time": self.clock.text(start), "start": round(start, 6),
                "end": round(start + run.window - run.padded, 6), "scores": scores,
            })  # fmt: skip

    def begin(self, details: Mapping[str, Any]) -> None:
        """Send that the session begins."""
        self.send({"type": "session", "state": "listening", **self._state(), **details})

    def finish(self) -> None:
        """Send what is still open, and that the session has ended."""
        if self._lost_from is not None:
            self._end_gap(self.samples)
        self.send({"type": "session", "state": "ended", **self._state(), "gaps": self.n_gaps})

    def _state(self) -> dict[str, Any]:
        state = {"time": self.clock.text(self.seconds), "end": round(self.seconds, 6)}
        heard, lost = round(self.heard, 3), round(self.lost / self.rate, 3)
        return {**state, "heard": heard, "lost": lost, "windows": self.n_windows}

    def _end_gap(self, at: int) -> None:
        assert self._lost_from is not None
        gap = Gap(self._lost_from / self.rate, at / self.rate, self._reason)
        self._lost_from = None
        self.n_gaps += 1
        if len(self.gaps) < MOST_GAPS:
            self.gaps.append(gap)
        self.send({
            "type": "gap", "id": f"gap-{self.n_gaps}", "time": self.clock.text(gap.start),
            "start": round(gap.start, 6), "end": round(gap.end, 6), "label": None, "score": None,
            "reason": gap.reason,
        })  # fmt: skip
