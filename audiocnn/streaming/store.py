"""Reading a station's database: events with their verdicts, gaps, sessions, levels, clips.

`audiocnn.streaming.sinks.sqlite` writes it; this module reads it, and stores verdicts. Every
call opens the database, so calls may come from any thread. A database that does not exist
(yet) is an empty history and not an error.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.calendar import Span, heard_in, timestamp

BUSY = 5.0  # seconds to wait for the sink's transaction
VERDICTS = ("right", "wrong", "other")
REPLAYED = 2000  # events that a client which was away is sent at most
LONGEST_LABEL = 200  # characters
CLIP = ".flac"
DAY = 86400.0  # seconds


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted.

    Parameters
    ----------
    labels, sources
        Of these only; empty for all.
    after, before
        UTC as ISO 8601: events that began at or after the first, before the second.
    min_score
        0 to 1.
    verdict
        One of `VERDICTS`, "none" (not judged yet), "any" (judged), or empty for all.
    with_clip
        Only events whose sound is stored.
    """

    labels: Sequence[str] = ()
    sources: Sequence[str] = ()
    after: str = ""
    before: str = ""
    min_score: float = 0.0
    verdict: str = ""
    with_clip: bool = False

    def where(self) -> tuple[str, list[Any]]:
        """Give the condition in SQL and its values."""
        terms: list[str] = []
        values: list[Any] = []
        for column, wanted in (("label", self.labels), ("source", self.sources)):
            if wanted:
                terms.append(f"e.{column} IN ({','.join('?' * len(wanted))})")
                values += wanted
        for term, value in (
            ("e.time >= ?", self.after), ("e.time < ?", self.before),
            ("e.score >= ?", self.min_score),
        ):  # fmt: skip
            if value:
                terms.append(term)
                values.append(value)
        if self.verdict == "none":
            terms.append("e.verdict IS NULL")
        elif self.verdict == "any":
            terms.append("e.verdict IS NOT NULL")
        elif self.verdict:
            terms.append("e.verdict = ?")
            values.append(self.verdict)
        if self.with_clip:
            terms.append("e.clip IS NOT NULL")
        return " AND ".join(terms) or "1", values


