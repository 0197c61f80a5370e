"""Classes added and models corrected from stored features, without the old recordings."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.datasets.clip import Clip
from audiocnn.datasets.reviews import COLUMNS
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.training.heads.extend import open_stored
from audiocnn.training.heads.improve import improve, in_context, kept_apart
from audiocnn.training.heads.train import train_head
from audiocnn.training.run_results import load_training
from tests.bundles import random_bundle, windowed_bundle, write
from tests.sounds import KINDS, RATE, make_dataset, sound


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write(replace(windowed_bundle("frames"), card={"licence": "MIT"}), folder / "base")
    data = make_dataset(folder / "sounds", 12)
    hum = folder / "hum.wav"
    soundfile.write(hum, sound("hum", np.random.default_rng(5), 30.0), RATE)
    train_head(data, folder / "model", folder / "base", folds=3, background=hum)
    shutil.rmtree(data)  # all that follows does without
    hum.unlink()
    return folder / "model"


def chirps(folder: Path, n: int, seed: int = 9) -> Path:
    """Write clips of a fourth kind of sound."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for at in range(n):
        t = np.arange(RATE) / RATE
        x = 0.2 * np.sign(np.sin(2 * np.pi * (300 + 1200 * (t * rng.uniform(3, 4) % 1)) * t))
        noise = 1e-3 * rng.standard_normal(t.size)
        soundfile.write(folder / f"{at}.wav", (x + noise).astype(np.float32), RATE)
    return folder


