"""Training from a folder of sounds to a bundle that listens: small, but all of it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.mel import MelSpec
from audiocnn.training.train import default_front, default_recipe, train_bundle

RATE = 8000


def sound(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Make a second of one of three kinds of sound that differ as real ones do."""
    t = np.arange(RATE) / RATE
    if kind == "whistle":
        x = np.sin(2 * np.pi * rng.uniform(900, 1400) * t + 3 * np.sin(2 * np.pi * 5 * t))
    elif kind == "hiss":
        x = np.diff(rng.standard_normal(RATE + 1))
    else:  # knock: decaying low bursts
        x = np.sin(2 * np.pi * rng.uniform(150, 250) * t) * np.exp(
            -12 * (t % rng.uniform(0.2, 0.3))
        )
    return (0.2 * rng.uniform(0.3, 1) * x + 1e-3 * rng.standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    for kind in ("whistle", "hiss", "knock"):
        (folder / kind).mkdir()
        for i in range(20):
            soundfile.write(folder / kind / f"{i}.wav", sound(kind, rng), RATE)
    return folder


CHOSEN = {"arch": "cnn1d", "epochs": 16, "batch": 16, "window": 0.8, "averaging": 0.8}


@pytest.fixture(scope="module")
def trained(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[audiocnn.Bundle, Path]:
    folder = tmp_path_factory.mktemp("trained")
    told: list[str] = []
    bundle = train_bundle(
        dataset, folder / "model", cache=folder / "cache", progress=told.append, **CHOSEN
    )
    assert any("epoch 16/16" in line for line in told)
    return bundle, folder


def test_what_was_trained_listens_at_once(trained, dataset):
    bundle = audiocnn.load(trained[1] / "model")
    assert bundle.labels == ("hiss", "knock", "whistle")
    rng = np.random.default_rng(99)
    right = 0
    for _ in range(10):
        for label in bundle.labels:
            blocks = [audiocnn.Block(sound(label, rng), 0, RATE)]
            values = np.concatenate([s.values for s in audiocnn.listen(bundle, blocks)], axis=1)
            right += bundle.labels[int(values.mean(axis=1).argmax())] == label
    assert right >= 27  # three kinds this different are told apart by a sound network


def test_the_card_says_what_was_kept_apart(trained):
    card = trained[0].card
    assert card["validation_clips"] == 12
    assert 0.8 <= card["validation_accuracy"] <= 1
    assert card["recipe"]["epochs"] == 16


def test_an_interrupted_training_ends_in_the_same_network(dataset, trained, tmp_path):
    class Stop(Exception):
        pass

    def until_three(line: str) -> None:
        if line.startswith("epoch 4/"):
            raise Stop

    with pytest.raises(Stop):
        train_bundle(dataset, tmp_path / "m", cache=tmp_path / "c", progress=until_three, **CHOSEN)
    resumed = train_bundle(dataset, tmp_path / "m", cache=tmp_path / "c", **CHOSEN)
    assert resumed.model == trained[0].model
    assert resumed.calibration == trained[0].calibration


def test_valid_keeps_the_named_rows_apart(dataset, tmp_path):
    rows = [f"{p},{p.parent.name},{int(p.stem) % 4}" for p in sorted(dataset.glob("*/*.wav"))]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["path,label,fold", *rows]) + "\n")
    bundle = train_bundle(table, tmp_path / "m", valid={"fold": ["3"]}, **{**CHOSEN, "epochs": 1})
    assert bundle.card["validation_clips"] == 15


@pytest.mark.parametrize(
    ("prepare", "choose", "error", "message"),
    [
        (lambda f: None, {"arch": "cnn3d"}, ArgumentError, "no architecture 'cnn3d'"),
        (lambda f: None, {"epochs": 0}, ArgumentError, "epochs must be at least 1"),
        (lambda f: None, {"window": -1.0}, ArgumentError, "window and hop must be above 0"),
        (lambda f: (f / "whistle" / "0.wav").write_text("no sound"), {}, DatasetError, "0.wav"),
    ],
)
def test_bad_choices_are_answered(prepare, choose, error, message, tmp_path, dataset):
    import shutil

    shutil.copytree(dataset, tmp_path / "d")
    prepare(tmp_path / "d")
    with pytest.raises((error, audiocnn.AudiocnnError), match=message):
        train_bundle(tmp_path / "d", tmp_path / "m", **choose)


def test_one_class_is_not_enough(dataset, tmp_path):
    import shutil

    shutil.copytree(dataset / "hiss", tmp_path / "d" / "hiss")
    with pytest.raises(DatasetError, match="only one class"):
        train_bundle(tmp_path / "d", tmp_path / "m")


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 22050, 44100, 192000])
def test_every_rate_has_a_front_end(rate):
    front = default_front(rate)
    assert isinstance(front, MelSpec)
    assert front.rate <= 32000
    assert front.hop / front.rate == pytest.approx(1 / 80, rel=0.01)


def test_defaults_are_read_off_the_recordings(dataset):
    recipe = default_recipe(audiocnn.read_manifest(dataset))
    assert recipe.front.rate == RATE
    assert 0.8 <= recipe.window <= 1.5
