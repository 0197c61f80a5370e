"""Events, gaps and sessions in an SQLite database.

    sessions  one row each time that listening began; `last` moves with the heartbeat
    events    a row when a sound begins ("end" is null), completed when it ends
    gaps      when nothing was heard

Each message is its own transaction in the write-ahead log, so a process that is
killed leaves a database that opens and holds all that was handled; a power cut may
cost the last transactions. A session that was killed has no `ended`. Others may
read at any time; while one holds the lock, messages wait.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain, format_message
from audiocnn.streaming.sinks.jsonl import make_folder_of

VERSION = 1  # of the tables, kept as user_version
BUSY = 2.0  # seconds that one attempt waits for another's lock
PRUNE = 3600.0  # seconds between two looks for rows that are too old
COLUMNS = ("type", "id", "time", "start", "end", "label", "score")
KEPT = MessageFilter(("onset", "event", "gap", "session", "heartbeat"))

TABLES = """
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, began TEXT NOT NULL, last TEXT NOT NULL, ended TEXT, details TEXT);
CREATE TABLE events (
    session INTEGER NOT NULL, key TEXT NOT NULL, time TEXT NOT NULL, label TEXT,
    start REAL, "end" REAL, score REAL, details TEXT, UNIQUE (session, key));
CREATE TABLE gaps (
    session INTEGER NOT NULL, time TEXT NOT NULL, start REAL, "end" REAL, details TEXT);
CREATE INDEX events_by_time ON events (time);
CREATE INDEX events_by_label ON events (label, time);
CREATE INDEX gaps_by_time ON gaps (time);
"""


class SqliteSink:
    """Keep events, gaps and sessions in an SQLite file.

    Parameters
    ----------
    path
        The file; made if it is not there.
    max_age
        Rows older than this, in seconds, are deleted; 0 keeps them.
    max_rows
        Events and gaps kept at most, each; 0 for no limit.
    wants
        What is kept; heartbeats only move the session's ``last``.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If a limit is negative or the folder cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_age: float = 0.0,
        max_rows: int = 1_000_000,
        wants: MessageFilter = KEPT,
        name: str = "sqlite",
    ) -> None:
        if max_age < 0 or max_rows < 0:
            raise ArgumentError(f"{name}: max_age and max_rows must be 0 or more")
        self.name, self.wants = name, wants
        self._path = make_folder_of(path, name)
        self._max_age, self._max_rows = max_age, max_rows
        self._connection: sqlite3.Connection | None = None
        self._session: int | None = None
        self._pruned_at = 0.0  # time.monotonic(); 0 for never

    def handle(self, message: Mapping[str, Any]) -> None:
        """Keep a message, in one transaction."""
        session = self._session
        try:
            self._attempt(lambda connection: self._keep(connection, message))
        except Exception:
            self._session = session  # a session's row made in this transaction is not there
            raise

    def tick(self) -> None:
        """Delete what is too old, now and then."""
        now = time.monotonic()
        if self._session is not None and (not self._pruned_at or now - self._pruned_at >= PRUNE):
            self._pruned_at = now
            self._attempt(self._prune)
            self._attempt(_shrink)

    def close(self) -> None:
        """Mark the session as ended and close the file."""
        if self._connection is None:
            return
        end = "UPDATE sessions SET last = max(last, ?1), ended = ?1 WHERE id = ?2"
        with closing(self._connection):
            self._attempt(lambda connection: connection.execute(end, (_now(), self._session)))
        self._connection = None

    def _attempt(self, act: Callable[[sqlite3.Connection], object]) -> None:
        """Run a transaction; what a wait may mend is for the outlet to try again."""
        try:
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                act(connection)
        except sqlite3.OperationalError as error:  # locked, disk full, folder away
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
            raise TryAgain(f"{self._path}: {error}", soon=True) from error
        except sqlite3.DatabaseError as error:
            raise ArgumentError(
                f"{self._path}: {error}; if it is a damaged database, move it away"
                " and a new one is made"
            ) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        connection = sqlite3.connect(
            self._path, timeout=BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise ArgumentError(
                    f"{self._path} was made by a newer audiocnn (its tables have version"
                    f" {version}, these {VERSION}): update, or name another file"
                )
            if version == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 4000000")
            if version == 0:
                make = f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
                connection.executescript(make)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _keep(self, connection: sqlite3.Connection, message: Mapping[str, Any]) -> None:
        row = json.loads(format_message(message))
        kind, when = row.get("type"), str(row.get("time") or _now())
        rest = {key: value for key, value in row.items() if key not in COLUMNS}
        details = json.dumps(rest, ensure_ascii=False) if rest else None
        if self._session is None:
            insert = "INSERT INTO sessions (began, last, details) VALUES (?, ?, ?)"
            self._session = connection.execute(insert, (when, when, None)).lastrowid
        numbers = (row.get("start"), row.get("end"))
        if kind in ("onset", "event"):
            key = str(row["id"])
            values = (self._session, key, when, row.get("label"), *numbers, row.get("score"))
            connection.execute(
                'INSERT INTO events (session, key, time, label, start, "end", score, details)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, key) DO UPDATE SET"
                ' "end" = excluded."end", score = excluded.score, start = excluded.start,'
                " details = excluded.details",
                (*values, details),
            )
        elif kind == "gap":
            insert = 'INSERT INTO gaps (session, time, start, "end", details) VALUES (?,?,?,?,?)'
            connection.execute(insert, (self._session, when, *numbers, details))
        if kind in ("session", "heartbeat") and rest:  # what each of them said last
            query = "SELECT details FROM sessions WHERE id = ?"
            (known,) = connection.execute(query, (self._session,)).fetchone()
            details = json.dumps({**json.loads(known or "{}"), **rest}, ensure_ascii=False)
            update = "UPDATE sessions SET details = ? WHERE id = ?"
            connection.execute(update, (details, self._session))
        update = "UPDATE sessions SET last = max(last, ?) WHERE id = ?"
        connection.execute(update, (when, self._session))

    def _prune(self, connection: sqlite3.Connection) -> None:
        if self._max_age:
            oldest = datetime.now(UTC) - timedelta(seconds=self._max_age)
            before = oldest.strftime("%Y-%m-%dT%H:%M:%S")
            connection.execute("DELETE FROM events WHERE time < ?", (before,))
            connection.execute("DELETE FROM gaps WHERE time < ?", (before,))
            connection.execute("DELETE FROM sessions WHERE last < ?", (before,))
        if self._max_rows:
            for table in ("events", "gaps"):
                keep = f"SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT 1 OFFSET ?"
                delete = f"DELETE FROM {table} WHERE rowid <= ({keep})"
                connection.execute(delete, (self._max_rows,))


def _shrink(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
