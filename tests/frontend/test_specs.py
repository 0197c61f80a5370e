"""Front ends for any signal: reference values, streams of several channels, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.frontend.specs import KINDS, front_of
from audiocnn.frontend.waveform import WaveformSpec

NAMES = ("x", "y", "z")
OFFSET, SCALE = (0.0, -9.81, 1000.0), (0.5, 2.0, 30.0)
RAW = RawSpec(52.5, NAMES, OFFSET, SCALE)
SPECTRUM = SpectrumSpec(1000.0, 64, 20, NAMES, OFFSET, SCALE)
SOUND = MelSpec(8000, 256, 100, 16, 50.0, 4000.0)
WAVEFORM = WaveformSpec(8000, gain=2.0)
FRONTS = [RAW, SPECTRUM, SOUND, WAVEFORM]
# float32 has 7 digits: numbers about 1000 with a deviation of 30 keep 1e-5 of it.
TOLERANCE = 2e-5


def signal(front, n: int = 2000) -> np.ndarray:
    return front.example(n, np.random.default_rng(0))


def whole(front, samples: np.ndarray) -> np.ndarray:
    return front.frames(samples)


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_any_cutting_gives_the_same_frames(front, cuts):
    x = signal(front)
    tail, parts = front.no_samples(), []
    for piece in np.split(x, sorted(cuts), axis=-1):
        frames, tail = front.stream(tail, piece)
        parts.append(frames)
    expected = whole(front, x)
    assert expected.shape[:2] == (front.planes, front.n_bands)
    assert expected.shape[2] == (2000 - front.n_samples) // front.hop + 1
    np.testing.assert_allclose(np.concatenate(parts, -1), expected, atol=1e-5)


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
def test_the_future_never_changes_the_past(front):
    x, y = signal(front), signal(front)
    y[..., 1000:] += 1
    n = (1000 - front.n_samples) // front.hop + 1
    before, after = whole(front, x), whole(front, y)
    np.testing.assert_array_equal(before[..., :n], after[..., :n])
    assert not np.array_equal(before[..., n:], after[..., n:])


def test_raw_frames_are_the_samples_at_their_scale():
    x = signal(RAW, 50)
    expected = (x.astype(float) - np.array(OFFSET)[:, None]) / np.array(SCALE)[:, None]
    np.testing.assert_allclose(whole(RAW, x)[0], expected, atol=TOLERANCE)


def test_a_sine_as_large_as_the_scale_has_power_one_in_its_bin():
    t = np.arange(1000) / 1000.0
    tones = np.stack([np.sin(2 * np.pi * f * t) for f in (125, 250, 375)])  # bins 8, 16, 24
    x = (np.array(OFFSET)[:, None] + np.array(SCALE)[:, None] * tones).astype(np.float32)
    frames = whole(SPECTRUM, x)
    for channel, at in enumerate((8, 16, 24)):
        assert frames[channel].argmax(axis=0).tolist() == [at] * frames.shape[-1]
        np.testing.assert_allclose(frames[channel, at], 0.0, atol=1e-3)


def test_spectra_are_those_of_the_definition():
    x = signal(SPECTRUM, 300)
    y = (x.astype(float) - np.array(OFFSET)[:, None]) / np.array(SCALE)[:, None]
    window = np.hanning(65)[:-1]
    power = [[abs(np.fft.rfft(c[a : a + 64] * window) / (window.sum() / 2)) ** 2
              for a in range(0, 300 - 63, 20)] for c in y]  # fmt: skip
    expected = np.log(np.array(power).transpose(0, 2, 1) + SPECTRUM.floor)
    np.testing.assert_allclose(whole(SPECTRUM, x), expected, atol=2e-3)  # see test_mel


def test_nothing_is_silence_or_every_channel_at_its_mean():
    assert np.array_equal(SOUND.padding(3), np.zeros(3, np.float32))
    assert np.array_equal(whole(RAW, RAW.padding(4)), np.zeros((1, 3, 4), np.float32))
    assert [front.sound for front in FRONTS] == [False, False, True, True]


@pytest.mark.parametrize("front", FRONTS, ids=lambda f: f.kind)
def test_what_is_described_comes_back(front):
    assert front_of(front.describe()) == front


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"kind": "wavelet"}, "front end 'wavelet' is not known here, but log-mel, raw, log-sp"),
        ({**RAW.describe(), "names": ["x"]}, "names, offset and scale need one for every channel"),
        ({**RAW.describe(), "offset": [0]}, "names, offset and scale need one for every channel"),
        ({**RAW.describe(), "names": ["x", "y", "x"]}, "two channels have one name: x, y, x"),
        ({**RAW.describe(), "names": [], "offset": [], "scale": []}, "need one for every channel"),
        ({**RAW.describe(), "rate": 0}, "rate must be above 0 Hz, got 0"),
        ({**RAW.describe(), "scale": [1, 0, 1]}, "scale above 0"),
        ({**RAW.describe(), "offset": [1, float("nan"), 1]}, "must be finite"),
        ({"kind": "raw", "rate": 50}, "'raw': .*missing"),
        ({**SPECTRUM.describe(), "hop": 65}, "hop must be a whole number between 1 and n_fft"),
        ({**SPECTRUM.describe(), "n_fft": 64.0}, "n_fft must be a whole number"),
        ({**SPECTRUM.describe(), "floor": 0}, "floor must be above 0"),
        ({**SOUND.describe(), "n_mels": 16.5}, "n_mels must be whole numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(described, message):
    with pytest.raises(ArgumentError, match=message):
        front_of(described)


def test_every_front_end_is_under_test():
    assert {front.kind for front in FRONTS} == set(KINDS)
