"""Files that hold many series, and the name of one of them: ``X_TEST.ts#12``.

    X_TEST.ts            of the time-series archives
    gestures.npz         with X (n, K, T) or (n, T), and perhaps y (n,), names (K,), rate
    gestures.npy         (n, K, T)

Such a name, the file and a number from 0, stands wherever the path of a recording does.
A series ends at its last value: what is missing behind it in all channels is no part of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.files.numpy_files import BARE, check_numbers, load_arrays, rate_of
from audiocnn.io.signals.columns import Rows, check_names, rows_of_arrays
from audiocnn.io.signals.ts_format import read_archive, read_from_archive

ARCHIVE = ".ts"
SERIES_SUFFIXES = frozenset({ARCHIVE, ".npy", ".npz"})
MEMBER = re.compile(r"(?P<file>.+)#(?P<number>\d+)")
MANY = "X"  # the array of an .npz that holds one series after the other


def parted(path: str | Path) -> tuple[Path, int | None]:
    """Part the name of a series into its file and its number; None of a file's own name.

    A file that really has such a name is that file.
    """
    path = Path(path)
    found = MEMBER.fullmatch(path.name) if "#" in path.name else None
    if not found or Path(found["file"]).suffix.lower() not in SERIES_SUFFIXES or path.exists():
        return path, None
    return path.with_name(found["file"]), int(found["number"])


def file_of(path: str | Path) -> Path:
    """Give the file that a recording is (a part of): what can be looked at and copied."""
    return parted(path)[0]


def series_in(path: str | Path) -> tuple[int, tuple[str, ...] | None] | None:
    """Say how many series a file holds, and their labels (None if it has none).

    Returns
    -------
    tuple or None
        None of a file that holds one recording, of whatever kind.

    Raises
    ------
    AudioError
        If it cannot be read, or makes no sense.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ARCHIVE:
        archive = read_archive(path)
        return len(archive.places), archive.labels
    if suffix not in SERIES_SUFFIXES:
        return None
    arrays = load_arrays(path)
    if suffix == ".npy":
        return (len(arrays[BARE]), None) if arrays[BARE].ndim == 3 else None
    if MANY not in arrays or arrays[MANY].ndim < 2:
        return None
    return len(arrays[MANY]), _labels(path, len(arrays[MANY]), arrays.get("y"))


def expand(path: str | Path) -> list[Path]:
    """Give the names of the series in a file; the path itself if it holds one recording.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    path = Path(path)
    found = series_in(path)
    return (
        [path] if found is None else [path.with_name(f"{path.name}#{k}") for k in range(found[0])]
    )


def open_series(path: str | Path) -> Rows | None:
    """Open one series; None if the path is no name of one.

    Raises
    ------
    AudioError
        If there is none of that number, or it cannot be read; also of a file of many
        series without a number.
    """
    file, number = parted(path)
    if number is None and file.suffix.lower() not in SERIES_SUFFIXES:
        return None
    found = series_in(file)
    if number is None and found is None:
        return None
    if found is None:
        raise AudioError(f"{file} holds one signal, so there is no {Path(path).name}")
    if number is None:
        raise AudioError(f"{file} holds {found[0]} series: name one of them, as {file.name}#0")
    if number >= found[0]:
        raise AudioError(f"{path}: {file.name} holds {found[0]} series, numbered from 0")
    if file.suffix.lower() == ARCHIVE:
        return _rows(path, read_from_archive(read_archive(file), number), None)
    arrays = load_arrays(file)
    name = BARE if file.suffix.lower() == ".npy" else MANY
    many = arrays[name]
    if many.ndim > 3:
        raise AudioError(f"{file}: {name} has the shape {many.shape}, not (n, K, T) or (n, T)")
    check_numbers(file, name, many)
    values = np.atleast_2d(many[number])
    names = _names(file, len(values), arrays.get("names"))
    rate = arrays.get("rate")
    if not len(values):
        raise AudioError(f"{file}: {name} has the shape {many.shape}: there is no channel")
    return _rows(path, dict(zip(names, values, strict=True)),
                 None if rate is None else rate_of(file, rate))  # fmt: skip


def _rows(path: str | Path, columns: dict[str, NDArray[Any]], rate: float | None) -> Rows:
    there = np.zeros(len(next(iter(columns.values()))), bool)
    for name, values in columns.items():
        if name != "time":
            there |= ~np.isnan(values)
    n = there.size - int(np.argmax(there[::-1])) if there.any() else 0
    if not n:
        raise AudioError(f"{path} holds no value")
    return rows_of_arrays(path, {name: values[:n] for name, values in columns.items()}, rate)


def _labels(path: Path, n: int, y: NDArray[Any] | None) -> tuple[str, ...] | None:
    if y is None:
        return None
    if y.shape != (n,) or y.dtype.kind not in "biufSU":
        raise AudioError(
            f"{path}: y has the shape {y.shape} and holds {y.dtype}; it must be {n} labels, one a "
            "series"
        )
    if y.dtype.kind == "f":
        return tuple(f"{value:g}" for value in y.tolist())
    return tuple(v.decode() if isinstance(v, bytes) else str(v).strip() for v in y.tolist())


def _names(path: Path, n: int, names: NDArray[Any] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(map(str, range(n)))
    if names.shape != (n,):
        raise AudioError(f"{path}: names has the shape {names.shape}, and there are {n} channels")
    return check_names(str(path), [str(name) for name in names.tolist()])
