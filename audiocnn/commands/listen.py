"""`audiocnn listen`: what is heard, as it is heard."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from audiocnn.bundle import Bundle, load
from audiocnn.commands.label import counted, duration, tell_rounding
from audiocnn.errors import ArgumentError
from audiocnn.events import EventRule
from audiocnn.labeling.recordings import with_threshold
from audiocnn.scoring import Scores
from audiocnn.streaming.explaining import Explainer
from audiocnn.streaming.inputs import FileInput, PipeInput
from audiocnn.streaming.outlet import Outlet
from audiocnn.streaming.pieces import Input
from audiocnn.streaming.recorder import Recorder
from audiocnn.streaming.session import Plan, Session, Watcher, run_session
from audiocnn.streaming.settings import Settings, change_rules, make_sinks, read_settings
from audiocnn.streaming.sinks.sink import format_message

GAPS_LISTED = 20
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
    for name in OPTIONS:  # the command line over the file of settings
        given = getattr(args, name)
        if given is None or given is False:
            setattr(args, name, getattr(settings.listen, name))
    bundle = load(args.model or "environment")
    rules = change_rules(settings, bundle.rules)
    if args.threshold is not None:
        rules = with_threshold(rules, args.threshold)
    tell_rounding(bundle, args.hop)
    source = open_input(args)
    fetch = file_sound(args.input) if isinstance(source, FileInput) and not args.realtime else None
    memory = memory_of(settings)
    beat = 60.0 if args.heartbeat is None else args.heartbeat
    plan = Plan(args.hop, args.seconds, beat, bool(args.scores), recent=0.0 if fetch else memory)
    printer = Printer(bool(args.json))
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        watchers: list[Watcher] = []
        if args.record:
            recorder = Recorder(args.record, source.rate)
            stack.callback(recorder.close)
            watchers.append(recorder)
        view = make_view(args, bundle, rules, source)
        say: Callable[[str], None] = partial(print, file=sys.stderr, flush=True)
        outlet = stack.enter_context(
            Outlet(make_sinks(settings, bundle.labels), tell=say,
                   wait=FILES_WAIT if fetch else 0.0)
        )  # fmt: skip
        takers: list[Callable[[Mapping[str, Any]], None]] = [outlet.send]
        takers += [view.view.message] if view else [printer.take]

        def send(message: Mapping[str, Any]) -> None:
            for take in takers:
                take(message)

        session = Session(source.rate, send, plan, fetch=fetch)
        stack.enter_context(stopping(session))
        if view:
            stack.enter_context(view.view)
            watchers.append(view)
        explainer = Explainer(bundle.labels, say) if args.explain else None
        session.begin({"model": bundle.name, "input": source.name, "hop": args.hop or bundle.hop})
        try:
            run_session(
                bundle, source, session, rules=rules, watchers=watchers,
                on_scores=both(view and view.scores, explainer and explainer.scored),
                explain=explainer.decided if explainer else None,
            )  # fmt: skip
        finally:
            if explainer:
                explainer.finish()
    for line in summary(session):
        print(line, file=sys.stderr)
    for name, status in outlet.status().items():
        if status.dropped or status.failed:
            print(f"{name}: {status.dropped} messages dropped, {status.failed} failed: "
                  f"{status.reason}", file=sys.stderr)  # fmt: skip
    return 0


def open_input(args: argparse.Namespace) -> Input:
    """Open what is to be heard: a microphone, a recording or stdin."""
    raw = [name for name in ("rate", "channels", "format") if getattr(args, name) is not None]
    if str(args.input or "") != "-" and raw and args.input:
        raise ArgumentError(f"--{raw[0]} is for raw samples (--input -); a recording says its own")
    if not args.input:
        from audiocnn.streaming.microphone import Microphone

        return Microphone(args.device, channels=args.channels or 1)
    if args.device is not None:
        raise ArgumentError("--device and --input: one of them, please")
    if str(args.input) != "-":
        return FileInput(Path(args.input), realtime=bool(args.realtime))
    if args.rate is None:
        raise ArgumentError("--input - needs --rate HZ: raw samples do not say their own")
    return PipeInput(sys.stdin.fileno(), args.rate, args.channels or 1, args.format or "s16")


def file_sound(path: Path) -> Callable[[float, float], Any]:
    """Give sound out of the recording itself, which runs faster than sinks can follow."""
    from audiocnn.audio import audio_info, read_audio

    rate = audio_info(path).rate

    def fetch(start: float, end: float) -> Any:
        start = round(start * rate) / rate
        return read_audio(path, rate, start=start, end=end), rate, start

    return fetch


def memory_of(settings: Settings) -> float:
    """Say how many seconds of sound the settings' clips need."""
    defaults = {"pre": 2.0, "post": 2.0, "longest": 30.0}
    clips = [{**defaults, **sink.options} for sink in settings.sinks if sink.kind == "clips"]
    spans = [sum(options[name] for name in defaults) for options in clips]
    return max(SHORTEST_MEMORY, *(2 * span for span in spans)) if spans else 0.0


