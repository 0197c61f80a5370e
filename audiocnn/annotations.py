"""Events to files that people and programs read, and back.

    .csv              path,start,end,label,score
    .jsonl            one object a line, with the same keys
    .txt              Audacity labels: start, end and label, for one recording
    .selections.txt   a Raven selection table

Times are seconds with six decimals, so what is read back lies within a
millionth of a second. What a format cannot hold is refused, never bent. Lines
are made one by one: the events of a million recordings need not fit in memory.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.events import Event
from audiocnn.tables import (
    check_text,
    no_column,
    parse_number,
    parse_seconds,
    read_lines,
    read_table,
)

FORMATS = {".selections.txt": "raven", ".csv": "csv", ".jsonl": "jsonl", ".txt": "audacity"}
CSV_COLUMNS = ("path", "start", "end", "label", "score")
RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)",
    "High Freq (Hz)", "Begin Path", "File Offset (s)", "Annotation", "Score",
)  # fmt: skip
RAVEN_LABELS = ("annotation", "label", "common name", "species", "species code", "class", "type")
ALL_HEIGHTS = ("0.0", "20000.0")  # Hz; a box in Raven has some, and an event has none


def format_of(path: str | Path) -> str:
    """Tell a format's name (csv, jsonl, audacity or raven) from the end of a file's name.

    Raises
    ------
    ArgumentError
        If the end says nothing; lists those that do.
    """
    for suffix, name in FORMATS.items():
        if Path(path).name.lower().endswith(suffix):
            return name
    known = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
    raise ArgumentError(f"no format for {str(path)!r}: the name must end in one of {known}")


def format_events(events: Iterable[Event], format: str) -> Iterator[str]:
    r"""Write events as lines of text, one by one.

    Parameters
    ----------
    events
        In the order in which they are to stand.
    format
        csv, jsonl, audacity or raven.

    Yields
    ------
    str
        A line with its line end; first the header, if the format has one.

    Raises
    ------
    ArgumentError
        If the format is unknown, or cannot hold an event.

    Examples
    --------
    >>> print(*format_events([Event("rooster", 1.5, 2.25, 0.9, "a.wav")], "csv"), sep="", end="")
    path,start,end,label,score
    a.wav,1.500000,2.250000,rooster,0.900000
    """
    if format not in _LINES_AND_READERS:
        raise ArgumentError(f"no format {format!r}: there are {', '.join(_LINES_AND_READERS)}")
    return _LINES_AND_READERS[format][0](_checked(event) for event in events)


def write_events(events: Iterable[Event], path: str | Path) -> None:
    """Write events to a file in the format that its name ends in.

    Parameters
    ----------
    events
        Taken one by one.
    path
        Ends in .csv, .jsonl, .txt (Audacity) or .selections.txt (Raven). The file
        appears when it is complete; until then, what was there stays.

    Raises
    ------
    ArgumentError
        If the format is unknown or cannot hold an event, or the file cannot be written.
    """
    lines = format_events(events, format_of(path))
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.writelines(lines)
        os.replace(part, target)
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def read_events(path: str | Path) -> list[Event]:
    """Read events from a file in the format that its name ends in.

    Parameters
    ----------
    path
        Ends in .csv, .jsonl, .txt (Audacity) or .selections.txt (Raven). Other
        columns than ours are passed over, and ours may stand in any order.

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
    return list(_LINES_AND_READERS[format_of(path)][1](Path(path)))


def _checked(event: Event) -> Event:
    end = event.start if event.end is None else event.end
    if not (math.isfinite(event.start) and math.isfinite(end) and 0 <= event.start <= end):
        raise ArgumentError(f"an event needs 0 <= start <= end, got {event}")
    if event.score is not None and not math.isfinite(event.score):
        raise ArgumentError(f"the score of an event must be finite, got {event}")
    return event


def _csv_lines(events: Iterable[Event]) -> Iterator[str]:
    yield ",".join(CSV_COLUMNS) + "\n"
    line = io.StringIO()
    writer = csv.writer(line)  # ends lines with \r\n, so it quotes both of them
    for event in events:
        numbers = [
            "" if number is None else f"{number:.6f}"
            for number in (event.start, event.end, event.score)
        ]
        writer.writerow((event.source, numbers[0], numbers[1], event.label, numbers[2]))
        yield line.getvalue().removesuffix("\r\n") + "\n"
        line.seek(0)
        line.truncate()


