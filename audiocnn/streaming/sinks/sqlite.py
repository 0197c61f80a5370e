"""Events, gaps, sessions and sound levels in an SQLite database.

    sessions  a row each time that listening began; `last` moves with the heartbeat
    events    a row when a sound begins ("end" is null), completed when it ends;
              `verdict` and its companions belong to the person who reviews
    gaps      when nothing was received
    levels    sound level, a row a minute

Each message is its own transaction in the write-ahead log, so a process that is
killed leaves a database that opens and holds all that was handled; a power cut may
cost the last transactions. A session that was killed has no `ended`. Others may
read, and write verdicts, at any time; while one holds the lock, messages wait.
Reading is done by `audiocnn.streaming.store`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import (
    EventMessage,
    Gap,
    LevelMessage,
    Message,
    Onset,
    StatusMessage,
    values_of,
)
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.sinks.jsonl import make_folder_of
from audiocnn.streaming.units import Age

VERSION = 2  # of the tables, kept as user_version
BUSY = 2.0  # seconds that one attempt waits for another's lock
PRUNE = 3600.0  # seconds between two deletions of rows that are too old
KEPT = MessageFilter(("onset", "event", "gap", "level", "session", "heartbeat"))

TABLES = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT, host TEXT, began TEXT NOT NULL, last TEXT NOT NULL,
    ended TEXT, heard REAL, lost REAL, details TEXT);
CREATE TABLE events (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, source TEXT, host TEXT, time TEXT NOT NULL,
    label TEXT, start REAL, "end" REAL, score REAL, clip TEXT,
    verdict TEXT, verdict_label TEXT, verdict_time TEXT);
CREATE TABLE gaps (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, source TEXT, host TEXT, time TEXT NOT NULL,
    start REAL, "end" REAL, reason TEXT);
"""
LEVELS = """
CREATE TABLE levels (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, source TEXT, host TEXT, time TEXT NOT NULL,
    start REAL, "end" REAL, measured REAL, laeq REAL, lafmax REAL, l10 REAL, l90 REAL,
    calibrated INTEGER);
"""
INDEXES = """
CREATE INDEX IF NOT EXISTS events_by_time ON events (time);
CREATE INDEX IF NOT EXISTS events_by_label ON events (label, time);
CREATE INDEX IF NOT EXISTS gaps_by_time ON gaps (time);
CREATE INDEX IF NOT EXISTS levels_by_time ON levels (time);
"""
# Version 1 counted sessions, and events within a session.
FROM_1 = f"""
ALTER TABLE sessions RENAME TO sessions_1; ALTER TABLE events RENAME TO events_1;
ALTER TABLE gaps RENAME TO gaps_1;
DROP INDEX IF EXISTS events_by_time; DROP INDEX IF EXISTS events_by_label;
DROP INDEX IF EXISTS gaps_by_time;
{TABLES} {LEVELS}
INSERT INTO sessions (id, began, last, ended, details)
    SELECT 'v1-' || id, began, last, ended, details FROM sessions_1;
INSERT INTO events (id, session, time, label, start, "end", score)
    SELECT 'v1-' || session || '-' || key, 'v1-' || session, time, label, start, "end", score
    FROM events_1;
INSERT INTO gaps (id, session, time, start, "end", reason)
    SELECT 'v1-' || session || '-gap-' || rowid, 'v1-' || session, time, start, "end",
    json_extract(details, '$.reason') FROM gaps_1;
DROP TABLE sessions_1; DROP TABLE events_1; DROP TABLE gaps_1;
"""


