"""The verbs after a labelling run, as a user calls them: summary, clips."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.annotations.formats import write_events
from audiocnn.cli.main import main
from audiocnn.inference.events import Event

DEMO = Path(__file__).parents[2] / "data" / "demo.flac"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write what `label` would have written of a recording of 10 s."""
    night = tmp_path / "SITE_20210605_233000.wav"
    soundfile.write(night, np.random.default_rng(0).uniform(-0.1, 0.1, 80000), 8000)
    events = [Event("owl", n, n + 0.5, n / 10, str(night)) for n in range(10)]
    write_events([*events, Event("fox", 1, 2, 0.5, str(night))], tmp_path / "events.csv")
    return tmp_path / "events.csv"


def test_summary_to_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("no ledger beside it")
    assert lines[1] == "11 events of 2 classes"
    assert lines[3] == "2021-06-05, as the names of the recordings have it"
    head, fox, owl = lines[4], lines[6], lines[7]
    assert fox.split() == ["fox", "1", "1.0", "1", "0.50", "█"]
    assert owl.split() == ["owl", "10", "5.0", "1", "0.90", "█"]
    assert owl.index("█") - head.index("0     6") == 23
    assert lines[-1].split() == ["2021-06-05", "11", "owl", "10,", "fox", "1"]


def test_summary_for_a_program_and_as_a_picture(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run.with_suffix(".html")
    options = ["--json", "--timezone", "Europe/Berlin", "-o", str(page)]
    assert main(["summary", str(run), *options]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["owl"]["by_hour"][23] == 10
    assert "events.csv 2021-06-05" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nix.csv"], 1, "no such file or folder: nix.csv"),
        (["{run}", "-o", "x.gif"], 2, "must end in .html or .png"),
        (["{run}", "--timezone", "Berlin"], 2, "no time zone 'Berlin'"),
        (["{folder}/a.wav"], 2, "no format for"),
        (["{folder}/empty"], 1, "no file in it that label writes"),
    ],
)
def test_summaries_that_cannot_be(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    (run.parent / "a.wav").touch()
    (run.parent / "empty").mkdir()
    told = [each.format(run=run, folder=run.parent) for each in arguments]
    assert main(["summary", *told]) == status
    assert message in capsys.readouterr().err


def test_no_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_events([], tmp_path / "x.csv")
    assert main(["summary", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.html")]) == 0
    assert "0 events of 0 classes" in capsys.readouterr().out
    assert main(["clips", str(tmp_path / "x.csv"), "-o", str(tmp_path / "review")]) == 1
    assert "x.csv has no events" in capsys.readouterr().err


def test_clips_and_their_list(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.parent / "review"
    assert main(["clips", str(run), "-o", str(folder), "--limit", "3", "--margin", "1"]) == 0
    assert capsys.readouterr().out == f"{folder / 'review.csv'}\n"
    with (folder / "review.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], float(row["score"])) for row in rows] == [
        ("fox", 0.5), ("owl", 0.9), ("owl", 0.8), ("owl", 0.7),
    ]  # fmt: skip
    assert {row["verdict"] for row in rows} == {""}
    assert [soundfile.info(folder / row["clip"]).duration for row in rows] == [
        pytest.approx(seconds) for seconds in (3.0, 2.0, 2.5, 2.5)
    ]
    assert main(["clips", str(run), "-o", str(folder)]) == 2
    assert "may have verdicts in it" in capsys.readouterr().err


def test_clips_of_recordings_that_are_gone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [Event("owl", 0, 1, 1.0, "gone.wav"), Event("fox", 0, 1, 1.0, "gone.wav")]
    write_events(more, run.parent / "gone.csv")
    assert main(["clips", str(run.parent / "gone.csv"), "-o", str(run.parent / "review")]) == 1
    err = capsys.readouterr().err
    assert err == (
        "audiocnn clips: none of the recordings is found here, for example gone.wav: run this in "
        "the folder where label ran\n"
    )
    (run.parent / "both.csv").write_text(
        run.read_text() + (run.parent / "gone.csv").read_text().split("\n", 1)[1]
    )
    assert main(["clips", str(run.parent / "both.csv"), "-o", str(run.parent / "review")]) == 1
    assert len((run.parent / "review" / "review.csv").read_text().splitlines()) == 1 + 11


def test_a_folder_of_files(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.parent / "out" / "a"
    folder.mkdir(parents=True)
    for name in ("x.selections.txt", "y.jsonl"):
        write_events([Event("owl", 0, 1, 0.5, "x.wav")], folder / name)
    (folder / ".z.csv").write_text("half of it")
    (folder / "notes.md").write_text("not ours")
    assert main(["summary", str(run.parent / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["owl"]["events"] == 2


def test_clips_from_another_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, rate = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "x.flac", sound[: 10 * rate], rate)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["label", "x.flac", "-o", "kept.csv"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["clips", "../kept.csv", "-o", "review"]) == 0  # the ledger knows where
    assert (tmp_path / "elsewhere" / "review" / "review.csv").exists()
    assert main(["label", "-o", "again.csv", "--ledger", "../kept.csv.ledger", "--only-write"]) == 0
    assert main(["clips", "again.csv", "-o", "other"]) == 1  # it has no ledger beside it
    assert "for example x.flac: run this in the folder where" in capsys.readouterr().err
    assert main(["clips", "../kept.csv.ledger", "-o", "third"]) == 0
