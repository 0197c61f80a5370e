"""Sinks that write to a disk: lines, a database, clips; and what a disk does to them."""

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.io.files.safe_names import safe_name
from audiocnn.streaming.messages import parse_message, values_of
from audiocnn.streaming.sinks import clips as clips_module
from audiocnn.streaming.sinks import sqlite as sqlite_module
from audiocnn.streaming.sinks.base import TryAgain
from audiocnn.streaming.sinks.clip_folder import ClipError, ClipLimits, _find_clips
from audiocnn.streaming.sinks.clips import Clips
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher
from audiocnn.streaming.sinks.jsonl import JsonLines
from audiocnn.streaming.sinks.sqlite import SqliteSink
from tests.live_messages import clips, event, number_of, other

ROOT = Path(__file__).parents[3]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: Exception) -> Any:
    def act(*args: object, **options: object) -> None:
        raise error

    return act


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(folder: Path, leave: int = 0) -> Path:
    """Take what is free, to the last block."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() // 4096 * 4096 - leave)
    return filler


def handle_until_full(sink: Any, **more: Any) -> tuple[int, str]:
    """Give events from 1 on; tell the first that was not taken, and why."""
    for number in range(1, 500):
        try:
            sink.handle(event(number, **more))
        except TryAgain as error:
            return number, str(error)
    raise AssertionError("the disk was not full")


# JSON lines


def read_lines(path: Path) -> list[int]:
    return [number_of(json.loads(line)["id"]) for line in path.read_text().splitlines()]


def test_lines_are_written_at_once_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    for number in (1, 2):
        sink = JsonLines(path)
        sink.handle(event(number))
        assert read_lines(path)[-1] == number
        sink.close()
    assert read_lines(path) == [1, 2]
    assert parse_message(path.read_text().splitlines()[0]) == event(1)


def test_files_rotate_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    sink = JsonLines(path, max_size=450, keep=2)
    for number in range(10, 30):
        sink.handle(event(number))
    sink.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(file.stat().st_size <= 450 for file in files)
    assert [n for file in reversed(files) for n in read_lines(file)] == [24, 25, 26, 27, 28, 29]


def test_none_kept_and_a_line_longer_than_a_file(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "log.jsonl", max_size=10, keep=0)
    for number in range(3):
        sink.handle(event(number))
    sink.close()
    assert read_lines(tmp_path / "log.jsonl") == [2]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_moved_or_deleted_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log.jsonl"
    sink = JsonLines(path)
    sink.handle(event(1))
    path.rename(tmp_path / "moved.jsonl")
    sink.handle(event(2))
    path.unlink()
    path.parent.rmdir()
    sink.handle(event(3))
    sink.close()
    assert read_lines(tmp_path / "moved.jsonl") == [1]
    assert read_lines(path) == [3]


def test_a_line_cut_off_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": "s-1"}\n{"id": ')
    sink = JsonLines(path)
    sink.handle(event(2))
    sink.close()
    assert json.loads(path.read_text().splitlines()[2])["id"] == "s-2"


def test_a_full_disk_leaves_whole_lines_only(small_disk: Path) -> None:
    path = small_disk / "log.jsonl"
    sink = JsonLines(path, max_size=0)
    sink.handle(event(0))
    filler = fill_disk(small_disk)
    written, reason = handle_until_full(sink)
    assert reason == f"{path}: No space left on device"
    assert read_lines(path) == list(range(written))
    filler.unlink()
    sink.handle(event(written))
    sink.close()
    assert read_lines(path) == list(range(written + 1))


def test_a_partial_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    sink = JsonLines(path)
    sink.handle(event(0))
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, line: write(file, line[:20]))
        with pytest.raises(TryAgain, match="No space left on device"):
            sink.handle(event(1))
    assert read_lines(path) == [0]
    sink.handle(event(1))
    sink.close()
    assert read_lines(path) == [0, 1]


# The database


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_events_gaps_and_sessions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sounds.db"
    sink = SqliteSink(path)
    sink.handle(other("session", model="m"))
    sink.handle(event(1, type="onset", score=0.6))
    query = 'SELECT id, source, host, label, start, "end", score, clip FROM events'
    assert rows(path, query) == [("s-1", "garden", "attic", "dog", 1.25, None, 0.6, None)]
    sink.handle(event(1, score=0.75, clip="/clips/a.flac"))
    sink.handle(event(2, label="rooster"))
    sink.handle(other("gap", time="2026-11-23T02:01:00Z", start=5.0, end=6.5))
    sink.handle(other("heartbeat", time="2026-11-23T02:02:00Z", heard=118.5, model="m"))
    sink.close()
    assert rows(path, query) == [
        ("s-1", "garden", "attic", "dog", 1.25, 1.75, 0.75, "/clips/a.flac"),
        ("srooster-2", "garden", "attic", "rooster", 2.25, 2.75, 0.9, None),
    ]
    gap = ("s", "garden", 5.0, 6.5, "unplugged")
    assert rows(path, 'SELECT session, source, start, "end", reason FROM gaps') == [gap]
    ((began, last, ended, heard, details),) = rows(
        path, "SELECT began, last, ended, heard, details FROM sessions WHERE id = 's'"
    )
    assert began == "2026-11-23T02:00:00Z"
    assert last >= "2026-11-23T02:02:00Z"
    assert ended
    assert heard == 118.5
    assert json.loads(details)["model"] == "m"
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(path, "PRAGMA auto_vacuum") == [(2,)]


def test_sessions_of_several_sources_share_a_file(tmp_path: Path) -> None:
    first, second = SqliteSink(tmp_path / "s.db"), SqliteSink(tmp_path / "s.db")
    for number, sink in enumerate((first, second)):
        sink.handle(event(1, session=f"a{number}"))
        sink.handle(event(2, session=f"b{number}"))
        sink.close()
    found = rows(tmp_path / "s.db", "SELECT session, id FROM events ORDER BY 1, 2")
    assert found == [("a0", "a0-1"), ("a1", "a1-1"), ("b0", "b0-2"), ("b1", "b1-2")]
    assert rows(tmp_path / "s.db", "SELECT count(*) FROM sessions WHERE ended NOT NULL") == [(4,)]


VERSION_1 = """
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
INSERT INTO sessions VALUES (1, '2026-01-01', '2026-01-02', NULL, '{"model": "m"}');
INSERT INTO events VALUES (1, '7', '2026-01-01', 'dog', 1.0, 2.0, 0.5, NULL);
INSERT INTO gaps VALUES (1, '2026-01-01', 3.0, 4.0, '{"reason": "unplugged"}');
PRAGMA user_version = 1;
"""


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    sink = SqliteSink(path)
    sink.handle(event(1))
    sink.close()
    found = rows(path, "SELECT id, session, label, verdict FROM events ORDER BY time")
    assert found == [("v1-1-7", "v1-1", "dog", None), ("s-1", "s", "dog", None)]
    assert rows(path, "SELECT id, began FROM sessions")[0] == ("v1-1", "2026-01-01")
    assert rows(path, "SELECT session, reason FROM gaps") == [("v1-1", "unplugged")]


def test_a_verdict_outlives_the_end_of_its_event(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "s.db")
    sink.handle(event(1, type="onset"))
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection, connection:
        connection.execute("UPDATE events SET verdict = 'wrong'")
    sink.handle(event(1))
    sink.close()
    assert rows(tmp_path / "s.db", 'SELECT "end", verdict FROM events') == [(1.75, "wrong")]


def test_a_locked_database_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY", 0.05)
    path = tmp_path / "s.db"
    SqliteSink(path).handle(event(99))
    told: list[str] = []
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with SinkDispatcher([SqliteSink(path)], notify=told.append) as out:  # locked from its start
        for number in range(5):
            out.send(event(number))
        end = time.monotonic() + 5
        while not told:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert out.status()["sqlite"].handled == 0
        other.execute("COMMIT")
        other.close()
    assert told[0] == f"sqlite: {path}: database is locked; trying again"
    assert out.status()["sqlite"].handled == 5
    found = rows(path, "SELECT id FROM events WHERE id != 's-99' ORDER BY rowid")
    assert found == [(f"s-{n}",) for n in range(5)]


def test_a_transaction_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.db"
    sink = SqliteSink(path)
    with pytest.raises(ArgumentError, match="NOT NULL"):
        sink.handle(event(2, time=None))  # fails after the session's row was made
    sink.handle(event(1))
    sink.close()
    assert rows(path, "SELECT id FROM sessions") == [("s",)]
    assert rows(path, "SELECT id FROM events") == [("s-1",)]


def test_a_database_on_a_full_disk_goes_on_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "s.db"
    sink = SqliteSink(path)
    sink.handle(event(0))
    filler = fill_disk(small_disk)
    n, reason = handle_until_full(sink, clip="x" * 2000)
    assert "full" in reason or "I/O" in reason
    filler.unlink()
    for number in range(n, n + 3):
        sink.handle(event(number))
    sink.close()
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    found = [number_of(id) for (id,) in rows(path, "SELECT id FROM events ORDER BY rowid")]
    assert found == list(range(n + 3))


KILLED = """
import sys, time
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher
from audiocnn.streaming.sinks.sqlite import SqliteSink
from tests.live_messages import clips, event, number_of, other
from audiocnn.streaming.sinks.jsonl import JsonLines
from tests.live_messages import event
path = sys.argv[1]
out = SinkDispatcher([SqliteSink(path + ".db"), JsonLines(path + ".jsonl", max_size=3000)])
number = 0
while True:
    number += 1
    out.send(event(number))
    print(time.monotonic(), flush=True)
    time.sleep(0.001)
