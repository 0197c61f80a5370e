"""The command line as its users call it: output, errors, exit codes, speed."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.annotations import read_events
from audiocnn.cli import main

RATE = 8000


@pytest.fixture(scope="module")
def model(bundle_folders) -> str:
    return str(bundle_folders["cnn2d"])


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "sound.wav"
    soundfile.write(path, 0.1 * rng.standard_normal(3 * RATE), RATE)
    return path


def test_help_of_every_verb_has_examples(capsys):
    for verb in ("label", "verify", "evaluate", "train", "models", "info"):
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        assert f"audiocnn {verb}" in capsys.readouterr().out.partition("examples:")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lable", "x.wav"], "did you mean 'label'"),
        (["label", "x.wav", "--treshold", "1"], "unrecognized arguments: --treshold"),
        (["label"], "required: PATH"),
        (["label", "x.wav", "--json", "--table"], "not allowed with"),
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


def test_label_writes_csv_on_stdout_and_notes_on_stderr(model, wav, capsys):
    assert main(["label", str(wav), "--model", model, "--threshold", "0.01"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["label"] for row in rows} == {"bell", "frog", "saw"}
    assert {row["path"] for row in rows} == {str(wav)}
    assert float(rows[0]["end"]) == pytest.approx(3.0, abs=0.05)  # whole columns
    assert "1 recordings, 3.0 s, 3.0 s scored, 3 events, 0 failed" in err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt", ".selections.txt"])
def test_label_writes_what_can_be_read_back(model, wav, tmp_path, suffix):
    out = tmp_path / f"events{suffix}"
    assert main(["label", str(wav), "--model", model, "--threshold", "0.01", "-o", str(out)]) == 0
    assert sorted(e.label for e in read_events(out)) == ["bell", "frog", "saw"]


def test_windows_and_frames_are_the_scores_behind_the_events(model, wav, tmp_path):
    windows, frames = tmp_path / "w.csv", tmp_path / "f.csv"
    assert main(["label", str(wav), "--model", model, "--hop", "0.25", "--windows", str(windows),
                 "--frames", str(frames)]) == 0  # fmt: skip
    rows = list(csv.DictReader(windows.read_text().splitlines()))
    assert list(rows[0]) == ["path", "start", "end", "bell", "frog", "saw"]
    assert float(rows[1]["start"]) == pytest.approx(0.25)
    assert float(rows[-1]["end"]) == pytest.approx(3.0, abs=0.06)
    columns = list(csv.DictReader(frames.read_text().splitlines()))
    assert float(columns[1]["start"]) == pytest.approx(0.05)
    assert len(columns) > 2 * len(rows)
    assert all(0 <= float(row["saw"]) <= 1 for row in rows + columns)


def test_rounding_of_the_hop_is_said(model, wav, capsys):
    main(["label", str(wav), "--model", model, "--hop", "0.33"])
    assert "hop rounded to 0.35 s: the model's columns are 0.05 s apart" in capsys.readouterr().err


def test_json_and_table(model, wav, capsys):
    main(["label", str(wav), "--model", model, "--threshold", "0.01", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[0])["start"] == 0
    main(["label", str(wav), "--model", model, "--threshold", "0.01", "--table"])
    assert capsys.readouterr().out.splitlines()[0].split() == ["start", "end", "label", "score"]


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Make recordings that cannot be labelled, with what must be said of each."""
    rng = np.random.default_rng(0)
    made = {}

    def add(name: str, message: str) -> Path:
        made[name] = (folder / name, message)
        return folder / name

    add("empty.wav", "empty.wav").write_bytes(b"")
    add("text.wav", "text.wav").write_text("this is no sound at all, though it says so\n" * 20)
    soundfile.write(add("nothing.wav", "holds no samples"), np.empty(0), RATE)
    soundfile.write(add("nan.wav", "no finite sample"), np.full(900, np.nan), RATE, "FLOAT")
    soundfile.write(add("inf.wav", "no finite sample"), np.full(900, np.inf), RATE, "FLOAT")
    cut = add("cut.flac", "cut.flac")
    soundfile.write(cut, 0.1 * rng.standard_normal(20 * RATE), RATE)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return made


