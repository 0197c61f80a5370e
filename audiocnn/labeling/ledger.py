"""What a labelling run has done so far, in a SQLite file beside its output.

    events.csv          what people and programs read; written from the ledger, at once
    events.csv.ledger   each recording with its state, its events and its scores

One transaction holds all of a recording, so it is there whole or not at all, whenever
and however the run dies. The scores are kept as they were, so that other rules need no
sound. One run at a time may write; anyone may read meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audiocnn.errors import AudiocnnError, DatasetError
from audiocnn.inference.events import EventRule
from audiocnn.io.files.locks import alone
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

SUFFIX = ".ledger"
BUSY = "another run is writing it"
FORMAT = 1
APPLICATION = 0x61636E6E  # "acnn", so that no other database is taken for one of ours
SCHEMA = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY,
    path UNIQUE NOT NULL,       -- text, or bytes where it is no text
    place INTEGER,              -- in the list of the last run; NULL if it is not in it
    state TEXT NOT NULL,        -- waiting, done or failed
    size INTEGER, mtime_ns INTEGER, digest TEXT,
    error TEXT NOT NULL DEFAULT '',
    seconds REAL, scored REAL, padded REAL, skipped TEXT,
    rules INTEGER NOT NULL DEFAULT 0,  -- by which rules the events were found
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


@dataclass(frozen=True)
class Ledger:
    """An open ledger; see `open_ledger`.

    Parameters
    ----------
    path
        The file.
    connection
        To it.
    """

    path: Path
    connection: sqlite3.Connection


@dataclass(frozen=True)
class Settings:
    """What decides about the scores of a run, and about its events.

    Parameters
    ----------
    model, checksum
        Its name, and what it computes.
    hop
        Seconds between windows, as rounded.
    rules
        By which events are found; they alone may change within a ledger.
    reading
        How signals other than sound are read.
    channels
        Names of the model's channels; none if it hears sound, or if an older run did
        not say.
    """

    model: str
    checksum: str
    hop: float
    rules: Mapping[str, EventRule]
    reading: SignalReadOptions = DEFAULT_OPTIONS
    channels: tuple[str, ...] = ()


@contextlib.contextmanager
def open_ledger(path: str | Path, *, write: bool = False) -> Iterator[Ledger]:
    """Open a ledger.

    Parameters
    ----------
    path
        The file; made if it is missing and is to be written.
    write
        To go on with the run; it is kept from others until the context ends.

    Raises
    ------
    DatasetError
        If it is missing, or no ledger, or of a later version.
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
            f"{path.absolute().as_uri()}?{'mode=rwc' if write else _to_read(path)}",
            uri=True, isolation_level=None, timeout=30,
        )  # fmt: skip
        stack.callback(connection.close)
        if write:
            _prepare(path, connection)
        else:
            connection.execute("PRAGMA query_only = ON")
        _check(path, connection)
        yield Ledger(path, connection)


def remove_ledger(path: str | Path) -> None:
    """Remove a ledger, whatever it is, unless a run is writing it.

    Raises
    ------
    AudiocnnError
        If one is, or it cannot be removed.
    """
    with alone(Path(path), BUSY):
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise AudiocnnError(f"cannot remove {path}: {error.strerror}") from error


