"""The ledger of a labelling run: a SQLite file beside the output.

    events.csv          what people and programs read; written from the ledger, atomically
    events.csv.ledger   each recording with its state, its events and its scores

All rows of a recording are written in one transaction, so they are complete or absent,
whenever and however the run dies. Window scores are kept, so other rules need no sound.
One run at a time may write; others may read meanwhile.

A ledger lists the recordings of its output. A run asks for some of them: those become
tasks, and the others stay as they are until a run prunes them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from audiocnn.errors import AudiocnnError, DatasetError
from audiocnn.inference.events import Event, EventRule
from audiocnn.io.files.locks import alone
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.coverage import Coverage, Skipped
from audiocnn.labeling.fingerprints import FileFingerprint
from audiocnn.labeling.label import LabelResult

SUFFIX = ".ledger"
BUSY = "another run is writing it"
INTERPOLATED = "interpolated"  # stored among the skipped seconds
FORMAT = 1
APPLICATION = 0x61636E6E  # "acnn", so that no other database is taken for a ledger
SCHEMA = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY,
    path UNIQUE NOT NULL,       -- text, or bytes where it is not UTF-8
    place INTEGER,              -- order in the output; NULL if it is not listed
    state TEXT NOT NULL,        -- waiting, done or failed
    size INTEGER, mtime_ns INTEGER, digest TEXT,
    error TEXT NOT NULL DEFAULT '',
    seconds REAL, scored REAL, padded REAL, skipped TEXT,
    rules INTEGER NOT NULL DEFAULT 0,  -- number of the rules that found the events
    scores BLOB
);
CREATE INDEX recordings_place ON recordings (place);
CREATE INDEX recordings_digest ON recordings (digest) WHERE digest != '';
CREATE TABLE events (
    recording INTEGER NOT NULL, number INTEGER NOT NULL,
    start REAL NOT NULL, end REAL NOT NULL, label TEXT NOT NULL, score REAL,
    PRIMARY KEY (recording, number)
) WITHOUT ROWID;
"""
# Ledgers of version 0.1.0 lack this table; it is added when a run goes on with them.
OUTPUTS = """
CREATE TABLE IF NOT EXISTS outputs (
    path PRIMARY KEY NOT NULL,  -- absolute; text, or bytes where it is not UTF-8
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
"""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Ledger:
    """An open ledger; see `open_ledger`.

    Parameters
    ----------
    path
        The file.
    connection
        Its database connection.
    """

    path: Path
    connection: sqlite3.Connection


@dataclass(frozen=True)
class RunSettings:
    """What determines the scores and the events of a run.

    Parameters
    ----------
    model, checksum
        Name of the model, and checksum of what it computes.
    hop
        Seconds between windows, as rounded.
    rules
        Event rules by label; they alone may change within a ledger.
    reading
        How signals other than sound are read.
    channels
        Names of the model's channels; empty for sound, and where an older run did not
        store them.
    times
        Wall-clock times of the output: a time zone, empty for those of the recordings'
        names; None for no times.
    folder
        Where the run was started: relative paths of recordings begin there; empty where
        an older run did not store it.
    """

    model: str
    checksum: str
    hop: float
    rules: Mapping[str, EventRule]
    reading: SignalReadOptions = DEFAULT_OPTIONS
    channels: tuple[str, ...] = ()
    times: str | None = None
    folder: str = ""


@dataclass(frozen=True)
class RecordingState:
    """State of a recording in the ledger.

    Parameters
    ----------
    state
        ``"waiting"``, ``"done"`` or ``"failed"``.
    fingerprint
        Of the file that was read.
    """

    state: str
    fingerprint: FileFingerprint


class _Reading(msgspec.Struct, frozen=True):
    """How signals are read, as the ledger stores it: a row for each field."""

    columns: tuple[str, ...] = ()
    time: str | None = None
    rate: float | None = None
    missing: str = "refuse"
    channel: int | None = None


