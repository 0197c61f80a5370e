"""Training from a folder of sounds to a bundle that listens: small, but all of it."""

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError, AudiocnnError, DatasetError
from audiocnn.io.files.locks import alone
from audiocnn.training.run_results import NEVER, load_training
from audiocnn.training.train import train_bundle
from tests.sounds import KINDS, RATE, make_dataset, sound

CHOSEN = {"arch": "cnn1d", "epochs": 16, "batch": 16, "window": 0.8, "averaging": 0.8}
QUICK = CHOSEN | {"epochs": 1, "folds": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "sounds", 16)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "few", 6)


@pytest.fixture(scope="module")
def hum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hum")
    soundfile.write(folder / "hum.wav", sound("hum", np.random.default_rng(5), 30.0), RATE)
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path, hum: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    told: list[str] = []
    train_bundle(dataset, folder / "model", folds=2, background=hum, progress=told.append, **CHOSEN)
    (folder / "told").write_text("\n".join(told))
    return folder


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def test_what_was_trained_listens_at_once(trained):
    bundle = audiocnn.load(trained / "model")
    assert bundle.labels == KINDS
    rng = np.random.default_rng(99)
    right = 0
    for _ in range(10):
        for label in bundle.labels:
            blocks = [audiocnn.Block(sound(label, rng), 0, RATE)]
            values = np.concatenate([s.values for s in audiocnn.listen(bundle, blocks)], axis=1)
            right += bundle.labels[int(values.mean(axis=1).argmax())] == label
    assert right >= 27  # three kinds this different are told apart by a sound network


def test_the_verbs_take_it_at_once(trained, tmp_path, capsys):
    rng = np.random.default_rng(7)
    path = tmp_path / "scene.wav"
    scene = [sound(kind, rng, 3.0) for kind in ("hiss", "hum", "whistle")]
    soundfile.write(path, np.concatenate(scene), RATE)
    model = str(trained / "model")
    assert main(["verify", str(path), "--model", model]) == 0
    assert main(["info", model]) == 0
    capsys.readouterr()
    for verb in (["label", str(path)], ["listen", "--input", str(path)]):
        assert main([*verb, "--model", model]) == 0
        said = capsys.readouterr().out
        assert [kind in said for kind in KINDS] == [True, False, True], said


def test_the_card_says_how_it_was_judged(trained):
    card = audiocnn.load(trained / "model").card
    assert card["judged"].startswith("2-fold cross-validation, groups together")
    assert card["clips"] == card["groups"] == 48
    low, high = card["accuracy_bounds"]
    assert 0.8 <= low <= card["accuracy"] <= high <= 1
    assert len(card["by_part"]) == 2
    assert card["false_alarms"]["hours"] == pytest.approx(30 / 3600, rel=0.05)
    assert 0 <= card["background_accepted"] <= 0.2
    assert card["recipe"]["epochs"] == 16
    readme = (trained / "model" / "README.md").read_text()
    assert "cross-validation" in readme
    assert "| whistle | 16 |" in readme
    assert "accuracy" in (trained / "told").read_text()


