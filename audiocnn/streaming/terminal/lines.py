"""The lines of the terminal view, each made from what it shows."""

from __future__ import annotations

import math
from datetime import datetime

from rich.cells import cell_len
from rich.segment import Segment

from audiocnn.streaming.spectrogram import Meter, Spectrum
from audiocnn.streaming.terminal.canvas import Canvas, Line, width_of
from audiocnn.streaming.terminal.event_log import Entry, spell
from audiocnn.streaming.terminal.traces import Traces

QUIETEST_SHOWN = -72.0  # dBFS, the left end of the level's bar
NARROW = 20  # columns; with fewer there is no bar
LONGEST_ENTRY = 78  # columns: the eye must find the numbers that belong to a label
LOUD = ("good",) * 10 + ("warm", "bad")  # 6 dB each


def title_line(canvas: Canvas, title: str, width: int) -> Line:
    """Say what is listened to, and the time of day."""
    clock = f"{datetime.now():%H:%M:%S}"
    space = max(0, width - 9)
    return [
        canvas.text(title, space, "title"),
        canvas.text(clock, width - space, "dim", right=True),
    ]


def alarm_line(canvas: Canvas, alarm: str, width: int) -> Line:
    """Say what is wrong; nothing if nothing is."""
    return [canvas.text(f" ! {alarm}", width, "alarm")] if alarm else []


def level_line(canvas: Canvas, meter: Meter, width: int) -> Line:
    """Draw the level as a bar, with the held peak and a mark for clipping."""
    roomy = width >= 50
    name, numbers = (7, 15) if roomy else (0, 9)
    if meter.silenced:
        told, style, level, peak = "no sound", "bad", math.nan, math.nan
    else:
        told, style = f"{meter.level:.0f} dBFS", "bad" if meter.clipping else ""
        level, peak = (1 - max(db, QUIETEST_SHOWN) / QUIETEST_SHOWN for db in meter.shown)
    if meter.clipping:
        told = f"CLIP {told}" if roomy else "CLIP"
    marks = [(peak, "bad" if meter.clipping else "")] if peak > 0 else []
    bar = canvas.bar(level, max(0, width - name - numbers), LOUD, marks)
    numbers = min(width, numbers)
    return [canvas.text("level", name, "dim"), *bar, canvas.text(told, numbers, style, right=True)]


def channels_line(canvas: Canvas, traces: Traces, silenced: bool, width: int) -> Line:
    """Say what comes in of a signal that is not sound, or that nothing does."""
    n = len(traces.names)
    told = f"{n} channel{'' if n == 1 else 's'} at {traces.rate:g} Hz"
    if silenced:
        return [canvas.text(f"{told}: no signal", width, "bad")]
    return [canvas.text(told, width, "dim")]


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
    told = "-" if math.isnan(value) else f"{value:.2f}"
    style = "loud" if above else "dim" if math.isnan(value) else ""
    if width < NARROW:
        numbers = canvas.text(told, min(5, width), style, right=True)
        return [canvas.text(label, max(0, width - 5), style), numbers]
    marks = [(threshold, "loud" if above else "warm")]
    bar = canvas.bar(value, width - name - 6, ["loud" if above else "calm"], marks)
    return [
        canvas.text(label, name, "loud" if above else ""),
        Segment(" "),
        *bar,
        canvas.text(told, 5, style, right=True),
    ]


def entry_line(canvas: Canvas, entry: Entry, width: int) -> Line:
    """Write an entry of the log."""
    if entry.kind == "day":
        return canvas.rule(f"{entry.time:%A %d %B %Y}", width)
    width = min(width, LONGEST_ENTRY)
    clock = f"{entry.time:%H:%M:%S}" if entry.time else "--:--:--"
    label = f"{entry.label} ({entry.count} times)" if entry.count > 1 else entry.label
    told = "now" if entry.sounding else spell(entry.length)
    score = "" if math.isnan(entry.score) else f"{entry.score:.2f}"
    style = "bad" if entry.kind == "gap" else "loud" if entry.sounding else ""
    line = [
        canvas.text(clock, 10, "dim"),
        canvas.text(label, max(0, width - 24), style),
        canvas.text(told, 8, style, right=True),
        canvas.text(score, 6, style, right=True),
    ]
    return line if width_of(line) <= width else [canvas.text(label, width, style)]


def status_line(canvas: Canvas, status: str, lost: float, load: float, width: int) -> Line:
    """Say how the session does: in words, lost sound, load."""
    gone = f"lost {spell(lost)}" if lost > 0 else "nothing lost"
    busy = f"load {100 * load:.1f} %"
    if lost <= 0 and cell_len(status) + len(gone) + len(busy) + 6 > width:
        gone = ""
    space = width - len(gone) - len(busy) - 6
    if space < 8:
        told = "  ".join(part for part in (gone, status or busy) if part)
        return [canvas.text(told, width, "bad" if lost > 0 else "dim")]
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