"""


def test_kill_9_costs_a_second_at_most(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "s")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(float(line))
            if lines[-1] - lines[0] > 1:
                process.send_signal(signal.SIGKILL)
                break
        lines += [float(line) for line in process.stdout if line.endswith("\n")]
    path = tmp_path / "s.db"
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    keys = [number_of(id) for (id,) in rows(path, "SELECT id FROM events ORDER BY rowid")]
    assert keys == list(range(1, len(keys) + 1))
    assert lines[-1] - lines[len(keys) - 1] <= 1.0
    assert rows(path, "SELECT ended FROM sessions") == [(None,)]
    assert read_lines(tmp_path / "s.jsonl")[-1] >= keys[-1] - 100
    sink = SqliteSink(path)  # and it goes on
    sink.handle(event(0))
    sink.close()
    assert len(rows(path, "SELECT id FROM events")) == len(keys) + 1


def test_old_rows_go(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    now = datetime.now(UTC)
    sink = SqliteSink(path, max_age=3600, max_rows=3)
    for number, age in enumerate((9000, 5000, 3000, 2000, 1000, 500)):
        when = (now - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
        sink.handle(event(number, time=when))
        if number == 2:
            sink.tick()
            assert rows(path, "SELECT id FROM events") == [("s-2",)]
    sink.tick()  # not yet
    assert len(rows(path, "SELECT id FROM events")) == 4
    sink.close()
    sink = SqliteSink(path, max_age=3600, max_rows=3)
    sink.handle(event(6, time=now.isoformat()))
    sink.tick()
    sink.close()
    assert rows(path, "SELECT id FROM events") == [("s-4",), ("s-5",), ("s-6",)]


def test_the_file_shrinks_when_rows_go(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    sink = SqliteSink(path, max_rows=10)
    for number in range(200):
        sink.handle(event(number, clip="x" * 2000))
    sink.tick()
    sink.close()
    assert len(rows(path, "SELECT id FROM events")) == 10
    assert path.stat().st_size < 150_000


def test_a_damaged_or_newer_database_is_said(tmp_path: Path) -> None:
    damaged, newer = tmp_path / "damaged.db", tmp_path / "newer.db"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(ArgumentError, match="not a database; if it is a damaged database"):
        SqliteSink(damaged).handle(event())
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(ArgumentError, match=r"made by a newer audiocnn .its tables have version 7"):
        SqliteSink(newer).handle(event())


# Clips


class Ring:
    """Sound in which each sample is its own number, of which the last seconds are kept."""

    def __init__(self, rate: int = 1000, keeps: float = 60.0) -> None:
        self.rate, self.keeps, self.heard, self.lost = rate, keeps, 0.0, 0.0

    def __call__(self, start: float, end: float) -> tuple[NDArray[np.float32], int, float]:
        start = max(start, self.heard - self.keeps, self.lost if start >= 5 else 0)
        first, last = round(start * self.rate), round(min(end, self.heard) * self.rate)
        samples = np.arange(first, max(first, last)) / 2**15
        return samples.astype(np.float32), self.rate, start


def clip_of(folder: Path) -> tuple[NDArray[np.int16], Path]:
    (path,) = folder.glob("*/*.flac")
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 1000
    return samples, path


def test_a_clip_waits_for_the_sound_after_the_event(tmp_path: Path) -> None:
    ring = Ring()
    sink = clips(tmp_path, pre=1.0, post=2.0)
    ring.heard = 6.2
    sink.handle(event(5, audio=ring))
    sink.tick()
    assert not list(tmp_path.glob("*/*"))
    for ring.heard in (6.5, 7.0, 7.749):
        sink.tick()
        assert not list(tmp_path.glob("*/*"))
    ring.heard = 9.0
    sink.tick()
    samples, path = clip_of(tmp_path)
    assert np.array_equal(samples, np.arange(4250, 7750))  # each sample once
    assert (
        path.relative_to(tmp_path).as_posix() == "dog/2026-11-23T02-00-05.120Z_garden_dog_090.flac"
    )
    with soundfile.SoundFile(path) as file:
        details = json.loads(file.comment)
    assert details == {**values_of(event(5)), "clip_start": 4.25}
    sink.close()


def test_a_clip_is_written_by_the_outlet_in_time(tmp_path: Path) -> None:
    ring = Ring()
    ring.heard = 6.0
    with SinkDispatcher([clips(tmp_path, pre=1.0, post=1.0)]) as out:
        out.send(event(5, type="onset"))
        out.send(event(5, audio=ring))
        time.sleep(0.1)
        ring.heard = 7.0
        end = time.monotonic() + 5
        while not list(tmp_path.glob("*/*.flac")):
            assert time.monotonic() < end
            time.sleep(0.02)
    assert np.array_equal(clip_of(tmp_path)[0], np.arange(4250, 6750))


def test_what_the_ring_forgets_meanwhile_is_kept(tmp_path: Path) -> None:
    ring = Ring(keeps=3.0)
    sink = clips(tmp_path, pre=2.0, post=2.0)
    for ring.heard in (6.0, 7.5, 10.0):
        sink.handle(event(5, audio=ring)) if ring.heard == 6.0 else sink.tick()
    sink.close()
    assert np.array_equal(clip_of(tmp_path)[0], np.arange(3250, 7750))


def test_a_clip_at_the_start_and_one_whose_beginning_is_gone(tmp_path: Path) -> None:
    ring = Ring(keeps=3.0)
    ring.heard = 6.0
    early = clips(tmp_path / "early", pre=5.0, post=0.5)
    early.handle(event(4, start=2.0, audio=ring))
    samples, path = clip_of(tmp_path / "early")
    assert np.array_equal(samples, np.arange(3000, 5250))
    with soundfile.SoundFile(path) as file:
        assert json.loads(file.comment)["clip_start"] == 3.0
    ring = Ring()
    ring.heard = 3.0
    first = clips(tmp_path / "first", pre=5.0, post=0.5)
    first.handle(event(0, audio=ring))
    assert np.array_equal(clip_of(tmp_path / "first")[0], np.arange(1250))


def test_lost_samples_are_not_spliced_over(tmp_path: Path) -> None:
    ring = Ring()
    sink = clips(tmp_path, pre=1.0, post=5.0)
    ring.heard = 6.0
    sink.handle(event(5, audio=ring))
    ring.lost, ring.heard = 8.0, 20.0  # nothing of 6 to 8 s was heard
    sink.tick()
    assert np.array_equal(clip_of(tmp_path)[0], np.arange(4250, 6000))
    sink.close()


def test_a_clip_that_stops_coming_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_module, "PATIENCE", 0.05)
    ring = Ring()
    ring.heard = 6.0
    sink = clips(tmp_path / "late", pre=1.0, post=0.5)
    sink.handle(event(5, end=5.9, audio=ring))
    sink.tick()
    assert not list(tmp_path.glob("late/*/*"))
    time.sleep(0.6)
    sink.tick()
    assert np.array_equal(clip_of(tmp_path / "late")[0], np.arange(4250, 6000))
    sink = clips(tmp_path / "closed", pre=1.0, post=5.0)
    sink.handle(event(5, audio=ring))
    sink.close()
    assert np.array_equal(clip_of(tmp_path / "closed")[0], np.arange(4250, 6000))


def test_a_long_event_gives_its_beginning(tmp_path: Path) -> None:
    ring = Ring()
    ring.heard = 60.0
    clips(tmp_path, pre=1.0, longest=3.0).handle(event(50, start=10.0, audio=ring))
    assert np.array_equal(clip_of(tmp_path)[0], np.arange(9000, 12000))


def test_no_sound_or_one_that_fails_is_said_and_the_others_are_saved(tmp_path: Path) -> None:
    ring = Ring()
    ring.heard = 6.0
    sink = clips(tmp_path, pre=1.0, post=1.0)
    with pytest.raises(ClipError, match="keeps no sound"):
        sink.handle(event(1))
    sink.handle(event(5, audio=ring))
    with pytest.raises(ClipError, match="no clip of 'cat': ring broken"):
        sink.handle(event(5, label="cat", audio=raising(RuntimeError("ring broken"))))
    ring.heard = 7.0
    sink.tick()
    assert len(clip_of(tmp_path)[0]) == 2500
    sink.handle(event(5, audio=lambda start, end: (np.empty(0), 1000, start)))
    with pytest.raises(ClipError, match="no clip of 'dog': its sound is no longer available"):
        sink.close()


def test_clips_that_wait_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips_module, "MAX_PENDING", 2)
    ring = Ring()
    ring.heard = 6.0
    sink = clips(tmp_path)
    for number in (4, 5):
        sink.handle(event(number, audio=ring))
    with pytest.raises(ClipError, match="no clip of 'cat': 2 wait to be written"):
        sink.handle(event(5, label="cat", audio=ring))
    sink.close()
    assert len(list(tmp_path.glob("*/*.flac"))) == 2


def test_what_cannot_be_sound_is_clipped(tmp_path: Path) -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 0.5] * 100, np.float32)
    sink = clips(tmp_path, pre=0.0, post=0.0)
    sink.handle(event(5, audio=lambda start, end: (samples, 1200, start)))
    (path,) = tmp_path.glob("*/*.flac")
    found, _ = soundfile.read(path)
    assert np.allclose(found[:6], [0, 1, -1, 1, -1, 0.5], atol=1e-4)


def save(sink: Clips, label: str, number: int) -> None:
    ring = Ring()
    ring.heard = 1000.0
    ring.keeps = 2000.0
    sink.handle(event(number, label=label, audio=ring))


def test_the_folder_stays_within_its_limits(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    own = [tmp_path / "dog" / "mine.flac", tmp_path / "dog" / "notes.txt"]
    for path in own:
        path.write_bytes(b"x" * 100_000)  # what others put there is not touched
    sink = clips(tmp_path, limits=ClipLimits(per_label=3, keep_free=0))
    for number in range(6):
        save(sink, "dog", number)
    save(sink, "cat", 7)
    names = sorted(path.name[17:19] for path in tmp_path.glob("dog/2026*.flac"))
    assert names == ["03", "04", "05"]
    assert len(list(tmp_path.glob("cat/*"))) == 1
    for second, path in enumerate(sorted(tmp_path.glob("*/2026*.flac"))):
        os.utime(path, (time.time() - 1000 + second,) * 2)
    size = next(iter(tmp_path.glob("cat/*"))).stat().st_size
    sink = clips(tmp_path, limits=ClipLimits(max_size=3 * size + 200, keep_free=0))
    sink.tick()
    assert [p.name[17:19] for p in sorted(tmp_path.glob("*/2026*"))] == ["03", "04", "05"]
    sink = clips(tmp_path, limits=ClipLimits(max_age=998, keep_free=0))
    sink.tick()
    assert [p.name[17:19] for p in sorted(tmp_path.glob("*/2026*"))] == ["05"]
    assert all(path.exists() for path in own)


def test_two_clips_of_one_time_are_two(tmp_path: Path) -> None:
    sink = clips(tmp_path, limits=ClipLimits(keep_free=0))
    for _ in range(3):  # the clock was set back
        save(sink, "dog", 5)
    assert len(list(tmp_path.glob("dog/*.flac"))) == 3
    assert len(_find_clips(tmp_path)) == 3


def test_clips_on_a_full_disk(small_disk: Path) -> None:
    sink = clips(small_disk, limits=ClipLimits(keep_free=0))
    save(sink, "dog", 1)
    filler = fill_disk(small_disk)
    with pytest.raises(ClipError, match=r"no clip of 'dog': (No space left|0 MB are left)"):
        save(sink, "dog", 2)
    with pytest.raises(ClipError, match="no clip of 'cat'"):
        save(sink, "cat", 3)
    filler.unlink()
    save(sink, "dog", 4)
    assert [p.name[17:19] for p in sorted(small_disk.glob("*/*"))] == ["01", "04"]


def test_a_disk_that_fills_while_a_clip_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = clips(tmp_path, limits=ClipLimits(keep_free=0))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", raising(FULL))
        with pytest.raises(ClipError, match="no clip of 'dog': No space left on device"):
            save(sink, "dog", 1)
    save(sink, "dog", 2)
    assert len(list(tmp_path.glob("*/*"))) == 1


def test_the_disk_keeps_what_must_stay_free(tmp_path: Path) -> None:
    sink = clips(tmp_path, limits=ClipLimits(keep_free=10**18))
    with pytest.raises(ClipError, match="MB are left on the disk of"):
        save(sink, "dog", 1)


def test_parts_of_a_killed_process_go(tmp_path: Path) -> None:
    part = tmp_path / "dog" / ".2026-11-23T02-00-05.120Z_dog_090.flac.0123abcd.tmp"
    part.parent.mkdir()
    part.write_bytes(b"half")
    clips(tmp_path)
    assert not part.exists()


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("dog", "dog"),
        ("Dog Bark", "dog_bark"),
        ("../../etc/passwd", "etc_passwd-"),
        ("a/b", "a_b-"),
        ("a\\b", "a_b-"),
        ("CON", "con-"),
        ("", "label-"),
        ("..", "label-"),
        ("-rf", "rf-"),
        ("Kauz 🦉", "kauz-"),
        ("x" * 500, "x" * 60 + "-"),
        ("a\0\nb#+", "a_b-"),
    ],
)
def test_any_label_makes_a_safe_name(tmp_path: Path, label: str, name: str) -> None:
    found = safe_name(label)
    assert found.startswith(name)
    assert (found == name) == (not name.endswith("-"))
    assert len(found) <= 70
    (tmp_path / found).mkdir()
    save(clips(tmp_path, limits=ClipLimits(keep_free=0)), label, 1)
    assert [path.name for path in tmp_path.iterdir()] == [found]


def test_labels_that_differ_have_names_that_differ() -> None:
    labels = ["a b", "a  b", "a/b", "a\\b", "a:b", "ä", "ö", ""]
    assert len({safe_name(label) for label in labels}) == len(labels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: JsonLines(path), "is a folder; give the name of a file in it"),
        (lambda path: JsonLines(path / "file" / "log"), "is no folder to write to"),
        (lambda path: JsonLines(path / "a", keep=-1), "max_size and keep must be 0 or more"),
        (lambda path: SqliteSink(path / "file" / "db"), "is no folder to write to"),
        (
            lambda path: SqliteSink(path / "a", max_rows=-1),
            "max_age and max_rows must be 0 or more",
        ),
        (lambda path: clips(path / "file"), "is no folder to write to"),
        (lambda path: clips(path, pre=-1), "pre and post must be 0 or more"),
        (lambda path: clips(path, longest=0), "longest above 0"),
        (lambda path: ClipLimits(max_age=-1), "max_age must be 0 or more, got -1"),
    ],
)
def test_wrong_values_are_said(tmp_path: Path, make: Any, message: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=message):
        make(tmp_path)
