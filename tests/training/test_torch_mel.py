"""The front end in training gives the runtime's numbers; torchaudio comes in wherever it can."""

import importlib
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from audiocnn.frontend.log_mel import MelSpec, log_mel
from audiocnn.training import torchaudio_import
from audiocnn.training.torch_mel import MelPower
from audiocnn.training.torchaudio_import import import_torchaudio

# Two right implementations add in other orders in float32: a band's power is off by about 1e-7
# of the loudest thing in the frame's amplitude. Measured here: below 1e-4. (A wrong window, mel
# scale or level is off by 0.01 and more.)
TOLERANCE = 1e-3
SPECS = [
    MelSpec(32000, 1024, 400, 64, 50.0, 16000.0),  # of the shipped environment
    MelSpec(8000, 256, 100, 40, 60.0, 4000.0),  # of the shipped digits
    MelSpec(44100, 1024, 441, 64, 0.0, 20000.0),
    MelSpec(16000, 400, 160, 23, 20.0, 7600.0, floor=1e-6),
    MelSpec(11025, 256, 100, 40, 50.0, 5512.5),  # half of an odd rate
]


def sounds(rate: int) -> np.ndarray:
    """Make (4, N): a tone in noise, a tone alone, clicks, and silence."""
    t, rng = np.arange(rate) / rate, np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    clicks = (np.arange(rate) % 1999 == 5).astype(float)
    noisy = tone + 0.01 * rng.standard_normal(rate)
    return np.stack((noisy, tone, clicks, 0 * t)).astype("f4")


@pytest.mark.parametrize("spec", SPECS)
def test_training_hears_what_the_runtime_hears(spec):
    mel, x = MelPower(spec), sounds(spec.rate)
    frames = mel.log(mel(torch.from_numpy(x))).numpy()
    for theirs, samples in zip(frames, x, strict=True):
        ours = log_mel(samples, spec)[0]
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("spec", SPECS[:4])
def test_training_hears_what_torchaudio_hears(spec):
    """Theirs end their filters at rate // 2, so an odd rate is left out."""
    theirs = import_torchaudio().transforms.MelSpectrogram(
        sample_rate=spec.rate, n_fft=spec.n_fft, hop_length=spec.hop, n_mels=spec.n_mels,
        f_min=spec.f_min, f_max=spec.f_max, center=False, power=2.0,
    )  # fmt: skip
    x = torch.from_numpy(sounds(spec.rate))
    scale = (torch.hann_window(spec.n_fft).sum() / 2) ** 2
    torch.testing.assert_close(MelPower(spec)(x), theirs(x) / scale, rtol=1e-3, atol=1e-9)


def test_half_precision_around_it_does_not_make_it_coarse():
    mel, x = MelPower(SPECS[0]), torch.from_numpy(sounds(SPECS[0].rate))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mel(x), MelPower(SPECS[0])(x))
    assert mel(x).dtype == torch.float32


@pytest.mark.parametrize("spec", SPECS[:2])
def test_a_full_scale_sine_has_power_one_in_training_too(spec):
    at = spec.n_fft // 8  # on a bin
    t = np.arange(spec.n_fft)
    power = MelPower(spec)(
        torch.from_numpy(np.sin(2 * np.pi * at * t / spec.n_fft).astype("f4"))[None]
    )
    ours = np.exp(log_mel(np.sin(2 * np.pi * at * t / spec.n_fft).astype("f4"), spec)[0])
    assert power.shape == (1, spec.n_mels, 1)
    np.testing.assert_allclose(power[0].numpy(), ours - spec.floor, rtol=1e-3, atol=1e-7)
    assert 0.9 < power.sum() < 2.1  # 1 in its bin, a quarter in each neighbour, bands overlap


def test_power_is_what_augmentation_may_add():
    """Not in decibels yet: twice the samples, four times the power."""
    mel, x = MelPower(SPECS[1]), torch.from_numpy(sounds(8000))
    torch.testing.assert_close(mel(2 * x), 4 * mel(x))


# Where torchaudio comes from ----------------------------------------------------------------


@pytest.fixture
def no_torchaudio(monkeypatch):
    """Forget that it was imported; put everything back afterwards."""
    for name in [m for m in sys.modules if m.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "torchaudio":
            del sys.modules[name]


def test_a_torchaudio_that_imports_is_taken_as_it_is(no_torchaudio, monkeypatch):
    whole = ModuleType("torchaudio")
    monkeypatch.setitem(sys.modules, "torchaudio", whole)
    assert import_torchaudio() is whole
    assert "torchaudio._extension" not in sys.modules


def test_a_native_part_that_cannot_be_loaded_is_replaced(no_torchaudio, monkeypatch):
    """As with the wheel for CUDA beside a torch without it, whatever is installed here."""
    real, calls = importlib.import_module, []

    def broken_at_first(name: str):
        calls.append(name)
        if len(calls) == 1:
            sys.modules["torchaudio._half_loaded"] = ModuleType("torchaudio._half_loaded")
            raise OSError("libc10_cuda.so: cannot open shared object file")
        return real(name)

    monkeypatch.setattr(torchaudio_import.importlib, "import_module", broken_at_first)
    found = import_torchaudio()
    assert calls == ["torchaudio"] * 2
    assert "torchaudio._half_loaded" not in sys.modules
    assert not sys.modules["torchaudio._extension"]._IS_TORCHAUDIO_EXT_AVAILABLE
    spec = SPECS[1]
    mel = found.transforms.MelSpectrogram(sample_rate=8000, n_fft=spec.n_fft, n_mels=40)
    assert mel(torch.zeros(1, 8000)).shape[1] == 40


def test_another_fault_is_not_hidden(no_torchaudio, monkeypatch):
    def missing(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(torchaudio_import.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="torchaudio"):
        import_torchaudio()
    assert "torchaudio._extension" not in sys.modules