def test_what_is_left_tells_it_all(trained, dataset):
    training = load_training(trained / "model.run")
    assert [c.name for c in training.curves] == ["fold 1", "fold 2", "final"]
    assert all(len(c.loss) == 16 for c in training.curves)
    assert training.curves[0].held_out_loss[-1] < training.curves[0].held_out_loss[0]
    assert np.isnan(training.curves[-1].held_out_loss).all()  # it learnt from all
    assert sorted(set(training.fold.tolist())) == [0, 1]
    assert set(training.held_out.clip.tolist()) == set(range(48))
    assert training.background_held_out is not None
    assert len(training.background) == 2  # one recording, cut for two folds
    with (trained / "model.run" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [max(KINDS, key=lambda k: float(row[k])) == row["label"] for row in rows]
    assert np.mean(right) == pytest.approx(training.figures["accuracy"])
    assert {path.name for path in (trained / "model.run").iterdir()} == {
        "training.json", "held_out.npz", "background.npz", "predictions.csv",
    }  # fmt: skip


def test_it_goes_on_from_the_last_epoch(few, tmp_path):
    class Stop(Exception):
        pass

    def until_two(line: str) -> None:
        if line.startswith("epoch 3/"):
            raise Stop

    how = QUICK | {"epochs": 4}
    whole = train_bundle(few, tmp_path / "whole", **how)
    with pytest.raises(Stop):
        train_bundle(few, tmp_path / "m", progress=until_two, **how)
    told: list[str] = []
    again = train_bundle(few, tmp_path / "m", progress=told.append, **how)
    assert [line[:9] for line in told if line.startswith("epoch")] == ["epoch 3/4", "epoch 4/4"]
    assert again.model == whole.model
    assert again.calibration == whole.calibration
    assert len(load_training(tmp_path / "m.run").curves[0].loss) == 4


def test_an_unfinished_training_of_something_else_is_not_gone_on_with(few, tmp_path):
    def stop(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    how = QUICK | {"epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        train_bundle(few, tmp_path / "m", progress=stop, **how)
    with pytest.raises(DatasetError, match=r"recipe.learning_rate was 0.004, is 0.002.*delete"):
        train_bundle(few, tmp_path / "m", **how | {"learning_rate": 0.002})
    other = make_dataset(tmp_path / "other", 6, seed=1)
    with pytest.raises(DatasetError, match=r"sounds was \w+, is \w+"):
        train_bundle(other, tmp_path / "m", **how)
    train_bundle(few, tmp_path / "m", **how)


def test_valid_keeps_the_named_rows_apart(few, tmp_path):
    rows = [f"{p},{p.parent.name},{int(p.stem) % 3}" for p in sorted(few.glob("*/*.wav"))]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["path,label,fold", *rows]) + "\n")
    how = QUICK | {"folds": None}
    bundle = train_bundle(table, tmp_path / "m", valid={"fold": ["2"]}, **how)
    assert bundle.card["clips"] == 6
    fold = load_training(tmp_path / "m.run").fold
    assert [k for k, row in enumerate(rows) if row.endswith(",2")] == np.flatnonzero(
        fold != NEVER
    ).tolist()
    train_bundle(table, tmp_path / "f", **how | {"folds": "fold"})
    assert load_training(tmp_path / "f.run").fold.tolist() == [int(row[-1]) for row in rows]


def test_one_class_beside_a_background_is_a_detector(few, hum, tmp_path):
    shutil.copytree(few / "whistle", tmp_path / "d" / "whistle")
    with pytest.raises(DatasetError, match=r"one class only \(whistle\).*--background FOLDER"):
        train_bundle(tmp_path / "d", tmp_path / "m", **QUICK)
    how = QUICK | {"epochs": 24}
    bundle = train_bundle(tmp_path / "d", tmp_path / "m", background=hum, **how)
    assert bundle.labels == ("whistle",)
    rng = np.random.default_rng(3)
    scores = {
        kind: max(
            float(run.values.max())
            for run in audiocnn.listen(bundle, [audiocnn.Block(sound(kind, rng, 2.0), 0, RATE)])
        )
        for kind in ("whistle", "hum")
    }
    assert scores["whistle"] > 0.5 > scores["hum"]


def test_clips_without_a_label_are_sounds_to_stay_silent_on(few, tmp_path):
    rows = [f"{p},{'' if p.parent.name == 'hiss' else 'knock'}"
            for p in sorted(few.glob("[hk]*/*.wav"))]  # fmt: skip
    (tmp_path / "c.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    bundle = train_bundle(tmp_path / "c.csv", tmp_path / "m", **QUICK)
    assert bundle.labels == ("knock",)
    assert bundle.card["backgrounds"] > 0


def test_training_on_from_a_bundle_takes_its_network(trained, few, tmp_path):
    start = trained / "model"
    told: list[str] = []
    how = {"start": start, "epochs": 1, "folds": 1, "batch": 16}
    table = tmp_path / "c.csv"
    rows = [f"{p},{p.parent.name.replace('knock', 'tap')}" for p in sorted(few.glob("*/*.wav"))]
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    bundle = train_bundle(table, tmp_path / "m", progress=told.append, learning_rate=1e-6, **how)
    assert bundle.labels == ("hiss", "tap", "whistle")
    assert bundle.front == audiocnn.load(start).front
    assert bundle.card["recipe"]["start"].startswith("model ")
    # The rows of the labels that stay say what they said; only the new one is new.
    x = [audiocnn.Block(sound("whistle", np.random.default_rng(1)), 0, RATE)]
    columns = {
        name: next(iter(audiocnn.listen(dataclasses.replace(b, calibration=flat(b)), x))).values
        for name, b in (("old", audiocnn.load(start)), ("new", bundle))
    }
    np.testing.assert_allclose(columns["new"][[0, 2]], columns["old"][[0, 2]], atol=0.02)
    assert abs(columns["new"][1] - columns["old"][1]).max() > 0.02


def flat(bundle: audiocnn.Bundle) -> object:
    n = len(bundle.labels)
    return dataclasses.replace(bundle.calibration, slope=(1.0,) * n, offset=(0.0,) * n)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        ({"arch": "cnn2d"}, r"--arch cnn2d contradicts --from model, whose arch is cnn1d"),
        ({"size": "large"}, r"--size large contradicts --from model"),
    ],
)
def test_a_start_that_contradicts_is_answered(trained, few, tmp_path, choose, message):
    with pytest.raises(ArgumentError, match=message):
        train_bundle(few, tmp_path / "m", start=trained / "model", **choose)


