"""Progress of a long run on a terminal, and how Ctrl-C ends it.

With ``graceful``, the first Ctrl-C is noted and ends the run between two blocks of sound,
so that finished work is written; the second one ends it at once. The bar appears after a
second, and only where stderr is a terminal, so short runs do not pay for it.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from audiocnn.errors import Cancelled

SHOW_AFTER = 1.0  # seconds
REPORT_EVERY = 300.0  # seconds between two lines where there is no terminal


class Progress:
    """State of a run over recordings, with a bar, messages and interruption.

    Parameters
    ----------
    verb
        Prefix of error messages.
    total
        Number of recordings.
    shown
        Whether a bar may be shown.
    """

    def __init__(self, verb: str, total: int, shown: bool) -> None:
        self.verb, self.total, self.shown = verb, total, shown
        self.began = self.reported = time.monotonic()
        self.done = self.failed = 0
        self.seconds = self.part = 0.0  # of sound: in finished recordings, in the current one
        self.interrupted = False
        self.text = ""
        self.display: Any = None

    def check(self) -> None:
        """Raise `Cancelled` if Ctrl-C was pressed."""
        if self.interrupted:
            raise Cancelled("interrupted")

    def advance(self, path: str, seconds: float, duration: float | None) -> None:
        """Show how far the current recording is; raise `Cancelled` if Ctrl-C was pressed."""
        self.check()
        self.part = seconds
        self._show(self.done + (min(1.0, seconds / duration) if duration else 0.0))

    def finished(self, seconds: float, error: str = "") -> None:
        """Count a finished recording, and print its error."""
        self.done, self.failed = self.done + 1, self.failed + bool(error)
        self.seconds, self.part = self.seconds + seconds, 0.0
        if error:
            self.say(f"audiocnn {self.verb}: {error}")
        self._show(self.done)

    def finished_part(self, seconds: float) -> None:
        """Count a finished part of a recording, in seconds of sound."""
        self.part += seconds
        self._show(self.done)

    def count(self, done: int, total: int, text: str = "") -> None:
        """Show a count whose total becomes known on the way, with a text of the caller's."""
        self.done, self.total, self.text = done, total, text
        self._show(done)

    def say(self, line: str) -> None:
        """Print a line on stderr, above the bar if there is one."""
        if self.display is None:
            print(line, file=sys.stderr)
        else:
            self.display.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def summary(self) -> str:
        """Return hours of sound, speed as a multiple of real time, and failures."""
        if self.text:
            return self.text
        seconds = self.seconds + self.part
        if not seconds:
            return ""
        speed = seconds / max(1e-9, time.monotonic() - self.began)
        return f"{seconds / 3600:.2f} h, {speed:,.0f} x real time, {self.failed} failed"

    def _show(self, done: float) -> None:
        now = time.monotonic()
        if not self.shown and now - self.reported > REPORT_EVERY:
            self.reported = now
            line = ", ".join(filter(None, [f"{self.done}/{self.total}", self.summary()]))
            print(line, file=sys.stderr)
        if not self.shown or now - self.began < SHOW_AFTER:
            return
        if self.display is None:
            self.display = _start_display(self.total)
        numbers = f"{self.done}/{self.total}"
        self.display.update(
            self.display.task_ids[0],
            completed=done,
            total=self.total,
            numbers=numbers,
            summary=self.summary(),
        )


def _start_display(total: int) -> Any:
    """Start a bar with numbers, a summary and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    display = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.fields[numbers]}  {task.fields[summary]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,  # or the events would go to stderr
        redirect_stderr=False,
    )
    display.add_task("", total=total, numbers=f"0/{total}", summary="")
    display.start()
    return display


@contextlib.contextmanager
def show_progress(
    verb: str, total: int, *, shown: bool = True, graceful: bool = False
) -> Iterator[Progress]:
    """Show the progress of a run over ``total`` recordings for the length of the context.

    Messages that the library logs meanwhile are printed above the bar.

    Parameters
    ----------
    verb, total
        The verb, and the number of recordings.
    shown
        Whether a bar may be shown.
    graceful
        Whether the first Ctrl-C is only noted; the run must then call
        `Progress.advance` or `Progress.check` often, or read `Progress.interrupted`.
    """
    progress = Progress(verb, total, shown and sys.stderr.isatty())
    with contextlib.ExitStack() as stack:
        stack.enter_context(_logging_to(progress))
        if graceful:
            stack.enter_context(_noting_interrupts(progress))
        try:
            yield progress
        finally:
            if progress.display is not None:
                progress.display.stop()


class _Handler(logging.Handler):
    """Prints log messages of the library above the bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        self._progress.say(record.getMessage())


@contextlib.contextmanager
def _logging_to(progress: Progress) -> Iterator[None]:
    logger = logging.getLogger("audiocnn")
    before, handler = logger.handlers[:], _Handler(progress)
    logger.handlers[:] = [handler]
    try:
        yield
    finally:
        logger.handlers[:] = before


@contextlib.contextmanager
def _noting_interrupts(progress: Progress) -> Iterator[None]:
    def note(number: int, frame: FrameType | None) -> None:
        if progress.interrupted:
            raise KeyboardInterrupt
        progress.interrupted = True

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [n for n, how in before.items() if ours and how not in (signal.SIG_IGN, None)]
    for number in handled:  # one that is ignored, as with nohup, stays so
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
