"""The quick comparison of backbones, and what is said and done with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import audiocnn
from audiocnn.cli.main import main
from audiocnn.datasets.manifest import read_manifest
from audiocnn.errors import ArgumentError
from audiocnn.training.defaults import look_at
from audiocnn.training.heads import compare
from audiocnn.training.heads.compare import (
    Trial,
    best_of,
    clearly_better,
    compare_backbones,
    general_backbones,
    sample,
)
from audiocnn.training.heads.train import train_head
from tests.bundles import windowed_bundle, write
from tests.sounds import make_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "sounds", 10)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a random backbone, and one whose embeddings depend on hardly anything."""
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path))
    good = windowed_bundle("frames")
    write(good, tmp_path / "models" / "good")
    write(replace(good, front=replace(good.front, floor=1e12)), tmp_path / "models" / "deaf")
    monkeypatch.setattr(compare, "SPECIALISED", tuple(audiocnn.shipped_models()))
    return ["deaf", "good"]


def test_backbones_at_hand(installed, monkeypatch, tmp_path):
    assert general_backbones() == installed
    (tmp_path / "models" / "good" / "graph.onnx").write_bytes(b"damaged")
    assert general_backbones() == ["deaf"]  # what cannot be opened is not at hand


def test_the_comparison_tells_a_deaf_backbone_from_a_good_one(dataset, installed):
    clips = read_manifest(dataset)
    trials = compare_backbones(clips, np.arange(len(clips)), look_at(clips), installed)
    assert [trial.name for trial in trials] == installed
    assert best_of(trials).name == "good"
    assert trials[1].accuracy > 0.8 > trials[0].accuracy + 0.1
    assert clearly_better(trials[0], trials[1:]).name == "good"
    assert clearly_better(trials[1], trials[:1]) is None


def test_what_is_said_and_taken(dataset, installed, tmp_path, capsys):
    command = ["train", str(dataset), "--no-report", "--folds", "2", "--copies", "0", "-o"]
    assert main([*command, str(tmp_path / "a"), "--backbone", "deaf"]) == 0
    assert "warning: good does better on a sample: deaf" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "b"), "--backbone", "deaf", "--no-comparison"]) == 0
    assert "warning: good" not in capsys.readouterr().err
    assert main([*command, str(tmp_path / "c"), "--backbone", "auto"]) == 0
    assert "backbone good: deaf" in capsys.readouterr().err
    assert audiocnn.load(tmp_path / "c").card["backbone"]["name"] == "good"


def test_a_general_backbone_is_the_default(dataset, installed, tmp_path, capsys):
    assert main(["train", str(dataset), "--no-report", "--folds", "2", "-o",
                 str(tmp_path / "a")]) == 0  # fmt: skip
    assert "on a backbone at hand (deaf, good), the default; for a network from scratch" in (
        capsys.readouterr().err
    )
    assert audiocnn.load(tmp_path / "a").head is not None


def test_auto_without_any(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "backbones_at_hand", list)
    with pytest.raises(ArgumentError, match="no general backbone is at hand: install one"):
        train_head(dataset, tmp_path / "m", "auto")


def test_a_small_difference_is_none():
    rng = np.random.default_rng(0)
    first = rng.random(100) < 0.8
    second = first.copy()
    second[np.flatnonzero(~first)[:3]] = True  # three clips more
    assert clearly_better(Trial("a", first), [Trial("b", second)]) is None
    second[np.flatnonzero(~first)[:8]] = True
    assert clearly_better(Trial("a", first), [Trial("b", second)]).name == "b"
    assert clearly_better(Trial("a", first), []) is None


def test_a_sample_has_each_class_in_turn(dataset, monkeypatch):
    clips = read_manifest(dataset)
    monkeypatch.setattr(compare, "CLIPS", 9)
    chosen = sample(clips, 0)
    assert chosen.size == np.unique(chosen).size == 9
    names = [clips[k].labels[0] for k in chosen.tolist()]
    assert sorted(names) == sorted(["hiss", "knock", "whistle"] * 3)
