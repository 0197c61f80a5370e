"""Kaleidoscope's result tables: a CSV that Kaleidoscope Pro opens beside the recordings.

It names a recording in three parts (``INDIR``, ``FOLDER``, ``IN FILE``) and an event by
its ``OFFSET`` and ``DURATION``; the label is ``TOP1MATCH``, and a person's correction,
``MANUAL ID``, goes before it when the table is read. Scores stand in a column of our
own, ``SCORE``: ``TOP1DIST`` is a distance, of which less is better. ``DATE``, ``TIME`` and
``HOUR`` are filled in where the recording's start is known and times are wanted.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from audiocnn.annotations.plain import lines_of
from audiocnn.annotations.records import Row, end_of, event_of
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import no_column, parse_seconds, read_table

COLUMNS = (
    "INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "DATE", "TIME", "HOUR",
    "TOP1MATCH", "SCORE", "MANUAL ID",
)  # fmt: skip
LABELS = ("MANUAL ID", "TOP1MATCH", "AUTO ID*", "AUTO ID", "common_name", "scientific_name")


def kaleidoscope_lines(rows: Iterable[Row], timed: bool) -> Iterator[str]:
    """Write rows as results; ``timed`` fills in date, time and hour."""
    return lines_of(itertools.chain([COLUMNS], (_cells(row, timed) for row in rows)))


def _cells(row: Row, timed: bool) -> tuple[str, ...]:
    event, time = row.event, row.time
    folder, name = _split(event.source)
    start = f"{event.start:.6f}"
    length = f"{max(0.0, end_of(event, 'Kaleidoscope') - float(start)):.6f}"
    score = "" if event.score is None else f"{event.score:.6f}"
    when = ("", "", "")
    if timed and time is not None:
        when = (f"{time:%Y-%m-%d}", f"{time:%H:%M:%S}", str(time.hour))
    return folder, "", name, "0", start, length, *when, event.label, score, ""


def read_kaleidoscope(path: Path) -> Iterator[Event]:
    """Read results; a correction by hand goes before the label."""
    for place, row in read_table(path, ("IN FILE", "OFFSET", "DURATION")):
        if not any(name in row for name in LABELS):
            raise no_column(place, "TOP1MATCH", row)
        label = next((row[name] for name in LABELS if row.get(name)), "")
        start = parse_seconds(place, "OFFSET", row["OFFSET"])
        length = parse_seconds(place, "DURATION", row["DURATION"])
        parts = (row.get("INDIR", ""), row.get("FOLDER", ""), row["IN FILE"])
        source = functools.reduce(_join, parts)
        end = str(round(start + length, 9))
        yield event_of(place, str(start), end, label, row.get("SCORE", ""), source)


def _split(source: str) -> tuple[str, str]:
    """Split off the name, so that `_join` gives the very same path again."""
    at = max(source.rfind(sep) for sep in {"/", os.sep}) + 1
    folder, name = source[:at], source[at:]
    plain = folder[:-1] and not folder[:-1].endswith(("/", "\\"))
    return (
        folder[:-1] if plain and (os.sep in folder[:-1] or "\\" not in folder) else folder
    ), name


def _join(folder: str, rest: str) -> str:
    if not folder or not rest or folder.endswith(("/", "\\")):
        return folder + rest
    return folder + ("\\" if "\\" in folder and "/" not in folder else "/") + rest
