"""Text tables with a row a line, read so that every message names its ``path:line``.

Annotations and manifests come from spreadsheets, other programs and people. Spreadsheets
write what their country uses: semicolons between columns, decimal commas, UTF-16, a byte
order mark, a first line ``sep=;``, empty columns at the end. Whatever is unambiguous
is read; anything else is refused with its place, what was found, and what to do.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from audiocnn.errors import DatasetError, did_you_mean

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SEPARATOR_LINE = re.compile(r"sep=(?P<delimiter>[,;\t])\s*$", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
NUMBERS = frozenset({"start", "end", "score", "offset", "duration", "confidence"})


def encoding_of(path: str | Path) -> str:
    """Return the encoding that the first bytes of a text file show: UTF-16 or UTF-8.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(4)
    return next((name for bom, name in BOMS if head.startswith(bom)), "utf-8-sig")


def read_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Read a text file in UTF-8 (or, with a byte order mark, UTF-16), a line at a time.

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
        encoding = encoding_of(path)
        errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
        with open(path, encoding=encoding, errors=errors, newline="") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path}:{number}", line
    except FileNotFoundError:
        raise DatasetError(f"no such file: {path}; check the name and the folder") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def read_table(
    path: str | Path,
    needed: Sequence[str] = (),
    *,
    optional: Sequence[str] = (),
    delimiter: str | None = None,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a table whose first line names its columns.

    Parameters
    ----------
    path
        The file.
    needed
        Columns that must be there. ``Path`` and ``PATH`` are taken for ``path`` if that is
        not there itself.
    optional
        Further columns whose names may be written in other cases.
    delimiter
        What stands between the columns; None: commas, semicolons or tabs, as the first line
        shows. Given a tab, quotes mean nothing.

    Yields
    ------
    place
        ``path:line`` of the row, for messages.
    row
        Text by column, all columns; empty lines are passed over. Where columns are
        separated by semicolons or tabs, a decimal comma in a column of times or scores
        has become a point.

    Raises
    ------
    DatasetError
        If the file cannot be read, is empty, or a row does not fit the header.
    """
    rows = _Rows(path, needed, delimiter)
    columns: list[str] = []
    numbers: list[int] = []
    for place, cells in rows:
        if not columns:
            columns = _header(place, cells, needed, optional, rows.delimiter)
            if rows.delimiter != ",":
                numbers = [k for k, name in enumerate(columns) if _is_number(name)]
            continue
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise DatasetError(
                f"{place}: {len(cells)} columns, and the header has {len(columns)};"
                f" a text with a {rows.delimiter!r} in it needs quotes around it"
            )
        for k in numbers:
            cells[k] = point_for_comma(cells[k])
        yield place, dict(zip(columns, cells, strict=True))
    if not columns:
        raise DatasetError(f"{path} is empty: its first line must name the columns")


class _Rows:
    """The rows of a file, header and all, with their places; finds out the delimiter."""

    def __init__(self, path: str | Path, needed: Sequence[str], delimiter: str | None) -> None:
        self.path, self.needed = path, needed
        self._given, self._is_bare = delimiter, delimiter == "\t"
        self.delimiter = delimiter or ","
        self._places: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        lines = read_lines(self.path)
        first = next(lines, None)
        given = SEPARATOR_LINE.fullmatch(first[1].strip("\r\n")) if first else None
        if given is not None and self._given is None:
            self._given, first = given["delimiter"], next(lines, None)
        if first is None:
            return
        self.delimiter = self._given or sniff_delimiter(first[1], self.needed)
        reader = csv.reader(
            self._noted(itertools.chain([first], lines)),
            delimiter=self.delimiter, strict=True,
            quoting=csv.QUOTE_NONE if self._is_bare else csv.QUOTE_MINIMAL,
        )  # fmt: skip
        try:
            for cells in reader:
                place = self._places[0]
                self._places.clear()
                if cells:
                    yield place, cells
        except csv.Error as error:
            place = self._places[0] if self._places else str(self.path)
            raise DatasetError(f"{place}: {error}") from error

    def _noted(self, lines: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Pass the lines on and note their places: a row may have several."""
        for place, line in lines:
            self._places.append(place)
            yield line


def sniff_delimiter(header: str, needed: Sequence[str] = ()) -> str:
    """Return what separates the columns of a table.

    Parameters
    ----------
    header
        Its first line.
    needed
        Columns that it should have: the first delimiter by which they are there is taken.

    Returns
    -------
    str
        Comma, semicolon or tab. Without needed columns, a tab or semicolon if there are as
        many as commas, or if it separates numbers with decimal commas.
    """
    wanted = {name.lower() for name in needed}
    for delimiter in DELIMITERS:
        names = {name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))}
        if wanted and wanted <= names:
            return delimiter
    unquoted = re.sub(r'"[^"]*"', "", header)
    for delimiter in ("\t", ";"):
        n = unquoted.count(delimiter)
        cells = header.strip("\r\n").split(delimiter)
        if n and (n >= unquoted.count(",") or all(is_number(point_for_comma(c)) for c in cells)):
            return delimiter
    return ","


def point_for_comma(text: str) -> str:
    """Return a number that has a decimal comma with a point; any other text as it is."""
    return text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text


def _is_number(name: str) -> bool:
    return name.lower() in NUMBERS or name.endswith(("(s)", "(Hz)"))


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


def is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def no_column(where: str, name: str, columns: Mapping[str, object] | Sequence[str]) -> DatasetError:
    """Build the error for a missing column, with the existing ones."""
    near, there = did_you_mean(name, columns), ", ".join(columns)
    return DatasetError(f"{where}: no column {name!r}{near}; there are: {there}")


def _header(
    place: str, cells: list[str], needed: Sequence[str], optional: Sequence[str], delimiter: str
) -> list[str]:
    columns = [check_text(place, "the header", cell.strip()) for cell in cells]
    while columns and not columns[-1]:  # spreadsheets write empty columns
        columns.pop()
    for other, name in DELIMITERS.items():
        if len(columns) == 1 and other != delimiter and other in columns[0]:
            raise DatasetError(
                f"{place}: columns separated by {name}, found {columns[0]!r}:"
                f" save the table with {DELIMITERS[delimiter]}"
            )
    lower = [column.lower() for column in columns]
    for name in (*needed, *optional):
        if name not in columns and lower.count(name.lower()) == 1:
            columns[lower.index(name.lower())] = name
    if len(set(columns)) < len(columns):
        raise DatasetError(f"{place}: a column is there twice, found {', '.join(columns)}")
    for name in needed:
        if name not in columns:
            raise no_column(place, name, columns)
    return columns
