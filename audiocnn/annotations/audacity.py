"""Audacity's labels: begin, end and label between tabs, for one recording.

There is no place for scores, for the recording's name, or for wall-clock times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from audiocnn.annotations.records import Row, end_of, event_of, one_line
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import is_number, read_lines


def audacity_lines(rows: Iterable[Row], timed: bool) -> Iterator[str]:
    """Write rows as labels; ``timed`` changes nothing.

    Raises
    ------
    ArgumentError
        If they are of more than one recording.
    """
    source = None
    for event, *_ in rows:
        if source not in (None, event.source):
            raise ArgumentError(
                f"Audacity labels belong to one recording, got {source!r} and {event.source!r}:"
                " write one file for each, or .csv, .jsonl or .selections.txt"
            )
        source = event.source
        end, label = end_of(event, "Audacity"), one_line(event.label, "Audacity")
        yield f"{event.start:.6f}\t{end:.6f}\t{label}\n"


def read_audacity(path: Path) -> Iterator[Event]:
    """Read labels; the frequencies that some have are passed over."""
    for place, line in read_lines(path):
        cells = line.rstrip("\r\n").split("\t", 2)
        if cells[0].startswith("\\") or cells == [""]:
            continue  # a backslash begins the line of a label's frequencies
        if len(cells) < 2:
            raise DatasetError(f"{place}: not start, end and label between tabs, found {line!r}")
        label, tab, rest = "".join(cells[2:]).partition("\t")
        score = rest.strip() if is_number(rest) else ""  # as BirdNET-Analyzer adds it
        if not score:
            label += tab + rest
        yield event_of(place, cells[0], cells[1] or cells[0], label, score, "")
