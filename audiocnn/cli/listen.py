"""`audiocnn listen`: what is heard, as it is heard."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from audiocnn.cli.label import report_rounding
from audiocnn.cli.live_output import Notes, Printer, Viewed, summary
from audiocnn.cli.paths import reading_of
from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Scores
from audiocnn.labeling.label import with_threshold
from audiocnn.streaming.config import Settings, change_rules, make_sinks, read_settings
from audiocnn.streaming.explain import Explainer
from audiocnn.streaming.inputs.chunk import Input
from audiocnn.streaming.inputs.file_and_pipe import FileInput, PipeInput
from audiocnn.streaming.inputs.signals import TEXT, SignalFile, SignalPipe
from audiocnn.streaming.recorder import Recorder
from audiocnn.streaming.run import Watcher, run_session
from audiocnn.streaming.session import Plan, Session
from audiocnn.streaming.sinks.dispatcher import Outlet

SHORTEST_MEMORY = 60.0  # seconds of sound that clips can be cut from
FILES_WAIT = 10.0  # seconds that a recording, which can wait, waits for a sink
OPTIONS = tuple(
    [
        "model",
        "device",
        "input",
        "rate",
        "channels",
        "format",
        "record",
        "hop",
        "seconds",
        "heartbeat",
        "realtime",
        "json",
        "scores",
        "explain",
    ]
)


def run(args: argparse.Namespace) -> int:
    """Listen until the end, Ctrl-C or SIGTERM; 0 if nothing went wrong."""
    settings = read_settings(args.settings) if args.settings else Settings()
    if args.input is not None or args.device is not None:  # one of them overrules both
        settings = replace(settings, listen=replace(settings.listen, input=None, device=None))
    for name in OPTIONS:  # the command line over the file of settings
        given = getattr(args, name)
        if given is None or given is False:
            setattr(args, name, getattr(settings.listen, name))
    bundle = load(args.model or "environment")
    rules = change_rules(settings, bundle.rules)
    if args.threshold is not None:
        rules = with_threshold(rules, args.threshold)
    report_rounding(bundle, args.hop)
    if not bundle.front.sound:
        refuse_sound(args, settings, bundle)
    plan = make_plan(args, settings, bundle)
    with contextlib.ExitStack() as stack:
        notes = Notes()
        source = open_input(args, bundle, notes.say)
        stack.callback(source.close)
        session = follow(args, settings, bundle, rules, plan, source, notes, stack)
    for line in summary(session):
        print(line, file=sys.stderr)
    return 0


def follow(
    args: argparse.Namespace, settings: Settings, bundle: Bundle, rules: Mapping[str, EventRule],
    plan: Plan, source: Input, notes: Notes, stack: contextlib.ExitStack,
) -> Session:  # fmt: skip
    """Run a session with everything that was asked for beside it."""
    watchers: list[Watcher] = []
    if args.record:
        recorder = Recorder(args.record, source.rate)
        stack.callback(recorder.close)
        watchers.append(recorder)
    wait = 0.0 if live(args) else FILES_WAIT
    outlet = Outlet(make_sinks(settings, bundle.labels), tell=notes.say, wait=wait)
    stack.callback(close_outlet, outlet)
    view = make_view(args, bundle, rules, source, notes, stack)
    take = view.view.message if view else Printer(bool(args.json)).take

    def send(message: Mapping[str, Any]) -> None:
        outlet.send(message)
        take(message)

    fetch = None if live(args) or not bundle.front.sound else file_sound(args.input)
    session = Session(source.rate, send, plan, fetch=fetch)
    stack.enter_context(stopping(session))
    explainer = Explainer(bundle.labels, notes.say) if args.explain else None
    watchers += [view] if view else []
    session.begin({"model": bundle.name, "input": source.name, "hop": args.hop or bundle.hop})
    run_session(
        bundle, source, session, rules=rules, watchers=watchers,
        on_scores=both(view and view.scores, explainer and explainer.scored),
        explain=explainer.decided if explainer else None,
    )  # fmt: skip
    if explainer:
        explainer.finish()
    return session


def close_outlet(outlet: Outlet) -> None:
    """Let the sinks finish, and say what they could not do."""
    for name, status in outlet.close().items():
        if status.dropped or status.failed:
            print(f"{name}: {status.dropped} messages dropped, {status.failed} failed: "
                  f"{status.reason}", file=sys.stderr)  # fmt: skip


def live(args: argparse.Namespace) -> bool:
    """Whether sound comes when it sounds, and cannot wait."""
    return not args.input or str(args.input) == "-" or bool(args.realtime)


def make_plan(args: argparse.Namespace, settings: Settings, bundle: Bundle) -> Plan:
    """Say how to listen."""
    beat = 60.0 if args.heartbeat is None else args.heartbeat
    recent = memory_of(settings) if live(args) else 0.0
    block = 0.1 if live(args) or bundle.front.sound else 10.0  # few samples: not in crumbs
    return Plan(args.hop, args.seconds, beat, bool(args.scores), block=block, recent=recent)


def refuse_sound(args: argparse.Namespace, settings: Settings, bundle: Bundle) -> None:
    """Refuse what makes sense with sound alone, for a model of other signals."""
    what = f"{bundle.name} is a model of other signals than sound"
    if not args.input:
        raise ArgumentError(
            f"{what}, and a microphone hears nothing else: give --input FILE, or --input - for "
            "values on stdin"
        )
    if args.record:
        raise ArgumentError(f"{what}, and --record writes sound: put `tee FILE` into the pipe")
    if any(sink.kind == "clips" for sink in settings.sinks):
        raise ArgumentError(f"{settings.path}: [clips] keeps sound, and {what}")


def open_signal_input(args: argparse.Namespace, front: FrontEnd) -> Input:
    """Open a recording or stdin, for a model of other signals than sound."""
    if args.device is not None:
        raise ArgumentError("--device is a microphone, and the model hears other signals")
    reading = reading_of(args)
    if str(args.input) == "-":
        return SignalPipe(sys.stdin.fileno(), front, reading, args.format or TEXT, args.channels)
    for name in ("channels", "format"):
        if getattr(args, name) is not None:
            raise ArgumentError(f"--{name} is for values on stdin (--input -); a recording says")
    return SignalFile(Path(args.input), front, reading, realtime=bool(args.realtime))


def open_input(args: argparse.Namespace, bundle: Bundle, tell: Callable[[str], None]) -> Input:
    """Open what is to be heard: a microphone, a recording or stdin."""
    if not bundle.front.sound:
        return open_signal_input(args, bundle.front)
    other = [name for name in ("columns", "time", "missing") if getattr(args, name) is not None]
    if other or args.format == TEXT:
        name = f"--{other[0]}" if other else f"--format {TEXT}"
        raise ArgumentError(f"{name} is for signals other than sound, and the model hears sound")
    raw = [name for name in ("rate", "channels", "format") if getattr(args, name) is not None]
    if str(args.input or "") != "-" and raw and args.input:
        raise ArgumentError(f"--{raw[0]} is for raw samples (--input -); a recording says its own")
    if not args.input:
        from audiocnn.streaming.inputs.microphone import Microphone

        return Microphone(args.device, channels=args.channels or 1, tell=tell)
    if args.device is not None:
        raise ArgumentError("--device and --input: one of them, please")
    if str(args.input) != "-":
        return FileInput(Path(args.input), realtime=bool(args.realtime))
    if args.rate is None:
        raise ArgumentError("--input - needs --rate HZ: raw samples do not say their own")
    if args.rate != round(args.rate):
        raise ArgumentError(f"--rate of sound is a whole number, got {args.rate:g}")
    rate = round(args.rate)
    return PipeInput(sys.stdin.fileno(), rate, args.channels or 1, args.format or "s16")


def file_sound(path: Path) -> Callable[[float, float], Any]:
    """Give sound out of the recording itself, which runs faster than sinks can follow."""
    from audiocnn.io.audio.reader import audio_info, read_audio

    info = audio_info(path)
    rate, last = info.rate, info.duration or float("inf")

    def fetch(start: float, end: float) -> Any:
        start = round(start * rate) / rate
        if start >= last:
            return np.empty(0, np.float32), rate, start
        return read_audio(path, rate, start=start, end=min(end, last)), rate, start

    return fetch


def memory_of(settings: Settings) -> float:
    """Say how many seconds of sound the settings' clips need."""
    defaults = {"pre": 2.0, "post": 2.0, "longest": 30.0}
    clips = [{**defaults, **sink.options} for sink in settings.sinks if sink.kind == "clips"]
    spans = [sum(options[name] for name in defaults) for options in clips]
    return max(SHORTEST_MEMORY, *(2 * span for span in spans)) if spans else 0.0


