"""Pictures of sound: tones stand where they belong, and PNG files decode to what was coded."""

import io

import numpy as np
import pytest

from audiocnn.web.png import encode_png, palette
from audiocnn.web.spectrum import QUIETEST, frequency_range, picture, spectrogram, to_bytes

RATE = 16000


def tone(frequency: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * frequency * t).astype(np.float32)


@pytest.mark.parametrize("frequency", [200.0, 1000.0, 4000.0])
def test_a_tone_is_in_its_band_at_its_level(frequency: float) -> None:
    image = spectrogram(0.1 * tone(frequency), RATE, 40)[:, 5:-5]
    low, high = (2595 * np.log10(1 + f / 700) for f in frequency_range(RATE))
    expected = 96 * (2595 * np.log10(1 + frequency / 700) - low) / (high - low)
    assert abs(image.mean(axis=1).argmax() - expected) <= 2
    assert image.max() == pytest.approx(-20, abs=2)


def test_time_goes_from_left_to_right() -> None:
    samples = np.concatenate([np.zeros(RATE, np.float32), tone(1000)])
    loud = spectrogram(samples, RATE, 100).max(axis=0) > -60
    assert not loud[:45].any()
    assert loud[55:].all()


@pytest.mark.parametrize("n", [1, 10, 999])
@pytest.mark.parametrize("rate", [100, 8000, 48000, 384000])
def test_any_length_and_rate(n: int, rate: int) -> None:
    samples = np.full(n, 0.5, np.float32)
    samples[-1] = np.nan
    image = spectrogram(samples, rate, 30, 20)
    assert image.shape == (20, 30)
    assert np.isfinite(image).all()
    assert image.min() >= QUIETEST - 1e-3


def test_pictures_decode() -> None:
    Image = pytest.importorskip("PIL.Image")
    indices = np.arange(256, dtype=np.uint8).reshape(4, 64)
    image = Image.open(io.BytesIO(encode_png(indices)))
    assert image.size == (64, 4)
    assert np.array_equal(np.asarray(image.convert("RGB")).reshape(256, 3), palette())
    assert Image.open(io.BytesIO(picture(tone(500), RATE, 33, 17))).size == (33, 17)
    assert Image.open(io.BytesIO(picture(np.zeros(9, np.float32), RATE, 33, 17))).size == (33, 17)


def test_bytes_of_decibels() -> None:
    values = np.array([[-200, -120, -60, 0, 20, np.nan]], np.float32)
    assert to_bytes(values).tolist() == [[0, 0, 128, 255, 255, 0]]
