"""A summary as rectangles and texts: bars for the classes, hours against days for each.

The layout does not know how it is drawn: `audiocnn.labeling.summary_page` draws it as SVG
within a page of HTML, and `as_png` by Pillow (``audiocnn[pictures]``). It contains nothing
random and no date of today, so the same run gives the same file.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.labeling.summary import EmptyDays, Hour, Summary

WIDTH, EDGE, LINE = 1040.0, 20.0, 18.0  # pixels
CELL = 17.0  # pixels an hour
PANELS = 40  # classes with hours and days: the most frequent
PANEL = 24 * CELL + 92  # pixels a panel of hours and days, with its margin
COLOURS = {  # of a light page, for PNG; a page of HTML has its own, light and dark
    "text": "#1b2631", "muted": "#5f6b76", "bar": "#2a6f97", "none": "#e8f1f6",
    "absent": "#ffffff", "hatch": "#9aa5ae",
}  # fmt: skip
SCALE = ((232, 241, 246), (97, 165, 194), (42, 111, 151), (1, 42, 74))  # from none to most


@dataclass(frozen=True)
class Shape:
    """A rectangle or, if it has no width, a text.

    Parameters
    ----------
    x, y
        Upper left corner; of a text, where its line begins (or ends, if ``right``).
    width, height
        Of a rectangle; a text's ``height`` is its size.
    role
        What it is: ``text``, ``muted``, ``bar``; of a cell ``level`` (a value),
        ``none`` (recorded, without an event) or ``absent`` (not recorded: hatched).
    text
        The text; of a rectangle, its tooltip.
    right
        Whether a text ends at ``x``.
    level
        Of a ``level``, its place between 0 and 1.
    """

    x: float
    y: float
    width: float
    height: float
    role: str
    text: str = ""
    right: bool = False
    level: float = 0.0


def layout(summary: Summary, title: str) -> list[Shape]:
    """Lay out bars for all classes, then hours against days for the most frequent ones."""
    return list(_layout(summary, title))


def height_of(shapes: Iterable[Shape]) -> float:
    """Return the height of a picture of shapes, in pixels."""
    return max(shape.y + shape.height for shape in shapes) + EDGE


def _layout(summary: Summary, title: str) -> Iterator[Shape]:
    y = EDGE
    if title:
        yield Shape(EDGE, EDGE + 6, 0, 20, "text", title)
        y += 44
    most = max((found.events for found in summary.labels.values()), default=0)
    names = min(220.0, 20 + 7.5 * max((len(label) for label in summary.labels), default=0))
    for label, found in summary.labels.items():
        width = max(1.0, (WIDTH - 2 * EDGE - names - 250) * found.events / most)
        events = "1 event" if found.events == 1 else f"{found.events:,} events"
        figures = f"{events}, {found.seconds:,.0f} s"
        yield Shape(EDGE + names - 8, y, 0, 12, "text", label, right=True)
        yield Shape(EDGE + names, y, width, LINE - 6, "bar", f"{label}: {figures}")
        yield Shape(EDGE + names + width + 8, y, 0, 12, "muted", figures)
        y += LINE
    days = summary.days()
    if not days:
        yield Shape(EDGE, y + LINE, 0, 12, "muted", "No day or hour: the names of the recordings "
                    "do not tell when they began.")  # fmt: skip
        return
    recorded = summary.coverage.hours if summary.coverage else None
    y += LINE
    yield from _legend(y, recorded is not None)
    shown = sorted(summary.labels, key=lambda label: -summary.labels[label].events)[:PANELS]
    panels: list[tuple[str, Mapping[Hour, float]]] = [
        (f"{label}, events", summary.labels[label].hours) for label in sorted(shown)
    ]
    if recorded:
        panels.append(("minutes recorded", {hour: s / 60 for hour, s in recorded.items()}))
    y, height = y + 2 * LINE, _row_height(len(days)) * len(days) + 3.5 * LINE
    for number, (name, hours) in enumerate(panels):
        x = EDGE + (number % 2) * (PANEL + EDGE)
        yield from _panel(name, hours, recorded, days, (x, y + number // 2 * height))


def _legend(y: float, knows_recorded: bool) -> Iterator[Shape]:
    """Explain the cells of the panels."""
    x = EDGE
    entries = [("absent", "not recorded"), ("none", "recorded, no event")]
    if not knows_recorded:
        entries = [("none", "no event (what was recorded is not known)")]
    for role, text in entries:
        yield Shape(x, y, CELL - 1, 12, role, text)
        yield Shape(x + CELL + 4, y, 0, 12, "muted", text)
        x += CELL + 30 + 6.2 * len(text)
    for step in range(5):
        yield Shape(x + step * CELL, y, CELL - 1, 12, "level", "", level=(step + 1) / 5)
    text = "few to most in an hour"
    yield Shape(x + 5 * CELL + 4, y, 0, 12, "muted", text)


def _row_height(n_days: int) -> float:
    return min(CELL, max(2.0, 600 / n_days))


def _panel(
    name: str,
    hours: Mapping[Hour, float],
    recorded: Mapping[Hour, float] | None,
    days: Sequence[date | EmptyDays],
    corner: tuple[float, float],
) -> Iterator[Shape]:
    """Lay out a row for each day and a column for each hour."""
    left, top = corner
    most, row = max(hours.values(), default=0.0), _row_height(len(days))
    shown = f"{most:,.0f}" if most >= 10 or most == int(most) else f"{most:.1f}"
    yield Shape(left, top, 0, 14, "text", f"{name} (at most {shown} in an hour)")
    x, y = left + 80, top + 2 * LINE
    for hour in range(0, 24, 6):
        yield Shape(x + hour * CELL, y - 16, 0, 11, "muted", f"{hour:02d}")
    step = math.ceil(14 / row)
    ground, tip = ("none", "no event") if recorded is None else ("absent", "not recorded")
    yield Shape(x, y, 24 * CELL, row * len(days), ground, tip)
    for at, day in enumerate(days):
        if isinstance(day, EmptyDays):
            if row >= 11:
                text = f"{day.n} days without recordings"
                yield Shape(x + 4, y + at * row + row / 2 - 7, 0, 11, "muted", text)
            continue
        if at % step == 0:
            text = day.isoformat()
            yield Shape(x - 6, y + at * row + row / 2 - 7, 0, 11, "muted", text, right=True)
        yield from _day(day, hours, recorded, most, (x, y + at * row, row))


def _day(
    day: date,
    hours: Mapping[Hour, float],
    recorded: Mapping[Hour, float] | None,
    most: float,
    place: tuple[float, float, float],
) -> Iterator[Shape]:
    x, y, row = place
    values = [_value(day, hour, hours, recorded) for hour in range(24)]
    for value, members in itertools.groupby(range(24), values.__getitem__):
        if value is None or (value == 0 and recorded is None):
            continue  # as the ground is
        cells = list(members)
        for first in cells if value else cells[:1]:
            n = 1 if value else len(cells)
            text = f"{day.isoformat()} {first:02d} h: {value:,.0f}" if value else "none"
            box = (x + first * CELL, y, n * CELL - 1, row - min(1.0, row / 4))
            if value:
                yield Shape(*box, "level", text, level=math.sqrt(value / most))
            else:
                yield Shape(*box, "none", text)


def _value(
    day: date, hour: int, hours: Mapping[Hour, float], recorded: Mapping[Hour, float] | None
) -> float | None:
    value = hours.get((day, hour), 0.0)
    return None if not value and recorded is not None and (day, hour) not in recorded else value


def as_png(shapes: Sequence[Shape]) -> bytes:
    """Draw shapes as PNG.

    Raises
    ------
    ArgumentError
        If Pillow is not installed.
    """
    image_of, draw_on, font_of = import_pillow()
    scale = 2  # for displays of high resolution
    size = (round(scale * WIDTH), round(scale * height_of(shapes)))
    image = image_of("RGB", size, "#ffffff")
    draw = draw_on(image)
    for shape in shapes:
        x, y = scale * shape.x, scale * shape.y
        if shape.width:
            corner = (x + scale * shape.width - 1, y + scale * shape.height - 1)
            draw.rectangle((x, y, *corner), fill=_colour(shape))
            if shape.role == "absent":
                _hatch(draw, (x, y, *corner))
        else:
            font, anchor = font_of(size=scale * shape.height), "ra" if shape.right else "la"
            draw.text((x, y), printable(shape.text), COLOURS[shape.role], font, anchor=anchor)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _hatch(draw: Any, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    for at in range(int(left - (bottom - top)), int(right), 12):
        line = [(at, bottom), (at + bottom - top, top)]
        clipped = _clip(line[0], line[1], left, right)
        if clipped:
            draw.line(clipped, fill=COLOURS["hatch"], width=1)


def _clip(
    begin: tuple[float, float], end: tuple[float, float], left: float, right: float
) -> list[tuple[float, float]]:
    """Clip a rising diagonal at two verticals."""
    (x0, y0), (x1, y1) = begin, end
    if x0 < left:
        x0, y0 = left, y0 - (left - x0)
    if x1 > right:
        x1, y1 = right, y1 + (x1 - right)
    return [(x0, y0), (x1, y1)] if x0 < x1 else []


def _colour(shape: Shape) -> str:
    """Return a rectangle's colour; a level's is mixed from those of the scale."""
    if shape.role != "level":
        return COLOURS[shape.role]
    at = shape.level * (len(SCALE) - 1)
    low = min(int(at), len(SCALE) - 2)
    mixed = (
        round(a + (b - a) * (at - low)) for a, b in zip(SCALE[low], SCALE[low + 1], strict=True)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def import_pillow() -> tuple[Any, Any, Any]:
    """Import what draws PNG files.

    Raises
    ------
    ArgumentError
        If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ArgumentError(
            "a PNG needs Pillow, which is not installed; run: pip install 'audiocnn[pictures]', "
            "or write .html, which needs nothing"
        ) from error
    return Image.new, ImageDraw.Draw, ImageFont.load_default


def printable(text: str) -> str:
    """Return a text that can be encoded, on one line."""
    return text.encode("utf-8", "replace").decode().replace("\n", " ")
