"""Files of many series, and reading one of them: ``X_TEST.ts#12``.

    X_TEST.ts            of the time-series archives
    gestures.npz         with X (n, K, T) or (n, T), and perhaps y (n,), names (K,), rate
    gestures.npy         (n, K, T)

Such a name, the file and a number from 0, stands wherever the path of a recording does.
A series ends at its last value: what is missing behind it in all channels is no part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.files.numpy_files import BARE, check_numbers, load_arrays, rate_of
from audiocnn.io.recording import ARCHIVE_SUFFIX, SERIES_SUFFIXES, RecordingRef, begins_like_sound
from audiocnn.io.signals.columns import Rows, check_names, rows_of_arrays
from audiocnn.io.signals.ts_format import read_archive, read_from_archive

MANY = "X"  # the array of an .npz that holds one series after the other


def series_in(path: str | Path) -> tuple[int, tuple[str, ...] | None] | None:
    """Return the number of series in a file and their labels (None if it has none).

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
    if suffix not in SERIES_SUFFIXES or begins_like_sound(path):
        return None
    if suffix == ARCHIVE_SUFFIX:
        archive = read_archive(path)
        return len(archive.places), archive.labels
    arrays = load_arrays(path)
    if suffix == ".npy":
        return (len(arrays[BARE]), None) if arrays[BARE].ndim == 3 else None
    if MANY not in arrays or arrays[MANY].ndim < 2:
        return None
    return len(arrays[MANY]), _labels(path, len(arrays[MANY]), arrays.get("y"))


def expand(path: str | Path) -> list[RecordingRef]:
    """List the recordings of a file: each of its series, or the file itself.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    path = Path(path)
    found = series_in(path)
    if found is None:
        return [RecordingRef(path)]
    return [RecordingRef(path, number) for number in range(found[0])]


def open_series(path: str | Path | RecordingRef) -> Rows | None:
    """Open one series; None if the recording is not one.

    Raises
    ------
    AudioError
        If there is none of that number, or it cannot be read; also of a file of many
        series without a number.
    """
    ref = RecordingRef.of(path)
    file, number = ref.file, ref.member
    if number is None and file.suffix.lower() not in SERIES_SUFFIXES:
        return None
    found = series_in(file)
    if number is None and found is None:
        return None
    if found is None:
        raise AudioError(f"{file} holds one signal, so there is no {ref.path.name}")
    if number is None:
        raise AudioError(f"{file} holds {found[0]} series: name one of them, as {file.name}#0")
    if number >= found[0]:
        raise AudioError(f"{ref}: {file.name} holds {found[0]} series, numbered from 0")
    if file.suffix.lower() == ARCHIVE_SUFFIX:
        return _rows(str(ref), read_from_archive(read_archive(file), number), None)
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
    return _rows(str(ref), dict(zip(names, values, strict=True)),
                 None if rate is None else rate_of(file, rate))  # fmt: skip


def _rows(path: str, columns: dict[str, NDArray[Any]], rate: float | None) -> Rows:
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
