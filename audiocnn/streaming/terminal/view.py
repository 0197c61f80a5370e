"""The terminal view of a live session: sound, scores, events, losses.

    title                                           clock
    level ━━━━━━━━━━━━━━━━━━━━━━───────┃───  -23 dBFS
    alarm
    8 kHz ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
          -30 s         -20 s         -10 s       now
    scores                   events     (below each other where the terminal is narrow)
    status                            lost 0 s  load 1 %

It uses the alternate screen: only there may everything be redrawn after the terminal was
made narrower, without torn lines, and afterwards the terminal is as it was; the newest
events are then printed.

rich knows the terminal, its colours and its size. Its `Live` is not used: it would draw
and send every line each time. Here a line is sent only when it has changed, which costs a
tenth, and is calmer over a slow connection. All of it happens in `draw`, in the caller's
thread.
"""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import Message
from audiocnn.streaming.spectrogram import Meter, Spectrum
from audiocnn.streaming.terminal.canvas import Canvas, Line, width_of
from audiocnn.streaming.terminal.event_log import Entry, EventLog, spell
from audiocnn.streaming.terminal.layout import Layout, arrange
from audiocnn.streaming.terminal.ranking import Ranking
from audiocnn.streaming.terminal.traces import Traces

ALL_AGAIN = 10.0  # seconds after which all lines are sent again: others may write there too
QUIETEST_SHOWN = -72.0  # dBFS, the left end of the level's bar
NARROW = 20  # columns; with fewer there is no bar
LONGEST_ENTRY = 78  # columns: the eye must find the numbers that belong to a label
LOUD = ("good",) * 10 + ("warm", "bad")  # 6 dB each
LEFT_BEHIND = 20  # events that are printed when the view ends
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
        Samples per second of the input.
    title
        Of the view: model and input.
    console
        Where to draw; stderr if left out, for stdout carries results.
    refresh
        Redraws a second at most.
    traces
        Instead of a spectrogram and a level, for signals that are not sound.

    Raises
    ------
    ArgumentError
        If labels and thresholds differ in number, or rate or refresh is not positive.
    """

    def __init__(
        self,
        labels: Sequence[str],
        thresholds: Sequence[float],
        rate: float,
        title: str,
        *,
        console: Console | None = None,
        refresh: float = 5.0,
        traces: Traces | None = None,
    ) -> None:
        if len(labels) != len(thresholds):
            raise ArgumentError(f"{len(labels)} labels, but {len(thresholds)} thresholds")
        if rate <= 0 or not refresh > 0:
            raise ArgumentError(f"rate and refresh must be positive, got {rate} and {refresh}")
        self.console = Console(stderr=True) if console is None else console
        self._labels, self._title = list(labels), title
        self._refresh = refresh
        self._ranking = Ranking(np.asarray(thresholds, np.float64))
        self._spectrum: Spectrum | Traces = traces or Spectrum(rate)
        self._meter, self._log = Meter(), EventLog()
        self._canvas = Canvas(self.console)
        self._text, self._lost, self._load, self._alarm = "", 0.0, 0.0, ""
        self._started = self._gone = False
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
            for entry in list(self._log.entries)[-LEFT_BEHIND:]:
                line = entry_line(self._canvas, entry, min(80, self.console.width - 1))
                self.console.print(Segments([*line, Segment.line()]))

    def __enter__(self) -> View:
        """Take the screen."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        self.stop()

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take samples (N,) of sound, or (K, N), as they come; NaN where they were lost."""
        if self._started:
            self._spectrum.add(samples)

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

    def message(self, message: Message) -> None:
        """Take a message of the session: onset, event or gap; others are ignored."""
        self._log.message(message)

    def status(self, text: str, *, lost: float = 0.0, load: float = 0.0, alarm: str = "") -> None:
        """Set the last line.

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
        early = now - self._drawn_at < 1 / self._refresh
        if early or not self._started or self._gone or self._blocked():
            return
        self._drawn_at = now
        size = self.console.size
        anew = size != self._size
        again = anew or now - self._all_at >= ALL_AGAIN
        lines = self._lines(now, *size)
        changed = [at for at, line in enumerate(lines) if again or line != self._drawn[at]]
        self._drawn, self._size = lines, (size.width, size.height)
        self._all_at = now if again else self._all_at
        try:
            with self.console:  # one write
                if anew:
                    self.console.clear()
                for at in changed:
                    self.console.update_screen_lines([[*lines[at], CLEAR_REST]], 0, at)
        except OSError as error:  # that must not end the listening
            self._gone = not isinstance(error, BlockingIOError)  # or only slow: all again
            self._size = (0, 0)
            self._forget_unsent()

    def _forget_unsent(self) -> None:
        """Empty rich's buffer, or it would send what it could not send over and over."""
        before, self.console.quiet = self.console.quiet, True
        with self.console:
            pass
        self.console.quiet = before

    def _blocked(self) -> bool:
        """Tell whether the terminal takes nothing now (Ctrl-S): never wait for it."""
        try:
            return not select.select([], [self.console.file.fileno()], [], 0)[1]
        except (AttributeError, OSError, ValueError):  # no descriptor; on Windows, no socket
            return False

    def _lines(self, now: float, width: int, height: int) -> list[Line]:
        """Make all lines, none of which fills the last cell: terminals differ in what follows."""
        self._meter.update(self._spectrum.levels(), now)
        if self._meter.silenced:
            self._ranking.forget()
        width -= 2
        if width < 1:
            return [[]] * height
        layout, canvas = arrange(width, height, len(self._labels)), self._canvas
        alarm = alarm_line(canvas, self._alarm, width)
        lines = [alarm if alarm and not layout.airy else title_line(canvas, self._title, width)]
        if isinstance(self._spectrum, Traces):
            lines.append(channels_line(canvas, self._spectrum, self._meter.silenced, width))
        else:
            lines.append(level_line(canvas, self._meter, width))
        if layout.airy:
            lines.append(alarm)
        lines += self._sound(layout, width)
        lines += self._body(layout, width, now)
        status = status_line(canvas, self._text, self._lost, self._load, width)
        lines = [*lines[: height - 1], status][:height]
        return [[Segment(" "), *line] for line in lines]

    def _sound(self, layout: Layout, width: int) -> list[Line]:
        """Draw the spectrogram, if a column has been added to it."""
        if not layout.picture:
            return []
        columns, spectrum = width - layout.gutter, self._spectrum
        per = spectrum.ticks_per_column(columns)
        key = (layout, columns, spectrum.n_ticks // per, spectrum.low, spectrum.high)
        if self._picture[0] != key:
            rows = layout.picture * self._canvas.rows_per_line
            picture = spectrum.picture(columns, rows)
            lines = self._canvas.paint(picture, spectrum.low, spectrum.high)
            if isinstance(spectrum, Traces):
                lines = with_channels(self._canvas, lines, spectrum, layout.gutter)
            else:
                lines = with_frequencies(self._canvas, lines, spectrum, layout.gutter)
            if layout.airy:
                lines.append(axis_line(self._canvas, columns, per * spectrum.tick, layout.gutter))
            self._picture = key, lines
        return self._picture[1]

    def _body(self, layout: Layout, width: int, now: float) -> list[Line]:
        """Draw scores and events, beside or below each other."""
        half = (width - 3) // 2 if layout.side_by_side else width
        other = width - half - 3 if layout.side_by_side else width
        scores = [self._score(label, half) for label in self._ranking.look(layout.scores, now)]
        newest = list(self._log.entries)[::-1][: layout.events]
        events = [entry_line(self._canvas, entry, other) for entry in reversed(newest)]
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
        value, threshold = self._ranking.values[label], self._ranking.thresholds[label]
        return score_line(self._canvas, self._labels[label], float(value), float(threshold), width)


def title_line(canvas: Canvas, title: str, width: int) -> Line:
    """Write the title and the time of day."""
    clock = f"{datetime.now():%H:%M:%S}"
    space = max(0, width - 9)
    return [
        canvas.text(title, space, "title"),
        canvas.text(clock, width - space, "dim", right=True),
    ]


def alarm_line(canvas: Canvas, alarm: str, width: int) -> Line:
    """Write what is wrong; no line if nothing is."""
    return [canvas.text(f" ! {alarm}", width, "alarm")] if alarm else []


def level_line(canvas: Canvas, meter: Meter, width: int) -> Line:
    """Draw the level as a bar, with the held peak and a mark for clipping."""
    roomy = width >= 50
    name, numbers = (7, 15) if roomy else (0, 9)
    if meter.silenced:
        text, style, level, peak = "no sound", "bad", math.nan, math.nan
    else:
        text, style = f"{meter.level:.0f} dBFS", "bad" if meter.clipping else ""
        level, peak = (1 - max(db, QUIETEST_SHOWN) / QUIETEST_SHOWN for db in meter.shown)
    if meter.clipping:
        text = f"CLIP {text}" if roomy else "CLIP"
    marks = [(peak, "bad" if meter.clipping else "")] if peak > 0 else []
    bar = canvas.bar(level, max(0, width - name - numbers), LOUD, marks)
    numbers = min(width, numbers)
    return [canvas.text("level", name, "dim"), *bar, canvas.text(text, numbers, style, right=True)]


def channels_line(canvas: Canvas, traces: Traces, silenced: bool, width: int) -> Line:
    """Describe the channels of a signal that is not sound, or that none arrives."""
    n = len(traces.names)
    text = f"{n} channel{'' if n == 1 else 's'} at {traces.rate:g} Hz"
    if silenced:
        return [canvas.text(f"{text}: no signal", width, "bad")]
    return [canvas.text(text, width, "dim")]


def with_channels(canvas: Canvas, picture: list[Line], traces: Traces, gutter: int) -> list[Line]:
    """Put the names of channels left of their strips."""
    rows = traces.rows(len(picture) * canvas.rows_per_line)[:: canvas.rows_per_line]
    names = [traces.names[row] if row not in rows[:at] else "" for at, row in enumerate(rows)]
    return [
        [canvas.text(name, gutter, "dim"), *line] for name, line in zip(names, picture, strict=True)
    ]


def with_frequencies(
    canvas: Canvas, picture: list[Line], spectrum: Spectrum, gutter: int
) -> list[Line]:
    """Put the highest and the lowest frequency left of a picture."""
    names = [""] * len(picture)
    names[-1], names[0] = hertz(spectrum.f_min), hertz(spectrum.f_max)
    return [
        [canvas.text(name, gutter, "dim"), *line] for name, line in zip(names, picture, strict=True)
    ]


def axis_line(canvas: Canvas, columns: int, seconds: float, gutter: int) -> Line:
    """Write times below a picture with ``columns`` of ``seconds`` each, "now" to the right."""
    cells = " " * (columns - 3) + "now"
    step = 10 if columns * 10 > 150 * seconds else 20  # names must not touch
    for back in range(step, int(columns * seconds) + 1, step):
        text = f"-{back} s"
        at = columns - round(back / seconds) - len(text) // 2
        if at >= 0:
            cells = cells[:at] + text + cells[at + len(text) :]
    return [Segment(" " * gutter), canvas.text(cells, columns, "dim")]


def score_line(canvas: Canvas, label: str, value: float, threshold: float, width: int) -> Line:
    """Draw a score as a bar, with a mark where its threshold is."""
    name = min(max(8, width // 3), 32)
    above = value >= threshold
    text = "-" if math.isnan(value) else f"{value:.2f}"
    style = "loud" if above else "dim" if math.isnan(value) else ""
    if width < NARROW:
        numbers = canvas.text(text, min(5, width), style, right=True)
        return [canvas.text(label, max(0, width - 5), style), numbers]
    marks = [(threshold, "loud" if above else "warm")]
    bar = canvas.bar(value, width - name - 6, ["loud" if above else "calm"], marks)
    return [
        canvas.text(label, name, "loud" if above else ""),
        Segment(" "),
        *bar,
        canvas.text(text, 5, style, right=True),
    ]


def entry_line(canvas: Canvas, entry: Entry, width: int) -> Line:
    """Write an entry of the log."""
    if entry.kind == "day":
        return canvas.rule(f"{entry.time:%A %d %B %Y}", width)
    width = min(width, LONGEST_ENTRY)
    clock = f"{entry.time:%H:%M:%S}" if entry.time else "--:--:--"
    label = f"{entry.label} ({entry.count} times)" if entry.count > 1 else entry.label
    length = "now" if entry.sounding else spell(entry.length)
    score = "" if math.isnan(entry.score) else f"{entry.score:.2f}"
    style = "bad" if entry.kind == "gap" else "loud" if entry.sounding else ""
    line = [
        canvas.text(clock, 10, "dim"),
        canvas.text(label, max(0, width - 24), style),
        canvas.text(length, 8, style, right=True),
        canvas.text(score, 6, style, right=True),
    ]
    return line if width_of(line) <= width else [canvas.text(label, width, style)]


def status_line(canvas: Canvas, status: str, lost: float, load: float, width: int) -> Line:
    """Write the state of the session: text, lost sound, load."""
    gone = f"lost {spell(lost)}" if lost > 0 else "nothing lost"
    busy = f"load {100 * load:.1f} %"
    if lost <= 0 and cell_len(status) + len(gone) + len(busy) + 6 > width:
        gone = ""
    space = width - len(gone) - len(busy) - 6
    if space < 8:
        text = "  ".join(part for part in (gone, status or busy) if part)
        return [canvas.text(text, width, "bad" if lost > 0 else "dim")]
    style = "bad" if load > 0.9 else "warm" if load > 0.5 else "dim"
    return [
        canvas.text(status, space, "dim"),
        canvas.text(gone, len(gone) + 3, "bad" if lost > 0 else "dim", right=True),
        canvas.text(busy, len(busy) + 3, style, right=True),
    ]


def hertz(frequency: float) -> str:
    """Write a frequency in at most six letters."""
    if frequency < 1000:
        return f"{frequency:.0f} Hz"
    return f"{frequency / 1000:.{0 if frequency >= 9950 else 1}f} kHz".replace(".0", "")
