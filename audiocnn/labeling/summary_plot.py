"""A summary as a picture: bars for the classes, and hours against days for each.

The picture is a list of rectangles and texts, drawn as SVG within a page of HTML that
needs nothing from outside, or by Pillow as PNG (``audiocnn[pictures]``). Nothing of it is
random or of today, so the same run gives the same file.
"""

from __future__ import annotations

import html
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.io.files.atomic import replacing
from audiocnn.labeling.summary import Hour, Summary

WIDTH, EDGE, LINE = 1040.0, 20.0, 18.0  # pixels
CELL = 17.0  # pixels an hour
PANELS = 40  # classes with hours and days: the most frequent
PANEL = 24 * CELL + 92  # pixels a panel of hours and days, with its margin
INK, PALE, NOTHING, BAR = "#1b2631", "#7b8894", "#eceff1", "#2a6f97"
SCALE = ((232, 241, 246), (97, 165, 194), (42, 111, 151), (1, 42, 74))  # from none to most


@dataclass(frozen=True)
class Shape:
    """A rectangle or, if it has no width, a text.

    Parameters
    ----------
    x, y
        Of its upper left corner; of a text, where its line begins (or ends, if ``right``).
    width, height
        Of a rectangle; a text's ``height`` is its size.
    fill
        Its colour.
    text
        What stands there; of a rectangle, what is shown where one points at it.
    right
        Whether a text ends at ``x``.
    """

    x: float
    y: float
    width: float
    height: float
    fill: str
    text: str = ""
    right: bool = False


def write_picture(summary: Summary, path: str | Path, title: str) -> None:
    """Draw a summary.

    Parameters
    ----------
    summary
        What to draw.
    path
        Ends in .html or .png; appears when it is complete.
    title
        Stands above it.

    Raises
    ------
    ArgumentError
        If the name ends in anything else, Pillow is wanted and missing, or the file
        cannot be written.
    """
    target = Path(path)
    render = check_picture(target)
    shapes = list(_draw(summary, title))
    data = render(shapes, max(shape.y + shape.height for shape in shapes) + EDGE)
    try:
        with replacing(target) as part:
            part.write_bytes(data)
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror}") from error


def check_picture(path: Path) -> Callable[[Iterable[Shape], float], bytes]:
    """Say how a picture of this name is made, before the work.

    Raises
    ------
    ArgumentError
        If it cannot be.
    """
    suffix = path.suffix.lower()
    if suffix == ".html":
        return _as_html
    if suffix != ".png":
        raise ArgumentError(f"no picture for {str(path)!r}: the name must end in .html or .png")
    _import_pillow()
    return _as_png


