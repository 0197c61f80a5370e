"""Raven's selection tables: one recording, or a sequence of them on one axis of time.

    Begin Time (s)    |--- a.wav ---|------ b.wav ------|     runs on over all of them
    File Offset (s)   0 ...         0 ...                     begins anew in each

Raven draws a selection where its begin time says, counted over all the files that
were opened as one sequence, and finds its file again by path and offset. There is no
place for wall-clock times, which Raven itself reads from the names of the files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from audiocnn.annotations.records import Row, end_of, event_of, one_line
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import no_column, parse_seconds, read_lines, read_table

COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)",
    "High Freq (Hz)", "Begin Path", "File Offset (s)", "Annotation", "Score",
)  # fmt: skip
TIMES = ("Begin Time (s)", "End Time (s)")
LABELS = ("annotation", "label", "common name", "species", "species code", "class", "type")
SCORES = ("score", "confidence")
HIGH = 20_000.0  # Hz; a box in Raven has frequencies, and an event has none


def raven_lines(rows: Iterable[Row], timed: bool) -> Iterator[str]:
    """Write rows as selections, their leads added to their times; ``timed`` changes nothing."""
    yield "\t".join(COLUMNS) + "\n"
    for number, (event, _, lead, nyquist) in enumerate(rows, start=1):
        start, end = f"{lead + event.start:.6f}", f"{lead + end_of(event, 'Raven'):.6f}"
        score = "" if event.score is None else f"{event.score:.6f}"
        high = HIGH if nyquist is None else min(HIGH, nyquist)
        row = [str(number), "Spectrogram 1", "1", start, end, "0.0", f"{high:.1f}"]
        row += [one_line(event.source, "Raven"), f"{event.start:.6f}"]
        row += [one_line(event.label, "Raven"), score]
        yield "\t".join(row) + "\n"


def read_raven(path: Path) -> Iterator[Event]:
    """Read selections; a file offset makes a time that of its own recording."""
    seen: set[tuple[str, Event]] | None = set() if _has_views(path) else None
    for place, row in _table(path):
        names = {name.lower(): name for name in row}
        label = next((names[name] for name in LABELS if name in names), None)
        if label is None:
            raise no_column(place, "Annotation", row)
        parse_seconds(place, "End Time (s)", row["End Time (s)"])
        found = row.get("Begin Path") or row.get("Begin File") or ""
        score = next((row[names[name]] for name in SCORES if name in names), "")
        begin, end = row["Begin Time (s)"], row["End Time (s)"]
        event = event_of(place, begin, end, row[label], score, found)
        if offset := row.get("File Offset (s)"):  # in its own file; the others run on over all
            start = parse_seconds(place, "File Offset (s)", offset)
            length = (event.end or 0.0) - event.start
            event = replace(event, start=start, end=round(start + length, 9))
        if seen is None:
            yield event
        elif (key := (row.get("Selection") or place, event)) not in seen:
            seen.add(key)
            yield event


def _has_views(path: Path) -> bool:
    """Return whether selections may be repeated, with a row for each view of Raven's."""
    views = {row.get("View") for _, row in itertools.islice(_table(path), 1)}
    return any(row.get("View") not in views for _, row in _table(path))


def _table(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    # Raven's own tables have tabs and no quotes; a spreadsheet may have saved them with others.
    first = next((line for _, line in read_lines(path)), "")
    delimiter = "\t" if "\t" in first or TIMES[0] not in first else None
    return read_table(path, TIMES, delimiter=delimiter)
