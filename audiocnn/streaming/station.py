r"""Several sources at once: a session each, shared sinks, and subscribers of their messages.

    garden     input -> session -\            /-> sinks (a thread each)
    street     input -> session --> messages <
    camera     input -> session -/            \-> subscribers (a page, a program)

A source that cannot be opened, or fails, stops none of the others. One that may come back
(a microphone, a network stream) is opened again and again, in a session of its own each
time; the time between is not part of any session.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.events import EventRule, Explain
from audiocnn.inference.windows import Scores
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.streaming.config import (
    Settings,
    SourceSettings,
    change_rules,
    make_sinks,
    source_name,
)
from audiocnn.streaming.inputs.chunk import Input, Samples
from audiocnn.streaming.level_meter import LevelMeter
from audiocnn.streaming.messages import EventMessage, Message, host_name
from audiocnn.streaming.monitor import SourceMonitor, SourceStatus, SpectrumColumns
from audiocnn.streaming.privacy import SpeechGate
from audiocnn.streaming.recorder import Recorder
from audiocnn.streaming.run import Observer, run_session
from audiocnn.streaming.session import Session, SessionOptions, SoundFetcher
from audiocnn.streaming.sinks.clips import Clips
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher, SinkStatus
from audiocnn.streaming.sources import is_endless, is_live, open_source, sound_of_file
from audiocnn.zoo.class_selection import load_classes

log = logging.getLogger(__name__)

DEFAULT_MODEL = "environment"
SHORTEST_MEMORY = 60.0  # seconds of sound that clips can be cut from
FILES_WAIT = 10.0  # seconds that a recording, which can wait, waits for a sink
PAUSES = (2.0, 60.0)  # seconds between two attempts to open a source: the first, the longest
CLOSING = 10.0  # seconds that `stop` grants the sessions
OLD_SESSIONS = 20  # whose sound clips may still be cut from


ClipNamer = Callable[[EventMessage], str | None]


@dataclass(frozen=True)
class Hooks:
    """What a program adds to a session: see `run_session`."""

    observers: tuple[Observer, ...] = ()
    on_scores: tuple[Callable[[Scores], None], ...] = ()
    explain: tuple[Explain, ...] = ()


@dataclass(frozen=True)
class StationStatus:
    """State of a station.

    Parameters
    ----------
    host
        Name of the machine.
    began
        UTC, ISO 8601.
    sources
        In the order of the settings.
    sinks
        By name.
    """

    host: str
    began: str
    sources: tuple[SourceStatus, ...]
    sinks: Mapping[str, SinkStatus]


class Station:
    """Listens to the sources of a settings file.

    Parameters
    ----------
    settings
        As read. Without a ``[[source]]`` there is one, of ``[listen]``.
    rules
        Changes a model's rules, after the settings have.
    reading
        How signals other than sound are read.
    notify
        Called, from any thread, with a sentence for the user: a device is lost, a sink
        fails.
    monitor
        Whether to keep what `status` and `spectrum` give; costs a percent of a core.
    attach
        Called for every session before it runs, with the session, its input and model;
        gives observers of a program.

    Raises
    ------
    AudiocnnError
        If a model or a sink cannot be made, or settings contradict each other.

    Examples
    --------
    >>> from audiocnn.streaming.config import ListenSettings, Settings
    >>> settings = Settings(listen=ListenSettings(input="data/demo.flac", seconds=20))
    >>> messages = []
    >>> station = Station(settings)
    >>> _ = station.subscribe(messages.append)
    >>> station.run()
    >>> {message.source for message in messages}
    {'demo'}
    """

    def __init__(
        self,
        settings: Settings,
        *,
        rules: Callable[[Mapping[str, EventRule]], Mapping[str, EventRule]] | None = None,
        reading: SignalReadOptions = DEFAULT_OPTIONS,
        notify: Callable[[str], None] | None = None,
        monitor: bool = True,
        attach: Callable[[Session, Input, Bundle], Hooks] | None = None,
    ) -> None:
        self.settings, self.host = settings, host_name()
        self.began = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._reading, self._attach, self._monitor = reading, attach, monitor
        self._notify = notify or log.warning
        self._subscribers: list[Callable[[Message], None]] = []
        self._stopping = threading.Event()
        self._sessions: dict[str, Session] = {}  # by id, the newest
        bundles: dict[object, Bundle] = {}
        self.sources: list[_Source] = []
        for source in sources_of(settings):
            model = source.model or settings.listen.model or DEFAULT_MODEL
            classes = settings.listen.classes if source.classes is None else source.classes
            key = (model, classes)
            bundle = bundles.get(key) or bundles.setdefault(key, load_classes(model, classes))
            changed = change_rules(settings, bundle.rules)
            self.sources.append(_Source(source, bundle, rules(changed) if rules else changed))
        self._refuse_signals_in_sinks()
        labels_of = {source.name: source.bundle.labels for source in self.sources}
        live = any(is_live(source.settings) for source in self.sources)
        sinks = make_sinks(settings, labels_of, self.sound_of)
        self._clips = [sink for sink in sinks if isinstance(sink, Clips)]
        self.dispatcher = SinkDispatcher(
            sinks, notify=self._notify, wait=0.0 if live else FILES_WAIT
        )

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call a function with every message, in the thread of the message's session.

        Parameters
        ----------
        callback
            Must return at once (``queue.put_nowait``); what it raises is logged and ignored.

        Returns
        -------
        Callable
            Ends the subscription.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    def run(self) -> None:
        """Listen until all sources have ended, or `stop`.

        Raises
        ------
        AudiocnnError
            What the only source raised; of several, errors are notes and states.
        """
        self.start()
        try:
            self.wait()
        finally:
            self.close()
        if len(self.sources) == 1 and self.sources[0].error is not None:
            raise self.sources[0].error

    def start(self) -> None:
        """Start a thread for each source."""
        for source in self.sources:
            source.thread = threading.Thread(
                target=self._follow, args=(source,), name=f"source {source.name}", daemon=True
            )
            source.thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all sources have ended; False if ``timeout`` seconds were not enough."""
        end = None if timeout is None else time.monotonic() + timeout
        for source in self.sources:
            while source.thread is not None and source.thread.is_alive():
                if end is not None and time.monotonic() >= end:
                    return False
                source.thread.join(0.2)  # short, so that signal handlers run
        return True

    def stop(self) -> None:
        """End all sessions soon; from any thread or signal handler."""
        self._stopping.set()
        for source in self.sources:
            if source.session is not None:
                source.session.stop()

    def close(self) -> dict[str, SinkStatus]:
        """Stop, wait for the sessions, let the sinks finish, and report how each did."""
        self.stop()
        self.wait(CLOSING)
        return self.dispatcher.close()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def status(self) -> StationStatus:
        """Give the state of all sources and sinks; from any thread."""
        sources = tuple(source.status() for source in self.sources)
        return StationStatus(self.host, self.began, sources, self.dispatcher.status())

    def spectrum(self, source: str, since: int = 0) -> SpectrumColumns | None:
        """Give the newest columns of a source's spectrogram; from any thread.

        Parameters
        ----------
        source
            Its name.
        since
            Number of the first column that is wanted; a new session counts from 0 again.

        Returns
        -------
        SpectrumColumns | None
            At most the last minute; None before the source is open, and for signals that
            are not sound.
        """
        monitor = self.source(source).monitor
        return None if monitor is None else monitor.columns(since)

    def sound_of(self, message: EventMessage) -> SoundFetcher | None:
        """Give the sound of the session that a message is of; None if there is none."""
        session = self._sessions.get(message.id.rpartition("-")[0])
        return None if session is None else session.fetch_sound

    def listen_in(
        self, source: str, callback: Callable[[Samples, float], None]
    ) -> Callable[[], None]:
        """Call a function with the sound of a source, as `[privacy]` lets it out.

        Parameters
        ----------
        source
            Its name.
        callback
            Called with samples (N,), NaN where they were lost, and their sample rate, in the
            session's thread; must return at once.

        Returns
        -------
        Callable
            Ends it.
        """
        listeners = self.source(source).listeners
        listeners.append(callback)

        def end() -> None:
            with contextlib.suppress(ValueError):
                listeners.remove(callback)

        return end

    def source(self, name: str) -> _Source:
        """Find a source.

        Raises
        ------
        ArgumentError
            If there is no source of that name.
        """
        for source in self.sources:
            if source.name == name:
                return source
        names = ", ".join(source.name for source in self.sources)
        raise ArgumentError(f"no source {name!r}; there are: {names}")

    def _refuse_signals_in_sinks(self) -> None:
        """Refuse sinks that keep sound where a model takes other signals."""
        for source in self.sources:
            if source.bundle.front.sound:
                continue
            what = f"{source.bundle.name} is a model of signals other than sound"
            if any(sink.kind == "clips" for sink in self.settings.sinks):
                raise ArgumentError(f"{self.settings.path}: [clips] keeps sound, and {what}")
            if source.settings.record:
                raise ArgumentError(
                    f"{what}, and --record writes sound: put `tee FILE` into the pipe"
                )

    def _follow(self, source: _Source) -> None:
        """Open a source and run its sessions, for as long as that makes sense."""
        patient = len(self.sources) > 1 and is_endless(source.settings)
        pause, seconds = PAUSES[0], self.settings.listen.seconds
        end = math.inf if seconds is None else time.monotonic() + seconds
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._run_once(source)
            except Exception as error:  # of this source; the others go on
                if len(self.sources) > 1 and str(error) != str(source.error):  # not every time
                    again = "; trying again" if patient else ""
                    self._notify(f"{source.name}: {error}{again}")
                source.fail(error)
                if not isinstance(error, AudiocnnError):
                    log.exception("%s failed", source.name)
            else:
                source.state = "ended"
                return
            if not patient or time.monotonic() >= end:
                return
            pause = PAUSES[0] if time.monotonic() - began > PAUSES[1] else pause
            self._stopping.wait(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2 * pause, PAUSES[1])

    def _run_once(self, source: _Source) -> None:
        """Open a source and run one session of it to its end."""
        source.state = "opening"
        settings, bundle = source.settings, source.bundle

        def notify(sentence: str) -> None:
            several = len(self.sources) > 1
            self._notify(f"{source.name}: {sentence}" if several else sentence)

        with contextlib.ExitStack() as stack:
            source_input = open_source(settings, bundle, notify, self._reading)
            stack.callback(source_input.close)
            session = self._session(source, source_input)
            parts = self._parts(source, source_input, session, notify, stack)
            source.input, source.session = source_input, session
            source.state, source.error = "listening", None
            self._remember(session)
            if self._stopping.is_set():
                session.stop()
            session.begin()
            run_session(
                bundle, source_input, session, rules=source.rules, observers=parts.observers,
                on_scores=_call_all(parts.on_scores), explain=_call_all(parts.explain),
                closing=parts.closing,
            )  # fmt: skip

    def _parts(
        self, source: _Source, source_input: Input, session: Session,
        notify: Callable[[str], None], stack: contextlib.ExitStack,
    ) -> _Parts:  # fmt: skip
        """Make all that observes a session."""
        settings, sound = source.settings, source.bundle.front.sound
        hooks = self._attach(session, source_input, source.bundle) if self._attach else Hooks()
        parts = _Parts(list(hooks.observers), list(hooks.on_scores), list(hooks.explain))
        gate = self._gate(source, session, notify)
        outputs = _Outputs(gate)
        if gate is not None:
            parts.observers.append(gate)
            parts.on_scores.append(gate.scored)
            parts.closing.append(gate.close)
        else:
            parts.observers.insert(0, outputs)
        if settings.record:
            recorder = Recorder(settings.record, source_input.rate, notify)
            stack.callback(recorder.close)
            outputs.append(recorder.add)
            source.recorder = recorder
        outputs.append(source.play)
        if settings.level and sound:
            meter = LevelMeter(session, settings.level_offset)
            parts.observers.append(meter)
            parts.closing.append(meter.close)
        if self._monitor:
            monitor = SourceMonitor(session, source.rules, sound)
            parts.observers.append(monitor)
            parts.on_scores.append(monitor.scored)
            parts.explain.append(monitor.decided)
            source.monitor = monitor
        return parts

    def _gate(
        self, source: _Source, session: Session, notify: Callable[[str], None]
    ) -> SpeechGate | None:
        """Make what keeps speech from being stored, if that is wanted."""
        privacy = self.settings.privacy
        if privacy.speech in (None, "keep") or not source.bundle.front.sound:
            return None
        gate = SpeechGate(session, privacy, source.rules, notify)
        session.fetch = gate.protect(session.fetch or session.recent.fetch)
        session.clip_of = self._clip_without_speech(gate, session.clip_of)
        return gate

    def _clip_without_speech(self, gate: SpeechGate, clip_of: ClipNamer | None) -> ClipNamer | None:
        """Name no clip of an event in which speech was found."""
        if clip_of is None or gate.mode == "mute":
            return clip_of

        def named(message: EventMessage) -> str | None:
            return None if gate.has_speech(message.start, message.end) else clip_of(message)

        return named

    def _session(self, source: _Source, source_input: Input) -> Session:
        listen, settings, bundle = self.settings.listen, source.settings, source.bundle
        live, sound = is_live(settings), bundle.front.sound
        hop = settings.hop or listen.hop
        options = SessionOptions(
            hop, listen.seconds, 60.0 if listen.heartbeat is None else listen.heartbeat,
            bool(listen.scores), recent=memory_of(self.settings) if live and sound else 0.0,
            block=0.1 if live or sound else 10.0,  # few samples: not in crumbs
        )  # fmt: skip
        return Session(
            source_input.rate, self._send, options, source=source.name, host=self.host,
            fetch=sound_of_file(settings, bundle, self._reading.channel) if self._clips else None,
            clip_of=self._clip_of if self._clips else None,
            model=bundle.name, input=source_input.name, hop=grid_of(bundle, hop).hop,
        )  # fmt: skip

    def _remember(self, session: Session) -> None:
        self._sessions[session.id] = session
        while len(self._sessions) > OLD_SESSIONS + len(self.sources):
            del self._sessions[next(iter(self._sessions))]

    def _clip_of(self, message: EventMessage) -> str | None:
        paths: Iterable[str | None] = (sink.path_of(message) for sink in self._clips)
        return next((path for path in paths if path), None)

    def _send(self, message: Message) -> None:
        self.dispatcher.send(message)
        for callback in tuple(self._subscribers):
            try:
                callback(message)
            except Exception:  # whatever a subscriber does, the others go on
                log.exception("a subscriber failed")


