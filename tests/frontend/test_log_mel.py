"""The front end: reference values, and a stream that equals the file."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.frontend.log_mel import MelSpec, log_mel, mel_filters, stream_log_mel

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
    from audiocnn.training.torch_mel import MelPower

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
        MelSpec(**(asdict(SPEC) | change))


fronts = st.builds(
    lambda rate, n_fft, hop, n_mels, low: MelSpec(
        rate, n_fft, max(1, int(hop * n_fft)), n_mels, low, rate / 2
    ),
    st.sampled_from([8000, 11025, 44100]),
    st.sampled_from([64, 255, 1024]),
    st.sampled_from([0.01, 0.3, 0.5, 1.0]),
    st.integers(1, 20),
    st.sampled_from([0.0, 60.0]),
)


@settings(deadline=None, max_examples=30)
@given(fronts, st.integers(0, 3000), st.data())
def test_any_front_end_streams(spec, length, data):
    """Also a hop as long as the frame, frames of odd length, and too little for a frame."""
    x = np.random.default_rng(1).standard_normal(length).astype("f4")
    cuts = data.draw(st.lists(st.integers(0, length), max_size=9))
    tail, parts = x[:0], []
    for piece in np.split(x, sorted(cuts)):
        frames, tail = stream_log_mel(tail, piece, spec)
        assert tail.size < spec.n_fft
        parts.append(frames)
    found, whole = np.concatenate(parts, -1), log_mel(x, spec)
    n = 0 if length < spec.n_fft else (length - spec.n_fft) // spec.hop + 1
    assert found.shape == whole.shape == (1, spec.n_mels, n)
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_single_samples_give_the_same_frames_beside_a_tone_at_full_scale():
    """The hardest case: bands that hold rounding noise alone, 140 dB below their neighbour."""
    x = np.sin(2 * np.pi * 3777 * np.arange(3000) / 16000).astype("f4")
    tail, parts = x[:0], []
    for sample in x:
        frames, tail = stream_log_mel(tail, sample[None], SPEC)
        parts.append(frames)
    np.testing.assert_allclose(np.concatenate(parts, -1), log_mel(x, SPEC), atol=1e-5)


def test_a_frame_sees_its_own_samples_alone():
    x = sound(0.3)
    whole = log_mel(x, SPEC)
    for at in (0, 1, 200, 2000, x.size - 1):
        changed = x.copy()
        changed[at] += 10
        moved = np.any(log_mel(changed, SPEC) != whole, axis=(0, 1))
        # A periodic Hann window begins with a zero: a frame's first sample does not count.
        sees = [t for t in range(moved.size) if 0 < at - t * SPEC.hop < SPEC.n_fft]
        assert np.flatnonzero(moved).tolist() == sees


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        MelSpec(32000, 1024, 400, 64, 50.0, 16000.0),  # of the shipped environment
        MelSpec(8000, 256, 100, 40, 60.0, 4000.0),  # of the shipped digits
        MelSpec(44100, 1024, 441, 64, 0.0, 20000.0),
    ],
)
def test_librosa_gives_the_same_frames(spec):
    """Its filters and its STFT: `librosa.feature` is the same, but compiles for 24 s first."""
    librosa = pytest.importorskip("librosa")
    x = sound(1.0, spec.rate)
    bands = librosa.filters.mel(
        sr=spec.rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.f_min, fmax=spec.f_max,
        htk=True, norm=None,
    )  # fmt: skip
    spectrum = librosa.stft(x, n_fft=spec.n_fft, hop_length=spec.hop, center=False)
    full_scale = np.hanning(spec.n_fft + 1)[:-1].sum() / 2
    reference = np.log(bands @ (np.abs(spectrum) / full_scale) ** 2 + spec.floor)
    np.testing.assert_allclose(log_mel(x, spec)[0], reference, atol=TOLERANCE)


@pytest.mark.parametrize("n_fft", [64, 256, 1024])
def test_levels_do_not_depend_on_the_size_of_the_frame(n_fft):
    """Full scale is 0 dB: a tenth of the amplitude, 20 dB less, whatever the FFT."""
    t = np.arange(4000) / 8000
    spec = MelSpec(8000, n_fft, n_fft // 2, 1, 0.0, 2500.0, floor=1e-12)
    # The one band's peak lies on 1 kHz, so the tone keeps its power but for Hann's two side bins.
    peak = 700 * (10 ** (np.log10(1 + 2500 / 700) / 2) - 1)
    tone = np.sin(2 * np.pi * round(peak * n_fft / 8000) * 8000 / n_fft * t).astype("f4")
    loud, quiet = (np.exp(log_mel(gain * tone, spec)).mean() for gain in (1, 0.1))
    assert loud / quiet == pytest.approx(100, rel=1e-3)
    assert 0.7 < loud < 1.5


def test_frames_are_float32_and_finite_for_the_loudest_samples_there_are():
    from audiocnn.io.audio.blocks import LOUDEST

    x = np.full(1000, LOUDEST, np.float32) * np.resize([1, -1], 1000).astype("f4")
    frames = log_mel(x, SPEC)
    assert frames.dtype == np.float32
    assert np.isfinite(frames).all()
