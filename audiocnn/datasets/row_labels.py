"""A signal with a label in every row, as clips: each run of one label is one.

    time   x     y     activity      person
    0.00   0.1   9.8   standing      anna       clip 1: standing, 0 to 0.04 s
    0.02   0.1   9.7   standing      anna
    0.04   2.3   11.0  walking       anna       clip 2: walking
    0.06   ...

Rows without a label are background. Where rows are missing, a clip ends. Columns of text
that are no channels become columns of the clip, and a run ends where they change.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiocnn.datasets.clip import Clip
from audiocnn.errors import AudioError
from audiocnn.io.signals.channels import SignalReadOptions, time_column
from audiocnn.io.signals.columns import Rows, check_names, pick_columns, value_of
from audiocnn.io.signals.tabular import open_rows
from audiocnn.io.signals.time_axis import Placed, numbered, timed


@dataclass(frozen=True)
class _Run:
    """Rows that follow each other and say the same, by the samples that they are."""

    cells: tuple[str, ...]
    start: int
    end: int


def clips_of_rows(path: Path, reading: SignalReadOptions, rate: float) -> list[Clip]:
    """Make clips of the runs of one label in a file.

    Parameters
    ----------
    path
        The file: with a row a sample.
    reading
        ``labels`` names the column; ``columns``, ``time`` and ``rate`` as ever.
    rate
        Samples per second, where neither the file nor ``reading`` says it.

    Raises
    ------
    AudioError
        If the column is not there, or the file cannot be read.
    """
    assert reading.labels is not None, "reading.labels names the column"
    with open_rows(path) as rows:
        check_names(str(path), rows.names)
        (column,) = pick_columns(path, rows.names, [reading.labels])
        time = time_column(path, rows.names, reading)
        placed: Placed
        if time is None or reading.rate is not None:
            rate = reading.rate or rows.rate or rate
            placed = numbered(rows.read((), None))
        else:
            rate, placed = timed(str(path), rows, (), time)
        kept = [column, *_texts(rows, reading, {column, time})]
        runs = list(_runs(rows, kept, placed))
    return [
        Clip(
            path, tuple(dict.fromkeys(filter(None, map(str.strip, run.cells[0].split("|"))))),
            run.start / rate, run.end / rate, dict(zip(kept[1:], run.cells[1:], strict=True)),
        )
        for run in runs
    ]  # fmt: skip


def _texts(rows: Rows, reading: SignalReadOptions, own: set[str | None]) -> Iterator[str]:
    """Name the columns of text beside the channels, if it was said which those are."""
    for name in rows.names if reading.columns else ():
        if name in own or name in reading.columns:
            continue
        first = next(rows.texts(name), [""])[0]
        try:
            value_of("", name, first)
        except AudioError:
            yield name


def _runs(rows: Rows, names: list[str], placed: Placed) -> Iterator[_Run]:
    columns = [itertools.chain.from_iterable(rows.texts(name)) for name in names]
    cells = zip(*columns, strict=True)
    start = end = 0
    now: tuple[str, ...] | None = None
    for at, part in placed:
        if now is not None and at > end:
            yield _Run(now, start, end)
            now = None
        for place, found in enumerate(itertools.islice(cells, len(part)), start=at):
            if found != now:
                if now is not None:
                    yield _Run(now, start, place)
                now, start = found, place
        end = at + len(part)
    if now is not None:
        yield _Run(now, start, end)
