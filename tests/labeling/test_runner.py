"""Runs that are kept: resumed, retried, with other rules, killed, in each other's way."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.annotations.formats import read_events
from audiocnn.cli.main import main
from audiocnn.errors import AudiocnnError, DatasetError
from audiocnn.labeling.ledger import (
    count_states,
    listed_states,
    open_ledger,
    results_of,
    settings_of,
)
from audiocnn.labeling.outputs import SUFFIXES, EditGuard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Six short recordings, two of them in a folder of their own."""
    sound, rate = soundfile.read(ROOT / "data" / "demo.flac", dtype="float32")
    for k in range(6):
        path = tmp_path / "rec" / ("a" if k < 2 else "") / f"{k}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound[k * 9 * rate : (k * 9 + 9) * rate], rate)
    return tmp_path / "rec"


def label(*arguments: object) -> int:
    return main(["label", *map(str, arguments)])


def entered(out: Path) -> dict[str, int]:
    """When each recording was last entered, as SQLite counts."""
    with sqlite3.connect(f"{out}.ledger") as ledger:
        return dict(ledger.execute("SELECT path, mtime_ns FROM recordings"))


def states(out: Path) -> dict[str, str]:
    with open_ledger(f"{out}.ledger") as ledger:
        return {Path(path).name: what.state for path, what in listed_states(ledger)}