@dataclass(eq=False)
class _Source:
    """One source and its newest session."""

    settings: SourceSettings
    bundle: Bundle
    rules: Mapping[str, EventRule]
    state: str = "opening"
    error: Exception | None = None
    input: Input | None = None
    session: Session | None = None
    monitor: SourceMonitor | None = None
    recorder: Recorder | None = None
    thread: threading.Thread | None = None
    listeners: list[Callable[[Samples, float], None]] = field(default_factory=list)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = source_name(self.settings)

    def play(self, samples: Samples) -> None:
        """Give sound to those that listen in."""
        if self.listeners and self.session is not None:
            for listener in tuple(self.listeners):
                try:
                    listener(samples, self.session.rate)
                except Exception:  # whatever a listener does, the session goes on
                    log.exception("a listener failed")

    def fail(self, error: Exception) -> None:
        self.state, self.error = "failed", error

    def status(self) -> SourceStatus:
        reason = str(self.error) if self.error else ""
        if self.monitor is None or self.session is None:
            thresholds = {label: rule.on for label, rule in self.rules.items()}
            return SourceStatus(
                self.name, self.settings.input or str(self.settings.device or ""),
                self.bundle.name, self.state, reason, thresholds=thresholds,
            )  # fmt: skip
        read: Any = getattr(self.input, "status", None)
        found = self.monitor.status(read().waiting if read is not None else 0.0)
        if self.state != "listening":
            found = replace(found, state=self.state, reason=reason, active=(), scores=None)
        return found


