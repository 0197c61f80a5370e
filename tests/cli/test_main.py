"""The command line as its users call it: output, errors, exit codes, speed."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.annotations.formats import read_events
from audiocnn.cli import progress
from audiocnn.cli.main import main

RATE = 8000
VERBS = (
    "label", "summary", "clips", "review", "listen", "serve", "verify", "check", "train",
    "add-class", "improve", "report", "evaluate", "tune", "diff", "embed", "search", "models",
    "info", "devices", "bench",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(bundle_folders) -> str:
    return str(bundle_folders["cnn2d"])


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "sound.wav"
    soundfile.write(path, 0.1 * rng.standard_normal(3 * RATE), RATE)
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# Usage


def test_help_of_every_verb_has_examples(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        assert f"audiocnn {verb}" in capsys.readouterr().out.partition("examples:")[2]


def test_the_verbs_that_are_listed_are_there(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out.partition("VERB\n")[2].partition("\n\n")[0]
    names = [
        line.split()[0] for line in listed.splitlines() if line[:4].isspace() and line[4] != " "
    ]
    assert names == list(VERBS)
    for verb in VERBS:
        assert (ROOT / "audiocnn" / "cli" / f"{verb.replace('-', '_')}.py").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lable", "x.wav"], "invalid choice: 'lable'"),
        (["lable", "x.wav"], "(did you mean 'label'?)\nsee audiocnn --help"),
        (["label", "x.wav", "--treshold", "1"], "--treshold 1 (did you mean '--threshold'?)"),
        (["label", "x.wav", "--treshold=1"], "(did you mean '--threshold'?)\nsee audiocnn label"),
        (["label", "x.wav", "--thresh", "1"], "unrecognized arguments: --thresh 1"),
        (["label", "x.wav", "--json", "--table"], "not allowed with"),
        (["label", "x.wav", "--hop", "often"], "invalid float value: 'often'"),
        (["train", "x", "-o", "y", "--arch", "cnn3d"], "(did you mean 'cnn2d'?)"),
        (["xyzzy"], "'bench')\nsee audiocnn --help"),
    ],
)
def test_wrong_usage_exits_with_2_and_a_hint(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_version_and_no_verb(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("audiocnn 0.")
    assert main([]) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["label", "no/such.wav"], 1, "no such file or folder: no/such.wav"),
        (["label", "{folder}"], 1, "no recordings in {folder}"),
        (["label", "{wav}", "--model", "enviroment"], 1, "no model 'enviroment'"),
        (["label", "{wav}", "--model", "{folder}"], 1, "no bundle.json"),
        (["label", "{wav}", "-o", "events.xyz"], 2, "events.xyz"),
        (["label", "{wav}", "-o", "no/such/events.csv"], 2, "there is no folder no/such"),
        (["label", "{wav}", "{wav}", "{again}", "-o", "a.txt"], 2, "to one recording, and there"),
        (["label", "{wav}", "--format", "raven"], 2, "give -o FOLDER as well"),
        (["label", "{wav}", "--threshold", "2"], 2, "threshold lies above 0"),
        (["label", "{wav}", "--hop", "0"], 2, "hop must be above 0"),
        (["label", "{wav}", "--hop", "inf"], 2, "hop must be above 0"),
        (["label", "{wav}", "--windows", "/no/where.csv"], 2, "cannot write /no/where.csv"),
        (["verify", "no/such.wav"], 1, "no such file or folder: no/such.wav"),
        (["verify", "{wav}", "--hop", "-1"], 2, "hop must be above 0"),
        (["evaluate", "no/such.csv"], 1, "no/such.csv"),
        (["evaluate", "{wav}", "--where", "x"], 2, "COLUMN=VALUE"),
        (["info", "nothing"], 1, "no model 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, status, message, model, wav, tmp_path, capsys):
    again, folder = shutil.copy(wav, tmp_path / "again.wav"), tmp_path / "empty"
    folder.mkdir()
    names = {"wav": wav, "again": again, "folder": folder}
    if "--model" not in arguments and arguments[0] != "info":
        arguments = [*arguments, "--model", model]
    assert main([a.format(**names) for a in arguments]) == status
    assert message.format(**names) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bundle.json", "graph.onnx", "weights.safetensors", "check.npz"])
def test_a_damaged_model_is_refused(name, model, wav, tmp_path, capsys):
    damaged = Path(shutil.copytree(model, tmp_path / "damaged"))
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(content[: len(content) // 2])
    assert main(["label", str(wav), "--model", str(damaged)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"audiocnn label: {damaged / name}: ")


# Labelling


def test_label_writes_csv_on_stdout_and_notes_on_stderr(model, wav, capsys):
    assert main(["label", str(wav), "--model", model, "--threshold", "0.01"]) == 0
    out, err = capsys.readouterr()
    rows = rows_of(out)
    assert list(rows[0]) == ["path", "start", "end", "label", "score"]
    assert {row["label"] for row in rows} == {"bell", "frog", "saw"}
    assert {row["path"] for row in rows} == {str(wav)}
    assert float(rows[0]["end"]) == pytest.approx(3.0, abs=0.05)  # whole columns
    assert "1 recording, 3.00 s: 2.9" in err
    assert "skipped (ends shorter than a column); 3 events, 0 failed" in err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt", ".selections.txt"])
def test_label_writes_what_can_be_read_back(model, wav, tmp_path, suffix):
    out = tmp_path / f"events{suffix}"
    assert main(["label", str(wav), "--model", model, "--threshold", "0.01", "-o", str(out)]) == 0
    assert sorted(e.label for e in read_events(out)) == ["bell", "frog", "saw"]


def test_windows_and_frames_are_the_scores_behind_the_events(model, wav, tmp_path):
    windows, frames = tmp_path / "w.csv", tmp_path / "f.csv"
    assert main(["label", str(wav), "--model", model, "--hop", "0.25", "--windows", str(windows),
                 "--frames", str(frames)]) == 0  # fmt: skip
    rows = rows_of(windows.read_text())
    assert list(rows[0]) == ["path", "start", "end", "bell", "frog", "saw"]
    assert float(rows[1]["start"]) == pytest.approx(0.25)
    assert float(rows[-1]["end"]) == pytest.approx(3.0, abs=0.06)
    columns = rows_of(frames.read_text())
    assert float(columns[1]["start"]) == pytest.approx(0.05)
    assert len(columns) > 2 * len(rows)
    assert all(0 <= float(row["saw"]) <= 1 for row in rows + columns)


def test_scores_can_go_into_a_pipe(model, wav):
    done = run_in_a_shell(f"label {wav} --model {model} -o {wav}.csv --windows /dev/stdout | cat")
    assert rows_of(done.stdout)[0]["start"] == "0.000000"
    done = run_in_a_shell(f"label {wav} --model {model} --windows /dev/null; ls -l /dev/null")
    assert done.stdout.splitlines()[-1].startswith("c")  # still a device


def test_rounding_is_said_once(model, wav, capsys):
    main(["label", str(wav), str(wav), "--model", model, "--hop", "0.33"])
    err = capsys.readouterr().err
    assert err.count("hop 0.33 s is 0.35 s: rounded to columns, 0.05 s apart") == 1


def test_json_and_table(model, wav, capsys):
    main(["label", str(wav), "--model", model, "--threshold", "0.01", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[0])["start"] == 0
    main(["label", str(wav), "--model", model, "--threshold", "0.01", "--table"])
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["start", "end", "label", "score"]
    assert len(head) == len(first)
    main(["label", str(wav), "--model", model, "--threshold", "1", "--table"])
    assert capsys.readouterr().out == head + "\n"


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Make recordings that cannot be labelled, with what must be said of each."""
    rng = np.random.default_rng(0)
    made = {}

    def add(name: str, message: str) -> Path:
        made[name] = (folder / name, message)
        return folder / name

    add("empty.wav", "is empty (0 bytes)").write_bytes(b"")
    add("text.wav", "is text, not sound").write_text("this is no sound, though it says so\n" * 20)
    add("junk.wav", "not a recording that libsndfile").write_bytes(rng.bytes(5000))
    soundfile.write(add("nothing.wav", "holds no samples"), np.empty(0), RATE)
    soundfile.write(add("nan.wav", "no finite sample"), np.full(900, np.nan), RATE, "FLOAT")
    soundfile.write(add("inf.wav", "no finite sample"), np.full(900, np.inf), RATE, "FLOAT")
    cut = add("cut.flac", "cut off or damaged: it could be read up to")
    soundfile.write(cut, 0.1 * rng.standard_normal(20 * RATE), RATE)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    made["no such.wav"] = (folder / "no such.wav", "no such file or folder")
    return made


