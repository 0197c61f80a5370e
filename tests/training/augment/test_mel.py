"""Augmentation: each kind keeps its law, and all draws come from the generator."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.training.augment.mel import (
    band_limit,
    draw_gain,
    hide,
    lose_quiet,
    mask,
    mixup,
    tilt,
    vary_power,
    warp,
)
from audiocnn.training.config import Augmentation

B, M, T = 64, 40, 30


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_power(seed: int = 0) -> torch.Tensor:
    """Make mel powers (B, M, T) at levels from -60 to 0 dB."""
    g = rng(seed)
    level = 10 ** (-6 * torch.rand(B, 1, 1, generator=g))
    return level * torch.rand(B, M, T, generator=g)


def some_targets() -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.arange(B) % 5, 6).float()


def level(power: torch.Tensor) -> torch.Tensor:
    return power.mean((1, 2))


def db(ratio: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(ratio)


OFF = Augmentation(
    speed=1.0, roll=0, gain_db=(0, 0), background=0, mixup=0, tilt_db=0, band_limit=0,
    freq_masks=0, freq_mask=0, time_masks=0, time_mask=0, codec=0, warp=1.0,
)  # fmt: skip


def test_switched_off_nothing_changes():
    power, targets = some_power(), some_targets()
    varied, same = vary_power(power, targets, OFF, rng())
    torch.testing.assert_close(varied, power, rtol=0, atol=0)
    torch.testing.assert_close(same, targets, rtol=0, atol=0)
    frames = torch.randn(B, M, T, generator=rng())
    assert torch.equal(hide(frames, OFF, rng()), frames)
    without_width = dataclasses.replace(OFF, freq_masks=3, time_masks=3)
    assert torch.equal(hide(frames, without_width, rng()), frames)


@pytest.mark.parametrize(
    "change",
    [
        {"gain_db": (-18.0, 6.0)}, {"mixup": 1.0}, {"tilt_db": 6.0}, {"band_limit": 1.0},
        {"codec": 1.0}, {"warp": 1.2},
        {"freq_masks": 2, "freq_mask": 0.3}, {"time_masks": 1, "time_mask": 0.3},
    ],
)  # fmt: skip
def test_switched_on_it_changes_and_the_generator_alone_decides(change):
    a = dataclasses.replace(OFF, **change)
    power, targets = some_power(), some_targets()

    def varied(seed: int) -> torch.Tensor:
        torch.manual_seed(np.random.default_rng().integers(2**31))  # the global one is not asked
        g = rng(seed)
        return hide(vary_power(power.clone(), targets, a, g)[0], a, g)

    assert torch.equal(varied(1), varied(1))
    assert not torch.equal(varied(1), varied(2))
    assert not torch.equal(varied(1), power)


def test_what_comes_in_is_left_as_it_was():
    power, targets = some_power(), some_targets()
    copies = power.clone(), targets.clone()
    g = rng()
    varied, _ = vary_power(power, targets, Augmentation(), g)
    hide(varied, Augmentation(), g)
    assert torch.equal(power, copies[0])
    assert torch.equal(targets, copies[1])


def test_the_default_augmentation_gives_powers_and_labels():
    power, targets = vary_power(some_power(), some_targets(), Augmentation(), rng())
    assert torch.isfinite(power).all()
    assert (power >= 0).all()
    assert ((targets >= 0) & (targets <= 1)).all()


# Mixup ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_mixup_keeps_the_level_of_each_window(seed, probability):
    power = some_power()
    mixed, _ = mixup(power, some_targets(), probability, rng(seed))
    # Levels are brought together over 40 dB at most.
    near = (db(level(power)[:, None] / level(power)[None])).abs().max(1).values < 40
    assert near.any()
    torch.testing.assert_close(level(mixed)[near], level(power)[near], rtol=1e-4, atol=0)


def test_mixup_mixes_powers_and_labels_by_the_same_share():
    """Each window has a band of its own, so what a window is made of can be read off it."""
    n = 8
    power = torch.zeros(n, n, 5)
    for i in range(n):
        power[i, i] = 10.0 ** -(i % 3)  # at levels of their own
    targets = torch.eye(n)
    mixed, mixed_targets = mixup(power, targets, 1.0, rng(3))
    shares = mixed.mean(2) / level(power)[:, None] / n
    torch.testing.assert_close(shares, mixed_targets, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(n))
    assert (mixed_targets.diagonal() >= 0.5).all()  # the window itself is the louder one
    assert (mixed_targets.diagonal() < 1).any()


def test_mixup_mixes_as_often_as_it_is_told():
    targets = torch.eye(400)
    for probability in (0.0, 0.3, 1.0):
        _, mixed = mixup(torch.ones(400, 2, 2), targets, probability, rng(1))
        share = (mixed.diagonal() < 1).float().mean().item()
        assert share == pytest.approx(probability, abs=0.07)


def test_mixing_a_label_with_itself_changes_no_label():
    targets = torch.tensor([[0.0, 1.0, 0.0]]).repeat(B, 1)
    _, mixed = mixup(some_power(), targets, 1.0, rng())
    torch.testing.assert_close(mixed, targets)


def test_silence_takes_no_label_from_a_sound_that_is_not_to_be_heard():
    power, targets = torch.ones(2, 4, 5), torch.tensor([[0.0], [1.0]])
    power[0] = 0  # silence, a background: what is mixed into it is brought to its level
    for seed in range(10):
        mixed, mixed_targets = mixup(power, targets, 1.0, rng(seed))
        assert level(mixed)[0] < 1e-10
        assert mixed_targets[0] == 0


def test_mixup_with_silence_gives_finite_powers():
    power = torch.zeros(4, M, T)
    power[0] = 1
    mixed, targets = mixup(power, torch.eye(4), 1.0, rng(1))
    assert torch.isfinite(mixed).all()
    assert torch.isfinite(targets).all()


# Level and colour -------------------------------------------------------------------------


def test_gain_changes_each_window_by_decibels_within_the_range():
    power = some_power()
    changed = db(draw_gain(power, (-18.0, 6.0), rng()) / power)
    per_window = changed.mean((1, 2))
    torch.testing.assert_close(changed, per_window[:, None, None].expand_as(changed))
    assert per_window.min() >= -18 - 1e-4
    assert per_window.max() <= 6 + 1e-4
    assert per_window.min() < -12  # drawn evenly, so the ends are reached
    assert per_window.max() > 0
    fixed = draw_gain(power, (-3.0, -3.0), rng())
    torch.testing.assert_close(fixed, power * 10**-0.3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.5, 12))
def test_tilt_is_smooth_and_bounded_and_the_same_at_all_times(seed, tilt_db):
    power = torch.ones(B, M, T)
    colour = db(tilt(power, tilt_db, rng(seed)))
    assert colour.std(2).max() < 1e-4
    # Half of the slope at an end, and half of each of three waves.
    assert colour.abs().max() <= 2 * tilt_db + 1e-3
    # From band to band no more than slope and waves are steep: (1 + (1 + 2 + 3) pi / 2) / M.
    steps = colour[:, 1:, 0] - colour[:, :-1, 0]
    assert steps.abs().max() <= tilt_db * (1 + 3 * np.pi) / (M - 1) + 1e-3
    assert (colour[:, :, 0].std(1) > 0).all()


def test_a_tilt_colours_sounds_as_it_colours_all():
    """It is a filter: it multiplies, whatever the sound."""
    power = some_power()
    torch.testing.assert_close(
        tilt(power, 6.0, rng(4)), power * tilt(torch.ones(B, M, T), 6.0, rng(4))
    )


def test_band_limit_takes_away_what_is_above_the_cut_and_nothing_else():
    power = some_power() + 0.1
    factor = band_limit(power, 1.0, rng()) / power
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor))
    kept = (factor[..., 0] > 1 - 1e-6).int()
    assert torch.equal(kept, kept.cummin(1).values)  # below the cut all, above it nothing
    counts = kept.sum(1)
    assert counts.min() >= int(0.35 * M)
    assert counts.max() <= 0.95 * M + 1
    assert counts.max() > counts.min() + M // 4
    falling = factor[..., 0]
    assert (falling[:, 1:] <= falling[:, :-1] + 1e-6).all()
    well_above = torch.arange(M)[None] >= counts[:, None] + 5
    assert (falling[well_above] < 1e-8).all()  # 80 dB and more


def test_band_limit_comes_as_often_as_it_is_told():
    power = torch.ones(2000, M, 1)
    touched = (band_limit(power, 0.2, rng()) < 0.5).any(1).float().mean().item()
    assert touched == pytest.approx(0.2, abs=0.04)


# Masks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_a_mask_hides_one_stretch_no_longer_than_its_share(axis, seed, share):
    frames = torch.ones(B, M, T)
    hidden = mask(frames, axis, 1, share, rng(seed)) == 0
    other = 3 - axis
    line = hidden.any(other)
    assert torch.equal(line, hidden.all(other))  # over all of the other axis
    assert line.sum(1).max() <= share * frames.shape[axis]
    edges = (line[:, 1:] != line[:, :-1]).sum(1) + line[:, 0].int() + line[:, -1].int()
    assert set(edges.tolist()) <= {0, 2}  # one stretch
    assert torch.equal(hidden.any(axis).any(1), line.any(1))


def test_masks_fall_everywhere_and_what_they_leave_is_untouched():
    frames = torch.randn(2000, M, T, generator=rng())
    covered = mask(frames, 2, 1, 0.3, rng(1))
    hidden = covered == 0
    torch.testing.assert_close(covered[~hidden], frames[~hidden], rtol=0, atol=0)
    often = hidden[:, 0].float().mean(0)
    assert often[:-1].min() > 0  # the very last frame never is, as in the paper: [0, T - width)
    assert often.max() < 0.3


def test_several_masks_hide_at_most_several_shares():
    frames = torch.ones(500, M, T)
    lines = (mask(frames, 1, 3, 0.2, rng()) == 0).any(2).sum(1)
    assert lines.max() <= 3 * 0.2 * M
    assert lines.max() > 0.2 * M


def test_a_codec_loses_what_is_quiet_beside_the_loudest_and_nothing_else():
    power = 10 ** (-6 * torch.rand(200, M, T, generator=rng()))
    kept = lose_quiet(power, 1.0, (25.0, 50.0), rng())
    heard = kept > 0
    assert torch.equal(kept[heard], power[heard])
    under = db(power.amax(1, keepdim=True) / power)
    deepest_kept = torch.where(heard, under, 0).amax((1, 2))
    first_lost = torch.where(heard, 99, under).amin((1, 2))
    assert (first_lost >= deepest_kept).all()  # one depth for each window
    assert deepest_kept.min() > 20
    assert deepest_kept.max() <= 50
    assert deepest_kept.max() - deepest_kept.min() > 15
    assert torch.equal(lose_quiet(power, 0.0, (25.0, 50.0), rng()), power)
    touched = (lose_quiet(power, 0.3, (25.0, 50.0), rng()) != power).any(2).any(1)
    assert touched.float().mean() == pytest.approx(0.3, abs=0.1)


def test_a_warp_moves_a_band_by_its_ratio_and_keeps_flat_spectra():
    at, largest = 20, 1.25
    power = torch.zeros(400, M, T)
    power[:, at] = 1
    warped = warp(power, largest, rng())
    centre = (warped[..., 0] * torch.arange(M)).sum(1) / warped[..., 0].sum(1)
    assert centre.min() >= at / largest - 0.5
    assert centre.max() <= at * largest + 0.5
    assert centre.min() < at / 1.2
    assert centre.max() > at * 1.2
    assert (centre == at).float().mean() == pytest.approx(0.5, abs=0.08)  # half are left alone
    flat = torch.ones(50, M, T)
    torch.testing.assert_close(warp(flat, largest, rng()), flat)
    torch.testing.assert_close(
        warp(2 * some_power(), 1.2, rng()), 2 * warp(some_power(), 1.2, rng())
    )
