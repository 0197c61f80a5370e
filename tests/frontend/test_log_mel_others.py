"""Log-mel frames as networks of others have them: against their definitions."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.frontend.log_mel import WINDOWS, MelSpec, log_mel, mel_filters
from audiocnn.frontend.mel_scale import SCALES, hz_to_mel, mel_to_hz
from audiocnn.frontend.specs import front_of
from audiocnn.frontend.waveform import WaveformSpec

# Ours computes the FFT and the sums in float32. Where bands have little power, rounding of
# the loud ones reaches 1e-4 of the logarithm; the definitions are computed in float64.
ALLOWED = 5e-4

EFFICIENTAT = MelSpec(
    32000, 1024, 320, 128, 0.0, 15000.0, floor=1e-5, window_length=800, window="hann-symmetric",
    mel_scale="kaldi", full_scale=False, pre_emphasis=0.97, log_shift=4.5, log_scale=0.2,
)  # fmt: skip
YAMNET = MelSpec(
    16000, 512, 160, 64, 125.0, 7500.0, floor=1e-3, window_length=400, mel_scale="kaldi",
    power=1, full_scale=False,
)  # fmt: skip
PANNS = MelSpec(
    32000, 1024, 320, 64, 50.0, 14000.0, floor=1e-10, mel_scale="slaney", area_norm=True,
    full_scale=False, floor_is="least", log_scale=10 / np.log(10),
)  # fmt: skip
KALDI = MelSpec(
    16000, 512, 160, 40, 20.0, 8000.0, floor=1.1920929e-07, window_length=400, window="povey",
    mel_scale="kaldi", full_scale=False, gain=32768.0, pre_emphasis=0.97, pre_emphasis_of="frame",
    remove_offset=True, floor_is="least",
)  # fmt: skip
KNOWN = {"efficientat": EFFICIENTAT, "yamnet": YAMNET, "panns": PANNS, "kaldi": KALDI}


def signal(rate: int, seconds: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(round(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * f * t) / f**0.5 for f in (110, 440, 1000, 3100))
    return (0.3 * tones + 0.02 * rng.standard_normal(t.size) + 0.01).astype(np.float32)


def cut(x: np.ndarray, size: int, hop: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), size)[::hop]


# Whole front ends, from the definitions -----------------------------------------------------


def test_efficientat():
    """F. Schmid's AugmentMelSTFT: pre-emphasis by a convolution, torch.stft, Kaldi's mel banks."""
    torch = pytest.importorskip("torch")
    from audiocnn.training.torchaudio_import import import_torchaudio

    x = signal(32000)
    y = torch.nn.functional.conv1d(
        torch.from_numpy(x)[None, None].double(), torch.tensor([[[-0.97, 1.0]]]).double()
    )[0]
    window = torch.hann_window(800, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(y, 1024, 320, 800, window, center=False, return_complex=True)
    power = spectrum.abs() ** 2
    kaldi = import_torchaudio().compliance.kaldi
    banks, _ = kaldi.get_mel_banks(128, 1024, 32000, 0.0, 15000.0, 100.0, -500.0, 1.0)
    banks = torch.nn.functional.pad(banks.double(), (0, 1))
    expected = (torch.log(banks @ power[0] + 1e-5) + 4.5) / 5
    # torch.stft puts the window into the middle of the FFT, 112 samples into its frame.
    found = log_mel(x[112:], EFFICIENTAT)[0]
    n = min(found.shape[1], expected.shape[1])
    np.testing.assert_allclose(found[:, :n], expected[:, :n].numpy(), atol=ALLOWED)


def test_yamnet():
    """As tensorflow/models has it: tf.signal's stft and linear_to_mel_weight_matrix."""
    x = signal(16000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(cut(x, 400, 160) * window, 512))
    mel = 1127 * np.log1p(np.linspace(0, 8000, 257) / 700)
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    filters = np.array([
        np.maximum(0, np.minimum((mel - a) / (b - a), (c - mel) / (c - b)))
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ])  # fmt: skip
    expected = np.log(filters @ magnitude.T + 0.001)
    np.testing.assert_allclose(log_mel(x, YAMNET)[0], expected, atol=ALLOWED)


