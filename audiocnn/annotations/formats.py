"""Writing events to annotation files, and reading them.

    .csv                path,start,end,label,score
    .jsonl              one object a line, with the same keys
    .parquet            a table with the same columns; pip install 'audiocnn[parquet]'
    .txt                Audacity labels: start, end and label, for one recording
    .selections.txt     a Raven selection table
    .kaleidoscope.csv   a table of results for Kaleidoscope Pro

Times are seconds with six decimals (in Parquet, all that there are), so what is read
back lies within a millionth of a second. What a format cannot hold is refused, never
bent; what it has no place for says its module in `audiocnn.annotations`. Lines are made
one by one: the events of a million recordings need not fit in memory.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from audiocnn.annotations.audacity import audacity_lines, read_audacity
from audiocnn.annotations.birdnet import read_birdnet
from audiocnn.annotations.kaleidoscope import kaleidoscope_lines, read_kaleidoscope
from audiocnn.annotations.parquet import check_parquet, import_pyarrow, read_parquet, write_parquet
from audiocnn.annotations.plain import csv_lines, jsonl_lines, read_csv, read_jsonl
from audiocnn.annotations.raven import raven_lines, read_raven
from audiocnn.annotations.records import Row, check_event
from audiocnn.annotations.start_times import Clock, moment, start_time
from audiocnn.errors import ArgumentError
from audiocnn.inference.events import Event
from audiocnn.io.files.atomic import replacing
from audiocnn.io.files.tables import read_lines, sniff_delimiter

FORMATS = {
    ".selections.txt": "raven",
    ".kaleidoscope.csv": "kaleidoscope",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".txt": "audacity",
}
CONTENTS = {  # columns by which tables of others are recognised, whatever they are called
    "raven": {"begin time (s)", "end time (s)"},
    "birdnet": {"start (s)", "end (s)"},
    "kaleidoscope": {"in file", "offset", "duration"},
}
_LINES: dict[str, Callable[[Iterable[Row], bool], Iterator[str]]] = {
    "audacity": audacity_lines,
    "csv": csv_lines,
    "jsonl": jsonl_lines,
    "kaleidoscope": kaleidoscope_lines,
    "raven": raven_lines,
}
_READERS: dict[str, Callable[[Path], Iterator[Event]]] = {
    "audacity": read_audacity,
    "birdnet": read_birdnet,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "kaleidoscope": read_kaleidoscope,
    "parquet": read_parquet,
    "raven": read_raven,
}


def format_of(path: str | Path) -> str:
    """Return the format (csv, raven, ...) for the suffix of a file's name.

    Raises
    ------
    ArgumentError
        If the suffix is unknown; lists the known ones.
    """
    for suffix, name in FORMATS.items():
        if Path(path).name.lower().endswith(suffix):
            return name
    known = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
    raise ArgumentError(f"no format for {str(path)!r}: the name must end in one of {known}")


def format_events(
    events: Iterable[Event], format: str, *, clock: Clock | None = None
) -> Iterator[str]:
    r"""Write events as lines of text, one by one.

    Parameters
    ----------
    events
        In the order in which they are to stand.
    format
        audacity, csv, jsonl, kaleidoscope or raven.
    clock
        If given, wall-clock times are added for recordings whose names contain the
        time (see `audiocnn.annotations.start_times`).

    Yields
    ------
    str
        A line with its line end; first the header, if the format has one.

    Raises
    ------
    ArgumentError
        If the format is unknown or no text, or cannot hold an event.

    Examples
    --------
    >>> print(*format_events([Event("rooster", 1.5, 2.25, 0.9, "a.wav")], "csv"), sep="", end="")
    path,start,end,label,score
    a.wav,1.500000,2.250000,rooster,0.900000
    """
    if format not in _LINES:
        raise ArgumentError(f"no text format {format!r}: there are {', '.join(_LINES)}")
    return _LINES[format](rows_of(events, clock), clock is not None)


def rows_of(
    events: Iterable[Event], clock: Clock | None = None, lead: float = 0.0
) -> Iterator[Row]:
    """Check events and put their wall-clock times beside them, one by one.

    Parameters
    ----------
    events
        Of any recordings.
    clock
        None for no wall-clock times.
    lead
        Seconds of all the recordings before theirs.

    Raises
    ------
    ArgumentError
        If an event makes no sense.
    """
    start = functools.lru_cache(maxsize=16)(functools.partial(start_time, clock=clock or Clock()))
    for event in events:
        begin = None if clock is None else start(event.source)
        time = None if begin is None else moment(begin, event.start)
        yield Row(check_event(event), time, lead)


def write_events(
    events: Iterable[Event],
    path: str | Path,
    *,
    format: str | None = None,
    clock: Clock | None = None,
) -> None:
    """Write events to a file.

    Parameters
    ----------
    events
        Taken one by one.
    path
        The file appears when it is complete; until then, what was there stays.
    format
        One of the values of `FORMATS`; None: what the end of the file's name says.
    clock
        As for `format_events`.

    Raises
    ------
    ArgumentError
        If the format is unknown or cannot hold an event, or the file cannot be written.
    """
    write_rows(rows_of(events, clock), path, format or format_of(path), clock)


def write_rows(rows: Iterable[Row], path: str | Path, format: str, clock: Clock | None) -> None:
    """Write rows to a file, as `write_events` does events."""
    try:
        with replacing(path) as part:
            if format == "parquet":
                write_parquet(rows, part, clock)
                return
            with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.writelines(_LINES[format](rows, clock is not None))
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror or error}") from error


def check_row(row: Row, format: str) -> None:
    """Refuse a row that a format cannot hold.

    Raises
    ------
    ArgumentError
        States what the format cannot hold, and which formats can.
    """
    if format == "parquet":
        check_parquet(row)
    elif format not in ("csv", "jsonl"):  # these hold any text
        texts = row.event.source + row.event.label
        if row.event.end is None or any(character in texts for character in "\t\r\n"):
            for _ in _LINES[format]([row], True):
                pass


def check_format(format: str) -> str:
    """Validate a format before the work begins.

    Raises
    ------
    ArgumentError
        If there is no such format.
    """
    if format not in FORMATS.values():
        raise ArgumentError(
            f"no format {format!r}: there are {', '.join(sorted(FORMATS.values()))}"
        )
    if format == "parquet":
        import_pyarrow()
    return format


def iter_events(path: str | Path) -> Iterator[Event]:
    """Read events one by one, as `read_events` does; memory does not grow with the file."""
    return _READERS[content_of(path)](Path(path))


def content_of(path: str | Path) -> str:
    """Return the format of an existing file, by its header where that is known, or its name.

    Raises
    ------
    ArgumentError
        If neither is known.
    DatasetError
        If the file cannot be read.
    """
    name = str(path).lower()
    if name.endswith((".txt", ".csv", ".tsv")):
        first = next((line for _, line in read_lines(path) if line.strip()), "")
        cells = next(csv.reader([first], delimiter=sniff_delimiter(first)), [])
        header = {cell.strip().lower() for cell in cells}
        for format, columns in CONTENTS.items():
            if columns <= header:
                return format
    return format_of(path)


def read_events(path: str | Path) -> list[Event]:
    """Read events from a file, in the format of its header or its suffix.

    Parameters
    ----------
    path
        Ends in one of `FORMATS`, or is a table of Raven, BirdNET-Analyzer or Kaleidoscope
        under another name (see `CONTENTS`). Other columns than ours are passed over, and ours
        may stand in any order.

    Returns
    -------
    list of Event
        In the file's order. Audacity's have neither score nor source.

    Raises
    ------
    ArgumentError
        If the format is unknown.
    DatasetError
        If a line cannot be understood; says which one, and why.
    """
    return list(iter_events(path))