def make_view(
    args: argparse.Namespace, bundle: Bundle, rules: Mapping[str, EventRule], source: Input,
    notes: Notes, stack: contextlib.ExitStack,
) -> Viewed | None:  # fmt: skip
    """Show the view, where there is somebody to look at it."""
    if args.json or args.explain or args.plain or not (sys.stderr.isatty() and sys.stdout.isatty()):
        return None
    from rich.console import Console

    from audiocnn.streaming.terminal.traces import Traces
    from audiocnn.streaming.terminal.view import View

    if not View([], [], 1, "").possible:
        return None
    console = Console(file=stack.enter_context(notes.held()))
    thresholds = [rules[label].on for label in bundle.labels]
    title = f"{bundle.name}  {source.name}"
    front, traces = bundle.front, None
    if not front.sound:
        traces = Traces(front.rate, front.names, front.offset, front.scale)
    view = View(bundle.labels, thresholds, source.rate, title, console=console, traces=traces)
    return Viewed(stack.enter_context(view), args.seconds)


def both(*calls: Any) -> Callable[[Scores], None] | None:
    """Make one call of several; None of none."""
    made: list[Callable[[Scores], None]] = [call for call in calls if call]

    def call_all(run: Scores) -> None:
        for call in made:
            call(run)

    return call_all if made else None


@contextlib.contextmanager
def stopping(session: Session) -> Iterator[None]:
    """End the session cleanly on Ctrl-C and SIGTERM; at once on a second Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        if session.stopped.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        session.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