@contextlib.contextmanager
def open_ledger(path: str | Path, *, write: bool = False) -> Iterator[Ledger]:
    """Open a ledger.

    Parameters
    ----------
    path
        The file; created if it is missing and ``write`` is set.
    write
        Continue the run; the ledger is locked until the context ends.

    Raises
    ------
    DatasetError
        If it is missing, not a ledger, or of a later version.
    AudiocnnError
        If another run is writing it; or, inside the context, if it cannot be written.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        if write:
            stack.enter_context(alone(path, BUSY))
        elif not path.is_file():
            raise DatasetError(f"no ledger {path}: audiocnn label -o writes one beside its output")
        stack.enter_context(_explaining(path))
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{'mode=rwc' if write else _read_mode(path)}",
            uri=True, isolation_level=None, timeout=30,
        )  # fmt: skip
        stack.callback(connection.close)
        if write:
            _prepare(connection)
        else:
            connection.execute("PRAGMA query_only = ON")
        _check(path, connection)
        yield Ledger(path, connection)


def remove_ledger(path: str | Path) -> None:
    """Remove a ledger, whatever is in the file, unless a run is writing it.

    Raises
    ------
    AudiocnnError
        If a run is writing it, or it cannot be removed.
    """
    with alone(Path(path), BUSY):
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise AudiocnnError(f"cannot remove {path}: {error.strerror}") from error


def begin_run(ledger: Ledger, settings: RunSettings, *, only_write: bool = False) -> int:
    """Store the settings of a run, or compare them with those of the run in the ledger.

    Parameters
    ----------
    ledger
        Open for writing.
    settings
        Of this run.
    only_write
        Whether this run labels nothing: then times and folder of the ledger stay.

    Returns
    -------
    int
        Number of its rules: recordings whose events were found by other rules have
        another number.

    Raises
    ------
    DatasetError
        If the run in the ledger would give other scores; lists the differences.
    """
    now: dict[str, Any] = _reading_fields(settings.reading)
    now |= {"model": settings.model, "checksum": settings.checksum, "hop": settings.hop}
    stored = _stored(ledger)
    with understood(ledger):
        # Runs of the first version had sound alone, and no fields for reading signals.
        before = _reading_fields(DEFAULT_OPTIONS) if stored else {}
        before |= {name: msgspec.json.decode(stored[name]) for name in now if name in stored}
        rules = _decoded(stored.get("rules", "{}"), dict[str, EventRule])
    _check_same(ledger.path, before, now)
    number = int(stored.get("rules_number", "0"))
    if rules != dict(settings.rules):
        number += 1
    now |= {"channels": settings.channels, "rules": settings.rules, "rules_number": number}
    if not only_write:
        now |= {"times": settings.times, "folder": settings.folder}
    with transaction(ledger):
        ledger.connection.executemany(
            "INSERT OR REPLACE INTO run VALUES (?, ?)",
            ((name, _encoded(value)) for name, value in now.items()),
        )
    return number


def settings_of(ledger: Ledger) -> RunSettings:
    """Read the settings of the run in a ledger.

    Raises
    ------
    DatasetError
        If no run has begun.
    """
    found = _stored(ledger)
    if "rules" not in found:
        raise DatasetError(f"{ledger.path}: no run has begun in it")
    with understood(ledger):
        rules = _decoded(found["rules"], dict[str, EventRule])
        fields = {
            name: msgspec.json.decode(found[name])
            for name in _reading_fields(DEFAULT_OPTIONS)
            if name in found
        }
        reading = SignalReadOptions(**msgspec.structs.asdict(msgspec.convert(fields, _Reading)))
        return RunSettings(
            _decoded(found["model"], str),
            _decoded(found["checksum"], str),
            _decoded(found["hop"], float),
            rules,
            reading,
            _decoded(found.get("channels", "[]"), tuple[str, ...]),
            msgspec.json.decode(found.get("times", "null"), type=str | None),
            _decoded(found.get("folder", '""'), str),
        )


def list_recordings(ledger: Ledger, paths: Sequence[str], *, prune: bool = False) -> int:
    """Enter the recordings that a run asks for into the list.

    Recordings that were listed before and are not asked for keep their rows and their
    order: those listed before the first that is asked for stay before it, the others
    follow. With ``prune`` they leave the list (what is known of them is kept).

    Parameters
    ----------
    ledger
        Open for writing.
    paths
        The recordings, each once, in the order of the output.
    prune
        Whether others leave the list.

    Returns
    -------
    int
        How many recordings that are not asked for stay in the list, or left it.
    """
    connection = ledger.connection
    with transaction(ledger):
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS asked (path PRIMARY KEY, number)")
        connection.execute("DELETE FROM asked")
        connection.executemany(
            "INSERT INTO asked VALUES (?, ?)",
            ((_key(path), number) for number, path in enumerate(paths)),
        )
        others = connection.execute(
            "SELECT id FROM recordings WHERE place IS NOT NULL "
            "AND path NOT IN (SELECT path FROM asked) ORDER BY place"
        ).fetchall()
        before = 0 if prune else _n_before(connection)
        connection.execute("UPDATE recordings SET place = NULL WHERE place IS NOT NULL")
        if not prune:
            connection.executemany(
                "UPDATE recordings SET place = ? WHERE id = ?",
                ((at if at < before else at + len(paths), number)
                 for at, (number,) in enumerate(others)),
            )  # fmt: skip
        connection.execute(
            "INSERT INTO recordings (path, place, state) "
            "SELECT path, number + ?, 'waiting' FROM asked WHERE true "
            "ON CONFLICT (path) DO UPDATE SET place = excluded.place",
            (before,),
        )
    return len(others)


def _n_before(connection: sqlite3.Connection) -> int:
    """Count the listed recordings that come before the first one that is asked for."""
    (first,) = connection.execute(
        "SELECT min(place) FROM recordings WHERE place IS NOT NULL "
        "AND path IN (SELECT path FROM asked)"
    ).fetchone()
    where, values = ("", ()) if first is None else ("AND place < ?", (first,))
    (n,) = connection.execute(
        f"SELECT count(*) FROM recordings WHERE place IS NOT NULL {where}", values
    ).fetchone()
    return int(n)


def asked_states(ledger: Ledger) -> Iterator[tuple[str, RecordingState]]:
    """Give the state of each recording that `list_recordings` was called with, in order."""
    rows = ledger.connection.execute(
        "SELECT path, state, size, mtime_ns, digest FROM recordings "
        "JOIN asked USING (path) ORDER BY asked.number"
    )
    yield from _states(rows)


def listed_states(ledger: Ledger) -> Iterator[tuple[str, RecordingState]]:
    """Give the state of each recording in the list, in the order of the output."""
    rows = ledger.connection.execute(
        "SELECT path, state, size, mtime_ns, digest FROM recordings "
        "WHERE place IS NOT NULL ORDER BY place"
    )
    yield from _states(rows)


def count_states(ledger: Ledger, *, asked: bool = False) -> dict[str, int]:
    """Count the recordings in the list by state; with ``asked``, those of this run alone."""
    where = "path IN (SELECT path FROM asked)" if asked else "place IS NOT NULL"
    return dict(
        ledger.connection.execute(
            f"SELECT state, count(*) FROM recordings WHERE {where} GROUP BY state"
        )
    )


def record(ledger: Ledger, result: LabelResult, rules: int) -> None:
    """Store the result of a recording, in one transaction."""
    c, fingerprint = result.coverage, result.fingerprint
    values = (
        "failed" if result.error else "done",
        fingerprint.size, fingerprint.mtime_ns, fingerprint.digest,
        result.error, c.seconds, c.scored, c.padded, _pack_skipped(c),
        rules, result.scores, _key(result.path),
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


def copy_same_content(ledger: Ledger, path: str, fingerprint: FileFingerprint) -> bool:
    """Take over the result of a recording with the same content, also under another name.

    A recording that was moved leaves the list under its former name.

    Returns
    -------
    bool
        Whether there is such a result.
    """
    row = ledger.connection.execute(
        "SELECT id, path FROM recordings WHERE digest = ? AND digest != '' AND state = 'done'",
        (fingerprint.digest,),
    ).fetchone()
    if row is None:
        return False
    source, key = row
    with transaction(ledger):
        (number,) = ledger.connection.execute(
            "UPDATE recordings SET (state, size, mtime_ns, digest, error, seconds, scored, padded, "
            "skipped, rules, scores) = (SELECT state, ?, ?, digest, error, seconds, scored, "
            "padded, skipped, rules, scores FROM recordings WHERE id = ?) WHERE path = ? "
            "RETURNING id",
            (fingerprint.size, fingerprint.mtime_ns, source, _key(path)),
        ).fetchone()
        if number != source:
            _put_events(ledger, number, _events(ledger, source, path))
            if not os.path.exists(_path(key)):
                ledger.connection.execute(
                    "UPDATE recordings SET place = NULL WHERE id = ?", (source,)
                )
    return True


def other_rules(ledger: Ledger, rules: int) -> Iterator[tuple[str, bytes]]:
    """Give path and packed scores of the recordings whose events were found by other rules."""
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
    """Store the events that other rules found in a recording."""
    with transaction(ledger):
        (number,) = ledger.connection.execute(
            "UPDATE recordings SET rules = ? WHERE path = ? RETURNING id", (rules, _key(path))
        ).fetchone()
        _put_events(ledger, number, events)


def results_of(ledger: Ledger) -> Iterator[LabelResult]:
    """Give the results of the recordings in the list that are done or failed, in order."""
    rows = ledger.connection.execute(
        "SELECT id, path, error, seconds, scored, padded, skipped FROM recordings "
        "WHERE place IS NOT NULL AND state != 'waiting' ORDER BY place"
    )
    for number, key, error, seconds, scored, padded, skipped in rows:
        with understood(ledger):
            path = _path(key)
            events = tuple(_events(ledger, number, path))
            coverage = _coverage(seconds or 0.0, scored or 0.0, padded or 0.0, skipped or "[]")
        yield LabelResult(path, events, coverage, error)


def written_output(ledger: Ledger, path: Path) -> FileFingerprint | None:
    """Return the fingerprint of an output file when the run last wrote it, if it did."""
    row = ledger.connection.execute(
        "SELECT size, mtime_ns, digest FROM outputs WHERE path = ?", (_key(str(path.absolute())),)
    ).fetchone()
    return None if row is None else FileFingerprint(*row)


def record_output(ledger: Ledger, path: Path, fingerprint: FileFingerprint) -> None:
    """Store the fingerprint of an output file that was written."""
    ledger.connection.execute(
        "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)",
        (_key(str(path.absolute())), fingerprint.size, fingerprint.mtime_ns, fingerprint.digest),
    )


def recorded_outputs(ledger: Ledger) -> list[Path]:
    """List the output files that the run has written, and not forgotten since."""
    return [Path(_path(key)) for (key,) in ledger.connection.execute("SELECT path FROM outputs")]


def forget_output(ledger: Ledger, path: Path) -> None:
    """Remove an output file from those that the run has written."""
    ledger.connection.execute("DELETE FROM outputs WHERE path = ?", (_key(str(path)),))


def has_outputs(ledger: Ledger) -> bool:
    """Return whether the ledger has a table of output files; those of 0.1.0 do not."""
    found = ledger.connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outputs'"
    )
    return found.fetchone() is not None


def add_outputs(ledger: Ledger) -> None:
    """Add the table of output files to a ledger that lacks it."""
    ledger.connection.execute(OUTPUTS)


@contextlib.contextmanager
def transaction(ledger: Ledger) -> Iterator[None]:
    """Commit all changes of the context, or none."""
    ledger.connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if ledger.connection.in_transaction:  # a full disk has ended it already
            ledger.connection.execute("ROLLBACK")
        raise
    ledger.connection.execute("COMMIT")


@contextlib.contextmanager
def understood(ledger: Ledger) -> Iterator[None]:
    """Report content that cannot be decoded as damage.

    Raises
    ------
    DatasetError
        In place of the decoder's error.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{ledger.path} is damaged ({error}): move it away, or --restart"
        ) from error


