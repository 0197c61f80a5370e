"""Log-mel frames of other libraries: what those libraries give, streamed in any cutting."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.frontend.mel_bands import MelBandsSpec, mel_bands
from audiocnn.frontend.specs import front_of
from audiocnn.training.torchaudio_import import import_torchaudio

RATE = 16000
DECIBEL = 10 / math.log(10)
TOLERANCE = 2e-4  # logarithms of float32 sums that were taken in another order
RNG = np.random.default_rng(11)
SOUND = (0.1 * RNG.standard_normal(9000) * np.sin(np.arange(9000) / 700)).astype(np.float32)
KALDI = MelBandsSpec(
    RATE, 512, 400, 160, 64, 20.0, 7600.0, window="hann-symmetric", mel_scale="kaldi",
    preemphasis=0.97, emphasis="frame", remove_mean=True, floor=1.1920929e-07, floor_by="clip",
)  # fmt: skip
EFFICIENTAT = MelBandsSpec(
    32000, 1024, 800, 320, 128, 0.0, 15000.0, window="hann-symmetric", mel_scale="kaldi",
    preemphasis=0.97, floor=1e-5, shift=4.5, factor=0.2,
)  # fmt: skip
PANNS = MelBandsSpec(
    32000, 1024, 1024, 320, 64, 50.0, 14000.0, mel_scale="slaney", area="slaney", floor=1e-10,
    floor_by="clip", factor=DECIBEL,
)  # fmt: skip
YAMNET = MelBandsSpec(RATE, 512, 400, 160, 64, 125.0, 7500.0, power=1, floor=1e-3)
SPECS = (KALDI, EFFICIENTAT, PANNS, YAMNET)


@pytest.mark.parametrize("window", ["hanning", "povey", "hamming"])
@pytest.mark.parametrize(("mean", "emphasis"), [(True, 0.97), (False, 0.0)])
def test_kaldis_filter_bank(window: str, mean: bool, emphasis: float) -> None:
    import_torchaudio()
    import torchaudio.compliance.kaldi as kaldi

    ours = {"hanning": "hann-symmetric", "hamming": "hamming-symmetric"}.get(window, window)
    spec = replace(KALDI, window=ours, remove_mean=mean, preemphasis=emphasis)
    expected = kaldi.fbank(
        torch.from_numpy(SOUND)[None], num_mel_bins=64, sample_frequency=RATE, low_freq=20,
        high_freq=7600, window_type=window, dither=0.0, remove_dc_offset=mean,
        preemphasis_coefficient=emphasis,
    )  # fmt: skip
    found = spec.frames(SOUND)
    assert found.shape == (1, 64, 1 + (len(SOUND) - 400) // 160)
    np.testing.assert_allclose(found[0].T, expected.numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("scale", "area"), [("htk", "none"), ("slaney", "slaney")])
def test_torchaudios_mel_spectrogram(scale: str, area: str, power: int) -> None:
    torchaudio = import_torchaudio()
    spec = MelBandsSpec(
        RATE, 512, 400, 160, 40, 60.0, 7000.0, mel_scale=scale, area=area, power=power, floor=1e-6
    )
    mel = torchaudio.transforms.MelSpectrogram(
        RATE, 512, 400, 160, 60.0, 7000.0, n_mels=40, power=power, center=False,
        norm=None if area == "none" else area, mel_scale=scale,
    )  # fmt: skip
    # torch centres the window in the FFT, and a frame begins with the FFT.
    padded = np.pad(SOUND, (56, 56))
    expected = torch.log(mel(torch.from_numpy(padded)) + 1e-6).numpy()
    np.testing.assert_allclose(spec.frames(SOUND)[0], expected, rtol=0, atol=TOLERANCE)


def test_librosas_power_to_db() -> None:
    librosa = pytest.importorskip("librosa")
    filters = librosa.filters.mel(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000)
    np.testing.assert_allclose(mel_bands(PANNS).T, filters, rtol=0, atol=1e-7)
    spectra = np.abs(librosa.stft(SOUND, n_fft=1024, hop_length=320, center=False)) ** 2
    expected = librosa.power_to_db(filters @ spectra, ref=1.0, amin=1e-10, top_db=None)
    np.testing.assert_allclose(PANNS.frames(SOUND)[0], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("spec", SPECS, ids=["kaldi", "efficientat", "panns", "yamnet"])
@given(cuts=st.lists(st.integers(0, len(SOUND)), max_size=12))
def test_any_cutting_gives_the_same_frames(spec: MelBandsSpec, cuts: list[int]) -> None:
    tail, found = SOUND[:0], []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(SOUND)], strict=True):
        frames, tail = spec.stream(tail, SOUND[begin:end])
        found.append(frames)
    np.testing.assert_allclose(
        np.concatenate(found, axis=-1), spec.frames(SOUND), rtol=0, atol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=["kaldi", "efficientat", "panns", "yamnet"])
def test_frame_depends_on_its_samples_only(spec: MelBandsSpec) -> None:
    whole = spec.frames(SOUND)
    for at in (0, 3, whole.shape[-1] - 1):
        begin = at * spec.hop
        alone = spec.frames(SOUND[begin : begin + spec.n_samples])
        assert alone.shape[-1] == 1
        np.testing.assert_allclose(alone[..., 0], whole[..., at], rtol=0, atol=1e-5)
    assert spec.frames(SOUND[: spec.n_samples - 1]).shape[-1] == 0


def test_gain_is_a_factor_of_the_samples() -> None:
    louder = MelBandsSpec(RATE, 512, 400, 160, 40, 60.0, 7000.0, gain=32768.0)
    plain = MelBandsSpec(RATE, 512, 400, 160, 40, 60.0, 7000.0)
    np.testing.assert_allclose(
        louder.frames(SOUND), plain.frames(SOUND * np.float32(32768)), atol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=["kaldi", "efficientat", "panns", "yamnet"])
def test_description_comes_back(spec: MelBandsSpec) -> None:
    assert front_of(spec.describe()) == spec
    silence = spec.frames(spec.padding(spec.n_samples))
    assert spec.log_floor is not None
    np.testing.assert_allclose(silence, spec.log_floor, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0}, "whole numbers above 0"),
        ({"hop": 1.5}, "whole numbers above 0"),
        ({"frame": 600}, "frame must lie between 2 and n_fft"),
        ({"hop": 401}, "hop must be at most the frame"),
        ({"f_max": 9000.0}, "f_max must be at most half the rate"),
        ({"f_min": 8000.0}, "f_min must lie between 0 and f_max"),
        ({"floor": 0.0}, "gain, floor and factor must be above 0"),
        ({"shift": math.nan}, "numbers must be finite"),
        ({"preemphasis": 1.5}, "preemphasis must lie between 0 and 1"),
        ({"power": 3}, "power must be 1 or 2"),
        ({"window": "kaiser"}, "window must be one of hann"),
        ({"mel_scale": "bark"}, "mel_scale must be one of htk"),
        ({"area": "l1"}, "area must be one of none"),
        ({"emphasis": "none"}, "emphasis must be one of stream"),
        ({"floor_by": "max"}, "floor_by must be one of add"),
    ],
)
def test_bad_parameters(changes: dict[str, object], message: str) -> None:
    values = {**YAMNET.describe(), **changes}
    with pytest.raises(ArgumentError, match=message):
        front_of(values)
