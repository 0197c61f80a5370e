"""Variation of samples: each kind keeps its law, silence stays silent, draws come from seeds."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.training.augment.waveform import (
    add_noise,
    change_pitch,
    clip_peaks,
    compand,
    reverberate,
    room_responses,
    vary_samples,
)
from audiocnn.training.config import Augmentation

RATE = 8000
N = 4000
OFF = Augmentation(
    speed=1.0, roll=0, gain_db=(0, 0), background=0, mixup=0, tilt_db=0, band_limit=0,
    freq_masks=0, freq_mask=0, time_masks=0, time_mask=0, pitch=0, reverb=0, polarity=0,
    noise=0, clipping=0, companding=0, codec=0, warp=1.0,
)  # fmt: skip
SWITCHES = ("pitch", "reverb", "polarity", "noise", "clipping", "companding")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_samples(n_rows: int = 6, n: int = N) -> torch.Tensor:
    """Make noise that swells and dies, at levels of its own in each row."""
    swell = torch.sin(torch.linspace(0, torch.pi, n))
    level = 0.3 ** (torch.arange(n_rows)[:, None] % 6)
    return torch.randn(n_rows, n, generator=rng(9)) * swell * level


def power(x: torch.Tensor) -> torch.Tensor:
    return x.square().mean(1)


def db(ratio: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(ratio)


# All of them --------------------------------------------------------------------------------


def test_switched_off_only_the_background_is_added_and_nothing_is_drawn():
    samples, under, generator = some_samples(), 0.1 * some_samples().flip(0), rng(3)
    before = generator.get_state()
    torch.testing.assert_close(vary_samples(samples, under, OFF, RATE, generator), samples + under)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("name", SWITCHES)
def test_switched_on_it_changes_and_the_generator_alone_decides(name):
    samples, under = some_samples(32), torch.zeros(32, N)
    a = dataclasses.replace(OFF, **{name: 0.5})

    def varied(seed: int) -> torch.Tensor:
        torch.manual_seed(np.random.default_rng().integers(2**31))  # the global one is not asked
        return vary_samples(samples, under, a, RATE, rng(seed))

    assert torch.equal(varied(1), varied(1))
    assert not torch.equal(varied(1), varied(2))
    untouched = (varied(1) == samples).all(1)
    assert 6 <= untouched.sum() <= 26  # about half of 32


@pytest.mark.parametrize("name", SWITCHES)
def test_silence_stays_silent_and_all_stays_finite(name):
    samples = some_samples()
    samples[2] = 0
    out = vary_samples(samples, 0 * samples, dataclasses.replace(OFF, **{name: 1.0}), RATE, rng())
    assert torch.isfinite(out).all()
    assert power(out)[2] < 1e-20
    # What was to be heard can be heard: within 12 dB, whatever was cut off or added.
    heard = torch.tensor([0, 1, 3, 4, 5])
    assert db(power(out)[heard] / power(samples)[heard]).abs().max() < 12


def test_what_comes_in_is_left_as_it_was():
    samples, under = some_samples(), some_samples().flip(0)
    copies = samples.clone(), under.clone()
    a = dataclasses.replace(OFF, **dict.fromkeys(SWITCHES, 1.0))
    vary_samples(samples, under, a, RATE, rng())
    assert torch.equal(samples, copies[0])
    assert torch.equal(under, copies[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SWITCHES)
def test_a_gpu_sees_the_same_draws(name):
    samples = some_samples()
    a = dataclasses.replace(OFF, **{name: 0.5})
    here = vary_samples(samples, 0 * samples, a, RATE, rng(5))
    there = vary_samples(samples.cuda(), 0 * samples.cuda(), a, RATE, rng(5)).cpu()
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 1.2}, "noise must be between 0 and 1, got 1.2"),
        ({"warp": 0.9}, "warp must be a ratio, 1 or more, got 0.9"),
        ({"noise_snr_db": (9.0, 3.0)}, r"noise_snr_db must be \(low, high\), got \(9.0, 3.0\)"),
        ({"reverb_time": (0.0, 1.0)}, "reverb_time must be above 0 s"),
        ({"tilt_db": -1.0}, "tilt_db must be 0 or more"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ArgumentError, match=message):
        dataclasses.replace(OFF, **change)


# Polarity and background --------------------------------------------------------------------


def test_polarity_leaves_every_power_as_it_was():
    samples = some_samples()
    out = vary_samples(samples, 0 * samples, dataclasses.replace(OFF, polarity=1.0), RATE, rng())
    assert torch.equal(out, -samples)
    assert torch.equal(torch.fft.rfft(out).abs(), torch.fft.rfft(samples).abs())


def test_background_is_added_after_the_room_and_before_the_noise():
    """A room around a sound does not surround what was recorded elsewhere."""
    samples, under = some_samples(), some_samples().flip(1)
    a = dataclasses.replace(OFF, reverb=1.0)
    with_it = vary_samples(samples, under, a, RATE, rng(4))
    without = vary_samples(samples, 0 * under, a, RATE, rng(4))
    torch.testing.assert_close(with_it, without + under)


# Noise --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.floats(-5, 40))
def test_noise_lies_as_far_under_the_sound_as_was_drawn(seed, snr):
    samples = some_samples()
    noise = (add_noise(samples.double(), (snr, snr), RATE, rng(seed))) - samples.double()
    torch.testing.assert_close(
        db(power(samples.double()) / power(noise)), torch.full((6,), snr, dtype=torch.float64),
        rtol=0, atol=0.05,
    )  # fmt: skip


def test_noise_is_drawn_over_the_range():
    samples = torch.ones(200, 256)
    snr = db(power(samples) / power(add_noise(samples, (5.0, 35.0), RATE, rng()) - samples))
    assert 5 - 0.1 <= snr.min() < 8
    assert 32 < snr.max() <= 35 + 0.1


def test_noise_falls_by_0_to_6_decibels_an_octave():
    rate, n = 32000, 1 << 15
    samples = torch.randn(40, n, generator=rng()).double()
    noise = add_noise(samples, (0.0, 0.0), rate, rng(1)) - samples
    spectrum = torch.fft.rfft(noise).abs().square()
    edges = [100 * 2**k for k in range(8)]  # octaves from 100 Hz to 12.8 kHz
    per_octave = torch.stack(
        [spectrum[:, a * n // rate : b * n // rate].mean(1)
         for a, b in itertools.pairwise(edges)], 1,
    )  # fmt: skip
    falls = (db(per_octave[:, 0]) - db(per_octave[:, -1])) / 6
    assert falls.min() > -0.5
    assert falls.max() < 6.5
    assert falls.min() < 1  # near white
    assert falls.max() > 5  # near brown
    # A straight line: no octave is off by more than its own scatter.
    line = db(per_octave[:, :1]) - falls[:, None] * torch.arange(7)
    assert (db(per_octave) - line).abs().median() < 1


# Rooms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [0.2, 0.5, 1.0])
def test_a_room_dies_away_in_its_reverberation_time(time):
    """Schroeder's integral falls from -5 to -25 dB in a third of the time of 60 dB."""
    tail = room_responses(20, (time, time), RATE, rng())[:, 1:].double()
    left = tail.square().flip(1).cumsum(1).flip(1)
    level_db = db(left / left[:, :1])
    at_5, at_25 = ((level_db > -x).sum(1) / RATE for x in (5, 25))
    assert (3 * (at_25 - at_5)).mean() == pytest.approx(time, rel=0.1)