BAD = ("empty.wav", "text.wav", "junk.wav", "nothing.wav", "nan.wav", "inf.wav", "cut.flac",
       "no such.wav")  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_named_and_costs_no_other(name, model, wav, capsys, tmp_path):
    (tmp_path / "bad").mkdir()
    path, message = bad_files(tmp_path / "bad")[name]
    assert main(["label", str(path), str(wav), "--model", model, "--threshold", "0.01"]) == 1
    out, err = capsys.readouterr()
    assert str(path) in err
    assert message in err
    if name == "no such.wav":  # a path without a recording is counted apart
        assert "0 failed, 1 path not found" in err
    else:
        assert "2 recordings" in err
        assert "1 failed" in err
    found = [row["path"] for row in rows_of(out)]
    assert found.count(str(wav)) == 3
    assert (str(path) in found) == (name == "cut.flac")  # what came before the damage
    if name == "cut.flac":
        assert f"{path}: 1" in err.partition("unreadable, from ")[0]


GOOD = {
    "one sample.wav": (1, RATE, 1, "PCM_16"),
    "8k.wav": (RATE, 8000, 1, "PCM_16"),
    "192k.wav": (192000, 192000, 1, "PCM_16"),
    "eight channels.wav": (RATE, RATE, 8, "PCM_16"),
    "24 bit.flac": (RATE, RATE, 1, "PCM_24"),
    "float64.wav": (RATE, RATE, 1, "DOUBLE"),
    "8 bit.wav": (RATE, RATE, 1, "PCM_U8"),
    "Käuzchen im Wald — 夜.wav": (RATE, RATE, 2, "PCM_16"),
}