def test_panns():
    """As torchlibrosa has it: librosa's filters and power_to_db, without centring."""
    librosa = pytest.importorskip("librosa")
    x = signal(32000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    power = np.abs(np.fft.rfft(cut(x, 1024, 320) * window)) ** 2
    filters = librosa.filters.mel(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000)
    expected = 10 * np.log10(np.maximum(1e-10, filters @ power.T))
    np.testing.assert_allclose(log_mel(x, PANNS)[0], expected, atol=10 * ALLOWED)  # decibels


def test_kaldi_by_its_definition():
    """Kaldi's feature-window.cc: offset, pre-emphasis and Povey's window within a frame."""
    x = signal(16000)
    frames = cut(x, 400, 160) * 32768
    frames -= frames.mean(axis=1, keepdims=True)
    before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft((frames - 0.97 * before) * window, 512)) ** 2
    expected = np.log(power @ mel_filters(KALDI).astype(np.float64)).T
    np.testing.assert_allclose(log_mel(x, KALDI)[0], expected, atol=ALLOWED)


@pytest.mark.parametrize("window", ["povey", "hamming"])
def test_kaldi_as_torchaudio_has_it(window):
    torch = pytest.importorskip("torch")
    from audiocnn.training.torchaudio_import import import_torchaudio

    x = signal(16000)
    expected = import_torchaudio().compliance.kaldi.fbank(
        torch.from_numpy(x)[None] * 32768, num_mel_bins=40, window_type=window, dither=0.0
    ).numpy().T  # fmt: skip
    found = log_mel(x, dataclasses.replace(KALDI, window=window))[0]
    # The highest band's filter ends at half the rate, whose bin Kaldi leaves out.
    np.testing.assert_allclose(found, expected, atol=2e-3)


