"""Spectrograms for the eye: of a clip as a picture, and of live sound column by column.

    samples |====|====|====|====|    one short Fourier transform a column
    bands   equal steps on the mel scale, the loudest bin of each

Nothing here is an input of the network. The loudest bin of a band keeps narrow sounds
visible however small the picture is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocnn.web.png import encode_png

QUIETEST = -120.0  # dBFS, where digital silence is drawn
F_MAX = 16000.0  # Hz; what is above is rarely of interest and costs height
RANGES = 40.0, 70.0  # dB from dark to bright of a picture, at least and at most
F_MIN = 50.0  # Hz

Decibels = NDArray[np.float32]


def frequency_range(rate: float) -> tuple[float, float]:
    """Give the lowest and highest frequency that are drawn, in Hz."""
    return min(F_MIN, rate / 40), min(rate / 2, F_MAX)


def band_starts(rate: float, n_fft: int, n_bands: int) -> NDArray[np.intp]:
    """Give the first bin of each band, and the end of the last (n_bands + 1)."""
    low, high = (_mel(f) for f in frequency_range(rate))
    edges = _hertz(np.linspace(low, high, n_bands + 1)) * n_fft / rate
    return np.clip(np.round(edges), 0, n_fft // 2).astype(np.intp)


def spectrogram(
    samples: NDArray[np.float32], rate: float, n_columns: int, n_bands: int = 96
) -> Decibels:
    """Analyse samples as an image.

    Parameters
    ----------
    samples
        (N,) full scale at 1, N at least 1; what is not finite counts as silence.
    rate
        Samples per second.
    n_columns, n_bands
        Width and height of the image.

    Returns
    -------
    NDArray
        (n_bands, n_columns) dBFS, low frequencies first; `QUIETEST` at least.
    """
    n_fft = _fft_size(rate)
    padded = np.pad(np.nan_to_num(samples, posinf=0, neginf=0), (n_fft // 2, n_fft // 2))
    starts = np.linspace(0, len(samples) - 1, n_columns).round().astype(np.intp)
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    edges = band_starts(rate, n_fft, n_bands)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)
    image = np.empty((n_bands, n_columns), np.float32)
    for first in range(0, n_columns, 256):  # some at a time: memory does not grow with width
        block = frames[starts[first : first + 256]] * window
        image[:, first : first + 256] = _bands(block, window, edges).T
    return image


def picture(samples: NDArray[np.float32], rate: float, width: int, height: int) -> bytes:
    """Draw samples as PNG, high frequencies at the top, brightness fitted to the sound."""
    image = spectrogram(samples, rate, width, height)
    high = float(np.percentile(image, 99.7))
    low = float(np.clip(np.percentile(image, 25), high - RANGES[1], high - RANGES[0]))
    scaled = np.clip((image[::-1] - low) / max(1e-3, high - low), 0, 1)
    return encode_png(np.round(255 * scaled).astype(np.uint8))


def to_bytes(image: Decibels) -> NDArray[np.uint8]:
    """Code decibels as bytes: 0 is `QUIETEST`, 255 is full scale; NaN (lost) becomes 0."""
    scaled = (np.nan_to_num(image, nan=QUIETEST) - QUIETEST) * (255 / -QUIETEST)
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)


def _bands(
    frames: NDArray[np.float32], window: NDArray[np.float32], edges: NDArray[np.intp]
) -> Decibels:
    from scipy.fft import rfft  # here, so that the command line starts quickly

    power = np.abs(rfft(frames, axis=1)) ** 2 * (2 / window.sum()) ** 2
    level = 10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))
    low, high = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    # Where bands are narrower than a bin, neighbours show the same bin.
    columns = [level[:, a:b].max(axis=1) for a, b in zip(low, high, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)


def _fft_size(rate: float) -> int:
    """Give a power of two of about 46 ms."""
    return int(2 ** max(5, round(np.log2(rate * 0.046))))


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