@pytest.mark.parametrize("name", GOOD)
def test_unusual_recordings_are_labelled(name, model, tmp_path, capsys):
    n, rate, channels, subtype = GOOD[name]
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((n, channels))
    soundfile.write(tmp_path / name, samples, rate, subtype)
    assert main(["label", str(tmp_path / name), "--model", model, "--threshold", "0.01"]) == 0
    out, err = capsys.readouterr()
    assert {Path(row["path"]).name for row in rows_of(out)} == {name}
    assert "1 recording padded to a window" in err
    assert "0 failed" in err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_a_name_that_is_no_text_is_written_as_it_is(model, wav, tmp_path):
    strange = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    shutil.copy(wav, strange)
    command = [sys.executable, "-m", "audiocnn", "label", strange, "--model", model,
               "--threshold", "0.01"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONUTF8": "1"},
                          cwd=ROOT, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(strange + b",0.000000,")


def test_lost_samples_and_padding_are_said(model, tmp_path, capsys):
    x = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE)
    x[2 * RATE : 2 * RATE + 800] = np.nan
    soundfile.write(tmp_path / "gap.wav", x, RATE, "FLOAT")
    soundfile.write(tmp_path / "short.wav", x[:800], RATE)
    assert main(["label", str(tmp_path), "--model", model]) == 0
    err = capsys.readouterr().err
    assert "gap.wav: 0.100 s not finite, from 2.000 s on" in err
    assert "2 recordings, 4.10 s" in err
    assert "1 recording padded to a window" in err


# Long runs


def run_in_a_shell(arguments: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m audiocnn {arguments}"
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_a_closed_pipe_is_quiet(model, wav):
    done = run_in_a_shell(f"label {wav} --model {model} --threshold 0.01 | head -0")
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("where", ["> /dev/full", "--windows /dev/full > /dev/null"])
def test_a_full_disk_is_said(model, wav, where):
    done = run_in_a_shell(f"label {wav} --model {model} {where}")
    assert done.returncode in (1, 2)
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_there_stays_until_all_is_written(model, wav, tmp_path, monkeypatch):
    events, windows = tmp_path / "e.csv", tmp_path / "w.csv"
    events.write_text("old")
    windows.write_text("old")
    monkeypatch.setattr(progress.Progress, "finished", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["label", str(wav), "--model", model, "-o", str(events), "--windows", str(windows)])
    assert (events.read_text(), windows.read_text()) == ("old", "old")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.csv", "sound.wav", "w.csv"]


def test_an_interrupt_leaves_what_is_done(model, wav, tmp_path, capsys, monkeypatch):
    for name in "abc":
        shutil.copy(wav, tmp_path / f"{name}.wav")
    wav.unlink()
    original = progress.Progress.advance

    def heard(self: progress.Progress, path: str, seconds: float, duration: float | None) -> None:
        if path.endswith("b.wav"):
            os.kill(os.getpid(), signal.SIGINT)  # in the middle of the second
            time.sleep(0.01)
        original(self, path, seconds, duration)

    monkeypatch.setattr(progress.Progress, "advance", heard)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # CI may ignore it
    out = tmp_path / "events.csv"
    assert main(["label", str(tmp_path), "--model", model, "--threshold", "0.01", "-o",
                 str(out)]) == 130  # fmt: skip
    assert {Path(event.source).name for event in read_events(out)} == {"a.wav"}
    assert "interrupted, with 2 recordings left; done: 1 recording" in capsys.readouterr().err
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_a_terminal_sees_how_far_it_is(model, wav, tmp_path, monkeypatch):
    (tmp_path / "empty.wav").touch()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "SHOW_AFTER", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["label", str(tmp_path), "--model", model, "-o", str(tmp_path / "e.csv")]) == 1
    shown = terminal.getvalue()
    assert "2/2" in shown
    assert "x real time, 1 failed" in shown
    assert f"audiocnn label: {tmp_path / 'empty.wav'} is empty" in shown


