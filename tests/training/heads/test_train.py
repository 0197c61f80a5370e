"""`train --backbone` from a folder of sounds to a bundle that labels, on a random backbone."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError, BundleError, DatasetError
from audiocnn.training.heads import compare, embedding
from audiocnn.training.heads.config import HeadConfig, Variation
from audiocnn.training.heads.feature_set import feature_bytes, read_features, reduced
from audiocnn.training.heads.train import train_head
from audiocnn.training.heads.variants import Backgrounds, low_pass, varied_windows
from audiocnn.training.run_results import load_training
from tests.bundles import FRONT, random_bundle, windowed_bundle, write
from tests.sounds import KINDS, RATE, make_dataset, sound

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "sounds", 12)


@pytest.fixture(scope="module")
def hum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hum")
    soundfile.write(folder / "hum.wav", sound("hum", np.random.default_rng(5), 30.0), RATE)
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "noisy"
    write(replace(windowed_bundle("frames"), card={"licence": "MIT"}), folder)
    return folder


@pytest.fixture(scope="module")
def trained(dataset, hum, backbone, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    lines: list[str] = []
    train_head(dataset, out, backbone, folds=3, background=hum, progress=lines.append)
    out.with_name("told").write_text("\n".join(lines))
    return out


def test_the_model_labels_at_once(trained, tmp_path, capsys):
    path = tmp_path / "scene.wav"
    rng = np.random.default_rng(7)
    soundfile.write(path, np.concatenate([sound(k, rng, 3.0) for k in ("hiss", "whistle")]), RATE)
    assert main(["verify", str(path), "--model", str(trained)]) == 0
    capsys.readouterr()
    assert main(["label", str(path), "--model", str(trained)]) == 0
    found = capsys.readouterr().out
    assert [kind in found for kind in KINDS] == [True, False, True]


def test_the_card_names_backbone_licences_and_figures(trained):
    card = audiocnn.load(trained).card
    assert card["backbone"]["name"] == "noisy"
    assert card["backbone"]["licence"] == "MIT"
    assert card["licence"].startswith("backbone: MIT; head: ")
    assert card["judged"].startswith("3-fold cross-validation, groups together")
    low, high = card["accuracy_bounds"]
    assert 0.8 <= low <= card["accuracy"] <= high <= 1
    assert card["false_alarms"]["hours"] == pytest.approx(30 / 3600, rel=0.05)
    readme = (trained / "README.md").read_text()
    assert "--backbone noisy" in readme
    assert "MIT" in readme


def test_what_the_training_leaves(trained):
    training = load_training(trained.with_name("model.run"))
    assert isinstance(training.config, HeadConfig)
    assert sorted(set(training.fold.tolist())) == [0, 1, 2]
    assert set(training.held_out.clip.tolist()) == set(range(36))
    assert (np.diff(training.held_out.clip) >= 0).all()
    assert training.clip_embeddings.shape == (36, 12)
    assert {path.name for path in trained.with_name("model.run").iterdir()} == {
        "training.json", "held_out.npz", "background.npz", "predictions.csv",
        "clip_embeddings.npz",
    }  # fmt: skip


def test_stored_features_agree_with_the_pipeline(dataset, trained):
    bundle, stored = audiocnn.load(trained), read_features(trained / "embeddings.npz")
    assert stored.labels == bundle.labels
    paths = sorted(dataset.glob("*/*.wav"))
    blocks = audiocnn.read_blocks(paths[0], bundle.rate)
    (run,) = [run for run in bundle.pipeline().uncalibrated.scores(blocks) if run.values.size]
    own = stored.plain.features[bundle.head.pooling][stored.plain.clip == 0]
    np.testing.assert_allclose(bundle.head.logits(own.T), run.values, atol=0.05)  # half precision


def test_the_report_has_a_map_and_needs_no_network(trained, tmp_path):
    assert main(["report", str(trained), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    for words in ("A map of the embeddings", "a head on noisy", "most similar", "numbers were fit"):
        assert words in page


def test_pytorch_is_not_needed(dataset, backbone, tmp_path):
    """The command runs, report included, in a process where PyTorch cannot be imported."""
    block = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'torchaudio', 'lightning'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from audiocnn.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = ["train", str(dataset), "-o", str(tmp_path / "m"), "--backbone", str(backbone)]
    done = subprocess.run(
        [sys.executable, "-c", block, *command, "--copies", "0"], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.html").exists()
    assert audiocnn.load(tmp_path / "m").labels == KINDS


def test_a_streaming_network_is_a_backbone_too(dataset, tmp_path):
    base = random_bundle("cnn2d", tmp_path / "base")
    bundle = train_head(dataset, tmp_path / "m", tmp_path / "base", folds=2, copies=0)
    assert bundle.head.pooling in ("mean", "mean+max", "concat")
    assert bundle.model == base.model
    assert (tmp_path / "m" / "weights.safetensors").exists()
    assert audiocnn.load(tmp_path / "m").card["accuracy"] > 0.8


def test_rows_kept_apart_by_a_column(dataset, backbone, tmp_path):
    rows = ["path,label,split"]
    for at, path in enumerate(sorted(dataset.glob("*/*.wav"))):
        rows.append(f"{path},{path.parent.name},{'test' if at % 4 == 0 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    train_head(
        tmp_path / "clips.csv", tmp_path / "m", backbone, valid={"split": ("test",)}, copies=0
    )
    training = load_training(tmp_path / "m.run")
    assert set(training.held_out.clip.tolist()) == set(range(0, 36, 4))
    assert training.figures["clips"] == 9


def test_a_training_that_stopped_continues(dataset, backbone, tmp_path, monkeypatch):
    calls: list[int] = []
    windows_of = embedding.Embedder._windows_of

    def counted(self, stored, clip):
        calls.append(clip)
        if len(calls) == 15:  # six to measure the time, nine of the training
            raise KeyboardInterrupt
        return windows_of(self, stored, clip)

    monkeypatch.setattr(embedding, "GROUP", 4)
    monkeypatch.setattr(embedding.Embedder, "_windows_of", counted)
    chosen = {"folds": 2, "copies": 0}
    with pytest.raises(KeyboardInterrupt):
        train_head(dataset, tmp_path / "m", backbone, **chosen)
    n_before = len(calls)
    lines: list[str] = []
    again = train_head(dataset, tmp_path / "m", backbone, progress=lines.append, **chosen)
    assert "continuing with embeddings that are kept already (2 files)" in lines
    assert 36 - 8 <= len(calls) - n_before <= 36 - 4  # whole groups of four were kept
    monkeypatch.setattr(embedding.Embedder, "_windows_of", windows_of)
    whole = train_head(dataset, tmp_path / "whole", backbone, **chosen)
    np.testing.assert_array_equal(again.head.layers[0][0], whole.head.layers[0][0])


def test_the_same_seed_gives_the_same_head(dataset, backbone, tmp_path):
    heads = [
        train_head(dataset, tmp_path / name, backbone, folds=2, seed=seed).head
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    np.testing.assert_array_equal(heads[0].layers[0][0], heads[1].layers[0][0])
    assert not np.array_equal(heads[0].layers[0][0], heads[2].layers[0][0])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"window": 0.1}, ArgumentError, "takes windows of 0.4945 s"),
        ({"hidden": -1}, ArgumentError, "hidden must be 0 to 4096"),
        ({"copies": 99}, ArgumentError, "copies must be 0 to 20"),
        ({"backbone": "no such"}, BundleError, "no model 'no such'"),
        ({"background": "nowhere"}, ArgumentError, "no such file or folder of background"),
    ],
)
def test_bad_choices_are_refused(changes, error, message, dataset, backbone, tmp_path):
    values = {"data": dataset, "out": tmp_path / "m", "backbone": backbone} | changes
    with pytest.raises(error, match=message):
        train_head(**values)
    assert not (tmp_path / "m").exists()


def test_a_network_without_embeddings_is_no_backbone(dataset, tmp_path):
    bundle = windowed_bundle("frames")
    write(replace(bundle, network=replace(bundle.network, embeddings="")), tmp_path / "base")
    with pytest.raises(BundleError, match="gives no embeddings"):
        train_head(dataset, tmp_path / "m", tmp_path / "base")


def test_other_signals_are_refused_by_a_backbone_of_sound(backbone, tmp_path):
    for label in ("walk", "run"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for at in range(3):
            rows = "\n".join(f"{k / 50},{k % 7}" for k in range(200))
            (tmp_path / "data" / label / f"{at}.csv").write_text(f"time,x\n{rows}\n")
    with pytest.raises(DatasetError, match="takes sound, and the data are other signals"):
        train_head(tmp_path / "data", tmp_path / "m", backbone)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--backbone", "environment", "--epochs", "3"], "--epochs has no meaning with --backbone"),
     (["--backbone", "environment", "--arch", "cnn1d"], "--arch has no meaning"),
     (["--hidden", "8"], "--hidden needs --backbone"),
     (["--fine-tune"], "--fine-tune needs --backbone")],
)  # fmt: skip
def test_options_without_effect_are_refused(
    options, message, dataset, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(compare, "backbones_at_hand", list)  # so that none is the default
    assert main(["train", str(dataset), "-o", str(tmp_path / "m"), *options]) == 2
    assert message in capsys.readouterr().err


class Recording:
    """Two clips for `varied_windows`: a tone, and noise."""

    rate, step = 8000, 400

    def __init__(self, clips):
        self.clips = clips
        self.starts = np.cumsum([0, *map(len, clips)])

    def read(self, clip, start, length):
        out = np.zeros(length, np.float32)
        piece = self.clips[clip][max(0, start) : start + length]
        out[max(0, -start) : max(0, -start) + len(piece)] = piece
        return out

    def length(self, clip):
        return len(self.clips[clip])

    def clip_levels(self, clip):
        x = self.clips[clip]
        return np.array([np.mean(x[k : k + 400] ** 2) for k in range(0, len(x), 400)], np.float32)


def test_background_is_mixed_in_from_the_clips_own_part_only():
    ones, twos = np.full(8000, 0.25, np.float32), np.full(8000, -0.5, np.float32)
    backgrounds = Backgrounds(Recording([ones, twos]), np.array([0, 1]))
    rng = np.random.default_rng(0)
    for part, sign in ((0, 1), (1, -1)):
        for _ in range(20):
            assert (np.sign(backgrounds.window(part, 100, rng)) == sign).all()
    assert backgrounds.window(-1, 100, rng) is None


def test_varied_windows_depend_on_seed_and_clip_alone():
    rng = np.random.default_rng(1)
    clips = Recording([rng.standard_normal(16000).astype(np.float32) / 10 for _ in range(2)])
    config = HeadConfig(FRONT, "b 0", variation=Variation(copies=2))
    first, again = (list(varied_windows(clips, 0, 0, 4000, None, config)) for _ in range(2))
    assert len(first) >= 8
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = list(varied_windows(clips, 0, 0, 4000, None, replace(config, seed=1)))
    assert not np.array_equal(first[0], other[0])


def test_a_low_pass_removes_what_lies_above():
    t = np.arange(8000) / 8000
    low, high = np.sin(2 * np.pi * 500 * t), np.sin(2 * np.pi * 3500 * t)
    left = low_pass((low + high).astype(np.float32), 8000, 2000)
    np.testing.assert_allclose(left, low, atol=0.01)


def test_stored_features_come_back_and_are_limited(trained):
    data = read_features(trained / "embeddings.npz")
    (pooling,) = data.poolings
    small = reduced(data, pooling, most=60)
    n = small.plain.clip.size + small.varied.clip.size
    assert n + (small.quiet.clip.size if small.quiet else 0) <= 60
    assert {label for clip in small.clips for label in clip.labels} == set(KINDS)  # all in turn
    assert small.plain.clip.max() == len(small.clips) - 1
    assert small.split.part.size == small.split.group.size == len(small.clips)
    path = trained.with_name("small.npz")
    path.write_bytes(feature_bytes(small))
    again = read_features(path)
    np.testing.assert_allclose(
        again.plain.features[pooling], small.plain.features[pooling], rtol=2e-3, atol=1e-4
    )
    path.write_bytes(b"not this")
    with pytest.raises(BundleError, match="cannot be read"):
        read_features(path)
    with pytest.raises(BundleError, match="without embeddings of its training clips"):
        read_features(trained / "nowhere.npz")


def test_no_embeddings_on_request(dataset, backbone, tmp_path):
    assert main([
        "train", str(dataset), "-o", str(tmp_path / "m"), "--backbone", str(backbone), "--folds",
        "2", "--no-embeddings", "--no-report",
    ]) == 0  # fmt: skip
    assert not (tmp_path / "m" / "embeddings.npz").exists()
    shutil.rmtree(tmp_path / "m.run")
    audiocnn.load(tmp_path / "m")


def test_a_network_of_others_is_not_fine_tuned(dataset, backbone, tmp_path, capsys):
    command = ["train", str(dataset), "-o", str(tmp_path / "m"), "--backbone", str(backbone)]
    assert main([*command, "--fine-tune"]) == 2
    assert "noisy cannot be trained further" in capsys.readouterr().err


def test_fine_tuning_trains_the_network_of_a_backbone(dataset, tmp_path):
    base = random_bundle("cnn1d", tmp_path / "base")
    command = ["train", str(dataset), "-o", str(tmp_path / "m"), "--backbone",
               str(tmp_path / "base"), "--fine-tune", "--epochs", "1", "--folds", "1",
               "--no-report"]  # fmt: skip
    assert main(command) == 0
    bundle = audiocnn.load(tmp_path / "m")
    assert bundle.head is None
    assert bundle.model != base.model
    assert bundle.network.details["arch"] == "cnn1d"


def test_the_time_is_announced(trained):
    told = trained.with_name("told").read_text()
    assert re.search(r"about \d+ s to embed \d+ s of sound, by a few clips measured here", told)
