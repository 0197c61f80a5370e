"""CSV and JSON lines: our own formats, which hold all that an event has."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from audiocnn.annotations.records import Row, event_of, iso_time, text_of
from audiocnn.errors import DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import no_column, read_lines, read_table

COLUMNS = ("path", "start", "end", "label", "score")


def lines_of(table: Iterable[Sequence[Any]]) -> Iterator[str]:
    r"""Write rows of cells as lines of CSV, each with ``\n`` at its end.

    Examples
    --------
    >>> list(lines_of([["a", "b, c"]]))
    ['a,"b, c"\n']
    """
    line = io.StringIO()
    writer = csv.writer(line)  # ends lines with \r\n, so it quotes both of them
    for cells in table:
        writer.writerow(cells)
        yield line.getvalue().removesuffix("\r\n") + "\n"
        line.seek(0)
        line.truncate()


def csv_lines(rows: Iterable[Row], timed: bool) -> Iterator[str]:
    """Write rows as CSV; with ``timed``, a column of wall-clock times."""
    yield ",".join((*COLUMNS, "time") if timed else COLUMNS) + "\n"
    yield from lines_of(_cells(row, timed) for row in rows)


def _cells(row: Row, timed: bool) -> list[str]:
    event = row.event
    start, end, score = (
        "" if number is None else f"{number:.6f}"
        for number in (event.start, event.end, event.score)
    )
    cells = [event.source, start, end, event.label, score]
    return [*cells, iso_time(row.time)] if timed else cells


def read_csv(path: Path) -> Iterator[Event]:
    """Read events from CSV; columns may stand in any order."""
    for place, row in read_table(path, ("start", "end", "label"), optional=("path", "score")):
        texts = (row["start"], row["end"], row["label"], row.get("score", ""), row.get("path", ""))
        yield event_of(place, *texts)


def jsonl_lines(rows: Iterable[Row], timed: bool) -> Iterator[str]:
    """Write rows as JSON objects, one a line; with ``timed``, each with its wall-clock time."""
    for event, time, *_ in rows:
        row = {
            "path": event.source,
            "start": round(event.start, 6),
            "end": None if event.end is None else round(event.end, 6),
            "label": event.label,
            "score": None if event.score is None else round(event.score, 6),
        }
        if timed:
            row["time"] = iso_time(time) or None
        yield json.dumps(row, ensure_ascii=False) + "\n"


def read_jsonl(path: Path) -> Iterator[Event]:
    """Read events from JSON lines, also those of live listening."""
    for place, line in read_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{place}: not JSON ({error}), found {line.strip()!r}") from error
        if not isinstance(row, dict):
            raise DatasetError(f"{place}: not an object with keys, found {line.strip()!r}")
        if row.get("type", "event") != "event":
            continue  # the live output has onsets, scores and gaps among its events
        for name in ("start", "end", "label"):
            if name not in row:
                raise no_column(place, name, row)
        names = ("start", "end", "label", "score", "path")
        yield event_of(place, *(text_of(place, name, row.get(name)) for name in names))