class History:
    """The stored past of a station.

    Parameters
    ----------
    path
        The database of the SQLite sink.
    clips
        The folder of the clips sink; None if no sound is stored.
    anywhere
        Accept clips in any folder: of a database that its owner names, not of a server.
    """

    def __init__(self, path: Path, clips: Path | None = None, *, anywhere: bool = False) -> None:
        self.path, self._clips, self._anywhere = path, clips, anywhere

    def events(
        self, wanted: EventFilter, limit: int = 50, cursor: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Give the newest events that are wanted, and a cursor for those before them.

        Raises
        ------
        ArgumentError
            If the cursor is none that was given here.
        """
        where, values = wanted.where()
        if cursor:
            time, row = _read_cursor(cursor)
            where += " AND (e.time < ? OR (e.time = ? AND e.rowid < ?))"
            values += [time, time, row]
        query = f"{SELECT} WHERE {where} ORDER BY e.time DESC, e.rowid DESC LIMIT ?"
        rows = self._query(query, [*values, limit + 1])
        found = [_event(row) for row in rows[:limit]]
        more = len(rows) > limit and limit > 0
        return found, _make_cursor(rows[limit - 1]) if more else ""

    def event(self, key: str) -> dict[str, Any] | None:
        """Give one event; None if there is none with this id."""
        rows = self._query(f"{SELECT} WHERE e.id = ?", [key])
        return _event(rows[0]) if rows else None

    def since(self, when: float) -> list[dict[str, Any]]:
        """Give what a client that was away since a time has missed, oldest first.

        Parameters
        ----------
        when
            Seconds since 1970.

        Returns
        -------
        list of dict
            Messages: of events that began or ended, of gaps that ended, and of verdicts.
        """
        after, earliest = timestamp(when), timestamp(when - DAY)
        ended = f'({UNIX} + e."end" - e.start)'
        rows = self._query(
            f"{SELECT} WHERE e.time >= ? AND (e.time >= ? OR {ended} >= ?) "
            "ORDER BY e.time LIMIT ?", [earliest, after, when - 1, REPLAYED],
        )  # fmt: skip
        found = [
            {"type": "onset" if row["end"] is None else "event", **_event(row)} for row in rows
        ]
        judged = self._query(
            f"{SELECT} WHERE e.verdict_time >= ? ORDER BY e.verdict_time LIMIT ?",
            [after, REPLAYED],
        )
        gaps = self._query(
            'SELECT id, source, time, start, "end", reason FROM gaps e WHERE time >= ? AND '
            f"{ended} >= ? ORDER BY time LIMIT ?", [earliest, when - 1, REPLAYED],
        )  # fmt: skip
        found += [{"type": "gap", **dict(row)} for row in gaps]
        found.sort(key=lambda message: str(message["time"]))
        return found + [{"type": "verdict", **_event(row)} for row in judged]

    def clip(self, key: str) -> Path | None:
        """Give the file with an event's sound; None if there is none.

        The path comes from the database, never from a client, and still has to lie in
        the folder of clips.
        """
        rows = self._query("SELECT clip FROM events WHERE id = ?", [key])
        if not rows or not rows[0]["clip"]:
            return None
        folder = self.path.parent if self._anywhere else self._clips
        if folder is None:
            return None
        folder = folder.resolve()
        path = (folder / rows[0]["clip"]).resolve()
        is_inside = self._anywhere or path.is_relative_to(folder)
        return path if is_inside and path.suffix == CLIP and path.is_file() else None

    def judge(self, key: str, verdict: str | None, label: str = "") -> dict[str, Any] | None:
        """Store a person's verdict on an event, or take it back with None.

        Returns
        -------
        dict or None
            The event as it is now; None if there is none with this id.

        Raises
        ------
        ArgumentError
            If the verdict is unknown, or "other" comes without a label.
        AudiocnnError
            If the database cannot be written.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise ArgumentError(f"a verdict is one of {', '.join(VERDICTS)}, got {verdict!r}")
        label = label.strip()
        if (verdict == "other") != bool(label) or len(label) > LONGEST_LABEL:
            raise ArgumentError(
                "the verdict 'other' needs the true label, of at most "
                f"{LONGEST_LABEL} characters, and no other verdict has one; got {label[:50]!r}"
            )
        values = [verdict, label or None, timestamp() if verdict else None, key]
        try:
            with self._open(write=True) as connection:
                cursor = connection.execute(
                    "UPDATE events SET verdict = ?, verdict_label = ?, verdict_time = ? "
                    "WHERE id = ?", values
                )  # fmt: skip
                connection.commit()
        except sqlite3.Error as error:
            raise AudiocnnError(f"the verdict could not be stored: {error}; try again") from error
        return self.event(key) if cursor.rowcount else None

    def labels(self) -> list[str]:
        """Give all labels of events and verdicts, in alphabetical order."""
        rows = self._query(
            "SELECT label FROM events WHERE label IS NOT NULL UNION "
            "SELECT verdict_label FROM events WHERE verdict_label IS NOT NULL ORDER BY 1"
        )
        return [row["label"] for row in rows]

    def sources(self) -> list[str]:
        """Give the names of all sources that have been recorded, in alphabetical order."""
        rows = self._query("SELECT DISTINCT source FROM sessions ORDER BY 1")
        return [row["source"] for row in rows]

    def counts(self, start: str, end: str, source: str = "") -> dict[str, int]:
        """Count the events of each label that began in a time."""
        where, values = EventFilter(
            sources=(source,) if source else (), after=start, before=end
        ).where()
        rows = self._query(
            f"SELECT e.label, count(*) AS n FROM events e WHERE {where} GROUP BY e.label", values
        )
        return {row["label"]: row["n"] for row in rows}

    def heard(self, spans: Sequence[Span], source: str = "") -> list[float]:
        """Give the share of each time span that was analysed, 0 to 1; the mean over sources."""
        if not spans:
            return []
        bounds = [timestamp(spans[-1].end), timestamp(spans[0].start)]
        one = " AND source = ?" if source else ""
        values = [*bounds, *([source] if source else [])]
        sessions = self._query(
            f"SELECT source, began AS start, last AS stop FROM sessions "
            f"WHERE began < ? AND last > ?{one}", values,
        )  # fmt: skip
        gaps = self._query(
            'SELECT source, time AS start, "end" - start AS seconds FROM gaps '
            f"WHERE time < ? AND (time > ? OR \"end\" - start > ?){one}",
            [bounds[0], timestamp(spans[0].start - DAY), DAY, *values[2:]],
        )  # fmt: skip
        return heard_in(spans, [tuple(row) for row in sessions], [tuple(row) for row in gaps])

    def gaps(self, start: str, end: str, source: str = "") -> list[dict[str, Any]]:
        """Give the gaps that began in a time, oldest first."""
        one = " AND source = ?" if source else ""
        rows = self._query(
            'SELECT source, time, "end" - start AS seconds, reason FROM gaps '
            f"WHERE time >= ? AND time < ?{one} ORDER BY time LIMIT 1000",
            [start, end, *([source] if source else [])],
        )
        return [
            {"source": row["source"], "time": row["time"], "seconds": row["seconds"],
             "reason": row["reason"] or ""} for row in rows
        ]  # fmt: skip

    def levels(self, start: str, end: str, source: str) -> list[dict[str, Any]]:
        """Give the sound levels by minute of one source, oldest first."""
        rows = self._query(
            "SELECT time, laeq, lafmax, l10, l90, calibrated FROM levels "
            "WHERE source = ? AND time >= ? AND time < ? ORDER BY time",
            [source, start, end],
        )
        return [dict(row) for row in rows]

    def _query(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        if not self.path.exists():
            return []
        try:
            with self._open() as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # made, but nothing was written yet
                return []
            raise AudiocnnError(f"{self.path} cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise AudiocnnError(f"{self.path} cannot be read: {error}") from error

    @contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        mode = "rw" if write else "ro"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()


SELECT = (
    'SELECT e.rowid AS row, e.id, e.source, e.time, e.label, e.start, e."end", e.score, '
    "e.verdict, e.verdict_label, e.verdict_time, e.clip FROM events e"
)


# Seconds since 1970 of a row's time; SQLite has whole ones, hence the second of tolerance.
UNIX = "CAST(strftime('%s', e.time) AS REAL)"


def _event(row: sqlite3.Row) -> dict[str, Any]:
    """Give an event as the API does."""
    return {
        "id": row["id"], "source": row["source"] or "", "time": row["time"],
        "label": row["label"], "start": row["start"], "end": row["end"], "score": row["score"],
        "verdict": row["verdict"], "verdict_label": row["verdict_label"],
        "verdict_time": row["verdict_time"], "has_clip": bool(row["clip"]),
    }  # fmt: skip


def _make_cursor(row: sqlite3.Row) -> str:
    return base64.urlsafe_b64encode(json.dumps([row["time"], row["row"]]).encode()).decode()


def _read_cursor(text: str) -> tuple[str, int]:
    try:
        time, row = json.loads(base64.urlsafe_b64decode(text.encode()))
        datetime.fromisoformat(time).astimezone(UTC)
        return str(time), int(row)
    except (ValueError, TypeError) as error:
        raise ArgumentError("the cursor is none that this API gave") from error
