"""The recordings in a ledger: what is known of them, what came of them, what is to be done.

Each function that writes does so in one transaction a recording.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from audiocnn.inference.events import Event
from audiocnn.labeling.coverage import Coverage, Skipped
from audiocnn.labeling.label import Labeled
from audiocnn.labeling.ledger import Ledger, transaction, understood
from audiocnn.labeling.tasks import FileFingerprint, Result

INTERPOLATED = "interpolated"


@dataclass(frozen=True)
class Known:
    """What the ledger knows of a recording.

    Parameters
    ----------
    state
        ``"waiting"``, ``"done"`` or ``"failed"``.
    stamp
        Of the file that was read.
    """

    state: str
    stamp: FileFingerprint


def list_recordings(ledger: Ledger, paths: Iterable[str]) -> None:
    """Say which recordings belong to the run, in order; those of before stay known."""
    with transaction(ledger):
        ledger.connection.execute("UPDATE recordings SET place = NULL WHERE place IS NOT NULL")
        ledger.connection.executemany(
            "INSERT INTO recordings (path, place, state) VALUES (?, ?, 'waiting') "
            "ON CONFLICT (path) DO UPDATE SET place = excluded.place",
            ((_key(path), place) for place, path in enumerate(paths)),
        )


def known(ledger: Ledger) -> Iterator[tuple[str, Known]]:
    """Give what is known of the recordings of the run, in order."""
    rows = ledger.connection.execute(
        "SELECT path, state, size, mtime_ns, digest FROM recordings "
        "WHERE place IS NOT NULL ORDER BY place"
    )
    for path, state, size, mtime_ns, digest in rows:
        stamp = FileFingerprint(-1 if size is None else size, mtime_ns or 0, digest or "")
        yield _path(path), Known(state, stamp)


def record(ledger: Ledger, result: Result, rules: int) -> None:
    """Enter what came of a recording, in one transaction."""
    c, stamp = result.coverage, result.stamp
    values = (
        "failed" if result.error else "done", stamp.size, stamp.mtime_ns, stamp.digest,
        result.error, c.seconds, c.scored, c.padded, _pack_skipped(c),
        rules, result.scores, _key(result.name),
    )  # fmt: skip
    with transaction(ledger):
        cursor = ledger.connection.execute(
            "UPDATE recordings SET state = ?, size = ?, mtime_ns = ?, digest = ?, error = ?, "
            "seconds = ?, scored = ?, padded = ?, skipped = ?, rules = ?, scores = ? "
            "WHERE path = ? RETURNING id",
            values,
        )
        (number,) = cursor.fetchone()
        _put_events(ledger, number, result.events)


def same_content(ledger: Ledger, path: str, stamp: FileFingerprint) -> bool:
    """Take over what is known of a recording with the same content, also under another name.

    Returns
    -------
    bool
        Whether there is one that is done.
    """
    row = ledger.connection.execute(
        "SELECT id FROM recordings WHERE digest = ? AND digest != '' AND state = 'done'",
        (stamp.digest,),
    ).fetchone()
    if row is None:
        return False
    with transaction(ledger):
        (number,) = ledger.connection.execute(
            "UPDATE recordings SET (state, size, mtime_ns, digest, error, seconds, scored, padded, "
            "skipped, rules, scores) = (SELECT state, ?, ?, digest, error, seconds, scored, "
            "padded, skipped, rules, scores FROM recordings WHERE id = ?) WHERE path = ? "
            "RETURNING id",
            (stamp.size, stamp.mtime_ns, row[0], _key(path)),
        ).fetchone()
        if number != row[0]:
            _put_events(ledger, number, [event for _, event in _events(ledger, row[0], path)])
    return True


def other_rules(ledger: Ledger, rules: int) -> Iterator[tuple[str, bytes]]:
    """Give path and scores of the recordings whose events were found by other rules."""
    rows = ledger.connection.execute(
        "SELECT id, path FROM recordings WHERE rules != ? AND scores IS NOT NULL "
        "AND place IS NOT NULL ORDER BY place",
        (rules,),
    ).fetchall()
    for number, path in rows:
        (scores,) = ledger.connection.execute(
            "SELECT scores FROM recordings WHERE id = ?", (number,)
        ).fetchone()
        yield _path(path), scores


def replace_events(ledger: Ledger, path: str, events: Iterable[Event], rules: int) -> None:
    """Enter the events that other rules found in a recording."""
    with transaction(ledger):
        (number,) = ledger.connection.execute(
            "UPDATE recordings SET rules = ? WHERE path = ? RETURNING id", (rules, _key(path))
        ).fetchone()
        _put_events(ledger, number, events)


def labeled(ledger: Ledger) -> Iterator[Labeled]:
    """Give what came of the recordings of the run that are done or failed, in order."""
    rows = ledger.connection.execute(
        "SELECT id, path, error, seconds, scored, padded, skipped FROM recordings "
        "WHERE place IS NOT NULL AND state != 'waiting' ORDER BY place"
    )
    for number, key, error, seconds, scored, padded, skipped in rows:
        with understood(ledger):
            path = _path(key)
            events = tuple(event for _, event in _events(ledger, number, path))
            coverage = _coverage(seconds or 0.0, scored or 0.0, padded or 0.0, skipped or "[]")
        yield Labeled(path, events, coverage, error)


def count_states(ledger: Ledger) -> dict[str, int]:
    """Count the recordings of the run by state."""
    return dict(
        ledger.connection.execute(
            "SELECT state, count(*) FROM recordings WHERE place IS NOT NULL GROUP BY state"
        )
    )


def _pack_skipped(coverage: Coverage) -> str:
    """Write what was skipped, and behind it what was interpolated, if anything was."""
    told = list(coverage.skipped)
    if coverage.interpolated:
        told.append(Skipped(INTERPOLATED, coverage.interpolated, 0.0))
    return json.dumps([asdict(one) for one in told])


def _coverage(seconds: float, scored: float, padded: float, packed: str) -> Coverage:
    told = [Skipped(**one) for one in json.loads(packed)]
    filled = sum(one.seconds for one in told if one.reason == INTERPOLATED)
    skipped = tuple(one for one in told if one.reason != INTERPOLATED)
    return Coverage(seconds, scored, padded, skipped, filled)


def _put_events(ledger: Ledger, number: int, events: Iterable[Event]) -> None:
    ledger.connection.execute("DELETE FROM events WHERE recording = ?", (number,))
    ledger.connection.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
        ((number, at, e.start, e.end, e.label, e.score) for at, e in enumerate(events)),
    )


def _events(ledger: Ledger, number: int, path: str) -> Iterator[tuple[int, Event]]:
    rows = ledger.connection.execute(
        "SELECT number, start, end, label, score FROM events WHERE recording = ? ORDER BY number",
        (number,),
    )
    for at, start, end, label, score in rows:
        yield at, Event(label, start, end, score, path)


def _key(path: str) -> str | bytes:
    """Give a path as SQLite can hold it: names need not be text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def _path(key: Any) -> str:
    return os.fsdecode(key) if isinstance(key, bytes) else str(key)
