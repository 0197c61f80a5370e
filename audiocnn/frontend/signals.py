"""Front ends for signals other than sound: raw samples, and linear log spectra.

Every channel is brought to mean 0 and deviation 1 by fixed numbers of the training set.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.fft

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import Array, SignalFrontEnd, column, is_whole
from audiocnn.frontend.framing import slide

FRAMES_AT_ONCE = 256  # as for log-mel: what stays in a core's cache


@dataclass(frozen=True)
class RawSpec(SignalFrontEnd):
    """Samples unchanged but for their scale, every one a frame; channels are its bands.

    Parameters
    ----------
    rate
        Samples per second; need not be whole.
    names
        Of the channels, by which they are found in a file.
    offset, scale
        Per channel, in the signal's own units: what is subtracted, and what the rest is
        divided by (mean and standard deviation of the training set).

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "raw"
    n_samples: ClassVar[int] = 1
    hop: ClassVar[int] = 1
    planes: ClassVar[int] = 1

    rate: float
    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        self.check_channels()

    @property
    def channels(self) -> int:
        """Number of channels K."""
        return len(self.scale)

    @property
    def n_bands(self) -> int:
        """Bands of a frame: one a channel."""
        return self.channels

    @property
    def log_floor(self) -> float | None:
        """None: values are no logarithms."""
        return None

    def stream(self, tail: Array, new: Array) -> tuple[Array, Array]:
        """Scale the samples (K, N) to frames (1, K, N)."""
        return _normalised(new, self)[None], new[:, :0]

    def band_ticks(self) -> list[tuple[float, str]]:
        """Return nothing: channels are drawn as traces."""
        return []

    def summary(self) -> str:
        """Describe the frames in a few words."""
        return "raw samples"


@dataclass(frozen=True)
class SpectrumSpec(SignalFrontEnd):
    """Short-time power spectra on a logarithmic scale, with bands of equal width.

    Parameters
    ----------
    rate
        Samples per second; need not be whole.
    n_fft, hop
        Samples in a frame, and from one to the next.
    names, offset, scale
        Per channel, as in `RawSpec`.
    floor
        Added to the power before the logarithm; 1 is a sine whose amplitude is
        the channel's ``scale``.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "log-spectrum"

    rate: float
    n_fft: int
    hop: int
    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    floor: float = 1e-5

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        self.check_channels()
        checks = {
            "n_fft must be a whole number, at least 2": is_whole(self.n_fft) and self.n_fft >= 2,
            "hop must be a whole number between 1 and n_fft": is_whole(self.hop)
            and 1 <= self.hop <= self.n_fft,
            "floor must be above 0": self.floor > 0,
        }
        for message, good in checks.items():
            if not good:
                raise ArgumentError(f"{message}, got {self}")

    @property
    def n_samples(self) -> int:
        """Samples that a frame depends on."""
        return self.n_fft

    @property
    def channels(self) -> int:
        """Number of channels K, each a plane."""
        return len(self.scale)

    @property
    def planes(self) -> int:
        """Planes of a frame: one a channel."""
        return self.channels

    @property
    def n_bands(self) -> int:
        """Bands of a plane, from 0 Hz to half the rate."""
        return self.n_fft // 2 + 1

    @property
    def log_floor(self) -> float | None:
        """Natural logarithm of the floor."""
        return float(np.log(self.floor))

    def stream(self, tail: Array, new: Array) -> tuple[Array, Array]:
        """Turn samples (K, N) into the frames (K, n_fft // 2 + 1, T) that they complete."""
        ready, tail, n = slide(tail, new, self.n_fft, self.hop)
        frames = np.empty((self.channels, self.n_bands, n), np.float32)
        if n == 0:
            return frames, tail
        window, one = _window(self.n_fft)
        x = _normalised(ready, self)
        cut = np.lib.stride_tricks.sliding_window_view(x, self.n_fft, axis=1)[:, :: self.hop]
        for at in range(0, n, FRAMES_AT_ONCE):
            spectra = scipy.fft.rfft(cut[:, at : at + FRAMES_AT_ONCE] * window, axis=2)
            power = (spectra.real**2 + spectra.imag**2) * one
            frames[..., at : at + FRAMES_AT_ONCE] = power.transpose(0, 2, 1)
        np.log(frames + np.float32(self.floor), out=frames)
        return frames, tail

    def band_ticks(self) -> list[tuple[float, str]]:
        """Return marks at 0 Hz, a quarter of the rate and half of it."""
        top = self.rate / 2
        positions = np.linspace(0, self.n_bands - 1, 3).tolist()
        return [(at, f"{f:g} Hz") for at, f in zip(positions, (0, top / 2, top), strict=True)]

    def summary(self) -> str:
        """Describe the frames in a few words."""
        return f"log spectra of {self.n_fft} samples, {self.hop} apart"


@functools.lru_cache(maxsize=8)
def _offset_and_scale(front: RawSpec | SpectrumSpec) -> tuple[Array, Array]:
    return column(front.offset), column(front.scale)


def _normalised(samples: Array, front: RawSpec | SpectrumSpec) -> Array:
    offset, scale = _offset_and_scale(front)
    return (samples - offset) / scale


@functools.lru_cache(maxsize=8)
def _window(n_fft: int) -> tuple[Array, np.float32]:
    """Periodic Hann window, and the factor that makes a sine's power 1 in its bin."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return window.astype(np.float32), np.float32(1 / (window.sum() / 2) ** 2)