# Filters and scales -------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("htk", [False, True])
def test_filters_are_librosas(htk, norm):
    librosa = pytest.importorskip("librosa")
    spec = MelSpec(22050, 1024, 256, 60, 30.0, 10000.0, mel_scale="htk" if htk else "slaney",
                   area_norm=norm is not None)  # fmt: skip
    expected = librosa.filters.mel(
        sr=22050, n_fft=1024, n_mels=60, fmin=30, fmax=10000, htk=htk, norm=norm
    )
    np.testing.assert_allclose(mel_filters(spec).T, expected, atol=2e-6)


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_filters_are_torchaudios(scale, norm):
    pytest.importorskip("torch")
    from audiocnn.training.torchaudio_import import import_torchaudio

    expected = import_torchaudio().functional.melscale_fbanks(
        513, 50.0, 16000.0, 64, 32000, norm=norm, mel_scale=scale
    )
    spec = MelSpec(32000, 1024, 320, 64, 50.0, 16000.0, mel_scale=scale, area_norm=bool(norm))
    np.testing.assert_allclose(mel_filters(spec), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
@given(f=st.floats(0, 50_000))
def test_scales_are_inverted(scale, f):
    there = hz_to_mel(np.array(f), scale)
    assert mel_to_hz(there, scale) == pytest.approx(f, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_sine_at_full_scale_has_power_one_with_any_window(window):
    spec = MelSpec(8000, 512, 100, 1, 0.0, 4000.0, window=window, window_length=400)
    t = np.arange(4000) / 8000
    # One filter over all, with its peak at 2,000 Hz of the scale's middle.
    peak = float(mel_to_hz(hz_to_mel(np.array(4000.0), "htk") / 2, "htk"))
    power = np.exp(log_mel(np.sin(2 * np.pi * peak * t).astype(np.float32), spec))
    assert 1.0 < power.mean() < 3.0  # the window's main lobe spreads it over some bins


# Streaming, description, faults -------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 8000), max_size=10))
def test_any_cutting_gives_the_same_frames(name, cuts):
    spec = KNOWN[name]
    x = signal(spec.rate, 0.25)
    tail, parts = spec.no_samples(), []
    for piece in np.split(x, sorted(min(c, x.size) for c in cuts)):
        frames, tail = spec.stream(tail, piece)
        assert tail.size < spec.n_samples
        parts.append(frames)
    expected = spec.frames(x)
    assert expected.shape[2] == (x.size - spec.n_samples) // spec.hop + 1
    np.testing.assert_allclose(np.concatenate(parts, -1), expected, atol=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_a_frame_depends_on_its_samples_only(name):
    spec = KNOWN[name]
    x = signal(spec.rate, 0.25)
    y = x.copy()
    at = 3000
    y[at:] += 0.1 * np.random.default_rng(1).standard_normal(x.size - at).astype(np.float32)
    same = (np.arange(spec.frames(x).shape[2]) * spec.hop + spec.n_samples) <= at
    before, after = spec.frames(x), spec.frames(y)
    np.testing.assert_array_equal(before[..., same], after[..., same])
    assert np.all(np.abs(before - after)[..., ~same].max(axis=(0, 1)) > 0)


@pytest.mark.parametrize("name", KNOWN)
def test_silence_is_the_floor(name):
    spec = KNOWN[name]
    frames = spec.frames(spec.padding(4000))
    np.testing.assert_allclose(frames, spec.log_floor, rtol=1e-5)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_described_comes_back(name):
    assert front_of(KNOWN[name].describe()) == KNOWN[name]


def test_a_plain_front_end_is_described_as_ever():
    plain = MelSpec(8000, 256, 100, 16, 50.0, 4000.0)
    assert list(plain.describe()) == [
        "kind", "rate", "n_fft", "hop", "n_mels", "f_min", "f_max", "floor",
    ]  # fmt: skip
    assert plain.is_plain
    assert not YAMNET.is_plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_length": 1025}, "window_length must be a whole number between 2 and n_fft"),
        ({"window_length": 300}, "hop must lie between 1 and window_length"),
        ({"window": "kaiser"}, "window must be one of hann, hann-symmetric, hamming, povey"),
        ({"mel_scale": "bark"}, "mel_scale must be one of htk, slaney, kaldi"),
        ({"power": 3}, "power must be 1 or 2"),
        ({"pre_emphasis_of": "clip"}, "pre_emphasis_of must be stream or frame"),
        ({"floor_is": "clipped"}, "floor_is must be added or least"),
        ({"gain": 0.0}, "gain must be above 0"),
        ({"log_scale": 0.0}, "log_scale not 0"),
        ({"log_shift": float("nan")}, "must be finite"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ArgumentError, match=message):
        dataclasses.replace(EFFICIENTAT, **changes)


def test_no_network_is_trained_on_frames_that_training_does_not_compute():
    pytest.importorskip("torch")
    from audiocnn.training.torch_frontend import torch_front_end

    with pytest.raises(ArgumentError, match="networks are trained on log-mel frames with"):
        torch_front_end(PANNS)
    with pytest.raises(ArgumentError, match="no network is trained on frames of 'waveform'"):
        torch_front_end(WaveformSpec(16000))


# Waveform -----------------------------------------------------------------------------------


def test_a_waveform_is_the_samples_times_the_gain():
    spec = WaveformSpec(16000, gain=32768.0)
    x = signal(16000, 0.01)
    np.testing.assert_array_equal(spec.frames(x), (x * np.float32(32768))[None, None])
    assert front_of(spec.describe()) == spec
    assert (spec.n_samples, spec.hop, spec.planes, spec.n_bands) == (1, 1, 1, 1)
    for changes in ({"rate": 0}, {"rate": 8000.5}, {"gain": 0.0}, {"gain": float("inf")}):
        with pytest.raises(ArgumentError):
            WaveformSpec(**({"rate": 16000} | changes))
