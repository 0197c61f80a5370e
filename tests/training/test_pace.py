"""What a training says before it starts: how long, and whether it continues another."""

import re

import pytest

from audiocnn.training import pace
from audiocnn.training.train import train_bundle
from tests.sounds import make_dataset

CHOSEN = {"arch": "cnn1d", "batch": 16, "window": 0.8, "averaging": 0.8}
UNITS = {"s": 1, "min": 60, "h": 3600}


class Enough(Exception):
    pass


def announced(lines: list[str]) -> float:
    found = next(re.search(r"^about ([\d.]+) (s|min|h) for", line) for line in lines
                 if line.startswith("about "))  # fmt: skip
    return float(found[1]) * UNITS[found[2]]


def test_the_time_is_measured_steps_times_their_number(tmp_path, monkeypatch):
    data = make_dataset(tmp_path / "sounds", 6)
    monkeypatch.setattr(pace, "measure_step", lambda *_: 10.0)
    times = {}
    for epochs, folds in ((2, 1), (4, 1), (2, 2)):
        lines: list[str] = []

        def report(line: str, lines: list[str] = lines) -> None:
            lines.append(line)
            if line.startswith("about "):
                raise Enough

        with pytest.raises(Enough):
            train_bundle(data, tmp_path / f"{epochs}{folds}", folds=folds, epochs=epochs,
                         progress=report, **CHOSEN)  # fmt: skip
        times[epochs, folds] = announced(lines)
    assert times[4, 1] == pytest.approx(2 * times[2, 1], rel=0.1)
    assert times[2, 2] == pytest.approx(2 * times[2, 1], rel=0.3)  # two halves, and all


def test_a_step_takes_time(tmp_path):
    lines: list[str] = []
    train_bundle(make_dataset(tmp_path / "sounds", 6), tmp_path / "m", folds=1, epochs=2,
                 progress=lines.append, **CHOSEN)  # fmt: skip
    assert 0 < announced(lines) < 120


def test_a_resumed_training_says_so(tmp_path):
    data = make_dataset(tmp_path / "sounds", 6)

    class Stop(Exception):
        pass

    def stop(step: object) -> None:
        if step.fit == "fold 2 of 2" and step.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train_bundle(data, tmp_path / "m", folds=2, epochs=3, watcher=stop, **CHOSEN)
    lines: list[str] = []
    train_bundle(data, tmp_path / "m", folds=2, epochs=3, progress=lines.append, **CHOSEN)
    (line,) = [line for line in lines if line.startswith("continuing")]
    assert "a training that was stopped: 1 of 3 fits are done" in line
    assert not any(line.startswith("about ") for line in lines)