def test_what_is_done_is_not_done_again(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 0
    first = out.read_bytes()
    assert first.count(b"\n") > 6
    out.unlink()
    broken = recordings / "5.flac"
    stamp = broken.stat()
    broken.write_bytes(b"x" * stamp.st_size)  # were it read again, it would fail
    os.utime(broken, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    capsys.readouterr()
    assert label(recordings, "-o", out) == 0
    assert "6 of 6 recordings were labelled before" in capsys.readouterr().err
    assert out.read_bytes() == first


def test_new_and_changed_recordings_are_labelled(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    shutil.move(recordings / "5.flac", tmp_path / "5.flac")
    assert label(recordings, "-o", out) == 0
    shutil.move(tmp_path / "5.flac", recordings / "5.flac")
    shutil.copy(recordings / "5.flac", recordings / "4.flac")
    capsys.readouterr()
    assert label(recordings, "-o", out) == 0
    assert "4 of 6 recordings were labelled before" in capsys.readouterr().err
    whole = tmp_path / "whole.csv"
    assert label(recordings, "-o", whole) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_failed_ones_are_retried_when_asked(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    good = (recordings / "3.flac").read_bytes()
    (recordings / "3.flac").write_bytes(good[:200])
    assert label(recordings, "-o", out) == 1
    assert states(out)["3.flac"] == "failed"
    capsys.readouterr()
    assert label(recordings, "-o", out) == 1  # it is still broken, and not tried
    assert "6 of 6" in capsys.readouterr().err
    assert label(recordings, "-o", out, "--retry") == 1
    assert "5 of 6" in capsys.readouterr().err
    (recordings / "3.flac").write_bytes(good)
    assert label(recordings, "-o", out) == 0  # it has changed
    assert states(out)["3.flac"] == "done"


def test_other_rules_need_no_sound(recordings, tmp_path):
    out, strict = tmp_path / "e.csv", tmp_path / "strict.csv"
    assert label(recordings, "-o", strict, "--threshold", 0.95) == 0
    assert label(recordings, "-o", out) == 0
    with_default = out.read_bytes()
    for path in recordings.rglob("*.flac"):
        stamp = path.stat()
        path.write_bytes(b"x" * stamp.st_size)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert label(recordings, "-o", out, "--threshold", 0.95) == 0
    assert out.read_bytes() == strict.read_bytes() != with_default
    assert label(recordings, "-o", out) == 0
    assert out.read_bytes() == with_default


def test_other_settings_are_refused_and_may_begin_anew(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 0
    capsys.readouterr()
    assert label(recordings, "-o", out, "--hop", 1) == 1
    assert "hop 0.5 there, 1.0 now): name another output, or" in capsys.readouterr().err
    assert label(recordings, "-o", out, "--model", "digits") == 1
    said = capsys.readouterr().err
    assert re.search(r"\(model 'environment' \(\w{12}\) there, 'digits' \(\w{12}\) now\):", said)
    assert "--restart" in said
    assert label(recordings, "-o", out, "--model", "digits", "--restart") == 0
    with open_ledger(f"{out}.ledger") as ledger:
        assert settings_of(ledger).model == "digits"


def test_by_content_a_moved_recording_is_known(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out, "--by-content") == 0
    before = out.read_text()
    shutil.move(recordings / "5.flac", recordings / "renamed.flac")
    os.utime(recordings / "4.flac", (1, 1))
    capsys.readouterr()
    assert label(recordings, "-o", out, "--by-content") == 0
    assert "6 of 6 recordings were labelled before" in capsys.readouterr().err
    renamed = before.replace("5.flac", "renamed.flac")
    assert sorted(out.read_text().splitlines()) == sorted(renamed.splitlines())


def test_by_content_other_rules_hold_for_what_was_moved(recordings, tmp_path):
    out, anew = tmp_path / "e.csv", tmp_path / "anew.csv"
    assert label(recordings, "-o", out, "--by-content") == 0
    shutil.move(recordings / "5.flac", recordings / "renamed.flac")
    strict = ["--threshold", "0.99"]
    assert label(recordings, "-o", out, "--by-content", *strict) == 0
    assert label(recordings, "-o", anew, *strict) == 0
    assert out.read_text() == anew.read_text()


def test_by_content_a_pipe_is_one_that_cannot_be_read(recordings, tmp_path):
    os.mkfifo(recordings / "z.wav")
    assert label(recordings, "-o", tmp_path / "e.csv", "--by-content") == 1
    assert states(tmp_path / "e.csv") == dict.fromkeys([f"{k}.flac" for k in range(6)], "done") | {
        "z.wav": "failed"
    }


def test_what_can_be_read_no_more_has_no_file(recordings, tmp_path):
    out = tmp_path / "tables"
    assert label(recordings, "-o", out, "--format", "raven") == 0
    (found,) = out.rglob("2*.selections.txt")
    (recordings / "2.flac").write_bytes(b"noise" * 1000)
    assert label(recordings, "-o", out, "--format", "raven") == 1
    assert not found.exists()
    assert len(list(out.rglob("*.selections.txt"))) == 5


def test_a_long_recording_with_a_hole_costs_nothing_else(recordings, tmp_path):
    sound, rate = soundfile.read(recordings / "2.flac", dtype="float32")
    long = recordings / "long.flac"
    soundfile.write(long, np.tile(sound, 210), rate)
    data = bytearray(long.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    long.write_bytes(data)
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    assert label(recordings, "-o", one, "--workers", 1) == 1
    assert label(recordings, "-o", two, "--workers", 2) == 1
    assert one.read_bytes() == two.read_bytes()


def test_a_run_of_processes_gives_the_table_of_one(recordings, tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    assert label(recordings, "-o", one, "--workers", 1) == 0
    assert label(recordings, "-o", two, "--workers", 2) == 0
    assert one.read_bytes() == two.read_bytes()


def test_other_formats_are_written_from_the_ledger(recordings, tmp_path):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 0
    shutil.rmtree(recordings)
    ledger = f"{out}.ledger"
    again, lines = tmp_path / "again.csv", tmp_path / "e.jsonl"
    assert label("-o", again, "--ledger", ledger, "--only-write") == 0
    assert again.read_bytes() == out.read_bytes()
    assert label("-o", lines, "--ledger", ledger, "--only-write") == 0
    assert lines.read_text().count("\n") == out.read_text().count("\n") - 1


def test_lists_and_patterns(recordings, tmp_path, capsys):
    names = tmp_path / "list.txt"
    names.write_text(f"{recordings}/3.flac\n\n{recordings}/a\n")
    out = tmp_path / "e.csv"
    assert label("--list", names, "-o", out) == 0
    assert sorted(states(out)) == ["0.flac", "1.flac", "3.flac"]
    other = tmp_path / "o.csv"
    assert label(recordings, "-o", other, "--exclude", "*/a/*", "--include", "[0-3].flac") == 0
    assert sorted(states(other)) == ["2.flac", "3.flac"]
    assert label("-o", out) == 2
    assert "nothing to label" in capsys.readouterr().err
    assert label("--list", tmp_path / "none", "-o", out) == 2


def test_a_recording_that_goes_meanwhile_fails(recordings, tmp_path, monkeypatch, capsys):
    import audiocnn.cli.label as label_verb

    enter = label_verb.list_recordings

    def then_remove(ledger, paths, **how):
        n = enter(ledger, paths, **how)
        (recordings / "5.flac").unlink()
        return n

    monkeypatch.setattr(label_verb, "list_recordings", then_remove)
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 1
    assert "no such file: " in capsys.readouterr().err
    assert states(out)["5.flac"] == "failed"
    assert sum(state == "done" for state in states(out).values()) == 5


def test_two_runs_on_one_ledger(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    with open_ledger(f"{out}.ledger", write=True):
        assert label(recordings, "-o", out) == 1
        assert "another run is writing it" in capsys.readouterr().err
        assert label(recordings, "-o", out, "--restart") == 1
    assert label(recordings, "-o", out) == 0
    with open_ledger(f"{out}.ledger", write=True), open_ledger(f"{out}.ledger") as reader:
        assert count_states(reader) == {"done": 6}
        assert len(list(results_of(reader))) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no database, whatever it may be" * 100, "is not a ledger, or damaged"),
        (None, "is a database, but not a ledger"),
    ],
)
def test_what_is_no_ledger_is_refused(recordings, tmp_path, capsys, content, message):
    out = tmp_path / "e.csv"
    path = Path(f"{out}.ledger")
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        path.write_bytes(content)
    assert label(recordings, "-o", out) == 1
    assert message in capsys.readouterr().err
    assert path.exists()
    assert label(recordings, "-o", out, "--restart") == 0


def test_a_ledger_at_rest_is_one_file_and_reading_leaves_nothing_beside_it(recordings, tmp_path):
    out = tmp_path / "out" / "events.csv"
    out.parent.mkdir()
    assert label(recordings, "-o", out, "--model", "digits") == 0
    assert main(["summary", str(out)]) == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["events.csv", "events.csv.ledger"]
    with open_ledger(f"{out}.ledger") as reader:
        reader.connection.execute("BEGIN")
        before = dict(listed_states(reader))
        with open_ledger(f"{out}.ledger", write=True) as writer:
            writer.connection.execute("DELETE FROM recordings")
            assert dict(listed_states(reader)) == before
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.connection.execute("DELETE FROM recordings")


def test_a_ledger_is_read_where_nothing_can_be_written(recordings, tmp_path, monkeypatch, capsys):
    out = tmp_path / "events.csv"
    assert label(recordings, "-o", out, "--model", "digits") == 0
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    capsys.readouterr()
    assert main(["summary", str(out)]) == 0
    assert "6 recordings" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.csv", "events.csv.ledger", "rec"]


def test_a_ledger_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "x.ledger"
    with open_ledger(path, write=True) as ledger:
        ledger.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DatasetError, match="has format 99, this version of audiocnn reads up to"):
        open_ledger(path).__enter__()
    with pytest.raises(DatasetError, match="no ledger"):
        open_ledger(tmp_path / "none.ledger").__enter__()


def test_a_folder_that_may_not_be_written(recordings, tmp_path, capsys):
    assert label(recordings, "-o", tmp_path / "none" / "e.csv") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_no_recording_and_no_other_program_s_file_is_written_over(recordings, tmp_path, capsys):
    sound = recordings / "2.flac"
    before = sound.read_bytes()
    for option in ("--windows", "--frames"):
        assert label(sound, option, sound) == 2
        assert f"{option} {sound} is a recording" in capsys.readouterr().err
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    assert label(sound, "-o", mine) == 2
    assert "write over it with --restart" in capsys.readouterr().err
    assert (sound.read_bytes(), mine.read_text()) == (before, "mine")
    assert label(sound, "-o", mine, "--restart", "--model", "digits") == 0


def test_only_write_needs_a_run(recordings, tmp_path, capsys):
    assert label(recordings, "-o", tmp_path / "e.jsonl", "--only-write") == 2
    assert "name the run's ledger with --ledger" in capsys.readouterr().err
    assert not list(tmp_path.glob("e.jsonl*"))


def test_a_full_disk_leaves_the_ledger_whole(recordings, tmp_path, capsys, monkeypatch):
    out = tmp_path / "e.csv"
    import audiocnn.cli.label as label_verb

    put = label_verb.begin_run

    def little_room(ledger, settings, **how):
        number = put(ledger, settings, **how)
        pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
        ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
        return number

    monkeypatch.setattr(label_verb, "begin_run", little_room)
    assert label(recordings, "-o", out) == 1
    said = capsys.readouterr().err
    assert "full; what was done is safe: make room, and run the same command again" in said
    monkeypatch.undo()
    done = [name for name, state in states(out).items() if state == "done"]
    assert len(done) < 6
    assert label(recordings, "-o", out) == 0
    whole = tmp_path / "whole.csv"
    assert label(recordings, "-o", whole) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_recording_that_grows_meanwhile_fails(recordings, tmp_path, monkeypatch):
    import audiocnn.labeling.tasks as tasks

    score = tasks.score_recording

    def growing(bundle, path, **how):
        found = score(bundle, path, **how)
        if path.name == "4.flac":
            path.write_bytes(path.read_bytes() + b"more")
        return found

    monkeypatch.setattr(tasks, "score_recording", growing)
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 1
    with open_ledger(f"{out}.ledger") as ledger:
        errors = [r.error for r in results_of(ledger) if r.error]
    assert len(errors) == 1
    assert "4.flac changed while it was read: label it again" in errors[0]


def test_options_that_do_not_go_together(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings, "--workers", 2) == 2
    assert "--workers is for a run that is kept: give -o" in capsys.readouterr().err
    assert label(recordings, "-o", out, "--retry", "--windows", tmp_path / "w.csv") == 2
    assert label(recordings, "-o", out, "--workers", 0) == 2


def test_killed_at_any_time_it_goes_on():
    """The small form of scripts/soak_label; see there what is checked."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "soak_label", "--kills", "3", "--recordings", "24"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout


def test_damaged_recordings_cost_no_other():
    """The small form of scripts/fuzz_label; see there what is checked."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fuzz_label", "--each", "49", "--seed", "1"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 faults" in done.stdout


def test_ctrl_c_writes_what_is_done(recordings, tmp_path):
    for k in range(60):
        shutil.copy(recordings / "3.flac", recordings / f"more-{k:02}.flac")
    out = tmp_path / "e.csv"
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal, sys; signal.signal(signal.SIGINT, "
         "signal.default_int_handler); from audiocnn.cli.main import main; sys.exit(main())",
         "label", str(recordings), "-o", str(out), "--workers", "1"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if sum(state == "done" for state in states(out).values()) >= 3:
                break
        except AudiocnnError:
            pass
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    done = sum(state == "done" for state in states(out).values())
    if process.returncode == 0:
        pytest.skip("it was through before the signal came")
    assert process.returncode == 130
    assert f"{66 - done} recordings left" in said
    assert len({line.split(",")[0] for line in out.read_text().splitlines()[1:]}) <= done
    assert label(recordings, "-o", out) == 0
    assert states(out).keys() == {p.name for p in recordings.rglob("*.flac")}


def sources(out: Path) -> list[str]:
    return list(dict.fromkeys(Path(event.source).name for event in read_events(out)))


def test_recordings_that_are_not_named_stay_until_pruned(recordings, tmp_path, capsys):
    out, whole = tmp_path / "e.csv", tmp_path / "whole.csv"
    assert label(recordings / "a", "-o", out) == 0
    first = out.read_text().splitlines()
    others = [recordings / f"{k}.flac" for k in (2, 3, 4, 5)]
    capsys.readouterr()
    assert label(*others, "-o", out) == 0
    said = capsys.readouterr().err
    assert f"2 recordings of earlier runs, not named this time, stay in {out}; --prune" in said
    assert label(recordings, "-o", whole) == 0
    assert sorted(out.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    assert out.read_text().splitlines()[: len(first)] == first
    assert label(recordings / "a", "-o", out, "--prune") == 0
    assert "4 recordings of earlier runs, not named this time, left" in capsys.readouterr().err
    assert out.read_text().splitlines() == first
    assert set(states(out)) == {"0.flac", "1.flac"}


def test_recordings_keep_their_order_where_some_are_named_again(recordings, tmp_path):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 0
    before = out.read_bytes()
    for some in ([recordings / "3.flac"], [recordings / "a"], [recordings / "5.flac"]):
        assert label(*some, "-o", out) == 0
        assert out.read_bytes() == before


def test_the_exit_code_is_about_the_recordings_of_this_run_and_of_the_table(recordings, tmp_path):
    out = tmp_path / "e.csv"
    (recordings / "bad.wav").write_bytes(b"x" * 1000)
    assert label(recordings / "bad.wav", "-o", out) == 1
    assert label(recordings / "a", "-o", out) == 1  # the table still lacks one
    assert label(recordings / "a", "-o", out, "--prune") == 0


def test_an_edited_table_is_kept(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings / "a", "-o", out) == 0
    edited = out.read_text().replace("clock_tick", "not a clock")
    out.write_text(edited)
    capsys.readouterr()
    assert label(recordings, "-o", out) == 0
    said = capsys.readouterr().err
    assert f"{out} was changed since this run last wrote it: kept as {out}.edited" in said
    assert (tmp_path / "e.csv.edited").read_text() == edited
    assert len(sources(out)) > 2
    out.write_text("again")
    assert label(recordings, "-o", out) == 0
    assert (tmp_path / "e.csv.edited-2").read_text() == "again"
    os.utime(out, (1, 1))  # another time is no change
    assert label(recordings, "-o", out) == 0
    assert sorted(path.name for path in tmp_path.glob("e.csv.*")) == [
        "e.csv.edited", "e.csv.edited-2", "e.csv.ledger",
    ]  # fmt: skip


def test_edited_and_foreign_files_of_a_folder_are_kept(recordings, tmp_path, capsys):
    out = tmp_path / "tables"
    foreign = out / "4.flac.txt"
    foreign.parent.mkdir()
    foreign.write_text("mine")
    assert label(recordings, "-o", out, "--format", "audacity") == 0
    assert (out / "4.flac.txt.edited").read_text() == "mine"
    mine = out / "2.flac.txt"
    mine.write_text("0\t1\tmy label\n")
    assert label(recordings, "-o", out, "--format", "audacity") == 0
    assert (out / "2.flac.txt.edited").read_text() == "0\t1\tmy label\n"
    assert "my label" not in mine.read_text()
    assert label(recordings / "a", "-o", out, "--format", "audacity", "--prune") == 0
    kept = ["2.flac.txt.edited", "4.flac.txt.edited"]
    assert sorted(path.name for path in out.rglob("*.flac.*")) == [
        "0.flac.txt",
        "1.flac.txt",
        *kept,
    ]


def test_a_ledger_of_the_first_version_goes_on(recordings, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 0
    before = out.read_bytes()
    with sqlite3.connect(f"{out}.ledger") as ledger:
        ledger.execute("DROP TABLE outputs")
        for name, value in ledger.execute("SELECT name, value FROM run").fetchall():
            ledger.execute(  # as json.dumps wrote it
                "UPDATE run SET value = ? WHERE name = ?", (json.dumps(json.loads(value)), name)
            )
    ledger.close()
    capsys.readouterr()
    assert label(recordings, "-o", out) == 0
    said = capsys.readouterr().err
    assert "6 of 6 recordings were labelled before" in said
    assert "edited" not in said
    assert out.read_bytes() == before
    out.write_text("edited now")
    assert label(recordings, "-o", out) == 0
    assert (tmp_path / "e.csv.edited").read_text() == "edited now"


def test_a_folder_that_cannot_be_read_costs_no_other(recordings, tmp_path, capsys, monkeypatch):
    locked = recordings / "lost+found"
    locked.mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    out = tmp_path / "e.csv"
    assert label(recordings, "-o", out) == 1
    assert f"audiocnn label: cannot look into {locked}: Permission" in capsys.readouterr().err
    assert len(states(out)) == 6
    assert label(recordings, "-o", out, "--exclude", "*lost+found*") == 0
    assert main(["label", str(recordings)]) == 1


def test_a_name_that_is_too_long_costs_no_other(recordings, tmp_path, capsys):
    long = recordings / f"{'x' * 245}.flac"
    shutil.copy(recordings / "2.flac", long)
    out = tmp_path / "tables"
    assert label(recordings, "-o", out, "--format", "raven") == 1
    assert f"audiocnn label: {long}: cannot write" in capsys.readouterr().err
    assert len(list(out.rglob("*.selections.txt"))) == 6
    fits = recordings / f"{'y' * 235}.flac"  # with the suffix 255 characters
    shutil.copy(recordings / "2.flac", fits)
    long.unlink()
    assert label(recordings, "-o", out, "--format", "raven", "--prune") == 0
    assert len(list(out.rglob("y*.selections.txt"))) == 1


@pytest.mark.parametrize("form", ["raven", "kaleidoscope", "csv"])
def test_a_row_that_a_format_cannot_hold_costs_no_other(recordings, tmp_path, capsys, form):
    odd = recordings / "tab\there.flac"
    shutil.copy(recordings / "3.flac", odd)
    out = tmp_path / f"e{SUFFIXES[form]}"
    status = label(recordings, "-o", out)
    if form in ("csv", "kaleidoscope"):  # these quote it
        assert status == 0
        assert odd.name in sources(out)
        return
    assert status == 1
    said = capsys.readouterr().err
    assert f"{odd} at 0.000 s is left out: Raven files cannot hold a tab" in said
    whole = tmp_path / "whole.csv"
    assert label(recordings, "-o", whole) == 0
    assert sources(out) == [name for name in sources(whole) if name != odd.name]


def test_another_channel_is_another_run(recordings, tmp_path, capsys):
    sound, rate = soundfile.read(recordings / "3.flac", dtype="float32")
    soundfile.write(tmp_path / "two.wav", np.stack((sound, np.zeros_like(sound)), axis=1), rate)
    out = tmp_path / "e.csv"
    assert label(tmp_path / "two.wav", "-o", out, "--channel", "0") == 0
    assert out.read_text().count("\n") > 1
    capsys.readouterr()
    assert label(tmp_path / "two.wav", "-o", out, "--channel", "1") == 1
    assert "other settings (channel 0 there, 1 now)" in capsys.readouterr().err
    assert label(tmp_path / "two.wav", "-o", out, "--channel", "1", "--restart") == 0
    assert out.read_text().count("\n") == 1
    with open_ledger(f"{out}.ledger") as ledger:
        assert settings_of(ledger).reading.channel == 1


def test_a_table_of_a_run_that_died_behind_it_was_not_edited(recordings, tmp_path, monkeypatch):
    out = tmp_path / "e.csv"
    with monkeypatch.context() as patch:
        patch.setattr(EditGuard, "written", lambda self, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            label(recordings, "-o", out)
    assert out.exists()
    assert label(recordings, "-o", out) == 0
    assert not list(tmp_path.glob("*.edited*"))
