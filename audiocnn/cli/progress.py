"""What a long run shows on a terminal, and how Ctrl-C ends it.

Where half a result is of use, the first Ctrl-C is noted and ends the run between two
blocks of sound, so that what is done is written; the second one ends it at once. The
display appears after a second, and only where stderr is a terminal: short runs do not
pay for it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

SHOW_AFTER = 1.0  # seconds
TELL_EVERY = 300.0  # seconds between two lines where there is no terminal


class Watch:
    """The state of a run; told of every block and every recording.

    Parameters
    ----------
    verb
        Begins what is said.
    total
        How many recordings there are.
    shown
        Whether there may be a display.
    """

    def __init__(self, verb: str, total: int, shown: bool) -> None:
        self.verb, self.total, self.shown = verb, total, shown
        self.began = self.told = time.monotonic()
        self.done = self.failed = 0
        self.seconds = self.part = 0.0  # of sound: in recordings that are done, and in this one
        self.interrupted = False
        self.display: Any = None

    def heard(self, path: str, seconds: float, duration: float | None) -> None:
        """Note how far a recording is; end the run if Ctrl-C was pressed."""
        self.tick()
        self.part = seconds
        self._show(self.done + (min(1.0, seconds / duration) if duration else 0.0))

    def tick(self) -> None:
        """End the run if Ctrl-C was pressed."""
        if self.interrupted:
            raise KeyboardInterrupt

    def finished(self, seconds: float, error: str = "") -> None:
        """Note that a recording is done, and say what was wrong with it."""
        self.done, self.failed = self.done + 1, self.failed + bool(error)
        self.seconds, self.part = self.seconds + seconds, 0.0
        if error:
            self.say(f"audiocnn {self.verb}: {error}")
        self._show(self.done)

    def say(self, line: str) -> None:
        """Print a line on stderr, above the display if there is one."""
        if self.display is None:
            print(line, file=sys.stderr)
        else:
            self.display.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def progress(self) -> str:
        """Tell hours of sound, times real time and failures."""
        seconds = self.seconds + self.part
        speed = seconds / max(1e-9, time.monotonic() - self.began)
        return f"{seconds / 3600:.2f} h, {speed:,.0f} x real time, {self.failed} failed"

    def went_on(self, seconds: float) -> None:
        """Note that a part of a recording is done."""
        self.part += seconds
        self._show(self.done)

    def _show(self, done: float) -> None:
        now = time.monotonic()
        if not self.shown and now - self.told > TELL_EVERY:
            self.told = now
            print(f"{self.done}/{self.total} recordings, {self.progress()}", file=sys.stderr)
        if not self.shown or now - self.began < SHOW_AFTER:
            return
        if self.display is None:
            self.display = start_display(self.total)
        numbers = f"{self.done}/{self.total}"
        self.display.update(
            self.display.task_ids[0], completed=done, numbers=numbers, told=self.progress()
        )


def start_display(total: int) -> Any:
    """Begin to show a bar, what is told beside it, and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    display = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.fields[numbers]}  {task.fields[told]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,  # or the events would go to stderr
        redirect_stderr=False,
    )
    display.add_task("", total=total, numbers=f"0/{total}", told="")
    display.start()
    return display


@contextlib.contextmanager
def watching(
    verb: str, total: int, *, shown: bool = True, graceful: bool = False
) -> Iterator[Watch]:
    """Watch over a run of ``total`` recordings.

    Parameters
    ----------
    verb, total
        What is run, over how many recordings.
    shown
        Whether it may have a display.
    graceful
        Whether the first Ctrl-C is only noted; then `Watch.heard` must be told of
        every block.
    """
    watch = Watch(verb, total, shown and sys.stderr.isatty())
    with _noting_interrupts(watch) if graceful else contextlib.nullcontext():
        try:
            yield watch
        finally:
            if watch.display is not None:
                watch.display.stop()


@contextlib.contextmanager
def _noting_interrupts(watch: Watch) -> Iterator[None]:
    def note(number: int, frame: FrameType | None) -> None:
        if watch.interrupted:
            raise KeyboardInterrupt
        watch.interrupted = True

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heeded = [n for n, how in before.items() if ours and how not in (signal.SIG_IGN, None)]
    for number in heeded:  # one that is ignored, as with nohup, stays so
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])
