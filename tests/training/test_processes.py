"""A training that is killed, repeated or shared between processes ends in the same model."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiocnn.training.run_results import load_training
from tests.training_processes import CHOSEN

FILES = ("bundle.json", "graph.onnx", "weights.safetensors", "check.npz", "README.md")


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("processes")
    done = subprocess.run(
        [sys.executable, "-m", "tests.training_processes", str(folder)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "m" / name).read_bytes() for name in FILES}


def test_one_seed_gives_one_bundle(trainings):
    assert contents(trainings[0] / "whole") == contents(trainings[0] / "again")


def test_killed_at_random_it_goes_on_to_the_same_bundle(trainings):
    folder, said = trainings
    assert contents(folder / "killed") == contents(folder / "whole")
    # No epoch was made twice, but for the one that was broken off, three times.
    text = "".join([*said["killed"], said["rest"]])
    epochs = [line.partition("  loss")[0] for line in text.splitlines() if "epoch " in line]
    assert 3 * CHOSEN["epochs"] <= len(epochs) <= 3 * CHOSEN["epochs"] + 3
    assert len(set(epochs)) == 3 * CHOSEN["epochs"]
    whole, killed = (load_training(folder / n / "m.run") for n in ("whole", "killed"))
    assert [c.loss for c in killed.curves] == [c.loss for c in whole.curves]
    np.testing.assert_array_equal(whole.scores, killed.scores)


def test_what_is_left_is_small(trainings):
    left = {path.name for path in (trainings[0] / "killed" / "m.run").iterdir()}
    assert left == {"training.json", "held_out.npz", "predictions.csv"}


def test_two_processes_train_as_one_does(trainings):
    folder, said = trainings
    one, two = (load_training(folder / n / "m.run") for n in ("alone", "two"))
    # Not equal, because each normalises by its own half of a batch.
    np.testing.assert_allclose(two.curves[0].loss[:2], one.curves[0].loss[:2], rtol=0.02)
    np.testing.assert_allclose(two.curves[0].loss, one.curves[0].loss, rtol=0.1)
    assert two.curves[0].loss[-1] < 0.95 * two.curves[0].loss[0]
    assert "epoch 5/5" in said["two"][0]
    assert said["two"][1] == ""  # the second process says nothing, and writes nothing
