"""What `audiocnn listen` shows: lines, JSON, the terminal view, and the summary at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from audiocnn.cli.run_summary import counted, duration
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Scores
from audiocnn.streaming.inputs.chunk import Input, Samples
from audiocnn.streaming.messages import (
    EventMessage,
    Gap,
    LevelMessage,
    Message,
    Onset,
    ScoresMessage,
    format_message,
)
from audiocnn.streaming.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from audiocnn.streaming.terminal.view import View

GAPS_LISTED = 20


class Printer:
    """Prints messages on stdout: as JSON for a program, in words for people.

    Parameters
    ----------
    as_json
        Which of the two.
    with_source
        Whether each line names its source.
    with_levels
        Whether sound levels are printed for people; for a program they always are.
    """

    def __init__(self, as_json: bool, with_source: bool = False, with_levels: bool = False) -> None:
        self._json, self._with_source, self._with_levels = as_json, with_source, with_levels

    def take(self, message: Message) -> None:
        """Print a message, at once."""
        if self._json:
            if message.type not in ("heartbeat", "session"):
                print(format_message(message), flush=True)
        elif isinstance(message, LevelMessage) and not self._with_levels:
            return
        elif line := in_words(message, self._with_source):
            print(line, flush=True)


def in_words(message: Message, with_source: bool = False) -> str:
    """Write a message as a line for people; empty for those that only programs want."""
    when = datetime.fromisoformat(message.time).astimezone().strftime("%H:%M:%S")
    if with_source:
        when += f"  {message.source}"
    match message:
        case ScoresMessage():
            best = sorted(message.scores.items(), key=lambda item: -item[1])[:3]
            return f"{when}  " + "  ".join(f"{label} {score:.2f}" for label, score in best)
        case LevelMessage() if message.laeq is not None:
            unit = "dB(A)" if message.calibrated else "dB(A) re full scale, uncalibrated"
            return f"{when}  LAeq {message.laeq:.1f}, LAFmax {message.lafmax:.1f} {unit}"
        case Onset():
            return f"{when}  {message.label} begins  {message.score:.2f}"
        case Gap():
            lasted = duration(message.end - message.start)
            return f"{when}  nothing received for {lasted}: {message.reason}"
        case EventMessage():
            lasted = duration(message.end - message.start)
            return f"{when}  {message.label} for {lasted}  {message.score:.2f}"
    return ""


class Notes:
    """What is said on stderr beside the results; held back while a view has the screen."""

    def __init__(self) -> None:
        self._held: list[str] | None = None

    def say(self, sentence: str) -> None:
        """Say something, now or when the view is over; from any thread."""
        if self._held is None:
            print(sentence, file=sys.stderr, flush=True)
        else:
            self._held.append(sentence)

    @contextlib.contextmanager
    def held(self) -> Iterator[TextIO]:
        """Give the screen to a view alone: what drivers write to stderr would tear it."""
        sys.stderr.flush()
        self._held, before = [], os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            with os.fdopen(os.dup(before), "w", encoding=sys.stderr.encoding) as screen:
                yield screen
        finally:
            os.dup2(before, 2)
            os.close(before)
            held, self._held = self._held, None
            for sentence in held[-GAPS_LISTED:]:
                self.say(sentence)


class Viewed:
    """Feeds the terminal view; an observer of the session."""

    def __init__(
        self, rules: Mapping[str, EventRule], seconds: float | None, console: Console,
        stack: contextlib.ExitStack,
    ) -> None:  # fmt: skip
        self._rules, self._seconds = rules, seconds
        self._console, self._stack = console, stack
        self._view: View | None = None
        self._load_at, self._load_cpu, self._load = time.monotonic(), time.process_time(), 0.0

    @classmethod
    def open(
        cls, rules: Mapping[str, EventRule], seconds: float | None, notes: Notes,
        stack: contextlib.ExitStack,
    ) -> Viewed | None:  # fmt: skip
        """Take the terminal, if a view can be drawn on it."""
        from rich.console import Console

        from audiocnn.streaming.terminal.view import View

        if not View([], [], 1, "").possible:
            return None
        return cls(rules, seconds, Console(file=stack.enter_context(notes.held())), stack)

    def begin(self, session: Session, source: Input, bundle: Bundle) -> None:
        """Draw the view of a session."""
        from audiocnn.streaming.terminal.traces import Traces
        from audiocnn.streaming.terminal.view import View

        front, traces = bundle.front, None
        if not front.sound:
            traces = Traces(front.rate, front.names, front.offset, front.scale)
        thresholds = [self._rules[label].on for label in bundle.labels]
        view = View(bundle.labels, thresholds, source.rate, f"{bundle.name}  {source.name}",
                    console=self._console, traces=traces)  # fmt: skip
        self._view = self._stack.enter_context(view)

    def take(self, message: Message) -> None:
        """Show a message."""
        if self._view is not None:
            self._view.message(message)

    def add(self, samples: Samples) -> None:
        """Show a chunk."""
        if self._view is not None:
            self._view.add(samples)

    def scores(self, run: Scores) -> None:
        """Show the newest window."""
        if self._view is not None:
            self._view.scores(run.values[:, -1])

    def tick(self, session: Session) -> None:
        """Show the session's state, and draw if it is time."""
        now = time.monotonic()
        if now - self._load_at >= 1:
            cpu = time.process_time()
            self._load = (cpu - self._load_cpu) / (now - self._load_at)
            self._load_at, self._load_cpu = now, cpu
        of = "" if self._seconds is None else f" of {clock(self._seconds)}"
        alarm = session.is_lost and f"nothing is received: {session.is_lost}"
        if self._view is not None:
            self._view.status(f"{clock(session.heard)}{of} heard", lost=session.lost / session.rate,
                              load=self._load, alarm=alarm)  # fmt: skip
            self._view.draw()


def clock(seconds: float) -> str:
    """Say how long, as a clock shows it."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"


def print_summary(session: Session, with_source: bool = False) -> None:
    """Print on stderr how much was heard and lost."""
    for line in summary(session):
        print(f"{session.source}: {line}" if with_source else line, file=sys.stderr)


def summary(session: Session) -> Iterator[str]:
    """Describe how much was heard, and list the gaps."""
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