def _draw(summary: Summary, title: str) -> Iterator[Shape]:
    """Draw bars for all classes, then hours against days for the most frequent ones."""
    yield Shape(EDGE, EDGE + 6, 0, 20, INK, title)
    y = EDGE + 44
    most = max((found.events for found in summary.labels.values()), default=0)
    names = min(220.0, 20 + 7.5 * max((len(label) for label in summary.labels), default=0))
    for label, found in summary.labels.items():
        width = max(1.0, (WIDTH - 2 * EDGE - names - 250) * found.events / most)
        said = f"{found.events:,} events, {found.seconds:,.0f} s"
        yield Shape(EDGE + names - 8, y, 0, 12, INK, label, right=True)
        yield Shape(EDGE + names, y, width, LINE - 6, BAR, f"{label}: {said}")
        yield Shape(EDGE + names + width + 8, y, 0, 12, PALE, said)
        y += LINE
    days = summary.days()
    if not days:
        yield Shape(EDGE, y + LINE, 0, 12, PALE, "No day or hour: the names of the recordings "
                    "do not say when they began.")  # fmt: skip
        return
    shown = sorted(summary.labels, key=lambda label: -summary.labels[label].events)[:PANELS]
    panels: list[tuple[str, Mapping[Hour, float]]] = [
        (f"{label}, events", summary.labels[label].hours) for label in sorted(shown)
    ]
    heard = summary.heard.hours if summary.heard else None
    if heard:
        panels.append(("minutes heard", {hour: s / 60 for hour, s in heard.items()}))
    y, height = y + 2 * LINE, _row_height(len(days)) * len(days) + 3.5 * LINE
    for number, (name, hours) in enumerate(panels):
        x = EDGE + (number % 2) * (PANEL + EDGE)
        yield from _panel(name, hours, heard, days, (x, y + number // 2 * height))


def _row_height(n_days: int) -> float:
    return min(CELL, max(2.0, 600 / n_days))


def _panel(
    name: str,
    hours: Mapping[Hour, float],
    heard: Mapping[Hour, float] | None,
    days: list[date],
    corner: tuple[float, float],
) -> Iterator[Shape]:
    """Draw a row for each day and a column for each hour; grey where nothing was heard."""
    left, top = corner
    most, row = max(hours.values(), default=0.0), _row_height(len(days))
    yield Shape(left, top, 0, 14, INK, f"{name} (at most {most:,.0f} in an hour)")
    x, y = left + 80, top + 2 * LINE
    for hour in range(0, 24, 6):
        yield Shape(x + hour * CELL, y - 16, 0, 11, PALE, f"{hour:02d}")
    step = math.ceil(14 / row)
    ground = _colour(0.0, 1.0) if heard is None else NOTHING
    yield Shape(x, y, 24 * CELL, row * len(days), ground, "none" if heard is None else "not heard")
    for at, day in enumerate(days):
        if at % step == 0:
            yield Shape(x - 6, y + at * row + row / 2 - 7, 0, 11, PALE, day.isoformat(), right=True)
        values = [_value(day, hour, hours, heard) for hour in range(24)]
        for value, members in itertools.groupby(range(24), values.__getitem__):
            if value is None or (value == 0 and heard is None):
                continue  # as the ground is
            there = list(members)
            for first in there if value else there[:1]:
                n = 1 if value else len(there)
                said = f"{day.isoformat()} {first:02d} h: {value:,.0f}" if value else "none"
                place = (x + first * CELL, y + at * row, n * CELL - 1, row - min(1.0, row / 4))
                yield Shape(*place, _colour(value, most), said)


def _value(
    day: date, hour: int, hours: Mapping[Hour, float], heard: Mapping[Hour, float] | None
) -> float | None:
    value = hours.get((day, hour), 0.0)
    return None if not value and heard is not None and (day, hour) not in heard else value


def _colour(value: float, most: float) -> str:
    """Mix the colour of a value: its square root, so that few is told from none."""
    at = (math.sqrt(value / most) if most else 0.0) * (len(SCALE) - 1)
    low = min(int(at), len(SCALE) - 2)
    mixed = (
        round(a + (b - a) * (at - low)) for a, b in zip(SCALE[low], SCALE[low + 1], strict=True)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _as_html(shapes: Iterable[Shape], height: float) -> bytes:
    lines = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>audiocnn</title>'
        "<style>body{margin:0;background:#fff;font-family:system-ui,sans-serif}</style></head>",
        f'<body><svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}" height="{height:g}" '
        'role="img">',
    ]
    for shape in shapes:
        text = html.escape(_printable(shape.text))
        if shape.width:
            place = f'x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}"'
            rect = f'<rect {place} height="{shape.height:g}" fill="{shape.fill}">'
            lines.append(f"{rect}<title>{text}</title></rect>")
        else:
            anchor = ' text-anchor="end"' if shape.right else ""
            place = f'x="{shape.x:g}" y="{shape.y + 0.85 * shape.height:g}"{anchor}'
            style = f'font-size="{shape.height:g}" fill="{shape.fill}"'
            lines.append(f"<text {place} {style}>{text}</text>")
    return "\n".join([*lines, "</svg></body></html>\n"]).encode()


def _as_png(shapes: Iterable[Shape], height: float) -> bytes:
    image_of, draw_on, font_of = _import_pillow()
    scale = 2  # for screens of today
    image = image_of("RGB", (round(scale * WIDTH), round(scale * height)), "#ffffff")
    draw = draw_on(image)
    for shape in shapes:
        x, y = scale * shape.x, scale * shape.y
        if shape.width:
            corner = (x + scale * shape.width - 1, y + scale * shape.height - 1)
            draw.rectangle((x, y, *corner), fill=shape.fill)
        else:
            font, anchor = font_of(size=scale * shape.height), "ra" if shape.right else "la"
            draw.text((x, y), _printable(shape.text), shape.fill, font, anchor=anchor)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _import_pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ArgumentError(
            "a PNG needs Pillow, which is not installed; run: pip install 'audiocnn[pictures]', "
            "or write .html, which needs nothing"
        ) from error
    return Image.new, ImageDraw.Draw, ImageFont.load_default


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\n", " ")
