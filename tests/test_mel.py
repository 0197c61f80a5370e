"""The front end: reference values, and a stream that equals the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.mel import MelSpec, log_mel, mel_filters, stream_log_mel

SPEC = MelSpec(16000, 512, 200, 40, 50.0, 8000.0)
# Two right implementations add in other orders in float32. The error of a quiet band beside a
# loud tone is about 1e-7 of the tone's amplitude; with a floor of 1e-8 in power that is at most
# 2e-7 * sqrt(1e-8) / 1e-8 = 2e-3 in the logarithm.
TOLERANCE = 2e-3


def sound(seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    rng, t = np.random.default_rng(0), np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t) + 0.01 * rng.standard_normal(t.size)).astype("f4")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 8000), max_size=12))
def test_any_cutting_gives_the_same_frames(cuts):
    x = sound(0.5)
    tail, parts = x[:0], []
    for piece in np.split(x, sorted(cuts)):
        frames, tail = stream_log_mel(tail, piece, SPEC)
        parts.append(frames)
    np.testing.assert_allclose(np.concatenate(parts, -1), log_mel(x, SPEC), atol=1e-5)


def test_the_future_never_changes_the_past():
    x = sound()
    y = x.copy()
    y[8000:] = 0
    whole, changed = log_mel(x, SPEC), log_mel(y, SPEC)
    n = (8000 - SPEC.n_fft) // SPEC.hop + 1
    np.testing.assert_array_equal(whole[..., :n], changed[..., :n])
    assert not np.array_equal(whole[..., n:], changed[..., n:])


def test_torchaudio_gives_the_same():
    torch = pytest.importorskip("torch")
    from audiocnn.training.frontend import MelPower

    mel = MelPower(SPEC)
    theirs = mel.log(mel(torch.from_numpy(sound())[None]))[0].numpy()
    np.testing.assert_allclose(log_mel(sound(), SPEC)[0], theirs, atol=TOLERANCE)


def test_librosa_gives_the_same_filters_and_powers():
    pytest.importorskip("librosa")
    from librosa.filters import mel

    theirs = mel(sr=16000, n_fft=512, n_mels=40, fmin=50, fmax=8000, htk=True, norm=None)
    np.testing.assert_allclose(mel_filters(SPEC), theirs.T, atol=1e-5)
    x, window = sound().astype(float), np.hanning(513)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(x, 512)[::200] * window
    power = np.abs(np.fft.rfft(frames)) ** 2 / (window.sum() / 2) ** 2  # librosa's stft, by hand
    reference = np.log(power @ theirs.T + 1e-8).T
    np.testing.assert_allclose(log_mel(sound(), SPEC)[0], reference, atol=TOLERANCE)


def test_a_full_scale_sine_has_power_one():
    spec = MelSpec(16000, 512, 160, 1, 100.0, 8000.0, floor=1e-9)
    t = np.arange(16000) / 16000
    frames = log_mel(np.sin(2 * np.pi * 1000 * t).astype("f4"), spec)  # 1 kHz lies on a bin
    weight = mel_filters(spec)[[31, 32, 33], 0] @ [0.25, 1, 0.25]  # a Hann window's three bins
    np.testing.assert_allclose(np.exp(frames), weight, rtol=1e-4)


def test_silence_is_the_floor():
    frames = log_mel(np.zeros(1000, np.float32), SPEC)
    np.testing.assert_allclose(frames, np.log(1e-8), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop": 513}, "hop must lie between 1 and n_fft"),
        ({"hop": 0}, "hop must lie between 1 and n_fft"),
        ({"f_max": 9000.0}, "f_max must be at most half the rate"),
        ({"f_min": 8000.0}, "f_min must lie between 0 and f_max"),
        ({"floor": 0.0}, "floor must be above 0"),
        ({"n_mels": 0}, "n_mels must be at least 1"),
        ({"rate": 0}, "rate must be at least 1"),
    ],
)
def test_what_is_no_front_end_is_refused(change, message):
    with pytest.raises(ArgumentError, match=message):
        MelSpec(**(SPEC.__dict__ | change))
