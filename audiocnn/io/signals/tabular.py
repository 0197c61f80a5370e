"""Files with a row a sample: CSV and TSV, NPY, NPZ and Parquet, opened by their suffix.

A text file is streamed, so that memory does not grow with its length; the numbers of a
small one are cached for repeated partial reads.
"""

from __future__ import annotations

import csv
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from audiocnn.errors import AudioError
from audiocnn.io.files.numpy_files import BARE, load_arrays, rate_of
from audiocnn.io.files.tables import (
    SEPARATOR_LINE,
    encoding_of,
    point_for_comma,
    sniff_delimiter,
)
from audiocnn.io.signals.columns import (
    AT_ONCE,
    NO_VALUE,
    Numbers,
    Rows,
    check_names,
    is_value,
    rows_of_arrays,
    seconds_of,
    value_of,
    with_time,
)

Row = TypeVar("Row")
KEPT = 16 << 20  # bytes of text, up to which the numbers of a file are kept
TEXT_SUFFIXES = frozenset({".csv", ".tsv"})


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Open a file by its suffix.

    Raises
    ------
    AudioError
        If it is not what its suffix says, or holds no rows.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        yield _from_arrays(path)
    elif suffix == ".parquet":
        with _open_parquet(path) as rows:
            yield rows
    else:
        yield _from_text(path, _delimiter(path))


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ""


def _first_line(path: Path, delimiter: str) -> tuple[str, str, int]:
    """Return the first line of a table, its delimiter, and the number of lines before it."""
    with _open_text(path) as file:
        lines = _readable(path, iter(file))
        first = next(lines, "")
        if not delimiter and (given := SEPARATOR_LINE.fullmatch(first.strip("\r\n"))):
            return next(lines, ""), given["delimiter"], 1
    return first, delimiter or sniff_delimiter(first), 0