class SqliteSink:
    """Keep events, gaps, sessions and levels in an SQLite file.

    Parameters
    ----------
    path
        The file; made if it does not exist.
    max_age
        Rows older than this, in seconds, are deleted; 0 keeps them.
    max_rows
        Events, gaps and levels kept at most, each; 0 for no limit.
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
        max_age: Age = 0.0,
        max_rows: int = 1_000_000,
        wants: MessageFilter = KEPT,
        name: str = "sqlite",
    ) -> None:
        if max_age < 0 or max_rows < 0:
            raise ArgumentError(f"{name}: max_age and max_rows must be 0 or more")
        self.name, self.wants = name, wants
        self.path = make_folder_of(path, name)
        self._max_age, self._max_rows = max_age, max_rows
        self._connection: sqlite3.Connection | None = None
        self._sessions: set[str] = set()  # that have a row and have not ended
        self._pruned_at = 0.0  # time.monotonic(); 0 for never

    def handle(self, message: Message) -> None:
        """Keep a message, in one transaction."""
        sessions = set(self._sessions)
        try:
            self._attempt(lambda connection: self._keep(connection, message))
        except Exception:
            self._sessions = sessions  # a row made in this transaction does not exist
            raise

    def tick(self) -> None:
        """Delete what is too old, now and then."""
        now = time.monotonic()
        if self._connection and (not self._pruned_at or now - self._pruned_at >= PRUNE):
            self._pruned_at = now
            self._attempt(self._prune)
            self._attempt(_shrink)

    def close(self) -> None:
        """Mark the open sessions as ended and close the file."""
        if self._connection is None:
            return
        end = "UPDATE sessions SET last = max(last, ?1), ended = ?1 WHERE id = ?2"
        with closing(self._connection):
            rows = [(_now(), session) for session in self._sessions]
            self._attempt(lambda connection: connection.executemany(end, rows))
        self._connection = None

    def _attempt(self, act: Callable[[sqlite3.Connection], object]) -> None:
        """Run a transaction; what a wait may mend is for the dispatcher to try again."""
        try:
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                act(connection)
        except sqlite3.OperationalError as error:  # locked, disk full, folder missing
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
            raise TryAgain(f"{self.path}: {error}", soon=True) from error
        except sqlite3.DatabaseError as error:
            raise ArgumentError(
                f"{self.path}: {error}; if it is a damaged database, move it away"
                " and a new one is made"
            ) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self.path)
        return self._connection

    def _keep(self, connection: sqlite3.Connection, message: Message) -> None:
        session = message.id.rpartition("-")[0]
        when = message.time
        if session not in self._sessions:
            insert = ("INSERT OR IGNORE INTO sessions (id, source, host, began, last)"
                      " VALUES (?, ?, ?, ?, ?)")  # fmt: skip
            connection.execute(insert, (session, message.source, message.host, when, when))
            self._sessions.add(session)
        if isinstance(message, Onset | EventMessage | Gap | LevelMessage):
            table = {"gap": "gaps", "level": "levels"}.get(message.type, "events")
            values = {key: value for key, value in values_of(message).items() if key != "type"}
            if isinstance(message, Gap):
                del values["label"], values["score"]
            _insert(connection, table, {**values, "session": session})
        if isinstance(message, StatusMessage):
            ended = when if message.state == "ended" else None
            update = ("UPDATE sessions SET details = ?, heard = ?, lost = ?,"
                      " ended = coalesce(?, ended) WHERE id = ?")  # fmt: skip
            details = msgspec.json.encode({
                "model": message.model, "input": message.input, "hop": message.hop,
                "windows": message.windows, "events": message.events, "load": message.load,
            }).decode()  # fmt: skip
            connection.execute(update, (details, message.heard, message.lost, ended, session))
            if ended:
                self._sessions.discard(session)
        update = "UPDATE sessions SET last = max(last, ?) WHERE id = ?"
        connection.execute(update, (when, session))

    def _prune(self, connection: sqlite3.Connection) -> None:
        if self._max_age:
            oldest = datetime.now(UTC) - timedelta(seconds=self._max_age)
            before = oldest.strftime("%Y-%m-%dT%H:%M:%S")
            for table in ("events", "gaps", "levels"):
                connection.execute(f"DELETE FROM {table} WHERE time < ?", (before,))
            connection.execute("DELETE FROM sessions WHERE last < ?", (before,))
        if self._max_rows:
            for table in ("events", "gaps", "levels"):
                keep = f"SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT 1 OFFSET ?"
                delete = f"DELETE FROM {table} WHERE rowid <= ({keep})"
                connection.execute(delete, (self._max_rows,))


def open_database(path: Path) -> sqlite3.Connection:
    """Open a station's database, with its tables made or brought up to date.

    Raises
    ------
    ArgumentError
        If it was made by a newer version.
    sqlite3.Error
        If it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise ArgumentError(
                f"{path} was made by a newer audiocnn (its tables have version"
                f" {version}, these {VERSION}): update, or name another file"
            )
        if version == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 4000000")
        if version < VERSION:
            make = FROM_1 if version == 1 else TABLES + LEVELS
            connection.executescript(
                f"BEGIN IMMEDIATE; {make} {INDEXES} PRAGMA user_version = {VERSION}; COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, object]) -> None:
    """Insert a row; of one that exists with this id, change what the message says."""
    names = [f'"{name}"' for name in values]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != '"id"')
    connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT (id) DO UPDATE SET {changes}",
        list(values.values()),
    )


def _shrink(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
