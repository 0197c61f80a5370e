"""Tables of scores and levels that verbs write, atomically."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.annotations.records import iso_time
from audiocnn.annotations.start_times import Clock, moment, start_time
from audiocnn.errors import ArgumentError
from audiocnn.frontend.sound_level import SoundLevel
from audiocnn.io.files.atomic import replacing
from audiocnn.labeling.label import TakeRows

LEVELS = ("laeq", "lafmax", "l10", "l90")


@contextlib.contextmanager
def csv_table(path: str | Path, columns: Sequence[str]) -> Iterator[Callable[[list[Any]], None]]:
    """Open a CSV for writing; the context gives a function that writes a row.

    The file is replaced when all is written. A device or a pipe (``/dev/stdout``) is written
    to directly.

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


@contextlib.contextmanager
def level_table(path: str, clock: Clock | None) -> Iterator[Callable[[str, SoundLevel], None]]:
    """Open a CSV of sound levels, a row for each period; with a clock, with wall-clock times.

    ``laeq``, ``lafmax``, ``l10`` and ``l90`` are dB re 20 µPa where ``calibrated`` is 1, else
    dB re full scale; ``measured`` is the seconds of the period that hold samples.
    """
    times = [] if clock is None else ["time"]
    columns = ["path", "start", "end", *times, "measured", *LEVELS, "calibrated"]
    with csv_table(path, columns) as write:

        def take(name: str, level: SoundLevel) -> None:
            start = None if clock is None else start_time(name, clock)
            time = [] if clock is None else [
                "" if start is None else iso_time(moment(start, level.start))
            ]  # fmt: skip
            values = (getattr(level, column) for column in LEVELS)
            write([
                name, f"{level.start:.6f}", f"{level.end:.6f}", *time, f"{level.measured:.3f}",
                *("" if value is None else f"{value:.2f}" for value in values),
                int(level.calibrated),
            ])  # fmt: skip

        yield take
