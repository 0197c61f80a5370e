"""The newest state of a session, for a page or a program that looks on from another thread.

A `SourceMonitor` is an observer of a session. It keeps a small spectrogram, the level, the
newest scores and what the rules decided about them; `status` gives a consistent copy.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.events import Decision, EventRule
from audiocnn.inference.windows import Scores
from audiocnn.streaming.inputs.chunk import Samples
from audiocnn.streaming.session import Session
from audiocnn.streaming.spectrogram import Meter, Spectrum

LOAD_PERIOD = 2.0  # seconds over which the load is measured
MAX_LABELS = 10  # of the newest window whose decisions are kept

AudioListener = Callable[[Samples], None]


@dataclass(frozen=True)
class LabelDecision:
    """What a rule decided about a label's newest window.

    Parameters
    ----------
    label
        The class.
    score
        Its score, smoothed as its rule says, 0 to 1.
    verdict
        Which part of the rule decided: "below 0.62", "begins", "lasts", "pauses", "ends",
        "too short yet", "dropped: too short" or "cooldown".
    """

    label: str
    score: float
    verdict: str


@dataclass(frozen=True)
class SourceStatus:
    """State of one source.

    Parameters
    ----------
    name, input, model
        Of the source, of its device, file or address, and of the bundle.
    state
        "opening", "listening", "lost" (nothing is received, it is opened again),
        "ended" or "failed".
    reason
        Why it is lost, failed or not open yet; empty otherwise.
    began
        UTC of the session's begin, ISO 8601; empty before.
    seconds, heard, lost
        Length of the stream, seconds received, seconds lost.
    windows, events, gaps
        Counts since the session began.
    load
        Share of one core that this source's thread uses.
    waiting
        Seconds of sound that wait to be processed.
    sample_rate
        Of the input, Hz; 0 before it is open.
    level, peak
        dBFS of the newest moment; -120 for silence.
    clipping
        Whether the newest seconds clipped.
    active
        Labels of the events in progress.
    scores
        Of the newest window, by label.
    thresholds
        From which a label's event begins.
    decisions
        About the best labels of the newest window, the best first.
    """

    name: str
    input: str
    model: str
    state: str
    reason: str = ""
    began: str = ""
    seconds: float = 0.0
    heard: float = 0.0
    lost: float = 0.0
    windows: int = 0
    events: int = 0
    gaps: int = 0
    load: float = 0.0
    waiting: float = 0.0
    sample_rate: float = 0.0
    level: float = -120.0
    peak: float = -120.0
    clipping: bool = False
    active: tuple[str, ...] = ()
    scores: Mapping[str, float] | None = None
    thresholds: Mapping[str, float] | None = None
    decisions: tuple[LabelDecision, ...] = ()

    @property
    def why_not(self) -> str:
        """Why the best label of the newest window is no event; empty if it is one, or none."""
        for decision in self.decisions[:1]:
            if decision.verdict not in ("begins", "lasts"):
                return f"{decision.label} {decision.score:.2f}: {decision.verdict}"
        return ""


@dataclass(frozen=True)
class SpectrumColumns:
    """Newest columns of a source's spectrogram.

    Parameters
    ----------
    first
        Number of the first column, counted since the session began.
    values
        (n, 48) dBFS, low frequencies first, bands of equal width on the mel scale; NaN where
        sound was lost.
    period
        Seconds from one column to the next.
    f_min, f_max
        Hz, of the lowest and the highest band.
    """

    first: int
    values: NDArray[np.float32]
    period: float
    f_min: float
    f_max: float


class SourceMonitor:
    """Keeps the newest state of a session; an observer of it.

    Parameters
    ----------
    session
        That is observed.
    rules
        One per label.
    is_sound
        Whether there is a spectrogram and a level.
    """

    def __init__(self, session: Session, rules: Mapping[str, EventRule], is_sound: bool) -> None:
        self._session = session
        self._thresholds = {label: rule.on for label, rule in rules.items()}
        self._spectrum = Spectrum(session.rate) if is_sound else None
        self._meter = Meter()
        self._scores: dict[str, float] | None = None
        self._decisions: dict[str, Decision] = {}
        self._guard = threading.Lock()
        self._load, self._load_at, self._load_cpu = 0.0, 0.0, 0.0

    def add(self, samples: Samples) -> None:
        """Take a chunk's samples."""
        if self._spectrum is not None:
            with self._guard:
                self._spectrum.add(samples)

    def tick(self, session: Session) -> None:
        """Measure the load of the session's thread, and the level."""
        now = time.monotonic()
        if now - self._load_at >= LOAD_PERIOD:
            cpu = time.thread_time()
            if self._load_at:
                self._load = (cpu - self._load_cpu) / (now - self._load_at)
            self._load_at, self._load_cpu = now, cpu
        if self._spectrum is not None:
            with self._guard:
                self._meter.update(self._spectrum.levels(), now)

    def scored(self, run: Scores) -> None:
        """Take the scores of a run of windows."""
        newest = run.values[:, -1].tolist()
        self._scores = dict(zip(self._thresholds, newest, strict=True))

    def decided(self, decision: Decision) -> None:
        """Take a decision about a window."""
        self._decisions[decision.label] = decision

    def columns(self, since: int) -> SpectrumColumns | None:
        """Give the columns of the spectrogram from number ``since`` on; None without sound."""
        if self._spectrum is None:
            return None
        with self._guard:
            first, values = self._spectrum.newest(since)
        spectrum = self._spectrum
        return SpectrumColumns(first, values, spectrum.tick, spectrum.f_min, spectrum.f_max)

    def status(self, waiting: float) -> SourceStatus:
        """Give the state now; from any thread."""
        session, scores = self._session, self._scores
        decisions = sorted(self._decisions.copy().values(), key=lambda d: -d.score)[:MAX_LABELS]
        silent = (
            self._spectrum is None or self._meter.silenced or not math.isfinite(self._meter.level)
        )
        state = "lost" if session.is_lost else "listening"
        return SourceStatus(
            name=session.source, input=session.input, model=session.model, state=state,
            reason=session.is_lost, began=session.clock.text(0.0), seconds=session.seconds,
            heard=session.heard, lost=session.lost / session.rate, windows=session.n_windows,
            events=session.n_events, gaps=session.n_gaps, load=round(self._load, 4),
            waiting=waiting, sample_rate=session.rate,
            level=-120.0 if silent else self._meter.level,
            peak=-120.0 if silent else self._meter.peak, clipping=self._meter.clipping,
            active=tuple(session.active.copy()), scores=scores, thresholds=self._thresholds,
            decisions=tuple(LabelDecision(d.label, d.score, d.verdict) for d in decisions),
        )  # fmt: skip