BAD = ("empty.wav", "text.wav", "nothing.wav", "nan.wav", "inf.wav", "cut.flac")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_named_and_costs_no_other(name, model, wav, capsys, tmp_path):
    (tmp_path / "bad").mkdir()
    path, message = bad_files(tmp_path / "bad")[name]
    assert main(["label", str(path), str(wav), "--model", model, "--threshold", "0.01"]) == 1
    out, err = capsys.readouterr()
    assert str(path) in err
    assert message in err
    assert "1 failed" in err
    assert str(wav) in out
    if name == "cut.flac":
        assert str(path) in out  # what came before the damage
        assert "s before it were labelled" in err


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
    assert name in out
    assert "0 failed" in err


def test_lost_samples_and_padding_are_said(model, tmp_path, capsys):
    x = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE)
    x[2 * RATE : 2 * RATE + 800] = np.nan
    soundfile.write(tmp_path / "gap.wav", x, RATE, "FLOAT")
    soundfile.write(tmp_path / "short.wav", x[:800], RATE)
    assert main(["label", str(tmp_path), "--model", model]) == 0
    err = capsys.readouterr().err
    assert "gap.wav: 0.100 s hold no finite samples: skipped" in err
    assert "short.wav: shorter than a window" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["label", "no/such.wav"], 1, "no such file or folder: no/such.wav"),
        (["label", "{wav}", "--model", "enviroment"], 1, "no model 'enviroment'"),
        (["label", "{wav}", "--model", "{model}", "-o", "events.xyz"], 2, "events.xyz"),
        (["label", "{wav}", "--model", "{model}", "--threshold", "2"], 2, "threshold lies above 0"),
        (["label", "{wav}", "--model", "{model}", "--hop", "0"], 2, "hop must be above 0"),
        (["label", "{wav}", "--model", "{model}", "--windows", "/no/where.csv"], 2, "cannot write"),
        (["evaluate", "no/such.csv", "--model", "{model}"], 1, "no/such.csv"),
        (["evaluate", "{wav}", "--model", "{model}", "--where", "x"], 2, "COLUMN=VALUE"),
        (["info", "nothing"], 1, "no model 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, status, message, model, wav, capsys):
    assert main([a.format(wav=wav, model=model) for a in arguments]) == status
    assert message in capsys.readouterr().err


def test_verify_finds_the_stream_equal(model, wav, capsys):
    assert main(["verify", str(wav), "--model", model, "--hop", "0.1", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "largest difference" in out
    assert out.splitlines()[-1].startswith("good")


def test_verify_fails_where_they_differ(model, wav, capsys, monkeypatch):
    from audiocnn.commands import verify

    original = verify.cut
    monkeypatch.setattr(verify, "cut", lambda blocks, rng: list(original(blocks, rng))[:-1])
    assert main(["verify", str(wav), "--model", model]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("BAD")


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
    assert len(list(csv.DictReader(scores.read_text().splitlines()))) == 3
    assert main(["evaluate", str(table), "--model", model, "--where", "fold=2"]) == 0
    assert "1 clips" in capsys.readouterr().out


def test_evaluate_refuses_labels_that_the_model_does_not_know(model, wav, tmp_path, capsys):
    (tmp_path / "clips.csv").write_text("path,label\nsound.wav,bel\n")
    assert main(["evaluate", str(tmp_path / "clips.csv"), "--model", model]) == 1
    assert "label 'bel' is none of the model's (did you mean 'bell'?)" in capsys.readouterr().err


def test_info_says_what_is_in_a_model(model, capsys):
    assert main(["info", model]) == 0
    assert "rounded to columns of 0.05 s" in capsys.readouterr().out
    assert main(["info", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["bell", "frog", "saw"]


def test_models_lists_what_ships(capsys):
    assert main(["models", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_a_closed_pipe_is_quiet(model, wav):
    command = f"{sys.executable} -m audiocnn label {wav} --model {model} --threshold 0.01 | head -0"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