def begin_run(ledger: Ledger, settings: Settings) -> int:
    """Enter a run's settings, or compare them with those of the run that is there.

    Returns
    -------
    int
        The number of its rules: recordings whose events were found by others have
        another one.

    Raises
    ------
    DatasetError
        If the run that is there would give other scores; says what differs.
    """
    now: dict[str, Any] = _told(settings.reading)
    now |= {"model": settings.model, "checksum": settings.checksum, "hop": settings.hop}
    before = dict(ledger.connection.execute("SELECT name, value FROM run"))
    old = _told(DEFAULT_OPTIONS) if before else {}  # older runs knew sound alone
    old |= {name: json.loads(before[name]) for name in now if name in before}
    names = [n for n in ("hop", *_told(DEFAULT_OPTIONS)) if n in old and old[n] != now[n]]
    differ = [f"{name} {old[name]!r} there, {now[name]!r} now" for name in names]
    if before and old["checksum"] != now["checksum"]:  # its hop is another, too, as may be
        names = [f"{run['model']!r} ({str(run['checksum'])[:12]})" for run in (old, now)]
        differ = [f"model {names[0]} there, {names[1]} now"]
    if differ:
        raise DatasetError(
            f"{ledger.path} belongs to a run with other settings ({'; '.join(differ)}): name "
            "another output, or begin anew with --restart"
        )
    rules = json.dumps({label: asdict(rule) for label, rule in settings.rules.items()})
    number = int(before.get("rules_number", "0"))
    if before.get("rules") != rules:
        number += 1
    now |= {"channels": list(settings.channels)}
    entries = {**{k: json.dumps(v) for k, v in now.items()}, "rules": rules}
    with transaction(ledger):
        ledger.connection.executemany(
            "INSERT OR REPLACE INTO run VALUES (?, ?)",
            [*entries.items(), ("rules_number", str(number))],
        )
    return number


def settings_of(ledger: Ledger) -> Settings:
    """Read a run's settings.

    Raises
    ------
    DatasetError
        If no run has begun.
    """
    found = dict(ledger.connection.execute("SELECT name, value FROM run"))
    if "rules" not in found:
        raise DatasetError(f"{ledger.path}: no run has begun in it")
    with understood(ledger):
        rules = {label: EventRule(**rule) for label, rule in json.loads(found["rules"]).items()}
        model, checksum, hop = (json.loads(found[name]) for name in ("model", "checksum", "hop"))
        told = {name: json.loads(found[name]) for name in _told(DEFAULT_OPTIONS) if name in found}
        reading = SignalReadOptions(**told | {"columns": tuple(told.get("columns", ()))})
        channels = tuple(map(str, json.loads(found.get("channels", "[]"))))
        return Settings(model, checksum, hop, rules, reading, channels)


def _told(reading: SignalReadOptions) -> dict[str, Any]:
    """Say how signals are read, as JSON has it."""
    return {"columns": list(reading.columns), "time": reading.time, "rate": reading.rate,
            "missing": reading.missing}  # fmt: skip


@contextlib.contextmanager
def transaction(ledger: Ledger) -> Iterator[None]:
    """Do what is done inside whole, or not at all."""
    ledger.connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if ledger.connection.in_transaction:  # a full disk has ended it already
            ledger.connection.execute("ROLLBACK")
        raise
    ledger.connection.execute("COMMIT")


def _to_read(path: Path) -> str:
    """Say how to open a ledger that others may be writing, and leave nothing beside it."""
    # Who reads a WAL needs its index, -shm; who may not write cannot remove it afterwards.
    if os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
        return "mode=rw"
    return "mode=ro&immutable=1"


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine loses the last ones
    connection.executescript(
        f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise DatasetError(f"{path} is a database, but no ledger of audiocnn")
    if version > FORMAT:
        raise DatasetError(
            f"{path} has format {version}, this version of audiocnn reads up to {FORMAT}; update "
            "it with: pip install -U audiocnn"
        )
    connection.execute("PRAGMA synchronous = NORMAL")


@contextlib.contextmanager
def understood(ledger: Ledger) -> Iterator[None]:
    """Take what is written there for damaged if it cannot be understood.

    Raises
    ------
    DatasetError
        Then.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{ledger.path} is damaged ({error}): move it away, or --restart"
        ) from error


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        said = str(error)
        if "full" in said or "disk I/O" in said:
            said += "; what was done is safe: make room, and run the same command again"
        raise AudiocnnError(f"{path}: {said}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} is no ledger, or a damaged one ({error}): move it away, or --restart"
        ) from error
