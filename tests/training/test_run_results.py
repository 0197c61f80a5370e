"""What a training leaves is read back as it was, and says so where it is not there."""

import csv
import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pytest

from audiocnn.datasets.clip import targets_of
from audiocnn.datasets.manifest import Clip
from audiocnn.errors import DatasetError
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration
from audiocnn.training.config import TrainingConfig
from audiocnn.training.predictions import Predictions
from audiocnn.training.run_results import (
    NEVER,
    Curve,
    Training,
    load_training,
    save_training,
)


def predictions(n: int, clips: int) -> Predictions:
    rng = np.random.default_rng(n)
    begins = np.arange(n, dtype=np.float32)
    clip = np.sort(rng.integers(0, clips, n))
    return Predictions(
        rng.standard_normal((2, n)).astype("f4"), clip, np.ones(n, "f4"), begins, begins + 1
    )


@pytest.fixture
def training(tmp_path: Path) -> Training:
    clips = (
        Clip(tmp_path / "a é.wav", ("dog",), columns={"source": "x"}),
        Clip(tmp_path / os.fsdecode(b"b\xe9.wav"), ("dog", "rain"), 0.5, 2.0),
        Clip(tmp_path / "c.wav", ()),
    )
    return Training(
        data="sounds",
        labels=("dog", "rain"),
        config=TrainingConfig(MelSpec(8000, 256, 100, 40, 50.0, 4000.0), epochs=3),
        clips=clips,
        fold=np.array([0, 1, NEVER]),
        held_out=predictions(7, 2),
        scores=np.array([[0.5, 0.25], [0.125, 1.0], [math.nan, math.nan]], "f4"),
        curves=(Curve("final").grown(loss=2.0, learning_rate=0.1).grown(loss=1.0),),
        calibration=Calibration((1.0, 1.0), (0.0, -1.0)),
        rules={"dog": EventRule(0.5, 0.3), "rain": EventRule(0.9, 0.5, smooth=1.0)},
        background=(Clip(tmp_path / "noise.wav", ()),),
        background_held_out=predictions(5, 1),
        figures={"accuracy": 0.5, "unknown": math.nan},
    )


def test_it_is_read_back_as_it_was(training, tmp_path):
    save_training(training, tmp_path / "m.run")
    again = load_training(tmp_path / "m.run")
    for field in dataclasses.fields(Training):
        before, after = getattr(training, field.name), getattr(again, field.name)
        if isinstance(before, Predictions):
            for name, values in before.__dict__.items():
                np.testing.assert_array_equal(getattr(after, name), values)
        elif field.name == "curves":
            assert [c.name for c in after] == ["final"]
            assert after[0].loss == (2.0, 1.0)
            assert after[0].learning_rate[0] == 0.1
            assert math.isnan(after[0].learning_rate[1])
            assert all(math.isnan(v) for v in after[0].held_out_loss)
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
        elif field.name != "figures":
            assert after == before, field.name
    assert again.figures == {"accuracy": 0.5, "unknown": None}
    np.testing.assert_array_equal(again.targets, [[1, 0], [1, 1], [0, 0]])


def test_predictions_have_a_row_for_each_clip_that_was_held_out(training, tmp_path):
    save_training(training, tmp_path / "m.run")
    with (tmp_path / "m.run" / "predictions.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["dog", "dog|rain"]
    assert rows[1]["rain"] == "1.000000"
    assert rows[0]["path"] == str(training.clips[0].path)


def test_background_that_is_gone_is_gone(training, tmp_path):
    save_training(training, tmp_path)
    save_training(dataclasses.replace(training, background_held_out=None), tmp_path)
    assert load_training(tmp_path).background_held_out is None


def test_what_is_no_training_is_said(training, tmp_path):
    with pytest.raises(DatasetError, match=r"no finished training.*BUNDLE\.run"):
        load_training(tmp_path)
    save_training(training, tmp_path)
    path = tmp_path / "training.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DatasetError, match="has format 2"):
        load_training(tmp_path)
    path.write_text("{}")
    with pytest.raises(DatasetError, match="train again"):
        load_training(tmp_path)


def test_labels_that_are_not_listed_are_left_out():
    clips = [Clip(Path("a"), ("x", "y")), Clip(Path("b"), ())]
    assert targets_of(clips, ("y",)).tolist() == [[1], [0]]