class Printer:
    """Tells messages on stdout: for a program as JSON, for people in words."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json

    def take(self, message: Mapping[str, Any]) -> None:
        """Print a message, at once."""
        if self._json:
            if message["type"] not in ("heartbeat", "session"):
                print(format_message(message), flush=True)
        elif line := in_words(message):
            print(line, flush=True)


def in_words(message: Mapping[str, Any]) -> str:
    """Say a message in a line; nothing for those that only programs want."""
    if message["type"] not in ("onset", "event", "gap", "scores"):
        return ""
    when = datetime.fromisoformat(message["time"]).astimezone().strftime("%H:%M:%S")
    if message["type"] == "scores":
        best = sorted(message["scores"].items(), key=lambda item: -item[1])[:3]
        return f"{when}  " + "  ".join(f"{label} {score:.2f}" for label, score in best)
    if message["type"] == "onset":
        return f"{when}  {message['label']} begins  {message['score']:.2f}"
    lasted = message["end"] - message["start"]
    if message["type"] == "gap":
        return f"{when}  nothing heard for {duration(lasted)}: {message['reason']}"
    return f"{when}  {message['label']} for {duration(lasted)}  {message['score']:.2f}"


class Viewed:
    """Feeds the terminal view."""

    def __init__(self, view: Any, source: Input, seconds: float | None) -> None:
        self.view, self._source, self._wanted = view, source, seconds
        self._looked, self._cpu, self._load = time.monotonic(), time.process_time(), 0.0

    def hear(self, samples: Any) -> None:
        """Show a piece."""
        self.view.hear(samples)

    def scores(self, run: Scores) -> None:
        """Show the newest window."""
        self.view.scores(run.values[:, -1])

    def tick(self, session: Session) -> None:
        """Say how things stand, and draw if it is time."""
        now = time.monotonic()
        if now - self._looked >= 1:
            cpu = time.process_time()
            self._load = (cpu - self._cpu) / (now - self._looked)
            self._looked, self._cpu = now, cpu
        of = "" if self._wanted is None else f" of {clock(self._wanted)}"
        alarm = session.is_lost and f"nothing is heard: {session.is_lost}"
        self.view.status(f"{clock(session.heard)}{of} heard", lost=session.lost / session.rate,
                         load=self._load, alarm=alarm)  # fmt: skip
        self.view.draw()


def make_view(
    args: argparse.Namespace, bundle: Bundle, rules: Mapping[str, EventRule], source: Input
) -> Viewed | None:
    """Make the view, where there is somebody to look at it."""
    if args.json or args.explain or args.plain or not (sys.stderr.isatty() and sys.stdout.isatty()):
        return None
    from audiocnn.streaming.view import View

    thresholds = [rules[label].on for label in bundle.labels]
    view = View(bundle.labels, thresholds, source.rate, f"{bundle.name}  {source.name}")
    return Viewed(view, source, args.seconds)


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


def clock(seconds: float) -> str:
    """Say how long, as a clock shows it."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"


def summary(session: Session) -> Iterator[str]:
    """Say what was heard, and list the gaps."""
    heard, total = (t / 3600 if session.seconds >= 600 else t
                    for t in (session.heard, session.seconds))  # fmt: skip
    unit = "h" if session.seconds >= 600 else "s"
    yield (
        f"heard {heard:.2f} of {total:.2f} {unit}; {counted(session.n_events, 'event')}, "
        f"{counted(session.n_gaps, 'gap')}"
    )
    for gap in session.gaps[:GAPS_LISTED]:
        when = datetime.fromtimestamp(session.clock.at(gap.start)).astimezone()
        text = when.isoformat(sep=" ", timespec="seconds")
        yield f"  not heard: {duration(gap.end - gap.start)} from {text}: {gap.reason}"
    if session.n_gaps > GAPS_LISTED:
        yield f"  and {session.n_gaps - GAPS_LISTED:,} more"