def test_the_direct_sound_comes_first_and_the_reflections_later():
    response = room_responses(50, (0.1, 0.8), RATE, rng())
    assert (response[:, 0] == 1).all()
    assert (response[:, 1 : int(0.002 * RATE)] == 0).all()
    energy = db(response[:, 1:].square().sum(1))
    assert energy.min() >= -15.01
    assert energy.max() <= 0.01
    assert energy.max() - energy.min() > 8


def test_a_room_is_a_filter_of_the_past():
    """What comes before a sound does not change, and the level stays."""
    samples = some_samples()
    samples[:, : N // 2] = 0
    wet = reverberate(samples, (0.1, 0.5), RATE, rng())
    assert wet[:, : N // 2].abs().max() < 1e-6
    torch.testing.assert_close(power(wet), power(samples), rtol=1e-3, atol=0)
    click = torch.zeros(3, N)
    click[:, 0] = 1
    response = room_responses(3, (0.1, 0.5), RATE, rng(2))[:, :N]
    wet = reverberate(click, (0.1, 0.5), RATE, rng(2))
    torch.testing.assert_close(
        wet / wet[:, :1], torch.nn.functional.pad(response, (0, N - response.shape[1])),
        rtol=0, atol=1e-5,
    )  # fmt: skip


# Devices ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_clipping_is_bounded_odd_and_leaves_what_is_small(seed):
    samples = some_samples()
    clipped = clip_peaks(samples, (3.0, 20.0), rng(seed))
    peak, limit = samples.abs().amax(1), clipped.abs().amax(1)
    drawn = 2 * db(peak / limit)
    assert drawn.min() >= 3 - 1e-3
    assert drawn.max() <= 20 + 1e-3
    torch.testing.assert_close(clip_peaks(-samples, (3.0, 20.0), rng(seed)), -clipped)
    small = samples.abs() < limit[:, None]
    assert torch.equal(clipped[small], samples[small])
    assert torch.equal(clipped.sign(), samples.sign())


def test_companding_errs_in_proportion_and_twice_is_once():
    samples = some_samples(200)
    out = compand(samples, rng())
    steps = torch.tensor([len(row.abs().unique()) for row in out[:50]])
    assert set(steps.tolist()) <= set(range(8, 129))
    assert steps.min() <= 16  # 5 bits
    assert steps.max() > 64  # 8 bits
    torch.testing.assert_close(compand(out, rng()), out, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(compand(-samples, rng()), -out)
    # Half a step of 15: log1p(255) / 30 on the logarithmic scale, beside 1/255 of the peak.
    error = (out - samples).abs()
    peak = samples.abs().amax(1, keepdim=True)
    assert (error <= 0.21 * (samples.abs() + peak / 255) + 1e-7).all()


# Pitch --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_pitch_moves_a_tone_and_not_its_time(seed):
    rate, n, at = 16000, 16000, 700.0
    t = torch.arange(n) / rate
    burst = (t > 0.3) & (t < 0.6)
    tone = (torch.sin(2 * torch.pi * at * t) * burst)[None]
    out = change_pitch(tone, 1.3, rate, rng(seed))
    ratio = 1.3 ** (2 * float(torch.rand((), generator=rng(seed))) - 1)
    assert out.shape == tone.shape
    found = torch.fft.rfft(out[0] * torch.hann_window(n)).abs().argmax() * rate / n
    assert found == pytest.approx(at * ratio, rel=0.01)
    share = out[0, (t > 0.25) & (t < 0.65)].square().sum() / out[0].square().sum()
    assert share > 0.98
    torch.testing.assert_close(power(out), power(tone), rtol=1e-3, atol=0)


def test_a_ratio_of_one_gives_the_same_sound():
    samples = some_samples(2, 16000)
    same = change_pitch(samples, 1.0, 16000, rng())
    torch.testing.assert_close(same[:, 600:-600], samples[:, 600:-600], rtol=1e-3, atol=1e-3)
