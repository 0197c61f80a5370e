"""Text files with a row a line, read so that every complaint names its ``path:line``.

Annotations and manifests come from spreadsheets, other programs and people; what
is wrong with one is said here, in one way: where it is, what was found, what to do.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from audiocnn.errors import DatasetError, did_you_mean

OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", ",": "commas"}


def read_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Read a text file in UTF-8, a line at a time.

    Yields
    ------
    place
        ``path:line``, for messages.
    line
        With its line end, as it stands; a byte that is not UTF-8 is kept as a lone
        surrogate, as Python keeps it in file names.

    Raises
    ------
    DatasetError
        If the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path}:{number}", line
    except FileNotFoundError:
        raise DatasetError(f"no such file: {path}; check the name and the folder") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def read_table(
    path: str | Path, needed: Sequence[str] = (), *, delimiter: str = ","
) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a table whose first line names its columns.

    Parameters
    ----------
    path
        A CSV file, or with a tab as ``delimiter`` a file in which quotes mean nothing.
    needed
        Columns that must be there.
    delimiter
        What stands between the columns.

    Yields
    ------
    place
        ``path:line`` of the row, for messages.
    row
        Text by column, all columns; empty lines are passed over.

    Raises
    ------
    DatasetError
        If the file cannot be read, is empty, or a row does not fit the header.
    """
    places = []

    def lines() -> Iterator[str]:
        for place, line in read_lines(path):
            places.append(place)
            yield line

    reader = csv.reader(
        lines(),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    columns: list[str] = []
    try:
        for cells in reader:
            place = places[0]
            places.clear()
            if not columns:
                columns = _header(place, cells, needed, delimiter)
            elif cells:
                if len(cells) != len(columns):
                    raise DatasetError(
                        f"{place}: {len(cells)} columns, and the header has {len(columns)};"
                        " a text with a comma in it needs quotes around it"
                    )
                yield place, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise DatasetError(f"{places[0] if places else path}: {error}") from error
    if not columns:
        raise DatasetError(f"{path} is empty: its first line must name the columns")


def check_text(place: str, name: str, text: str) -> str:
    """Refuse text that was not UTF-8.

    Raises
    ------
    DatasetError
        If it was not.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        shown = text.encode("utf-8", "surrogateescape")
        raise DatasetError(f"{place}: {name} is not UTF-8, found {shown!r}: save it as UTF-8")
    return text


def parse_seconds(place: str, name: str, text: str) -> float:
    """Read a time.

    Raises
    ------
    DatasetError
        If it is not a finite number, at least 0.
    """
    seconds = parse_number(place, name, text)
    if seconds < 0:
        raise DatasetError(f"{place}: {name} must be at least 0 seconds, found {text}")
    return seconds


def parse_number(place: str, name: str, text: str) -> float:
    """Read a number.

    Raises
    ------
    DatasetError
        If it is none, or not finite.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        hint = "; write a decimal point" if "," in text else ""
        raise DatasetError(f"{place}: {name} must be a number, found {text!r}{hint}")
    return number


def no_column(where: str, name: str, columns: Mapping[str, object] | Sequence[str]) -> DatasetError:
    """Say that a column is missing, and which there are."""
    near, there = did_you_mean(name, columns), ", ".join(columns)
    return DatasetError(f"{where}: no column {name!r}{near}; there are: {there}")


def _header(place: str, cells: list[str], needed: Sequence[str], delimiter: str) -> list[str]:
    columns = [check_text(place, "the header", cell.strip()) for cell in cells]
    for other, name in OTHER_DELIMITERS.items():
        if len(columns) == 1 and other != delimiter and other in columns[0]:
            raise DatasetError(
                f"{place}: columns separated by {name}, found {columns[0]!r}:"
                f" save the table with {OTHER_DELIMITERS[delimiter]}"
            )
    if len(set(columns)) < len(columns):
        raise DatasetError(f"{place}: a column is there twice, found {', '.join(columns)}")
    for name in needed:
        if name not in columns:
            raise no_column(place, name, columns)
    return columns