# The other verbs


def test_verify_finds_the_stream_equal(model, wav, capsys):
    assert main(["verify", str(wav), "--model", model, "--hop", "0.1", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "windows, largest difference" in out
    assert out.splitlines()[-1].startswith("good: largest difference")


def test_verify_fails_where_they_differ_and_goes_on(model, wav, tmp_path, capsys, monkeypatch):
    from audiocnn.evaluation import stream_check

    original = stream_check.random_blocks
    monkeypatch.setattr(stream_check, "random_blocks", lambda *how: iter(list(original(*how))[:-3]))
    (tmp_path / "empty.wav").touch()
    assert main(["verify", str(tmp_path), "--model", model]) == 1
    out, err = capsys.readouterr()
    assert "empty.wav is empty" in err
    assert "sound.wav: 7 windows, largest difference inf" in out
    *_, judged, unread = out.splitlines()
    assert judged.startswith("BAD (1 recording): largest difference inf")
    assert unread == "1 recording could not be read, and was not verified"
    assert main(["verify", "no/such.wav", "--model", model]) == 1
    assert "BAD" not in capsys.readouterr().out


def test_evaluate_writes_figures_and_predictions(model, wav, tmp_path, capsys):
    table = tmp_path / "clips.csv"
    table.write_text("path,label,fold\nsound.wav,bell,1\nsound.wav,frog,2\nsound.wav,,1\n")
    scores = tmp_path / "scores.csv"
    assert main(["evaluate", str(table), "--model", model, "--json", "--predictions",
                 str(scores)]) == 0  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result["clips"] == 2
    assert result["backgrounds"] == 1
    assert 0 <= result["accuracy"] <= 0.5
    assert result["false_alarms"]["hours"] == pytest.approx(3 / 3600)
    rows = rows_of(scores.read_text())
    assert [row["label"] for row in rows] == ["bell", "frog", ""]
    assert list(rows[0]) == ["path", "label", "bell", "frog", "saw"]
    assert main(["evaluate", str(table), "--model", model, "--where", "fold=2"]) == 0
    out = capsys.readouterr().out
    assert "1 clips with a label, 0 without" in out
    assert "nan" not in out


def test_evaluate_on_backgrounds_alone_gives_false_alarms(model, wav, tmp_path, capsys):
    (tmp_path / "clips.csv").write_text("path,label\nsound.wav,\n")
    assert main(["evaluate", str(tmp_path / "clips.csv"), "--model", model]) == 0
    out = capsys.readouterr().out
    assert "false alarms per hour" in out
    assert "nan" not in out


def test_evaluate_goes_on_without_what_cannot_be_read(model, wav, tmp_path, capsys):
    (tmp_path / "empty.wav").touch()
    table = tmp_path / "clips.csv"
    table.write_text("path,label\nsound.wav,bell\nempty.wav,frog\n")
    assert main(["evaluate", str(table), "--model", model, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["clips"] == 1
    assert "empty.wav is empty" in err
    table.write_text("path,label\nempty.wav,frog\n")
    assert main(["evaluate", str(table), "--model", model]) == 1
    assert "none of the 1 clips could be read" in capsys.readouterr().err


def test_evaluate_refuses_labels_that_the_model_does_not_know(model, wav, tmp_path, capsys):
    (tmp_path / "clips.csv").write_text("path,label\nsound.wav,bel\n")
    assert main(["evaluate", str(tmp_path / "clips.csv"), "--model", model]) == 1
    assert "label 'bel' is none of the model's (did you mean 'bell'?)" in capsys.readouterr().err


def test_info_says_what_is_in_a_model(model, capsys):
    assert main(["info", model]) == 0
    out = capsys.readouterr().out
    assert "labels    bell, frog, saw" in out
    assert "rounded to columns of 0.05 s" in out
    assert "MMAC per second" in out
    assert main(["info", model, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["labels"] == ["bell", "frog", "saw"]
    assert len(told["checksum"]) == 64


def test_models_lists_what_ships(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path))
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["environment"]["state"] == "shipped"
    assert listed["environment"]["classes"] == len(listed["environment"]["labels"]) == 10


def test_a_damaged_model_does_not_hide_the_others(model, tmp_path, capsys, monkeypatch):
    for name in ("good", "broken"):
        shutil.copytree(model, tmp_path / name)
    (tmp_path / "broken" / "graph.onnx").write_bytes(b"")
    monkeypatch.setattr("audiocnn.inference.installed.SHIPPED", tmp_path)
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path / "cache"))
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^good +shipped +3 .* cnn2d: bell, frog, saw$", out, re.M)
    assert "broken/graph.onnx" in err


def test_train_says_what_to_install_where_torch_is_missing(tmp_path, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("audiocnn.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "audiocnn.training.train", None)
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "m"), "--arch", "cnn2d"]) == 1
    assert "pip install 'audiocnn[train]'" in capsys.readouterr().err


def test_train_hands_its_options_on(tmp_path, capsys, monkeypatch):
    from audiocnn.training import train

    called = {}

    def note(*what, **how):
        called.update(how, what=what)
        return "a bundle"

    monkeypatch.setattr(train, "train_bundle", note)
    assert main(["train", "d", "-o", "m", "--arch", "cnn1d", "--where", "fold=1,2", "--valid",
                 "fold=2", "--seed", "7", "--epochs", "3", "--learning-rate", "0.01",
                 "--from", "environment", "--no-report"]) == 0  # fmt: skip
    assert called.pop("progress")
    assert called.items() >= {
        "what": ("d", "m"), "where": {"fold": ("1", "2")}, "valid": {"fold": ("2",)},
        "group": None, "background": None, "cache": None, "seed": 7, "arch": "cnn1d", "epochs": 3,
        "learning_rate": 0.01, "start": "environment", "reviews": [], "folds": None,
        "watcher": None, "devices": 1, "log": "csv",
    }.items()  # fmt: skip
    assert capsys.readouterr().out == "m\n"


# Speed


def fastest(command: list[str], runs: int = 3) -> float:
    """Give the wall time of a command, the best of a few: the machine is shared."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        times.append(time.perf_counter() - begin)
    return min(times)


def test_help_and_a_short_label_start_quickly(model, wav):
    tool = [sys.executable, "-m", "audiocnn"]
    assert fastest([*tool, "--help"]) < 0.3
    torch = fastest([sys.executable, "-c", "import torch"])
    assert fastest([*tool, "label", str(wav), "--model", model]) < 0.6 * torch


def test_channels_in_opposite_phase_and_the_channel_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, rate = soundfile.read(Path(__file__).parents[2] / "data/demo.flac", dtype="float32")
    soundfile.write(tmp_path / "a.wav", np.stack([x, -x], axis=1), rate)
    assert main(["label", str(tmp_path / "a.wav")]) == 0
    silent = capsys.readouterr().out
    assert main(["label", str(tmp_path / "a.wav"), "--channel", "0"]) == 0
    first = capsys.readouterr().out
    assert main(["label", str(tmp_path / "a.wav"), "--channel", "mix"]) == 0
    assert capsys.readouterr().out == silent
    assert first.count("\n") > silent.count("\n")
    assert main(["listen", "--input", str(tmp_path / "a.wav"), "--channel", "1", "--json"]) == 0
    assert '"clock_tick"' in capsys.readouterr().out
    assert main(["label", str(tmp_path / "a.wav"), "--channel", "left"]) == 2
    assert "--channel is a number from 0, or mix, got 'left'" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "a.wav"), "--channel", "2"]) == 1
    assert "has 2 channels, counted from 0: no 2" in capsys.readouterr().err