@dataclass(frozen=True)
class _Table:
    """A text file with a row a line, as its first line shows it."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    named: bool
    n_before: int
    size: int
    mtime_ns: int

    def place(self, row: int) -> str:
        return f"{self.path}:{row + self.n_before + (2 if self.named else 1)}"

    def cells(self) -> Iterator[list[list[str]]]:
        """Yield the rows below the head; a file may end in empty lines."""
        with _open_text(self.path) as file:
            lines = itertools.islice(file, self.n_before + int(self.named), None)
            rows = _readable(self.path, csv.reader(lines, delimiter=self.delimiter))
            n = n_empty = 0
            while chunk := list(itertools.islice(rows, AT_ONCE)):
                full = []
                for row in chunk:
                    if not row:
                        n_empty += 1
                        continue
                    if n_empty or len(row) != len(self.names):
                        raise AudioError(
                            f"{self.place(n)}: has {0 if n_empty else len(row)} cells, the first "
                            f"line has {len(self.names)}"
                        )
                    full.append(row)
                    n += 1
                if full:
                    yield full

    def numbers(self, wanted: Sequence[str], time: str | None) -> Iterator[Numbers]:
        at = [self.names.index(name) for name in with_time(time, wanted)]
        n = 0
        for chunk in self.cells():
            try:
                block = np.array([[float(row[k]) for k in at] for row in chunk], np.float64)
            except ValueError:
                block = np.array([self._slowly(n + k, row, at, time)
                                  for k, row in enumerate(chunk)])  # fmt: skip
            yield block.reshape(len(chunk), len(at))
            n += len(chunk)

    def _slowly(self, number: int, row: list[str], at: Sequence[int], time: str | None) -> Any:
        place, row = self.place(number), self.with_points(row)
        return [
            seconds_of(place, row[k])
            if self.names[k] == time and row[k].strip().lower() not in NO_VALUE
            else value_of(place, self.names[k], row[k])
            for k in at
        ]

    def with_points(self, row: list[str]) -> list[str]:
        """Return a row with decimal points, where columns are not separated by commas."""
        return row if self.delimiter == "," else [point_for_comma(cell) for cell in row]


def _from_text(path: Path, delimiter: str) -> Rows:
    first, delimiter, n_before = _first_line(path, delimiter)
    if not first.strip():
        raise AudioError(f"{path} begins with an empty line: its columns have no names")
    (cells,) = _readable(path, csv.reader([first], delimiter=delimiter))
    head = [cell.strip() for cell in cells]
    values = head if delimiter == "," else [point_for_comma(cell) for cell in head]
    named = not all(is_value(cell) for cell in values)
    names = check_names(f"{path}:1", head if named else [str(k) for k in range(len(head))])
    found = path.stat()
    table = _Table(path, delimiter, names, named, n_before, found.st_size, found.st_mtime_ns)

    def read(wanted: Sequence[str], time: str | None) -> Iterator[Numbers]:
        if table.size <= KEPT:
            try:
                whole = _whole(table, tuple(wanted), time)
            except AudioError:  # what stands before the fault is given, then it is met again
                yield from table.numbers(wanted, time)
                return
            for at in range(0, len(whole), AT_ONCE):
                yield whole[at : at + AT_ONCE].copy()
        else:
            yield from table.numbers(wanted, time)

    def texts(name: str) -> Iterator[list[str]]:
        at = names.index(name)
        return ([row[at].strip() for row in chunk] for chunk in table.cells())

    return Rows(names, read, texts, table.place)


@functools.lru_cache(maxsize=1)
def _whole(table: _Table, wanted: tuple[str, ...], time: str | None) -> Numbers:
    """Read all: parts of one table are asked for one after the other."""
    parts = list(table.numbers(wanted, time))
    return np.concatenate(parts) if parts else np.empty((0, len(with_time(time, wanted))))


def _open_text(path: Path) -> Any:
    try:
        return open(path, encoding=encoding_of(path), newline="")
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from error


def _readable(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except UnicodeDecodeError as error:
        raise AudioError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise AudioError(f"{path} cannot be read: {error}") from error


def _from_arrays(path: Path) -> Rows:
    arrays = dict(load_arrays(path))
    rate = arrays.get("rate")
    known = None
    if rate is not None and rate.ndim == 0:
        known = rate_of(path, arrays.pop("rate"))
    if len(arrays) == 1:
        ((name, only),) = arrays.items()
        if only.ndim == 2:
            rows = only if only.shape[0] >= only.shape[1] else only.T
            arrays = {str(k): rows[:, k] for k in range(rows.shape[1])}
        elif name == BARE:
            arrays = {"0": only}
    shapes = {name: array.shape for name, array in arrays.items()}
    if not arrays or len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
        found = ", ".join(f"{name or 'array'} {shape}" for name, shape in shapes.items())
        raise AudioError(
            f"{path}: a signal has arrays (N,) of one length, or one (N, K); this has "
            f"{found or 'none'}"
        )
    return rows_of_arrays(path, arrays, known)


def column_names(path: Path) -> frozenset[str]:
    """Return the column names of a text file; none of other or damaged files."""
    if path.suffix.lower() not in TEXT_SUFFIXES:
        return frozenset()
    try:
        return frozenset(_from_text(path, _delimiter(path)).names)
    except AudioError:
        return frozenset()


@contextmanager
def _open_parquet(path: Path) -> Iterator[Rows]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise AudioError(
            f"{path}: Parquet needs pyarrow; run: pip install 'audiocnn[parquet]'"
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise AudioError(f"{path} is no Parquet file: {error}") from error

    def columns(names: Sequence[str]) -> Iterator[Any]:
        try:
            yield from file.iter_batches(AT_ONCE, columns=list(names))
        except (pyarrow.ArrowException, OSError) as error:
            raise AudioError(f"{path} cannot be read: {error}") from error

    def read(wanted: Sequence[str], time: str | None) -> Iterator[Numbers]:
        names = with_time(time, wanted)
        for batch in columns(names):
            cut = [_column(path, name, batch.column(name)) for name in names]
            yield np.stack(cut, axis=1) if cut else np.empty((batch.num_rows, 0))

    def texts(name: str) -> Iterator[list[str]]:
        for batch in columns([name]):
            yield ["" if v is None else str(v) for v in batch.column(name).to_pylist()]

    with file:
        yield Rows(tuple(file.schema_arrow.names), read, texts, lambda row: f"{path}, row {row}")


def _column(path: Path, name: str, column: Any) -> Numbers:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("ns")).cast(pyarrow.int64())
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64) / 1e9
    try:
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    except (ValueError, TypeError) as error:
        raise AudioError(f"{path}: {name!r} holds {column.type}, no numbers") from error
