"""Tables of scores that verbs write: whole, or not at all."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.io.files.atomic import replacing
from audiocnn.labeling.label import TakeRows


@contextlib.contextmanager
def csv_table(path: str | Path, columns: Sequence[str]) -> Iterator[Callable[[list[Any]], None]]:
    """Open a CSV for writing; give what writes a row.

    The file appears when all is written, and what was there stays until then. A
    device or a pipe (``/dev/stdout``) is written to as it is.

    Raises
    ------
    ArgumentError
        If it cannot be written.
    """
    target = Path(path)
    special = target.exists() and not target.is_file()
    with contextlib.nullcontext(target) if special else replacing(target) as part:
        try:
            file: IO[str] = part.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise ArgumentError(f"cannot write {path}: {error.strerror}") from error
        with file:
            writer = csv.writer(file, lineterminator="\n")

            def write(row: Sequence[Any]) -> None:
                try:
                    writer.writerow(row)
                except OSError as error:
                    raise ArgumentError(f"cannot write {path}: {error.strerror}") from error

            write(columns)
            yield write


@contextlib.contextmanager
def score_table(path: str | None, labels: Sequence[str]) -> Iterator[TakeRows | None]:
    """Open a CSV of scores: path, start, end and a column per label; None for no path."""
    if path is None:
        yield None
        return
    with csv_table(path, ["path", "start", "end", *labels]) as write:

        def take(name: str, times: NDArray[np.float64], values: NDArray[np.float32]) -> None:
            for begin, end, row in zip(*times.tolist(), values.T.tolist(), strict=True):
                write([name, f"{begin:.6f}", f"{end:.6f}", *(f"{v:.6f}" for v in row)])

        yield take
