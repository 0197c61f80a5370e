"""Pretraining: recordings are told apart, silence is left out, interrupted is the same."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiocnn.errors import DatasetError
from audiocnn.manifest import Clip
from audiocnn.mel import MelSpec
from audiocnn.training.cache import Waveforms, cached_waveforms
from audiocnn.training.pretraining import pretrain
from audiocnn.training.recipe import Augmentation, Recipe

RATE = 8000
RECIPE = Recipe(
    MelSpec(RATE, 256, 100, 20, 60.0, 4000.0), window=0.6, hop=0.3, pools=2, batch=8,
    learning_rate=3e-3, augmentation=Augmentation(mixup=0.0), precision="32-true",
)  # fmt: skip


def recordings(folder: Path, pitches: list[float]) -> Waveforms:
    """Decode a tone for each pitch, in noise; a pitch of 0 is silence."""
    rng, t = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    clips = []
    for i, pitch in enumerate(pitches):
        x = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.02 * rng.standard_normal(t.size)
        soundfile.write(folder / f"{i}.wav", x if pitch else 0 * t, RATE)
        clips.append(Clip(folder / f"{i}.wav", ()))
    return cached_waveforms(clips, RATE, folder / "cache")


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Waveforms:
    return recordings(tmp_path_factory.mktemp("sounds"), [300, 0, 800, 2000])


def test_it_learns_to_tell_recordings_apart_and_begins_a_classifier(waves, tmp_path):
    losses: list[float] = []
    network = pretrain(
        waves, RECIPE, 5, tmp_path, epochs=12, progress=lambda *done: losses.append(done[2])
    )
    assert len(losses) == 12
    assert losses[0] > 0.9  # log of 3 recordings is 1.1; the silent one is none
    assert losses[-1] < 0.6
    assert not network.training
    assert network.spec.n_classes == 5
    assert torch.isfinite(network(torch.zeros(1, 1, 20, network.receptive_field))).all()


def test_interrupted_it_ends_in_the_same_network(waves, tmp_path):
    class Killed(Exception):
        pass

    def kill(done: int, n: int, loss: float) -> None:
        if done == 1:
            raise Killed

    whole = pretrain(waves, RECIPE, 2, tmp_path / "whole", epochs=2)
    with pytest.raises(Killed):
        pretrain(waves, RECIPE, 2, tmp_path / "cut", epochs=2, progress=kill)
    resumed = pretrain(waves, RECIPE, 2, tmp_path / "cut", epochs=2)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_silence_alone_teaches_nothing(tmp_path):
    with pytest.raises(DatasetError, match="1 audible recordings without labels; at least 2"):
        pretrain(recordings(tmp_path, [300, 0, 0]), RECIPE, 2, tmp_path, epochs=1)
