"""Columns of numbers, a chunk of rows at a time, and the parsing of cells.

Where they come from is `row_files`' business, what they mean `signals`'. A missing value
is NaN; what is neither a number nor missing is refused with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError, did_you_mean
from audiocnn.io.files.numpy_files import check_numbers

Numbers = NDArray[np.float64]
AT_ONCE = 8192  # rows in a chunk
UNNAMED = "Unnamed: 0"  # what a table that pandas wrote with its index leaves unnamed
NO_VALUE = frozenset({"", "-", "?", "na", "n/a", "nan", "none", "null"})


@dataclass(frozen=True)
class Rows:
    """Columns in an open file.

    Parameters
    ----------
    names
        Of all columns.
    read
        Given names of columns, and of one with times or None, yields (R, columns) chunks
        in order; the times, if any, come first, in seconds.
    texts
        Given the name of a column, yields its cells as they stand, as many at a time.
    place
        Says where the row with a number, from 0, stands in the file.
    rate
        Rows per second, if the file says it other than by times.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str], str | None], Iterator[Numbers]]
    texts: Callable[[str], Iterator[list[str]]]
    place: Callable[[int], str]
    rate: float | None = None


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
                f"{', '.join(names) or 'none'}"
            )
    if len(set(found)) < len(found):
        raise ArgumentError(f"each column is given once, got {', '.join(wanted)}")
    return tuple(found)


def seconds_of(place: str, text: str) -> float:
    """Read a time: seconds, or an ISO date; without a zone, of UTC.

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
        when = datetime.fromisoformat(text.strip())
        # Without a zone it is no machine's: a clock change here is no gap in a recording.
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise AudioError(f"{place}: {text!r} is no time: seconds or ISO dates are") from None


def value_of(place: str, name: str, text: str) -> float:
    """Read a number; NaN where there is none.

    Raises
    ------
    AudioError
        If it is neither.
    """
    if text.strip().lower() in NO_VALUE:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        hint = "; write a decimal point" if "," in text else ""
        raise AudioError(f"{place}: {name!r} is {text!r}, which is no number{hint}") from None


def is_value(text: str) -> bool:
    """Return whether a text is a number or stands for a missing one."""
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in NO_VALUE
    return True


def check_names(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """Refuse columns without a name (but the first, an index), and two of one.

    Raises
    ------
    AudioError
        If there are such.
    """
    names = [name or (UNNAMED if at == 0 else "") for at, name in enumerate(names)]
    if not all(names):
        raise AudioError(f"{where}: column {list(names).index('')} has no name: give it one")
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise AudioError(f"{where}: two columns are called {twice[0]!r}: {', '.join(names)}")
    return tuple(names)


def rows_of_arrays(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], rate: float | None = None
) -> Rows:
    """Return arrays (N,) as columns; a complex one as two, its real and imaginary part.

    Raises
    ------
    AudioError
        If one holds no numbers.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        parts = {name: array}
        if array.dtype.kind == "c":
            parts = {f"{name}.re": array.real, f"{name}.im": array.imag}
        columns |= parts
    n = len(next(iter(columns.values())))
    if not n:
        raise AudioError(f"{path} holds no samples")

    def read(wanted: Sequence[str], time: str | None) -> Iterator[Numbers]:
        taken = [columns[name] for name in with_time(time, wanted)]
        for name, column in zip(with_time(time, wanted), taken, strict=True):
            check_numbers(path, name, column)
        for at in range(0, n, AT_ONCE):
            cuts = [c[at : at + AT_ONCE].astype(np.float64) for c in taken]
            yield np.stack(cuts, axis=1) if cuts else np.empty((min(AT_ONCE, n - at), 0))

    def texts(name: str) -> Iterator[list[str]]:
        for at in range(0, n, AT_ONCE):
            yield list(map(str, columns[name][at : at + AT_ONCE].tolist()))

    return Rows(tuple(columns), read, texts, lambda row: f"{path}, row {row}", rate)


def with_time(time: str | None, names: Sequence[str]) -> list[str]:
    """Return the names of the columns that `Rows.read` yields."""
    return [*([] if time is None else [time]), *names]