@dataclass
class _Parts:
    """What observes one session: see `run_session`."""

    observers: list[Observer]
    on_scores: list[Callable[[Scores], None]]
    explain: list[Explain]
    closing: list[Callable[[], None]] = field(default_factory=list)


class _Outputs:
    """What stores or plays sound: fed by the speech gate, or by the session where there is none."""

    def __init__(self, gate: SpeechGate | None) -> None:
        self._outputs: list[Callable[[Samples], None]] = [] if gate is None else gate.outputs

    def append(self, output: Callable[[Samples], None]) -> None:
        self._outputs.append(output)

    def add(self, samples: Samples) -> None:
        for output in self._outputs:
            output(samples)

    def tick(self, session: Session) -> None:
        """Do nothing: sound is passed on as it comes."""


def sources_of(settings: Settings) -> list[SourceSettings]:
    """Give the sources of settings: the tables ``[[source]]``, or one made of ``[listen]``."""
    listen = settings.listen
    # Where a settings file says what to listen to, levels are measured; a quick look is not.
    level = bool(settings.path) if listen.level is None else listen.level
    if not settings.sources:
        return [SourceSettings(
            device=listen.device, input=listen.input, rate=listen.rate, channels=listen.channels,
            format=listen.format, record=listen.record, realtime=bool(listen.realtime),
            level=level,
        )]  # fmt: skip
    sources = [
        source if source.level is not None else msgspec.structs.replace(source, level=level)
        for source in settings.sources
    ]
    if len(sources) > 1 and listen.record:
        raise ArgumentError("record: give each [[source]] a file of its own")
    if listen.record and sources[0].record is None:
        sources[0] = msgspec.structs.replace(sources[0], record=listen.record)
    return sources


def memory_of(settings: Settings) -> float:
    """Give how many seconds of sound the settings' clips need."""
    defaults = {"pre": 2.0, "post": 2.0, "longest": 30.0}
    clips = [{**defaults, **sink.options} for sink in settings.sinks if sink.kind == "clips"]
    spans = [sum(options[name] for name in defaults) for options in clips]
    return max(SHORTEST_MEMORY, *(2 * span for span in spans)) if spans else 0.0


def _call_all(calls: list[Callable[[Any], None]]) -> Callable[[Any], None] | None:
    """Make one call of several; None of none."""
    if len(calls) <= 1:
        return calls[0] if calls else None

    def call(value: Any) -> None:
        for one in calls:
            one(value)

    return call
