"""Columns of numbers in files: CSV and TSV, NPY, NPZ and Parquet, a chunk of rows at a time.

What a cell says is read here, and nowhere what it means. A missing value is NaN; what
is neither a number nor missing is refused with its place.
"""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError, did_you_mean

Numbers = NDArray[np.float64]
AT_ONCE = 8192  # rows in a chunk
NO_VALUE = frozenset({"", "-", "?", "na", "n/a", "nan", "none", "null"})


@dataclass(frozen=True)
class Rows:
    """Columns of numbers in an open file.

    Parameters
    ----------
    names
        Of all columns.
    read
        Given names of columns, yields (R, columns) chunks in order.
    place
        Says where the row with a number, from 0, stands in the file.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Numbers]]
    place: Callable[[int], str]


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Open a file by its suffix.

    Raises
    ------
    AudioError
        If it is not what its suffix says, or holds no rows.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in (".npy", ".npz"):
            yield _from_arrays(path, _load_arrays(path))
        elif suffix == ".parquet":
            with _open_parquet(path) as rows:
                yield rows
        else:
            with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield _from_text(path, file, "\t" if suffix == ".tsv" else "")
    except (OSError, csv.Error) as error:
        raise AudioError(f"{path} cannot be read: {error}") from error


def pick_columns(where: str | Path, names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Find columns by name, or by number from 0 where no name is that number.

    Raises
    ------
    AudioError
        If one is not there; says which there are.
    """
    found = []
    for one in wanted:
        if one in names:
            found.append(one)
        elif one.isdecimal() and int(one) < len(names):
            found.append(names[int(one)])
        else:
            raise AudioError(
                f"{where} has no column {one!r}{did_you_mean(one, names)}: it has "
                f"{', '.join(names)}"
            )
    if len(set(found)) < len(found):
        raise ArgumentError(f"each column is given once, got {', '.join(wanted)}")
    return tuple(found)


def seconds_of(place: str, text: str) -> float:
    """Read a time: seconds, or an ISO date with or without a zone.

    Raises
    ------
    AudioError
        If it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise AudioError(f"{place}: {text!r} is no time: seconds or ISO dates are") from None


def _from_text(path: Path, file: TextIO, delimiter: str) -> Rows:
    first = file.readline()
    if not first.strip():
        raise AudioError(f"{path} begins with an empty line: its columns have no names")
    delimiter = delimiter or max(",;\t", key=first.count)
    head = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter))]
    named = not all(_is_number(cell) for cell in head)
    names = tuple(head) if named else tuple(str(k) for k in range(len(head)))
    if len(set(names)) < len(names):
        raise AudioError(f"{path}:1: two columns have one name: {', '.join(names)}")
    begin = 2 if named else 1  # the line of row 0
    body: Iterator[str] = file if named else itertools.chain([first], file)

    def place(row: int) -> str:
        return f"{path}:{row + begin}"

    def read(wanted: Sequence[str]) -> Iterator[Numbers]:
        at, done = [names.index(name) for name in wanted], 0
        cells = csv.reader(body, delimiter=delimiter)
        while chunk := list(itertools.islice(cells, AT_ONCE)):
            yield np.array(
                [_numbers(place(done + k), row, names, at) for k, row in enumerate(chunk)]
            ).reshape(len(chunk), len(at))
            done += len(chunk)

    return Rows(names, read, place)


def _numbers(place: str, row: list[str], names: Sequence[str], at: Sequence[int]) -> list[float]:
    if len(row) != len(names):
        raise AudioError(f"{place}: has {len(row)} cells, the first line has {len(names)}")
    try:
        return [float(row[k]) for k in at]
    except ValueError:
        return [_number(place, names[k], row[k]) for k in at]


def _number(place: str, name: str, text: str) -> float:
    if text.strip().lower() in NO_VALUE:
        return float("nan")
    if name.lower() in TIMES:
        return seconds_of(place, text)
    try:
        return float(text)
    except ValueError:
        raise AudioError(f"{place}: {name!r} is {text!r}, which is no number") from None


TIMES = ("time", "timestamp", "datetime", "date")  # names that a column of times has


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in NO_VALUE
    return True


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.ndim == 1:
                return {"0": array}
            if array.ndim != 2:
                raise AudioError(f"{path}: an array of shape {array.shape} is no signal: (N, K) is")
            rows = array if array.shape[0] >= array.shape[1] else array.T
            return {str(k): rows[:, k] for k in range(rows.shape[1])}
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise AudioError(f"{path} is no NumPy file of numbers: {error}") from error


def _from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Rows:
    shapes = {name: array.shape for name, array in arrays.items()}
    if not arrays or len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
        raise AudioError(f"{path}: a signal has arrays (N,) of one length, this has {shapes}")
    for name, array in arrays.items():
        if array.dtype.kind not in "iufb":
            raise AudioError(f"{path}: {name!r} holds {array.dtype}, no numbers")

    def read(wanted: Sequence[str]) -> Iterator[Numbers]:
        columns = [arrays[name] for name in wanted]
        for at in range(0, len(columns[0]), AT_ONCE):
            yield np.stack([c[at : at + AT_ONCE].astype(np.float64) for c in columns], axis=1)

    return Rows(tuple(arrays), read, lambda row: f"{path}, row {row}")


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
        file = parquet.ParquetFile(io.BufferedReader(io.FileIO(path)))
    except pyarrow.ArrowInvalid as error:
        raise AudioError(f"{path} is no Parquet file: {error}") from error

    def read(wanted: Sequence[str]) -> Iterator[Numbers]:
        for batch in file.iter_batches(AT_ONCE, columns=list(wanted)):
            yield np.stack([_column(path, name, batch.column(name)) for name in wanted], axis=1)

    with file:
        yield Rows(tuple(file.schema_arrow.names), read, lambda row: f"{path}, row {row}")


def _column(path: Path, name: str, column: Any) -> Numbers:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("ns")).cast(pyarrow.int64())
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64) / 1e9
    try:
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    except (ValueError, TypeError) as error:
        raise AudioError(f"{path}: {name!r} holds {column.type}, no numbers") from error
