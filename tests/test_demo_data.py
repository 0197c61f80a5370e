"""The recordings in data/ are what scripts/make_demo_data makes, and what their labels say."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"


def read(path: Path) -> tuple[NDArray[np.float64], int]:
    return soundfile.read(path, dtype="float64")


def labels_of(path: Path) -> list[tuple[float, float, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(float(r["start"]), float(r["end"]), r["label"]) for r in csv.DictReader(file)]


def level_db(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    # An empty PATH hides espeak-ng: another version of it would speak differently.
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_demo_data"), str(folder)],
        env={**os.environ, "PATH": ""},
        capture_output=True,
        check=True,
    )
    return folder


@pytest.mark.parametrize("name", ["demo.flac", "tone.wav", "stereo.flac", "silence.wav"])
def test_audio_is_what_the_script_makes(made: Path, name: str) -> None:
    kept, rate = read(DATA / name)
    new, new_rate = read(made / name)
    bits = int(soundfile.info(DATA / name).subtype.removeprefix("PCM_"))
    assert (kept.shape, rate) == (new.shape, new_rate)
    # FFTs differ in the last bits between processors, so a sample may round the other way.
    assert np.abs(kept - new).max() <= 2.0 ** (1 - bits)


def test_labels_are_what_the_script_makes(made: Path) -> None:
    assert (DATA / "demo.csv").read_bytes() == (made / "demo.csv").read_bytes()


@pytest.mark.parametrize(("name", "rate"), [("demo", 32000), ("digits", 16000)])
def test_labels_fit_the_audio(name: str, rate: int) -> None:
    samples, found_rate = read(DATA / f"{name}.flac")
    assert found_rate == rate
    assert samples.ndim == 1
    assert np.abs(samples).max() < 0.9
    background = level_db(samples[: round(0.4 * rate)])
    assert -60 < background < -50
    last = 0.4
    for start, end, label in labels_of(DATA / f"{name}.csv"):
        assert last <= start < end <= samples.size / rate
        assert level_db(samples[round(start * rate) : round(end * rate)]) > background + 10, label
        last = end


def test_demo_is_about_a_minute_of_many_sounds() -> None:
    assert 55 <= soundfile.info(DATA / "demo.flac").duration <= 70
    labels = [label for _, _, label in labels_of(DATA / "demo.csv")]
    assert len(set(labels)) == len(labels) >= 6


def test_every_digit_is_said() -> None:
    said = {label for _, _, label in labels_of(DATA / "digits.csv")}
    assert sorted(said) == [
        "eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero",
    ]  # fmt: skip


def test_signals_are_what_they_are_called() -> None:
    tone, rate = read(DATA / "tone.wav")
    assert (rate, tone.size) == (8000, 8000)
    assert np.abs(np.fft.rfft(tone)).argmax() == 440
    stereo, rate = read(DATA / "stereo.flac")
    assert (rate, stereo.shape) == (44100, (44100, 2))
    assert np.abs(np.fft.rfft(stereo, axis=0)).argmax(axis=0).tolist() == [440, 1000]
    silence, rate = read(DATA / "silence.wav")
    assert (rate, silence.size) == (16000, 32000)
    assert not silence.any()


def test_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 3e6
