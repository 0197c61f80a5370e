"""Examining many recordings in several processes, with a cache of the measurements.

What was measured is kept in one SQLite file, under the recording's place, size and time,
so that a second check of the same data takes seconds. Only the parent writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.datasets.doctor.audio_checks import Examined, examine
from audiocnn.errors import ArgumentError
from audiocnn.io.audio.notes import Note

VERSION = 2  # of what is measured: another one is not taken from the cache
AT_ONCE = 16  # recordings that a process is handed
WORTH_PROCESSES = 64  # recordings, below which starting processes takes longer
Look = Callable[[Path], Examined]
ARRAYS = {"levels": "<f4", "prints": "<u4", "frames": "<i4"}


def examine_all(
    paths: Sequence[Path],
    *,
    look: Look = examine,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Path, Examined]:
    """Examine recordings.

    Parameters
    ----------
    paths
        The recordings.
    look
        Examines one.
    cache
        An SQLite file that is made if it is missing; nothing is kept if None.
    workers
        Processes; as many as there are cores if None.
    progress
        Called with recordings done and in all.

    Returns
    -------
    dict
        In the order of ``paths``.

    Raises
    ------
    ArgumentError
        If the cache cannot be used.
    """
    if workers is not None and workers < 1:
        raise ArgumentError(f"workers must be at least 1, got {workers}")
    found: dict[Path, Examined] = {}
    with _store(cache) as store:
        if store is not None:
            found = {path: e for path in paths if (e := _recall(store, path)) is not None}
        left = [path for path in dict.fromkeys(paths) if path not in found]
        for number, (path, e) in enumerate(_examined(left, look, workers), start=1):
            found[path] = e
            if store is not None and not e.error:
                _keep(store, path, e)
            if progress:
                progress(len(paths) - len(left) + number, len(paths))
    return {path: found[path] for path in paths}


def _examined(
    paths: Sequence[Path], look: Look, workers: int | None
) -> Iterator[tuple[Path, Examined]]:
    n = min(workers or _cores(), len(paths) // AT_ONCE + 1)
    if n == 1 or len(paths) < WORTH_PROCESSES:
        yield from ((path, look(path)) for path in paths)
        return
    # Spawned: a forked child would inherit locks of threads that it does not have.
    with ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from zip(paths, pool.map(look, paths, chunksize=AT_ONCE), strict=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _store(cache: Path | None) -> Iterator[sqlite3.Connection | None]:
    if cache is None:
        yield None
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(cache)) as store, store:
            store.execute("CREATE TABLE IF NOT EXISTS examined (key TEXT PRIMARY KEY, data BLOB)")
            yield store
    except (OSError, sqlite3.Error) as error:
        raise ArgumentError(
            f"{cache} cannot be used as a cache ({error}): remove it, or name another"
        ) from error


def _key(path: Path) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return json.dumps([VERSION, str(path.resolve()), stat.st_size, stat.st_mtime_ns])


def _keep(store: sqlite3.Connection, path: Path, e: Examined) -> None:
    values = {k: v for k, v in vars(e).items() if k not in ARRAYS}
    arrays = [getattr(e, name).astype(kind).tobytes() for name, kind in ARRAYS.items()]
    head = json.dumps({**values, "sizes": [len(a) for a in arrays]}).encode()
    data = len(head).to_bytes(4, "little") + head + b"".join(arrays)
    store.execute("INSERT OR REPLACE INTO examined VALUES (?, ?)", (_key(path), data))


def _recall(store: sqlite3.Connection, path: Path) -> Examined | None:
    row = store.execute("SELECT data FROM examined WHERE key = ?", (_key(path),)).fetchone()
    if row is None:
        return None
    n = int.from_bytes(row[0][:4], "little")
    head, at = json.loads(row[0][4 : 4 + n]), 4 + n
    arrays: dict[str, Any] = {}
    for (name, kind), size in zip(ARRAYS.items(), head.pop("sizes"), strict=True):
        arrays[name] = np.frombuffer(row[0][at : at + size], kind)
        at += size
    head["notes"] = tuple(Note(*note) for note in head["notes"])
    return dataclasses.replace(Examined(**head), **arrays)
