"""A review in the terminal: a small spectrogram, the sound where there is a device, and keys."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import numpy as np

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.web.review.items import Item
from audiocnn.web.review.playback import Speaker
from audiocnn.web.review.review import Review
from audiocnn.web.review.verdicts import Verdict
from audiocnn.web.spectrum import spectrogram

WIDTH, ROWS = 64, 10
SHADES = " .:-=+*#%@"
KEYS = "r right  w wrong  o other label  s skip  b back  u undo  p play  q quit"


class TerminalReview:
    """Judges events by single keys.

    Parameters
    ----------
    review
        What is judged.
    order
        See `Review.order`.
    read_key, read_line
        Give a key, and a line for the true label; an empty key ends the review.
    out
        Where to write.
    """

    def __init__(
        self,
        review: Review,
        order: str,
        read_key: Callable[[], str],
        read_line: Callable[[Sequence[str]], str],
        out: TextIO = sys.stdout,
    ) -> None:
        self._review, self._queue = review, review.order(order)
        self._read_key, self._read_line, self._out = read_key, read_line, out
        self._speaker = Speaker()
        self._at = 0

    def run(self) -> None:
        """Judge until everything is judged or the user quits."""
        self._at = self._next(0)
        shown = -1
        while self._at < len(self._queue):
            if shown != self._at:
                self._show()
                shown = self._at
            key = self._read_key().lower()
            if key in ("", "q", "\x03", "\x04"):
                break
            if self._act(key):
                shown = -1
        self._speaker.stop()
        found = self._review.progress()
        self._say(
            f"{found['judged']} of {found['total']} judged: {found['right']} right, "
            f"{found['wrong']} wrong, {found['other']} another label; they are in "
            f"{self._review.source.verdicts.path}"
        )

    def _act(self, key: str) -> bool:
        """Do what a key asks for; whether the event is to be shown anew."""
        number = self._queue[self._at]
        if key in "rw":
            self._judge(number, Verdict("right" if key == "r" else "wrong"))
        elif key == "o":
            label = self._read_line(self._review.labels()).strip()
            if not label:
                return True
            self._judge(number, Verdict("other", label))
        elif key == "s":
            self._at = self._next(self._at + 1)
        elif key == "b":
            self._at = max(0, self._at - 1)
        elif key == "u":
            if changed := self._review.undo():
                self._at = self._queue.index(changed[0])
        elif key in "p ":
            self._play(self._review.items[number])
            return False
        else:
            self._say(KEYS)
            return False
        return True

    def _judge(self, number: int, verdict: Verdict) -> None:
        try:
            self._review.judge([number], verdict)
        except ArgumentError as error:
            self._say(str(error))
        else:
            self._at = self._next(self._at + 1)

    def _next(self, first: int) -> int:
        """Find the next event without a verdict, also before this one; the end if there is none."""
        places = [*range(first, len(self._queue)), *range(min(first, len(self._queue)))]
        items = self._review.items
        return next(
            (at for at in places if not items[self._queue[at]].verdict.kind), len(self._queue)
        )

    def _show(self) -> None:
        item = self._review.items[self._queue[self._at]]
        progress, event = self._review.progress(), item.event
        score = "" if event.score is None else f"  score {event.score:.2f}"
        place = item.time or f"{event.start:.1f} s"
        known = f"  ({item.verdict.label or item.verdict.kind})" if item.verdict.kind else ""
        self._say(
            f"\n{progress['judged'] + 1}/{progress['total']}  {event.label}?{score}  "
            f"{item.length:.1f} s, {event.source} at {place}{known}"
        )
        try:
            excerpt = item.excerpt()
        except (AudiocnnError, OSError) as error:
            self._say(f"  no sound: {error}")
        else:
            for line in draw(excerpt.samples.mean(axis=1), excerpt.rate, item):
                self._say(f"  {line}")
            self._speaker.play(excerpt.samples.mean(axis=1), excerpt.rate)
        self._say(KEYS)

    def _play(self, item: Item) -> None:
        if not self._speaker.works:
            self._say("no device to play sound on")
            return
        with contextlib.suppress(AudiocnnError, OSError):
            excerpt = item.excerpt()
            self._speaker.play(excerpt.samples.mean(axis=1), excerpt.rate)

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def draw(samples: np.ndarray, rate: int, item: Item) -> Iterator[str]:
    """Draw a spectrogram in characters, with a line under the event."""
    image = spectrogram(np.asarray(samples, np.float32), rate, WIDTH, ROWS)
    high = float(np.percentile(image, 99))
    shades = np.clip((image - high + 45) / 45 * (len(SHADES) - 1), 0, len(SHADES) - 1).astype(int)
    for row in shades[::-1]:
        yield "".join(SHADES[shade] for shade in row)
    if item.offset is not None:
        per = WIDTH / (len(samples) / rate)
        first = min(WIDTH - 1, int(item.offset * per))
        last = max(first + 1, min(WIDTH, round((item.offset + item.length) * per)))
        yield " " * first + "^" * (last - first)


def keys_of_terminal() -> Callable[[], str]:
    """Give a function that reads one key; a line's first character where that is impossible."""
    if sys.stdin.isatty() and os.name == "posix":
        return _read_posix
    return lambda: (sys.stdin.readline() or "")[:1].strip() or ""


def _read_posix() -> str:
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def ask_label(labels: Sequence[str]) -> str:
    """Ask for a label; the tab key completes, where the terminal can."""
    with contextlib.suppress(ImportError):
        import readline

        def complete(text: str, state: int) -> str | None:
            found = [label for label in labels if label.startswith(text)]
            return found[state] if state < len(found) else None

        readline.set_completer_delims("\n")
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")
    try:
        given = input("true label: ")
    except EOFError:
        return ""
    starts = [label for label in labels if label.startswith(given)]
    return starts[0] if given and len(starts) == 1 else given
