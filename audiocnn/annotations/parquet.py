"""Parquet, a compressed table of columns, by pyarrow (``audiocnn[parquet]``).

Times are seconds in 64 bits, nothing rounded; ``time``, where it is wanted, is a
timestamp in microseconds, in the zone that was named, or else as the names of the
recordings have it. Names of files that are not UTF-8 have no place in it.
Nothing but this module imports pyarrow, and it does so when it is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audiocnn.annotations.records import Row, event_of, text_of
from audiocnn.annotations.start_times import Clock
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import no_column

COLUMNS = ("path", "start", "end", "label", "score")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GROUP = 1 << 16  # rows that are in memory at once


def import_pyarrow() -> Any:
    """Import pyarrow, its Parquet part too.

    Raises
    ------
    ArgumentError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ArgumentError(
            "Parquet needs pyarrow, which is not installed; run: pip install 'audiocnn[parquet]'"
        ) from error
    return pyarrow


def write_parquet(rows: Iterable[Row], path: Path, clock: Clock | None) -> None:
    """Write rows as a table, in groups; with a clock, wall-clock times beside them.

    Raises
    ------
    ArgumentError
        If a path or a label is not UTF-8.
    """
    pa = import_pyarrow()
    kinds = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(),
             "label": pa.string(), "score": pa.float64()}  # fmt: skip
    if clock is not None:
        kinds["time"] = pa.timestamp("us", tz=clock.zone.key if clock.zone else None)
    schema = pa.schema(list(kinds.items()))
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _batched(rows):
            columns = _columns(group, clock)
            try:
                arrays = [pa.array(columns[name], kinds[name]) for name in kinds]
            except UnicodeEncodeError as error:
                raise ArgumentError(
                    f"Parquet holds UTF-8 alone, and a path or label is not: {error.object!r}; "
                    "write .csv or .jsonl"
                ) from error
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def check_parquet(row: Row) -> None:
    """Refuse a row whose path or label is not UTF-8.

    Raises
    ------
    ArgumentError
        Then.
    """
    for text in (row.event.source, row.event.label):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ArgumentError(
                f"Parquet holds UTF-8 alone, and a path or label is not: {text!r}; "
                "write .csv or .jsonl"
            ) from error


def read_parquet(path: Path) -> Iterator[Event]:
    """Read events from a table; other columns are passed over.

    Raises
    ------
    DatasetError
        If it is no Parquet, or lacks a column.
    """
    pa = import_pyarrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            for name in ("start", "end", "label"):
                if name not in there:
                    raise no_column(str(path), name, there)
            names = [name for name in COLUMNS if name in there]
            number = 0
            for batch in file.iter_batches(GROUP, columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield _event(f"{path}: row {number}", row)
    except FileNotFoundError:
        raise DatasetError(f"no such file: {path}; check the name and the folder") from None
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be read as Parquet: {error}") from error


def _event(place: str, row: Mapping[str, Any]) -> Event:
    values = {**row, "score": None if row.get("score") != row.get("score") else row.get("score")}
    names = ("start", "end", "label", "score", "path")
    return event_of(place, *(text_of(place, name, values.get(name)) for name in names))


def _columns(group: list[Row], clock: Clock | None) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        "path": [row.event.source for row in group],
        "start": [row.event.start for row in group],
        "end": [row.event.end for row in group],
        "label": [row.event.label for row in group],
        "score": [row.event.score for row in group],
    }
    if clock is not None:
        found["time"] = [_microseconds(row.time, clock) for row in group]
    return found


def _microseconds(time: datetime | None, clock: Clock) -> int | None:
    """Count from 1970, as the column does: pyarrow's own conversion depends on what is loaded.

    (With pyarrow 26, once pandas 3 is imported, a time in a zone is taken for UTC.)
    """
    if time is None:
        return None
    if clock.zone is None:  # a column has one zone, or none
        time = time.replace(tzinfo=UTC)
    return (time - EPOCH) // timedelta(microseconds=1)


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while group := list(itertools.islice(left, GROUP)):
        yield group
