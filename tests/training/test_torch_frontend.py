"""What a network sees in training is what it hears later; and how signals are varied."""

import dataclasses

import numpy as np
import pytest
import torch

from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.training.augment.signal import (
    add_jitter,
    draw_amplitude,
    mix_signals,
    vary_signals,
)
from audiocnn.training.config import Augmentation
from audiocnn.training.torch_frontend import hide_frames, torch_front_end

ABOUT = ("x", "y"), (0.0, -9.81), (0.5, 2.0)
RAW = RawSpec(52.5, *ABOUT)
SPECTRUM = SpectrumSpec(1000.0, 64, 20, *ABOUT)
SOUND = MelSpec(8000, 256, 100, 16, 50.0, 4000.0)
FRONTS = [RAW, SPECTRUM, SOUND]
OFF = Augmentation(
    speed=1, roll=0, background=0, gain_db=(0, 0), mixup=0, tilt_db=0, band_limit=0, freq_masks=0,
    time_masks=0,
)  # fmt: skip


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def windows(front, n: int = 6) -> tuple[np.ndarray, torch.Tensor]:
    """Give windows as they are recorded, and as training reads them."""
    draw = np.random.default_rng(0)
    recorded = np.stack([front.example(600, draw) for _ in range(n)])
    if isinstance(front, MelSpec):
        return recorded, torch.from_numpy(recorded)
    offset, scale = (np.array(v, np.float32)[:, None] for v in (front.offset, front.scale))
    return recorded, torch.from_numpy((recorded - offset) / scale)


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
def test_training_sees_what_the_runtime_sees(front):
    recorded, seen = windows(front)
    expected = np.stack([front.frames(x) for x in recorded])
    found = torch_front_end(front).plain(seen).numpy()
    assert found.shape == (6, front.planes, front.n_bands, found.shape[3])
    np.testing.assert_allclose(found, expected, atol=2e-3)  # float32 logarithms, see test_mel


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
def test_nothing_switched_on_changes_nothing(front):
    _, seen = windows(front)
    targets = torch.eye(6)
    frames, same = torch_front_end(front).varied(seen, 0 * seen, targets, OFF, rng())
    assert torch.equal(same, targets)
    torch.testing.assert_close(frames, torch_front_end(front).plain(seen), atol=1e-5, rtol=1e-5)
    assert torch.equal(hide_frames(frames, OFF, rng()), frames)


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
def test_a_seed_decides_all(front):
    _, seen = windows(front)
    a = Augmentation(polarity=0.5, noise=0.5)
    see = torch_front_end(front)
    one, two, other = (see.varied(seen, 0 * seen, torch.eye(6), a, rng(s))[0] for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_what_lies_under_a_signal_is_added_and_the_input_stays():
    x, under = torch.randn(3, 2, 50, generator=rng(1)), torch.randn(3, 2, 50, generator=rng(2))
    before = x.clone()
    torch.testing.assert_close(vary_signals(x, under, OFF, rng()), x + under)
    turned = vary_signals(x, under, dataclasses.replace(OFF, polarity=1.0), rng())
    torch.testing.assert_close(turned, under - x)
    assert torch.equal(x, before)


def test_jitter_has_the_level_that_was_drawn():
    x = torch.zeros(200, 3, 500)
    noise = add_jitter(x, 0.5, (20.0, 20.0), rng())
    noisy = noise.abs().amax((1, 2)) > 0
    assert 70 < int(noisy.sum()) < 130
    np.testing.assert_allclose(noise[noisy].std((1, 2)), 0.1, rtol=0.1)


def test_amplitudes_change_for_all_channels_alike():
    x = torch.randn(50, 3, 40, generator=rng())
    ratio = draw_amplitude(x, (-6.0, 6.0), rng()) / x
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))
    assert 0.5 < float(ratio.min()) < 0.7
    assert 1.5 < float(ratio.max()) < 2.0


def test_signals_are_mixed_by_the_shares_of_their_labels():
    x = torch.eye(8)[:, None, :].repeat(1, 2, 1)  # window k is 1 at sample k alone
    mixed, targets = mix_signals(x, torch.eye(8), 0.7, rng(3))
    torch.testing.assert_close(mixed[:, 0], targets)
    torch.testing.assert_close(mixed[:, 1], targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(8))
    assert float(targets.diagonal().min()) >= 0.5
    assert 2 < int((targets.diagonal() < 1).sum()) < 8