def _jsonl_lines(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        row = {
            "path": event.source,
            "start": round(event.start, 6),
            "end": None if event.end is None else round(event.end, 6),
            "label": event.label,
            "score": None if event.score is None else round(event.score, 6),
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _audacity_lines(events: Iterable[Event]) -> Iterator[str]:
    source = None
    for event in events:
        if source not in (None, event.source):
            raise ArgumentError(
                f"Audacity labels belong to one recording, got {source!r} and {event.source!r}:"
                " write one file for each, or .csv, .jsonl or .selections.txt"
            )
        source = event.source
        yield f"{event.start:.6f}\t{_end(event):.6f}\t{_one_line(event.label)}\n"


def _raven_lines(events: Iterable[Event]) -> Iterator[str]:
    yield "\t".join(RAVEN_COLUMNS) + "\n"
    for number, event in enumerate(events, start=1):
        start, end = f"{event.start:.6f}", f"{_end(event):.6f}"
        score = "" if event.score is None else f"{event.score:.6f}"
        row = [str(number), "Spectrogram 1", "1", start, end, *ALL_HEIGHTS]
        row += [_one_line(event.source), start, _one_line(event.label), score]
        yield "\t".join(row) + "\n"


def _end(event: Event) -> float:
    if event.end is None:
        raise ArgumentError(f"Audacity and Raven need an end, and this still sounds: {event}")
    return event.end


def _one_line(text: str) -> str:
    if any(character in text for character in "\t\r\n"):
        raise ArgumentError(
            f"Audacity and Raven files cannot hold a tab or a line end, got {text!r}:"
            " write .csv or .jsonl"
        )
    return text


def _read_csv(path: Path) -> Iterator[Event]:
    for place, row in read_table(path, ("start", "end", "label")):
        texts = (row["start"], row["end"], row["label"], row.get("score", ""), row.get("path", ""))
        yield _event(place, *texts)


def _read_jsonl(path: Path) -> Iterator[Event]:
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
        yield _event(place, *(_text(place, name, row.get(name)) for name in names))


def _read_audacity(path: Path) -> Iterator[Event]:
    for place, line in read_lines(path):
        cells = line.rstrip("\r\n").split("\t", 2)
        if cells[0].startswith("\\") or cells == [""]:
            continue  # a backslash begins the line of a label's frequencies
        if len(cells) < 2:
            raise DatasetError(f"{place}: not start, end and label between tabs, found {line!r}")
        yield _event(place, cells[0], cells[1] or cells[0], "".join(cells[2:]), "", "")


def _read_raven(path: Path) -> Iterator[Event]:
    seen = set()
    for place, row in read_table(path, ("Begin Time (s)", "End Time (s)"), delimiter="\t"):
        names = {name.lower(): name for name in row}
        label = next((names[name] for name in RAVEN_LABELS if name in names), None)
        if label is None:
            raise no_column(place, "Annotation", row)
        parse_seconds(place, "End Time (s)", row["End Time (s)"])
        found, score = row.get("Begin Path", row.get("Begin File", "")), row.get("Score", "")
        event = _event(place, row["Begin Time (s)"], row["End Time (s)"], row[label], score, found)
        if offset := row.get("File Offset (s)"):  # in its own file; the others run on over all
            start = parse_seconds(place, "File Offset (s)", offset)
            length = (event.end or 0.0) - event.start
            event = replace(event, start=start, end=round(start + length, 9))
        if (key := (row.get("Selection") or place, event)) not in seen:
            seen.add(key)  # Raven has a row for each view of a selection
            yield event


def _text(place: str, name: str, value: Any) -> str:
    wanted: tuple[type, ...] = (str,) if name in ("label", "path") else (int, float)
    if value is None and name != "label":
        return ""
    if not isinstance(value, wanted) or isinstance(value, bool):
        kind = "a text" if wanted == (str,) else "a number"
        raise DatasetError(f"{place}: {name} must be {kind}, found {value!r}")
    return str(value)


def _event(place: str, start: str, end: str, label: str, score: str, source: str) -> Event:
    begin = parse_seconds(place, "start", start)
    stop = parse_seconds(place, "end", end) if end else None
    if stop is not None and stop < begin:
        raise DatasetError(f"{place}: the end lies before the start, found {start} to {end}")
    value = parse_number(place, "score", score) if score else None
    return Event(check_text(place, "label", label), begin, stop, value, source)


_LINES_AND_READERS: dict[
    str, tuple[Callable[[Iterable[Event]], Iterator[str]], Callable[[Path], Iterator[Event]]]
] = {
    "audacity": (_audacity_lines, _read_audacity),
    "csv": (_csv_lines, _read_csv),
    "jsonl": (_jsonl_lines, _read_jsonl),
    "raven": (_raven_lines, _read_raven),
}
