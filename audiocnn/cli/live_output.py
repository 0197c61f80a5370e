"""How live listening tells what it hears: in lines, as JSON, and in the terminal view."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

from audiocnn.cli.run_summary import counted, duration
from audiocnn.inference.windows import Scores
from audiocnn.streaming.session import Session
from audiocnn.streaming.sinks.base import format_message

GAPS_LISTED = 20


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
    """Feeds the terminal view."""

    def __init__(self, view: Any, seconds: float | None) -> None:
        self.view, self._wanted = view, seconds
        self._looked, self._cpu, self._load = time.monotonic(), time.process_time(), 0.0

    def run_network(self, samples: Any) -> None:
        """Show a piece."""
        self.view.run_network(samples)

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