def silence(folder: Path) -> None:
    for path in folder.glob("whistle/*.wav"):
        soundfile.write(path, np.zeros(RATE), RATE)


def leave_one(folder: Path) -> None:
    for path in sorted(folder.glob("whistle/*.wav"))[1:]:
        path.unlink()


def empty(folder: Path) -> None:
    shutil.rmtree(folder / "whistle")
    (folder / "whistle").mkdir()


@pytest.mark.parametrize(
    ("prepare", "choose", "error", "message"),
    [
        (None, {"arch": "cnn3d"}, ArgumentError, "no architecture 'cnn3d'"),
        (None, {"epochs": 0}, ArgumentError, "epochs must be 1 or more, got 0"),
        (None, {"window": -1.0}, ArgumentError, "window must be above 0"),
        (None, {"balance": "luck"}, ArgumentError, "balance must be sampling, loss, none"),
        (None, {"devices": 9}, ArgumentError, "9 devices share each batch of 16 windows"),
        (None, {"log": "paper"}, ArgumentError, "log must be csv or tensorboard"),
        (
            None,
            {"learning_rate": 1e30, "epochs": 3},
            DatasetError,
            r"nothing in epoch \d.*--learning-rate",
        ),
        (lambda f: (f / "whistle" / "0.wav").write_text("no"), {}, DatasetError, "0.wav"),
        (silence, {}, DatasetError, r"all 6 clips of 'whistle' are silent \(below -70 dB"),
        (leave_one, {}, DatasetError, "too few clips: whistle has one recording only"),
        (empty, {}, DatasetError, "no recordings in .*whistle"),
    ],
)
def test_bad_choices_are_answered(prepare, choose, error, message, tmp_path, few):
    data = few if prepare is None else copied(few, tmp_path / "d")
    if prepare:
        prepare(data)
    with pytest.raises(error, match=message):
        train_bundle(data, tmp_path / "m", **QUICK | choose)


def test_out_of_memory_says_what_to_do(few, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")

    monkeypatch.setattr("audiocnn.training.lightning_module.Fit.loss", full)
    with pytest.raises(audiocnn.AudiocnnError, match=r"out of memory.*try --batch 8"):
        train_bundle(few, tmp_path / "m", **QUICK)


def test_tensorboard_gets_its_logs(few, tmp_path):
    pytest.importorskip("tensorboard")
    train_bundle(few, tmp_path / "m", **QUICK, log="tensorboard")
    assert list((tmp_path / "m.run" / "final").rglob("events.out.tfevents.*"))


def test_a_second_training_into_one_output_waits_its_turn(few, tmp_path):
    with (
        alone(tmp_path / "m.run", "held by this test"),
        pytest.raises(AudiocnnError, match=r"m\.run: another training is writing it"),
    ):
        train_bundle(few, tmp_path / "m", **QUICK)
    assert not (tmp_path / "m").exists()
    train_bundle(few, tmp_path / "m", **QUICK)  # the lock went with its holder
    assert audiocnn.load(tmp_path / "m").labels == KINDS


def test_nothing_but_a_model_is_replaced_and_that_only_if_asked(few, trained, tmp_path, capsys):
    full = tmp_path / "full"
    full.mkdir()
    (full / "README.md").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ArgumentError, match="holds other things than a model"):
            train_bundle(few, full, overwrite=overwrite, **QUICK)
    assert (full / "README.md").read_text() == "mine"
    model = copied(trained / "model", tmp_path / "model")
    before = (model / "bundle.json").read_bytes()
    with pytest.raises(ArgumentError, match=r"is a model already: .* --overwrite"):
        train_bundle(few, model, **QUICK)
    assert (model / "bundle.json").read_bytes() == before
    train_bundle(few, model, overwrite=True, **QUICK)
    assert (model / "bundle.json").read_bytes() != before
    assert main(["tune", str(few), "--model", str(model), "-o", str(full), "--background",
                 str(few), "--false-alarms", "1"]) == 2  # fmt: skip
    assert "holds other things than a model" in capsys.readouterr().err
