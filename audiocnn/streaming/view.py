"""What a person sees of a live session, on a terminal: sound, scores, events, losses.

    title                                           clock
    level ━━━━━━━━━━━━━━━━━━━━━━───────┃───  -23 dBFS
    alarm
    8 kHz ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
          -30 s         -20 s         -10 s       now
    scores                   events     (below each other where the terminal is narrow)
    status                            lost 0 s  load 1 %

It uses the alternate screen: only there may everything be redrawn after the terminal was
made narrower, without torn lines, and afterwards the terminal is as it was; the newest
events are then printed, as they are what a person would look for.

rich knows the terminal, its colours and its size. Its `Live` is not used: it would draw
and send every line each time. Here a line is sent only when it has changed, which costs a
tenth, and is calmer over a slow connection. All of it happens in `draw`, in the caller's
thread. What the session does, and how, is not known here.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.segment import Segment

from audiocnn.errors import ArgumentError
from audiocnn.streaming.canvas import Canvas, Line, width_of
from audiocnn.streaming.eventlog import Entry, EventLog, spell
from audiocnn.streaming.layout import Layout, arrange
from audiocnn.streaming.ranking import Ranking
from audiocnn.streaming.spectrum import Meter, Spectrum

ALL_AGAIN = 10.0  # seconds after which all lines are sent again: others may write there too
LEFT_BEHIND = 20  # events that are printed when the view ends
QUIETEST_SHOWN = -72.0  # dBFS, the left end of the level's bar
CLEAR_REST = Segment("\x1b[K")


class View:
    """Shows a live session on a terminal; does nothing where there is none.

    Parameters
    ----------
    labels
        (C,) the classes, in the order of their scores.
    thresholds
        (C,) the scores from which they count.
    rate
        Samples per second of what is heard.
    title
        What listens to what.
    console
        Where to draw; stderr if left out, for stdout carries results.
    refresh
        Redraws a second at most.

    Raises
    ------
    ArgumentError
        If labels and thresholds differ in number, or rate or refresh is not positive.
    """

    def __init__(
        self,
        labels: Sequence[str],
        thresholds: Sequence[float],
        rate: int,
        title: str,
        *,
        console: Console | None = None,
        refresh: float = 5.0,
    ) -> None:
        if len(labels) != len(thresholds):
            raise ArgumentError(f"{len(labels)} labels, but {len(thresholds)} thresholds")
        if rate <= 0 or not refresh > 0:
            raise ArgumentError(f"rate and refresh must be positive, got {rate} and {refresh}")
        self.console = Console(stderr=True) if console is None else console
        self._labels, self._title = list(labels), title
        self._refresh = refresh
        self._ranking = Ranking(np.asarray(thresholds, np.float64))
        self._spectrum, self._meter, self._log = Spectrum(rate), Meter(), EventLog()
        self._canvas = Canvas(self.console)
        self._text, self._lost, self._load, self._alarm = "", 0.0, 0.0, ""
        self._started = False
        self._drawn: list[Line] = []
        self._size = (0, 0)
        self._drawn_at = self._all_at = -math.inf
        self._picture: tuple[object, list[Line]] = (None, [])

    @property
    def possible(self) -> bool:
        """Whether the console is a terminal on which a view can be drawn."""
        console = self.console
        return console.is_terminal and not (console.is_dumb_terminal or console.legacy_windows)

    def start(self) -> None:
        """Take the terminal's screen."""
        if not self._started and self.possible:
            self._started = True
            self.console.set_alt_screen(True)
            self.console.show_cursor(False)

    def stop(self) -> None:
        """Give the screen back, and print the newest events."""
        if not self._started:
            return
        self._started = False
        with contextlib.suppress(OSError):  # the terminal may be gone
            self.console.show_cursor(True)
            self.console.set_alt_screen(False)
            for line in self._log_lines(LEFT_BEHIND, self.console.width - 1):
                self.console.print(*line, Segment.line(), sep="", end="")

    def __enter__(self) -> View:
        """Take the screen."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        self.stop()

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Take samples (N,) as they come, full scale at 1; NaN where they were lost."""
        if self._started:
            self._spectrum.hear(samples)

    def scores(self, values: NDArray[np.float32]) -> None:
        """Take the newest window's scores (C,), probabilities; NaN is no score.

        Raises
        ------
        ArgumentError
            If there is not one for each label.
        """
        if np.shape(values) != (len(self._labels),):
            raise ArgumentError(f"{len(self._labels)} labels, but scores {np.shape(values)}")
        self._ranking.take(values)

    def message(self, message: Mapping[str, Any]) -> None:
        """Take a message of the session: onset, event or gap; others are passed over."""
        self._log.message(message)

    def status(self, text: str, *, lost: float = 0.0, load: float = 0.0, alarm: str = "") -> None:
        """Say how the session does.

        Parameters
        ----------
        text
            For the last line: "heard 23.7 of 24 h".
        lost
            Seconds of lost sound.
        load
            Share of one core, 0 to 1.
        alarm
            A sentence in red while something is wrong: "microphone lost, trying again".
        """
        self._text, self._lost, self._load, self._alarm = text, lost, load, alarm

    def draw(self, now: float | None = None) -> None:
        """Draw what has changed, at most ``refresh`` times a second; call it often.

        Parameters
        ----------
        now
            Seconds of a clock that never goes back; the system's if left out.
        """
        now = time.monotonic() if now is None else now
        if not self._started or now - self._drawn_at < 1 / self._refresh or self._blocked():
            return
        self._drawn_at = now
        size = self.console.size
        again = size != self._size or now - self._all_at >= ALL_AGAIN
        lines = self._lines(now, *size)
        try:
            with self.console:  # one write
                if size != self._size:
                    self.console.clear()
                for at, line in enumerate(lines):
                    if again or line != self._drawn[at]:
                        self.console.update_screen_lines([[*line, CLEAR_REST]], 0, at)
        except OSError:  # the terminal is gone; that must not end the listening
            self._started = False
        self._drawn, self._size = lines, (size.width, size.height)
        self._all_at = now if again else self._all_at

    def _blocked(self) -> bool:
        """Tell whether the terminal takes nothing now (Ctrl-S): never wait for it."""
        try:
            return not select.select([], [self.console.file.fileno()], [], 0)[1]
        except (OSError, ValueError):  # no descriptor; on Windows, not a socket
            return os.name == "posix" and self.console.file.closed

    def _lines(self, now: float, width: int, height: int) -> list[Line]:
        """Make all lines, none of which fills the last cell: terminals differ in what follows."""
        self._meter.update(self._spectrum.levels(), now)
        if not self._meter.alive or self._meter.lost:
            self._ranking.forget()
        width = max(1, width - 2)
        layout = arrange(width, height, len(self._labels))
        lines = [self._top(width, alarm=not layout.airy)]
        lines.append(self._level(width))
        if layout.airy:
            lines.append(self._alarm_line(width) if self._alarm else [])
        lines += self._sound(layout, width)
        lines += self._body(layout, width, now)
        lines = [*lines[: height - 1], self._bottom(width)] if height > 1 else [lines[0]]
        return [[Segment(" "), *line] for line in lines]

    def _top(self, width: int, *, alarm: bool) -> Line:
        if alarm and self._alarm:
            return self._alarm_line(width)
        clock = f"{datetime.now():%H:%M:%S}"
        space = max(0, width - len(clock) - 1)
        text = self._canvas.text
        return [text(self._title, space, "title"), text(clock, width - space, "dim", right=True)]

    def _alarm_line(self, width: int) -> Line:
        return [self._canvas.text(f" ! {self._alarm}", width, "alarm")]

    def _level(self, width: int) -> Line:
        meter, text = self._meter, self._canvas.text
        name, numbers = (7, 16) if width >= 50 else (0, 9)
        if not meter.alive or meter.lost:
            told, style, level, peak = "no sound", "bad", math.nan, math.nan
        else:
            told, style = f"{meter.level:.0f} dBFS", "bad" if meter.clipping else ""
            level, peak = (
                1 - max(db, QUIETEST_SHOWN) / QUIETEST_SHOWN for db in (meter.level, meter.peak)
            )
        if meter.clipping:
            told += "  CLIP" if numbers > 10 else "!"
        marks = [(peak, "bad" if meter.peak > -1 else "")] if peak > 0 else []
        bar = self._canvas.bar(
            level, max(0, width - name - numbers), ["good"] * 10 + ["warm", "bad"], marks
        )
        return [
            text("level", name, "dim"),
            *bar,
            text(told, min(width, numbers), style, right=True),
        ]

    def _sound(self, layout: Layout, width: int) -> list[Line]:
        if not layout.picture:
            return []
        columns = width - layout.gutter
        spectrum = self._spectrum
        per = spectrum.ticks_per_column(columns)
        key = (layout, columns, spectrum.n_ticks // per, spectrum.low, spectrum.high)
        if self._picture[0] != key:
            rows = layout.picture * self._canvas.rows_per_line
            painted = self._canvas.paint(
                spectrum.picture(columns, rows), spectrum.low, spectrum.high
            )
            self._picture = (
                key,
                layout.beside(
                    painted,
                    columns,
                    per * spectrum.tick,
                    spectrum.f_min,
                    spectrum.f_max,
                    self._canvas,
                ),
            )
        return self._picture[1]

    def _body(self, layout: Layout, width: int, now: float) -> list[Line]:
        half = (width - 3) // 2 if layout.side_by_side else width
        other = width - half - 3 if layout.side_by_side else width
        scores = [self._score(label, half) for label in self._ranking.look(layout.scores, now)]
        events = self._log_lines(layout.events, other)
        if layout.headings:
            scores.insert(0, self._canvas.rule("scores", half))
            events.insert(0, self._canvas.rule("events", other))
        events += [[]] * (layout.events + layout.headings - len(events))
        if not layout.side_by_side:
            return scores + events
        scores += [[]] * (len(events) - len(scores))
        return [
            [*left, Segment(" " * (half + 3 - width_of(left))), *right]
            for left, right in zip(scores, events, strict=True)
        ]

    def _score(self, label: int, width: int) -> Line:
        value, threshold = (
            float(self._ranking.values[label]),
            float(self._ranking.thresholds[label]),
        )
        above = self._ranking.above(label)
        name = min(max(8, width // 3), 32)
        told = "-" if math.isnan(value) else f"{value:.2f}"
        text = self._canvas.text
        return [
            text(self._labels[label], name, "loud" if above else ""),
            Segment(" "),
            *self._canvas.bar(
                value,
                width - name - 6,
                ["loud" if above else "calm"],
                [(threshold, "loud" if above else "warm")],
            ),
            text(told, 5, "loud" if above else "dim" if math.isnan(value) else "", right=True),
        ]

    def _log_lines(self, n: int, width: int) -> list[Line]:
        return [self._entry(entry, width) for entry in list(self._log.entries)[-n:]] if n else []

    def _entry(self, entry: Entry, width: int) -> Line:
        text = self._canvas.text
        if entry.kind == "day":
            return self._canvas.rule(f"{entry.time:%A %d %B %Y}", width)
        gap, open_ = entry.kind == "gap", entry.sounding
        style = "bad" if gap else "loud" if open_ else ""
        told = "now" if open_ else spell(entry.length)
        score = "" if math.isnan(entry.score) else f"{entry.score:.2f}"
        label = f"{entry.label} ({entry.count} times)" if entry.count > 1 else entry.label
        clock = f"{entry.time:%H:%M:%S}" if entry.time else "--:--:--"
        name = max(0, width - 10 - 8 - 6)
        return [
            text(clock, 10, "dim"), text(label, name, style),
            text(told, 8, style, right=True), text(score, 6, style, right=True),
        ]  # fmt: skip

    def _bottom(self, width: int) -> Line:
        text = self._canvas.text
        lost, load = f"lost {spell(self._lost)}", f"load {100 * self._load:.1f} %"
        right = f"{lost}   " if self._lost > 0 else ""
        space = max(0, width - len(right) - len(load) - 1)
        busy = "bad" if self._load > 0.9 else "warm" if self._load > 0.5 else "dim"
        line = [
            text(self._text, space, "dim"),
            Segment(" "),
            text(right, len(right), "bad"),
            text(load, len(load), busy),
        ]
        return line if width_of(line) <= width else [text(self._text or load, width, "dim")]
