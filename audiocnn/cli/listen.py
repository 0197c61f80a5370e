"""`audiocnn listen`: live events of microphones, recordings, network streams and pipes."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import msgspec

from audiocnn.cli.label import report_rounding
from audiocnn.cli.live_output import Notes, Printer, Viewed, print_summary
from audiocnn.cli.paths import reading_of
from audiocnn.cli.serve import Page
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.label import with_threshold
from audiocnn.streaming.config import ListenSettings, Settings, read_settings
from audiocnn.streaming.explain import Explainer
from audiocnn.streaming.inputs.chunk import Input
from audiocnn.streaming.messages import Message
from audiocnn.streaming.session import Session
from audiocnn.streaming.sinks.dispatcher import SinkStatus
from audiocnn.streaming.station import Hooks, Station


@dataclass(frozen=True)
class ListenOptions:
    """What the command line asks for: settings, and what is shown.

    Parameters
    ----------
    settings
        The settings file with the options of the command line over it.
    threshold
        Score at which an event of any label begins; None for the rules' own.
    reading
        How signals other than sound are read.
    signal_option
        One of the options for signals other than sound that was given; empty if none was.
    plain
        Lines instead of the terminal view.
    """

    settings: Settings
    threshold: float | None
    reading: SignalReadOptions
    signal_option: str
    plain: bool

    def change_rules(self, rules: Mapping[str, EventRule]) -> Mapping[str, EventRule]:
        """Put the threshold into a model's rules."""
        return rules if self.threshold is None else with_threshold(rules, self.threshold)


def run(args: argparse.Namespace) -> int:
    """Listen until the end, Ctrl-C or SIGTERM; 0 if nothing went wrong."""
    options = options_of(args)
    notes = Notes()
    with contextlib.ExitStack() as stack:
        output = Output(options, notes, stack)
        page = Page(args.web, options.settings, stack) if args.web is not None else None
        station = Station(
            page.settings if page else options.settings, rules=options.change_rules,
            reading=options.reading, notify=notes.say, monitor=page is not None,
            attach=output.attach,
        )  # fmt: skip
        for source in station.sources:
            check_model(source.bundle, options)
            report_rounding(source.bundle, source.settings.hop or options.settings.listen.hop)
        if page:
            notes.say(page.open(station))
        output.show(station)
        station.subscribe(output.follow(station))
        stack.enter_context(stopping(station))
        station.run()
    if output.is_broken:
        raise BrokenPipeError
    output.finish()
    print_failures(station.status().sinks, notes)
    for session in output.sessions:
        print_summary(session, with_source=len(station.sources) > 1)
    failed = any(
        source.error or (source.recorder and source.recorder.has_failed)
        for source in station.sources
    )
    return 1 if failed else 0


def check_model(bundle: Bundle, options: ListenOptions) -> None:
    """Refuse options for signals other than sound where the model takes sound."""
    if bundle.front.sound and options.signal_option:
        raise ArgumentError(
            f"--{options.signal_option} is for signals other than sound, and the model takes sound"
        )


def options_of(args: argparse.Namespace) -> ListenOptions:
    """Put the options of the command line over those of the settings file."""
    settings = read_settings(args.settings) if args.settings else Settings()
    names = set(ListenSettings.__struct_fields__) & set(vars(args))
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if "input" in given and "device" in given:
        raise ArgumentError("--device and --input: give one of them")
    if "input" in given or "device" in given:  # one of them overrules all sources
        listen = msgspec.structs.replace(settings.listen, input=None, device=None)
        settings = replace(settings, listen=listen, sources=())
    elif settings.sources and given.keys() & {"rate", "channels", "format", "realtime"}:
        raise ArgumentError("--rate, --channels, --format and --realtime need --input")
    if "record" in given:
        given["record"] = Path(given["record"])
    listen = msgspec.structs.replace(settings.listen, **given)
    for_signals = [name for name in ("columns", "time", "missing") if getattr(args, name)]
    return ListenOptions(
        replace(settings, listen=listen), args.threshold, reading_of(args),
        for_signals[0] if for_signals else "", bool(args.plain),
    )  # fmt: skip


class Output:
    """Shows a station's messages: in lines, as JSON, or in the terminal view."""

    def __init__(self, options: ListenOptions, notes: Notes, stack: contextlib.ExitStack) -> None:
        self._options, self._notes, self._stack = options, notes, stack
        self._view: Viewed | None = None
        self._explainers: list[Explainer] = []
        self._with_source = False
        self.sessions: list[Session] = []
        self.is_broken = False  # nobody reads stdout any more
        self.take: Callable[[Message], None] = Printer(bool(options.settings.listen.json)).take

    def show(self, station: Station) -> None:
        """Take the terminal for the view, where there is one and it is wanted."""
        listen = self._options.settings.listen
        self._with_source = len(station.sources) > 1
        if not listen.json:
            self.take = Printer(False, self._with_source, bool(listen.level)).take
        terminal = sys.stderr.isatty() and sys.stdout.isatty()
        if listen.json or listen.explain or self._options.plain or not terminal:
            return
        if not self._with_source:
            self._view = Viewed.open(station.sources[0].rules, listen.seconds, self._notes,
                                     self._stack)  # fmt: skip
        if self._view is not None:
            self.take = self._view.take

    def follow(self, station: Station) -> Callable[[Message], None]:
        """Give what takes the messages; a reader that has closed the pipe ends the station."""

        def take(message: Message) -> None:
            try:
                if not self.is_broken:
                    self.take(message)
            except BrokenPipeError:
                self.is_broken = True
                station.stop()

        return take

    def attach(self, session: Session, source: Input, bundle: Bundle) -> Hooks:
        """Give what observes a new session."""
        self.sessions.append(session)
        if self._view is not None:
            self._view.begin(session, source, bundle)
            return Hooks((self._view,), (self._view.scores,))
        if not self._options.settings.listen.explain:
            return Hooks()
        prefix = f"{session.source}: " if self._with_source else ""
        explainer = Explainer(bundle.labels, lambda line: self._notes.say(prefix + line))
        self._explainers.append(explainer)
        return Hooks(on_scores=(explainer.scored,), explain=(explainer.decided,))

    def finish(self) -> None:
        """Write what is left to explain."""
        for explainer in self._explainers:
            explainer.finish()


def print_failures(sinks: Mapping[str, SinkStatus], notes: Notes) -> None:
    """Report what the sinks could not do."""
    for name, status in sinks.items():
        if status.dropped or status.failed:
            notes.say(
                f"{name}: {status.dropped} messages dropped, {status.failed} failed: "
                f"{status.reason}"
            )


@contextlib.contextmanager
def stopping(station: Station) -> Iterator[None]:
    """End a station cleanly on Ctrl-C and SIGTERM; at once on a second Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        if station.stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        station.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
