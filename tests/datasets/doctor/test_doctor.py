"""Every fault is planted once and found, and the clean data beside it is left in peace."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from audiocnn.cli.main import main
from audiocnn.datasets.doctor.audio_checks import examine
from audiocnn.datasets.doctor.check_cache import examine_all
from audiocnn.datasets.doctor.doctor import Report, check_dataset
from audiocnn.errors import DatasetError
from audiocnn.io.signals.channels import SignalReadOptions

RATE = 16000
CLASSES = ("chirp", "hum", "knock")


def sound(label: str, seed: int, seconds: float = 2.0) -> Any:
    """Make a sound of a class that no other seed makes, with noise as a room has it."""
    rng = np.random.default_rng([CLASSES.index(label), seed])
    t = np.arange(round(seconds * RATE)) / RATE
    noise = scipy.signal.lfilter([1], [1, -0.9], rng.normal(0, 0.01, t.size))
    if label == "knock":
        hits = np.zeros(t.size)
        hits[rng.integers(0, t.size, 8)] = rng.uniform(0.3, 1, 8)
        x = np.convolve(hits, np.exp(-np.arange(2000) / 300) * rng.normal(0, 1, 2000))[: t.size]
    else:
        f = rng.uniform(200, 500) if label == "hum" else 500 + 2000 * rng.random()
        bend = np.cumsum(rng.normal(0, 2, t.size)) / 50
        x = sum(np.sin(2 * np.pi * k * f * t + k * bend / 9) / k for k in range(1, 6))
        x = x * np.interp(t, np.linspace(0, seconds, 12), rng.uniform(0.05, 1, 12))
    x = x + noise
    return 0.5 * x / np.abs(x).max()


def write(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("clean")
    rows = []
    for label in CLASSES:
        for n in range(12):
            name = f"{label}{n}.wav"
            soundfile.write(folder / name, sound(label, n), RATE)
            rows.append({"path": name, "label": label, "fold": str(n % 2)})
    return write(folder, rows), rows


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def test_clean_data_is_left_in_peace(clean: tuple[Path, Any]) -> None:
    report = check_dataset(clean[0])
    assert report.findings == ()
    assert (report.clips, report.recordings, report.seconds) == (36, 36, 72.0)


@pytest.fixture(scope="module")
def planted(
    clean: tuple[Path, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """Check the clean data with each fault added once."""
    folder = tmp_path_factory.mktemp("planted")
    rows = [{**row, "path": str(clean[0] / row["path"])} for row in clean[1]]

    def add(name: str, x: Any, label: str = "hum", fold: str = "0", rate: int = RATE) -> None:
        if x is not None:
            soundfile.write(folder / name, x, rate)
        rows.append({"path": name, "label": label, "fold": fold})

    (folder / "empty.wav").touch()
    add("empty.wav", None)
    (folder / "text.wav").write_text("this is no sound")
    add("text.wav", None)
    add("missing.wav", None)
    (folder / "copy.wav").write_bytes((clean[0] / "hum0.wav").read_bytes())
    add("copy.wav", None)
    add("same.flac", soundfile.read(clean[0] / "hum2.wav")[0])
    add("vorbis.ogg", sound("hum", 4))
    add("louder.wav", 1.9 * sound("knock", 4), "knock")
    add("cut.wav", sound("chirp", 4)[5001:25000], "chirp")
    up = soxr.resample(sound("hum", 6), RATE, 3 * RATE)
    add("leak.wav", up, "hum", "1", 3 * RATE)
    add("wrong.wav", 0.5 * sound("chirp", 6), "knock")
    add("silent.wav", np.zeros(2 * RATE))
    add("clipped.wav", np.clip(8 * sound("hum", 50), -1, 1))
    add("offset.wav", sound("hum", 51) + 0.1)
    low = soxr.resample(sound("knock", 52), RATE, RATE / 4)
    add("upsampled.wav", soxr.resample(low, RATE / 4, RATE), "knock")
    add("long.wav", sound("hum", 53, 25.0))
    add("lonely.wav", sound("chirp", 54), "Chirp")
    soundfile.write(folder / "forgotten.wav", sound("hum", 55), RATE)
    return check_dataset(write(folder, rows))


@pytest.mark.parametrize(
    ("kind", "severity", "names"),
    [
        ("unreadable", "error", {"empty.wav", "text.wav", "missing.wav"}),
        ("same file", "warning", {"copy.wav", "same.flac"}),
        ("same sound", "warning",
         {"vorbis.ogg", "louder.wav", "cut.wav", "leak.wav", "wrong.wav"}),
        ("two labels", "error", {"wrong.wav"}),
        ("sound in two folds", "error", {"leak.wav"}),
        ("silent", "warning", {"silent.wav"}),
        ("clipped", "warning", {"clipped.wav"}),
        ("offset", "warning", {"offset.wav"}),
        ("narrow", "note", {"upsampled.wav", "leak.wav"}),
        ("rate", "warning", {"leak.wav"}),
        ("length", "warning", {"long.wav"}),
        ("unlabelled", "warning", {"forgotten.wav"}),
        ("spelling", "warning", {"lonely.wav"}),
        ("too few", "error", set()),
        ("uneven", "warning", set()),
    ],
)  # fmt: skip
def test_planted_faults_are_found(
    planted: Report, kind: str, severity: str, names: set[str]
) -> None:
    (finding,) = [f for f in planted.findings if f.kind == kind]
    assert finding.severity == severity
    assert {Path(place.path).name for place in finding.places} == names
    assert finding.message
    assert finding.advice


def test_nothing_else_is_found(planted: Report) -> None:
    assert len(planted.findings) == 15, kinds(planted)
    assert planted.has_errors


def test_sources_in_two_folds(clean: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    rows = [{**row, "path": str(clean[0] / row["path"]), "speaker": str(n // 2)}
            for n, row in enumerate(clean[1])]  # fmt: skip
    write(tmp_path, rows)
    (finding,) = check_dataset(tmp_path, group="speaker").findings
    assert (finding.kind, finding.severity, len(finding.places)) == (
        "source in two folds", "error", 18,
    )  # fmt: skip
    (finding,) = check_dataset(tmp_path).findings  # nobody said that speakers matter
    assert finding.severity == "warning"
    with pytest.raises(DatasetError, match=r"no column 'speakr'.*did you mean 'speaker'"):
        check_dataset(tmp_path, group="speakr")


def test_labels_that_a_model_contradicts(
    clean: tuple[Path, list[dict[str, str]]], tmp_path: Path
) -> None:
    scores = tmp_path / "scores.csv"
    lines = ["path,label,chirp,hum,knock"]
    for n, row in enumerate(clean[1]):
        values = [0.9 if c == row["label"] else 0.05 for c in CLASSES]
        if n == 3:
            values = [0.02, 0.97, 0.1]
        if n == 4:
            values = [0.4, 0.6, 0.1]  # unsure: no accusation
        lines.append(",".join([str(clean[0] / row["path"]), row["label"], *map(str, values)]))
    scores.write_text("\n".join(lines) + "\n")
    (finding,) = check_dataset(clean[0], predictions=scores).findings
    assert [Path(place.path).name for place in finding.places] == ["chirp3.wav"]
    assert finding.places[0].detail == "labelled chirp (0.02), sounds like hum (0.97)"
    scores.write_text("path,label,chirp\nelsewhere.wav,chirp,0.5\n")
    with pytest.raises(DatasetError, match="none of its 1 rows is about a recording"):
        check_dataset(clean[0], predictions=scores)


def test_folders(tmp_path: Path) -> None:
    for label in ("hum", "knock"):
        (tmp_path / label).mkdir()
        for n in range(10):
            soundfile.write(tmp_path / label / f"{n}.wav", sound(label, n, 0.5), RATE)
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "loose.wav", sound("hum", 20, 0.5), RATE)
    report = check_dataset(tmp_path)
    assert [f.kind for f in report.findings] == ["layout", "layout"]
    assert report.has_errors
    assert "loose.wav" in report.findings[0].message
    assert "empty" in report.findings[1].message


def test_what_was_measured_is_kept(clean: tuple[Path, Any], tmp_path: Path) -> None:
    paths = sorted(clean[0].glob("hum*.wav"))
    told: list[tuple[int, int]] = []
    cache = tmp_path / "new" / "cache.sqlite"
    first = examine_all(paths, cache=cache, progress=lambda *n: told.append(n))
    again = examine_all(paths, cache=cache, progress=lambda *n: told.append(n))
    assert told == [(n, 12) for n in range(1, 13)]
    for path in paths:
        for name, value in vars(first[path]).items():
            np.testing.assert_array_equal(getattr(again[path], name), value)


def test_processes_find_the_same(clean: tuple[Path, Any]) -> None:
    paths = sorted(clean[0].glob("*.wav")) * 2  # enough to be worth it
    found = examine_all(paths, workers=2)
    assert found[paths[5]].samples_hash == examine(paths[5]).samples_hash


def test_command(
    clean: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(clean[0]), "--workers", "1"]) == 0
    assert "nothing to complain about" in capsys.readouterr().out
    (tmp_path / "bad.wav").touch()
    write(tmp_path, [{"path": "bad.wav", "label": "hum"}])
    assert main(["check", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {f["kind"] for f in found["findings"]} == {"unreadable", "too few"}
    assert main(["check", str(tmp_path)]) == 1
    assert "bad.wav" in capsys.readouterr().out


def test_units_and_opposite_phase_are_found_and_advised(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("unit", "phase", "good"):
        (tmp_path / name).mkdir()
        for k in range(10):
            x = 0.1 * rng.standard_normal((8000, 2)).astype(np.float32)
            if name == "unit":
                x *= 32768
            if name == "phase":
                x[:, 1] = -x[:, 0]
            soundfile.write(tmp_path / name / f"{k}.wav", x, 8000, "FLOAT")
    found = {f.kind: f for f in check_dataset(tmp_path, workers=1).findings}
    assert {"unit", "opposite phase"} <= set(found)
    assert not {"silent", "clipped", "offset"} & set(found)
    assert len(found["unit"].places) == 10
    assert "they look like 16-bit integers; divide by 32,768" in found["unit"].places[0].detail
    assert "--channel 0" in found["opposite phase"].advice
    again = check_dataset(tmp_path, workers=1, reading=SignalReadOptions(channel=0))
    assert "opposite phase" not in {f.kind for f in again.findings}