def test_a_class_is_added_from_five_clips(model, tmp_path, capsys):
    clips = chirps(tmp_path / "chirp", 5)
    assert main(["add-class", str(model), str(clips), "-o", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().err
    assert "of 5 clips named rightly while they were held out" in said
    assert "95 % bounds" in said
    assert "record more" in said
    bundle = audiocnn.load(tmp_path / "new")
    assert bundle.labels == (*KINDS, "chirp")
    assert bundle.card["clips"] == 41
    assert bundle.card["per_class"]["chirp"]["n"] == 5
    assert bundle.card["backbone"]["licence"] == "MIT"
    for at, path in enumerate(sorted(chirps(tmp_path / "unseen", 6, seed=77).iterdir())):
        blocks = audiocnn.read_blocks(path, bundle.rate)
        runs = [run.values for run in audiocnn.listen(bundle, blocks)]
        best = np.concatenate(runs, axis=1).mean(axis=1).argmax()
        assert bundle.labels[best] == "chirp", at


def test_the_new_model_can_be_extended_again(model, tmp_path):
    main(["add-class", str(model), str(chirps(tmp_path / "chirp", 5)), "-o", str(tmp_path / "a")])
    more = make_dataset(tmp_path / "more", 4, kinds=("hum", "hiss"), seed=3)
    assert main(["add-class", str(tmp_path / "a"), str(more), "-o", str(tmp_path / "b")]) == 0
    bundle = audiocnn.load(tmp_path / "b")
    assert bundle.labels == (*KINDS, "chirp", "hum")
    assert bundle.card["per_class"]["hiss"]["n"] == 16  # more clips of a known class


def test_the_old_classes_keep_their_figures(model, tmp_path):
    main(["add-class", str(model), str(chirps(tmp_path / "chirp", 6)), "-o", str(tmp_path / "n")])
    old, new = (audiocnn.load(folder).card["per_class"] for folder in (model, tmp_path / "n"))
    for kind in KINDS:
        assert new[kind]["n"] == old[kind]["n"] == 12
        assert new[kind]["recall"] >= old[kind]["recall"] - 0.2


def test_what_cannot_be_added(model, tmp_path, capsys):
    one = chirps(tmp_path / "chirp", 1)
    assert main(["add-class", str(model), str(one), "-o", str(tmp_path / "new")]) == 2
    assert "'chirp' has 1 clip: a class takes 2 or more" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    two = make_dataset(tmp_path / "two", 2, kinds=("hum", "hiss"))
    assert main(["add-class", str(model), str(two), "-o", str(tmp_path / "n"), "--label", "x"]) == 2
    assert "--label x names one class" in capsys.readouterr().err


def test_models_that_cannot_be_extended(model, tmp_path):
    random_bundle("cnn1d", tmp_path / "plain")
    with pytest.raises(BundleError, match="has no head: only models made by `audiocnn train --b"):
        open_stored(tmp_path / "plain")
    bare = shutil.copytree(model, tmp_path / "bare")
    (bare / "embeddings.npz").unlink()
    with pytest.raises(BundleError, match="without embeddings of its training clips"):
        open_stored(bare)


def reviews(folder: Path, n: int) -> Path:
    """Write recordings with hums that were taken for a hiss, and true hisses, with verdicts."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    with (folder / "review.csv").open("w", newline="") as file:
        write_row = csv.writer(file).writerow
        write_row(COLUMNS)
        for at in range(n):
            path = folder / f"night{at}.wav"
            scene = [sound(kind, rng, 2.0) for kind in ("hum", "hiss")]
            soundfile.write(path, np.concatenate(scene), RATE)
            write_row(["gone.wav", path, 0.2, 1.2, "hiss", 0.9, 0, "wrong"])
            write_row(["gone.wav", path, 2.2, 3.2, "hiss", 0.9, 0, "right"])
    return folder / "review.csv"


def test_a_model_is_corrected_and_compared(model, tmp_path, capsys):
    path = reviews(tmp_path / "r", 6)
    out = str(tmp_path / "better")
    assert main(["improve", str(model), "--reviews", str(path), "-o", out, "--json"]) == 0
    printed = capsys.readouterr()
    rows = {row["label"]: row for row in json.loads(printed.out)}
    assert set(rows) == set(KINDS)
    hiss = rows["hiss"]
    assert hiss["wrong"] == hiss["right"] == 2  # of two recordings kept apart
    assert hiss["wrong_after"] <= hiss["wrong_before"]
    assert hiss["right_after"] == 2
    assert "12 verdicts of 6 recordings; 4 kept apart" in printed.err
    bundle = audiocnn.load(out)
    assert bundle.labels == KINDS
    training = load_training(f"{out}.run")
    assert training.figures["clips"] == 36  # verdicts are fitted on, never judged
    assert main(["improve", str(model), "--reviews", str(path), "-o", out, "--overwrite"]) == 0
    assert "false alarms in reviews kept apart are left" in capsys.readouterr().out


def test_verdicts_of_one_recording_are_not_divided():
    assert kept_apart(np.array([0, 0, 1, 1, 2, 2])).tolist() == [False] * 4 + [True] * 2
    assert not kept_apart(np.array([0, 0, 0])).any()
    assert kept_apart(np.array([0, 1, 1])).tolist() == [False, True, True]


def test_short_events_are_heard_in_their_context():
    clip = Clip(Path("x"), (), 1.0, 1.2)
    wide = in_context(clip, 2.0)
    assert (wide.start, wide.end) == (pytest.approx(0.1), pytest.approx(2.1))
    assert in_context(Clip(Path("x"), (), 0.1, 0.2), 2.0).start == 0.0
    assert in_context(Clip(Path("x"), (), 1.0, 5.0), 2.0).end == 5.0


def test_an_extended_bundle_needs_a_free_folder(model, tmp_path):
    with pytest.raises(ArgumentError, match="is a model already"):
        improve(model, [reviews(tmp_path / "r", 3)], model)


def test_a_corrected_model_can_get_a_class_and_keeps_its_verdicts(model, tmp_path):
    path = reviews(tmp_path / "r", 3)
    main(["improve", str(model), "--reviews", str(path), "-o", str(tmp_path / "better")])
    clips = chirps(tmp_path / "chirp", 5)
    assert main(["add-class", str(tmp_path / "better"), str(clips), "-o", str(tmp_path / "n")]) == 0
    training = load_training(tmp_path / "n.run")
    assert training.figures["clips"] == 41  # the clips and the chirps, not the six verdicts
    assert len(training.clips) == 47
    assert [clip.labels for clip in training.clips[36:41]] == [("chirp",)] * 5
    assert set(training.held_out.clip.tolist()) == set(range(41))
    bundle = audiocnn.load(tmp_path / "n")
    assert bundle.card["per_class"]["chirp"]["n"] == 5
