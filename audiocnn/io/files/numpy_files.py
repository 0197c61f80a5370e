"""Reading .npy and .npz files, with one kind of error for all faults.

The last file that was read is cached, for files of many series.
"""

from __future__ import annotations

import functools
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError

Array = NDArray[Any]
LOWEST_RATE = 1e-6  # Hz: a sample in twelve days; lower ones are times in another unit
BARE = ""  # the name of the array in an .npy


UNREADABLE = (  # what NumPy raises at files that are not its own, or damaged
    EOFError, KeyError, MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError,
    SyntaxError, TypeError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def load_arrays(path: Path) -> Mapping[str, Array]:
    """Read the arrays of a file, by name; that of an .npy is mapped, and called ``""``.

    Raises
    ------
    AudioError
        If the file is none of NumPy's, or would have to be unpickled.
    """
    try:
        found = path.stat()
        return _load(path, found.st_size, found.st_mtime_ns)
    except UNREADABLE as error:
        said = str(error) or type(error).__name__
        raise AudioError(f"{path} is no NumPy file of numbers: {said}") from error


def check_numbers(path: str | Path, name: str, array: Array) -> None:
    """Refuse an array of anything but numbers.

    Raises
    ------
    AudioError
        If it is one.
    """
    if array.dtype.kind not in "biufc":
        named = f"{name!r} " if name else ""
        raise AudioError(f"{path}: {named}holds {array.dtype}, no numbers")


@functools.lru_cache(maxsize=1)
def _load(path: Path, size: int, mtime_ns: int) -> Mapping[str, Array]:
    if path.suffix.lower() == ".npy":
        return {BARE: np.lib.format.open_memmap(path, mode="r")}
    # Opened here: where NumPy fails, it forgets to close.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def rate_of(path: str | Path, array: Array) -> float:
    """Return the rate that an array of a file states.

    Raises
    ------
    AudioError
        If it is not one number above 0.
    """
    if (
        array.size != 1
        or array.dtype.kind not in "biuf"
        or not LOWEST_RATE <= array.item() < math.inf
    ):
        raise AudioError(f"{path}: rate must be one number above 0 Hz, got {array.tolist()!r:.60}")
    return float(array.item())
