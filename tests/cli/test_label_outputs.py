"""What `label` writes, as a user asks for it: formats, folders, wall-clock times, URLs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.annotations.formats import read_events
from audiocnn.cli.main import main
from audiocnn.inference.events import Event

DEMO = Path(__file__).parents[2] / "data" / "demo.flac"
NAME = "SITE_20210605_235930.flac"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for site in "AB":
        (folder / site).mkdir()
        shutil.copy(DEMO, folder / site / NAME)
    return folder


@pytest.fixture(scope="module")
def expected(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    out = tmp_path_factory.mktemp("expected") / "x.csv"
    assert main(["label", str(recordings), "-o", str(out)]) == 0
    events = read_events(out)
    assert len(events) > 10
    assert len({event.source for event in events}) == 2
    return events


@pytest.mark.parametrize("name", ["x.parquet", "x.selections.txt", "x.kaleidoscope.csv"])
def test_one_file(recordings: Path, expected: list[Event], tmp_path: Path, name: str) -> None:
    assert main(["label", str(recordings), "-o", str(tmp_path / name)]) == 0
    found = read_events(tmp_path / name)
    assert [(e.source, e.label) for e in found] == [(e.source, e.label) for e in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.start, one.end, one.score) == pytest.approx(
            (other.start, other.end, other.score), abs=2e-6
        )


def test_a_file_for_each(recordings: Path, expected: list[Event], tmp_path: Path) -> None:
    assert main(["label", str(recordings), "-o", str(tmp_path), "--format", "audacity"]) == 0
    for site in "AB":
        found = read_events(tmp_path / site / f"{NAME}.txt")
        assert [e.label for e in found] == [e.label for e in expected[: len(expected) // 2]]


def test_wall_clock_times(
    recordings: Path, expected: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(recordings / "A" / NAME)
    assert main(["label", path, "--json", "--timezone", "Europe/Berlin"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["time"] == "2021-06-05T23:59:30.000+02:00"
    after = [row for row in rows if row["start"] > 30]
    assert all(row["time"].startswith("2021-06-06T00:00:") for row in after)
    assert main(["label", path, "--times"]) == 0
    head, first = capsys.readouterr().out.splitlines()[:2]
    assert head == "path,start,end,label,score,time"
    assert first.endswith(",2021-06-05T23:59:30.000")


def test_urls(recordings: Path, expected: list[Event], tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    out, windows = tmp_path / "x.csv", tmp_path / "w.csv"
    arguments = [f"file://{recordings}", "-o", str(out), "--windows", str(windows)]
    assert main(["label", *arguments]) == 0
    found = read_events(out)
    assert [e.source for e in found] == [f"file://{e.source}" for e in expected]
    assert [(e.start, e.end, e.label) for e in found] == [
        (e.start, e.end, e.label) for e in expected
    ]
    named = {line.split(",")[0] for line in windows.read_text().splitlines()[1:]}
    assert named == {e.source for e in found}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "{out}"], r"is a folder: choose with --format"),
        (["-o", "x.csv", "--format", "raven"], "is csv by its name, and --format is raven"),
        (["-o", "x.txt"], "name a folder with --format audacity"),
        (["--timezone", "Berlin"], "no time zone 'Berlin'"),
        (["-o", "x.csv", "--format", "ravn"], "did you mean 'raven'?"),
    ],
)
def test_what_makes_no_sense(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    told = [each.format(out=tmp_path) for each in arguments]
    try:
        status = main(["label", str(recordings), *told])
    except SystemExit as left:
        status = int(left.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err


def test_the_loop_from_recordings_to_reviews(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, review = tmp_path / "run.parquet", tmp_path / "review"
    assert main(["label", str(recordings), "-o", str(run)]) == 0
    assert main(["summary", str(run), "-o", str(tmp_path / "run.html")]) == 0
    assert "2021-06-05 to 2021-06-06" in capsys.readouterr().out
    assert main(["clips", str(run), "-o", str(review), "--limit", "1", "--label", "rooster"]) == 0
    capsys.readouterr()
    (clip,) = (review / "rooster").iterdir()
    assert main(["label", str(clip), "--json"]) == 0
    heard = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "rooster" in {row["label"] for row in heard}


def test_times_are_kept_when_another_format_is_written(
    recordings: Path, expected: list[Event], tmp_path: Path
) -> None:
    run = tmp_path / "run.csv"
    assert main(["label", str(recordings), "-o", str(run), "--timezone", "Europe/Berlin"]) == 0
    ledger = ["--ledger", f"{run}.ledger", "--only-write"]
    kaleidoscope, plain = tmp_path / "k.kaleidoscope.csv", tmp_path / "p.jsonl"
    assert main(["label", "-o", str(kaleidoscope), *ledger]) == 0
    lines = kaleidoscope.read_text().splitlines()
    assert lines[1].split(",")[6:9] == ["2021-06-05", "23:59:30", "23"]
    assert main(["label", "-o", str(plain), *ledger, "--timezone", "Asia/Tokyo"]) == 0
    assert '"time": "2021-06-05T23:59:30.000+09:00"' in plain.read_text().splitlines()[0]
    assert main(["label", "-o", str(plain), *ledger]) == 0  # that of the run, again
    assert '"time": "2021-06-05T23:59:30.000+02:00"' in plain.read_text().splitlines()[0]


def test_boxes_for_raven_end_at_the_highest_frequency(tmp_path: Path) -> None:
    sound, rate = soundfile.read(DEMO, dtype="float32")
    sound = sound[: 10 * rate]
    soundfile.write(tmp_path / "low.wav", sound[:: round(rate / 8000)], 8000)
    soundfile.write(tmp_path / "high.wav", np.repeat(sound, 3), 3 * rate)
    for name in ("low", "high"):
        out = tmp_path / f"{name}.selections.txt"
        options = ["--threshold", "0.01", "-o", str(out)]
        assert main(["label", str(tmp_path / f"{name}.wav"), *options]) == 0
        rows = [line.split("\t") for line in out.read_text().splitlines()]
        assert {row[rows[0].index("High Freq (Hz)")] for row in rows[1:]} == {
            "4000.0" if name == "low" else "20000.0"
        }


def test_levels_by_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate = 16000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(90 * rate) / rate)
    tone[70 * rate : 72 * rate] = 0
    path = tmp_path / "SITE_20210605_235930.wav"
    soundfile.write(path, tone, rate)
    out = tmp_path / "levels.csv"
    assert main(["label", str(path), "--levels", str(out), "--times"]) == 0
    assert "levels are uncalibrated, in dB re full scale" in capsys.readouterr().err
    head, *rows = [line.split(",") for line in out.read_text().splitlines()]
    assert head == ["path", "start", "end", "time", "measured", "laeq", "lafmax", "l10", "l90",
                    "calibrated"]  # fmt: skip
    assert [row[1:5] for row in rows] == [
        ["0.000000", "30.000000", "2021-06-05T23:59:30.000", "30.000"],
        ["30.000000", "90.000000", "2021-06-06T00:00:00.000", "60.000"],
    ]
    level = 20 * np.log10(0.5) - 3.01
    assert float(rows[0][5]) == pytest.approx(level, abs=0.05)  # A-weighting is 0 dB at 1 kHz
    assert float(rows[1][5]) == pytest.approx(level + 10 * np.log10(58 / 60), abs=0.05)
    assert float(rows[1][7]) == pytest.approx(level, abs=0.1)
    assert rows[0][-1] == "0"
    assert main(["label", str(path), "--levels", str(out), "--calibration", "120"]) == 0
    head, *rows = [line.split(",") for line in out.read_text().splitlines()]
    assert [row[1:3] for row in rows] == [["0.000000", "60.000000"], ["60.000000", "90.000000"]]
    assert float(rows[0][head.index("laeq")]) == pytest.approx(120 + level, abs=0.05)
    assert main(["label", str(path), "--calibration", "120"]) == 2
    assert main(["label", str(path), "-o", "x.csv", "--levels", str(out), "--workers", "2"]) == 2
    assert "--levels is written by one process as it goes" in capsys.readouterr().err


def test_levels_of_what_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow, good = tmp_path / "slow.wav", tmp_path / "good.wav"
    soundfile.write(slow, np.zeros(4000), 2000)
    soundfile.write(good, np.full(16000, np.nan), 8000, "FLOAT")
    soundfile.write(good, np.concatenate([np.ones(16000), np.full(8000, np.nan)]), 8000, "FLOAT")
    out = tmp_path / "levels.csv"
    assert main(["label", str(slow), str(good), "--levels", str(out)]) == 1
    assert f"no levels of {slow}: levels need a sample rate from 4000" in capsys.readouterr().err
    (row,) = out.read_text().splitlines()[1:]
    assert row.startswith(f"{good},0.000000,3.000000,2.000,")