def _check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to mix the results of two settings."""
    names = ("hop", *_reading_fields(DEFAULT_OPTIONS))
    differ = [
        f"{name} {before[name]!r} there, {now[name]!r} now"
        for name in names
        if name in before and before[name] != now[name]
    ]
    if before and before["checksum"] != now["checksum"]:  # its hop may differ as well
        models = [f"{run['model']!r} ({str(run['checksum'])[:12]})" for run in (before, now)]
        differ = [f"model {models[0]} there, {models[1]} now"]
    if differ:
        raise DatasetError(
            f"{path} belongs to a run with other settings ({'; '.join(differ)}): name "
            "another output, or begin anew with --restart"
        )


def _reading_fields(reading: SignalReadOptions) -> dict[str, Any]:
    return {"columns": list(reading.columns), "time": reading.time, "rate": reading.rate,
            "missing": reading.missing, "channel": reading.channel}  # fmt: skip


def _stored(ledger: Ledger) -> dict[str, str]:
    return dict(ledger.connection.execute("SELECT name, value FROM run"))


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decoded(text: str, kind: type[Value]) -> Value:
    return msgspec.json.decode(text, type=kind)


def _read_mode(path: Path) -> str:
    """Choose a mode that works while others write the ledger, and leaves no file behind."""
    # Readers of a WAL need its index, -shm, and without write permission cannot remove it.
    if os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
        return "mode=rw"
    return "mode=ro&immutable=1"


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine loses the last ones
    connection.executescript(
        f"BEGIN; {SCHEMA} {OUTPUTS} PRAGMA application_id = {APPLICATION}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise DatasetError(f"{path} is a database, but not a ledger of audiocnn")
    if version > FORMAT:
        raise DatasetError(
            f"{path} has format {version}, this version of audiocnn reads up to {FORMAT}; update "
            "it with: pip install -U audiocnn"
        )
    connection.execute("PRAGMA synchronous = NORMAL")


def _states(rows: Iterable[Any]) -> Iterator[tuple[str, RecordingState]]:
    for path, state, size, mtime_ns, digest in rows:
        fingerprint = FileFingerprint(-1 if size is None else size, mtime_ns or 0, digest or "")
        yield _path(path), RecordingState(state, fingerprint)


def _pack_skipped(coverage: Coverage) -> str:
    """Encode the skipped seconds, followed by the interpolated ones if there are any."""
    entries = list(coverage.skipped)
    if coverage.interpolated:
        entries.append(Skipped(INTERPOLATED, coverage.interpolated, 0.0))
    return _encoded(entries)


def _coverage(seconds: float, scored: float, padded: float, packed: str) -> Coverage:
    entries = _decoded(packed, list[Skipped])
    filled = sum(entry.seconds for entry in entries if entry.reason == INTERPOLATED)
    skipped = tuple(entry for entry in entries if entry.reason != INTERPOLATED)
    return Coverage(seconds, scored, padded, skipped, filled)


def _put_events(ledger: Ledger, number: int, events: Iterable[Event]) -> None:
    rows = [(number, at, e.start, e.end, e.label, e.score) for at, e in enumerate(events)]
    ledger.connection.execute("DELETE FROM events WHERE recording = ?", (number,))
    ledger.connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)


def _events(ledger: Ledger, number: int, path: str) -> Iterator[Event]:
    rows = ledger.connection.execute(
        "SELECT start, end, label, score FROM events WHERE recording = ? ORDER BY number",
        (number,),
    )
    for start, end, label, score in rows:
        yield Event(label, start, end, score, path)


def _key(path: str) -> str | bytes:
    """Return a path as SQLite can hold it: file names need not be UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def _path(key: Any) -> str:
    return os.fsdecode(key) if isinstance(key, bytes) else str(key)


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        message = str(error)
        if "full" in message or "disk I/O" in message:
            message += "; what was done is safe: make room, and run the same command again"
        raise AudiocnnError(f"{path}: {message}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} is not a ledger, or damaged ({error}): move it away, or --restart"
        ) from error
