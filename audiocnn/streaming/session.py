"""A live session: what was received and lost, its clock, the events in progress, its messages.

`audiocnn.streaming.run` runs a session; this module keeps its books.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.frontend.sound_level import SoundLevel
from audiocnn.inference.events import Event
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import finite
from audiocnn.streaming.inputs.chunk import Chunk, Samples
from audiocnn.streaming.messages import (
    EventMessage,
    Gap,
    Heartbeat,
    LevelMessage,
    Message,
    Onset,
    ScoresMessage,
    SessionMessage,
    host_name,
    new_session_id,
)
from audiocnn.streaming.ring_buffer import RingBuffer
from audiocnn.streaming.stream_clock import StreamClock

MAX_GAPS = 1000  # that are kept for the summary
AHEAD = 15.0  # seconds by which samples may be early: what waited in a pipe at the start
SETTLED = 60.0  # seconds after which an input is known to deliver in real time


class SpeechFound(AudiocnnError):
    """A stretch of sound contains speech, and must not be kept: see `privacy`."""


SoundFetcher = Callable[[float, float], tuple[Samples, float, float]]


@dataclass(frozen=True)
class SessionOptions:
    """How to listen.

    Parameters
    ----------
    hop
        Seconds between windows; the bundle's if None.
    seconds
        Length of the session; None until the input ends or the session is stopped.
    heartbeat
        Seconds between heartbeats; 0 for none.
    scores
        Whether every window's scores are a message.
    block
        Seconds of samples that are processed together: events come later by up to that,
        and the cost is lower the longer it is.
    recent
        Seconds of sound that are kept for clips; 0 for none.

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
    """The state of a session while it runs, and its summary afterwards.

    Parameters
    ----------
    rate
        Samples per second of the input.
    send
        Receives the messages; called in the session's thread.
    options
        How to listen.
    source, host
        Names in every message; ``source`` is the input's if empty.
    fetch
        Where clips get sound from: (start, end) in seconds to (samples, sample rate, start);
        the newest sound that was received if None.
    clip_of
        Gives the path of the clip that will be kept of an event, or None.
    id
        The beginning of the ids of its messages.
    began
        UTC, seconds since 1970.
    model, input, hop
        For its status messages.
    """

    rate: float
    send: Callable[[Message], None]
    options: SessionOptions = SessionOptions()
    source: str = ""
    host: str = field(default_factory=host_name)
    fetch: SoundFetcher | None = None
    clip_of: Callable[[EventMessage], str | None] | None = None
    id: str = field(default_factory=new_session_id)
    began: float = field(default_factory=time.time)
    model: str = ""
    input: str = ""
    hop: float = 0.0
    samples: int = 0  # of the stream so far, lost ones too
    lost: int = 0  # of them
    gaps: list[Gap] = field(default_factory=list)  # the first `MAX_GAPS`
    n_gaps: int = 0
    n_events: int = 0
    n_windows: int = 0

    def __post_init__(self) -> None:
        """Make the clock and the ring buffer."""
        self.clock = StreamClock(self.began)
        self.recent = RingBuffer(self.rate, self.options.recent)
        self.stopped = threading.Event()
        self.load = 0.0  # share of one core since the last heartbeat
        self.active: dict[str, Onset] = {}  # label to the event in progress
        self._n_messages = 0
        self._began_at, self._is_realtime = time.monotonic(), True
        self._lost_from: int | None = None
        self._reason = ""
        self._beat_at = self._beat_cpu = 0.0

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
        """Why nothing is received at the moment; empty if something is."""
        return self._reason if self._lost_from is not None else ""

    def stop(self) -> None:
        """End the session at the next chunk; may be called from a signal handler."""
        self.stopped.set()

    def fetch_sound(self, start: float, end: float) -> tuple[Samples, float, float]:
        """Give the sound of a stretch, for clips; see `RingBuffer.fetch`."""
        return (self.fetch or self.recent.fetch)(start, end)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk, before the network gets it."""
        good = finite(chunk.samples)
        back = self._lost_from is not None
        begin = self.samples
        self.samples += good.size
        if not good.all() or back:
            edges = np.flatnonzero(np.diff(good, prepend=not back)).tolist()
            for at in edges:
                if self._lost_from is None:
                    self._lost_from = begin + at
                    self._reason = chunk.lost or "not finite"
                else:
                    self._end_gap(begin + at)
            self.lost += int(good.size - np.count_nonzero(good))
        if good.size and good[-1]:
            self.clock.note(self.seconds, self._time_of(chunk), anew=back)
        self.recent.add(chunk.samples)

    def _time_of(self, chunk: Chunk) -> float | None:
        """Give a chunk's time; None if samples come too fast to be live: a recording in a pipe."""
        if chunk.time is None or not self._is_realtime:
            return None
        elapsed = time.monotonic() - self._began_at
        soonest = self.seconds - AHEAD  # by both clocks: the wall clock may just have been set
        if elapsed < SETTLED and max(elapsed, chunk.time - self.began) < soonest:
            self._is_realtime, self.clock = False, StreamClock(self.began)
            return None
        return chunk.time

    def beat(self) -> None:
        """Send a heartbeat when one is due."""
        now, cpu = time.monotonic(), time.process_time()
        if not self._beat_at:
            self._beat_at, self._beat_cpu = now, cpu
        if not self.options.heartbeat or now - self._beat_at < self.options.heartbeat:
            return
        self.load = round((cpu - self._beat_cpu) / (now - self._beat_at), 4)
        self._beat_at, self._beat_cpu = now, cpu
        self.send(self._status(Heartbeat, "lost" if self.is_lost else "listening", self.is_lost))

    def report_event(self, event: Event) -> None:
        """Send an event's onset or end."""
        score = None if event.score is None else float(event.score)
        if event.end is None:
            self.n_events += 1
            self._n_messages += 1
            onset = Onset(
                id=f"{self.id}-{self._n_messages}", source=self.source, host=self.host,
                time=self.clock.text(event.start), start=round(float(event.start), 6),
                label=event.label, score=score,
            )  # fmt: skip
            self.active[event.label] = onset
            self.send(onset)
            return
        onset = self.active.pop(event.label)
        message = EventMessage(
            id=onset.id, source=self.source, host=self.host, time=onset.time, start=onset.start,
            end=round(float(event.end), 6), label=event.label, score=score,
        )  # fmt: skip
        if self.clip_of is not None:
            message = msgspec.structs.replace(message, clip=self.clip_of(message))
        self.send(message)

    def count_windows(self, run: Scores, labels: tuple[str, ...]) -> None:
        """Count a run's windows, and send their scores if that is wanted."""
        self.n_windows += run.values.shape[1]
        for at in range(run.values.shape[1] if self.options.scores else 0):
            start = run.start + at * run.hop
            scores = dict(zip(labels, run.values[:, at].tolist(), strict=True))
            self.send(ScoresMessage(
                **self._head(start), start=round(start, 6),
                end=round(start + run.window - run.padded, 6), scores=scores,
            ))  # fmt: skip

    def report_level(self, level: SoundLevel) -> None:
        """Send the sound level of a period."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 2)

        self.send(LevelMessage(
            **self._head(level.start), start=round(level.start, 3), end=round(level.end, 3),
            measured=round(level.measured, 3), laeq=rounded(level.laeq),
            lafmax=rounded(level.lafmax), l10=rounded(level.l10), l90=rounded(level.l90),
            calibrated=level.calibrated,
        ))  # fmt: skip

    def begin(self) -> None:
        """Send that the session begins."""
        self.send(self._status(SessionMessage, "listening"))

    def finish(self, reason: str = "") -> None:
        """Send the gap that is still open, and that the session has ended."""
        if self._lost_from is not None:
            self._end_gap(self.samples)
        self.send(self._status(SessionMessage, "ended", reason))

    def _head(self, at: float) -> dict[str, Any]:
        """Make id, source, host and time of a message that is about ``at`` seconds."""
        self._n_messages += 1
        number = f"{self.id}-{self._n_messages}"
        return {"id": number, "source": self.source, "host": self.host, "time": self.clock.text(at)}

    def _status(
        self, kind: type[SessionMessage] | type[Heartbeat], state: str, reason: str = ""
    ) -> SessionMessage | Heartbeat:
        return kind(
            **self._head(self.seconds), state=state, end=round(self.seconds, 6),
            heard=round(self.heard, 3), lost=round(self.lost / self.rate, 3),
            windows=self.n_windows, events=self.n_events, gaps=self.n_gaps, load=self.load,
            model=self.model, input=self.input, hop=self.hop, reason=reason,
        )  # fmt: skip

    def _end_gap(self, at: int) -> None:
        assert self._lost_from is not None
        start = self._lost_from / self.rate
        gap = Gap(
            **self._head(start), start=round(start, 6), end=round(at / self.rate, 6),
            reason=self._reason,
        )  # fmt: skip
        self._lost_from = None
        self.n_gaps += 1
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(gap)
        self.send(gap)
