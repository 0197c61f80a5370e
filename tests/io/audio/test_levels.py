"""Samples in another unit, and channels that cancel each other, are reported with the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiocnn.io.audio.reader import read_audio

RATE = 8000


def noise(channels: int = 1) -> NDArray[Any]:
    x = 0.1 * np.random.default_rng(0).standard_normal((RATE, channels))
    return x.astype(np.float32)


def notes(path: Path, caplog: pytest.LogCaptureFixture, channel: int | None = None) -> str:
    caplog.clear()
    read_audio(path, RATE, channel=channel)
    return caplog.text


@pytest.mark.parametrize(("scale", "unit"), [(32768, "16-bit"), (8388608, "24-bit")])
def test_float_samples_in_integer_units(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, scale: float, unit: str
) -> None:
    x = np.clip(noise(), -1, 0.5)
    soundfile.write(tmp_path / "a.wav", x * scale, RATE, "FLOAT")
    told = notes(tmp_path / "a.wav", caplog)
    peak = f"{np.abs(x * scale).max():,.0f}"
    assert f"float samples up to {peak} where full scale is 1" in told
    assert f"{unit} integers; divide by {scale:,}" in told


def test_single_wild_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x = noise()
    x[100] = 1e14
    soundfile.write(tmp_path / "a.wav", x, RATE, "FLOAT")
    assert "has 1 of 8,000 float samples beyond full scale, up to 1e+14" in notes(
        tmp_path / "a.wav", caplog
    )


@pytest.mark.parametrize("noise_share", [0.0, 0.02])
def test_channels_in_opposite_phase(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, noise_share: float
) -> None:
    x = noise()
    both = np.hstack([x, -x + noise_share * noise()[::-1]])
    soundfile.write(tmp_path / "a.wav", both, RATE, "PCM_24")
    told = notes(tmp_path / "a.wav", caplog)
    assert "channels in opposite phase: their mean is" in told
    assert "give --channel 0" in told
    assert notes(tmp_path / "a.wav", caplog, channel=0) == ""


def test_ordinary_recordings_have_no_notes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(8), RATE, "FLOAT")
    assert notes(tmp_path / "a.wav", caplog) == ""
    soundfile.write(tmp_path / "a.wav", 4 * noise(2), RATE, "FLOAT")  # loud, as float may be
    assert notes(tmp_path / "a.wav", caplog) == ""
    soundfile.write(tmp_path / "b.wav", np.hstack([noise(), 0 * noise()]), RATE)  # one is dead
    assert notes(tmp_path / "b.wav", caplog) == ""
