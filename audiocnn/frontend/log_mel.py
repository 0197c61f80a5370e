"""Samples to log-mel frames, in pieces of any length.

The front end of every sound model: short-time power spectra, gathered into mel
bands, on a logarithmic scale with a floor. Nothing here looks ahead, pads or
normalises over time, so a stream gives the frames of the file. It must never
know what the frames are used for.

Power is scaled so that a sine at full scale gives 1 in its bin, whatever the
FFT's size: ``floor`` can then be read as decibels below full scale, and levels
mean the same in every model.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd, swell
from audiocnn.frontend.filter_bank import AT_ONCE, Block, apply_bank, split_bank
from audiocnn.frontend.framing import slide


@dataclass(frozen=True)
class MelSpec(FrontEnd):
    """Log-mel front end of sound, by its parameters.

    Parameters
    ----------
    rate
        Samples per second that the frames are made from.
    n_fft
        Samples per frame, also the length of the (periodic Hann) window.
    hop
        Samples from one frame to the next, at most ``n_fft``.
    n_mels
        Number of mel bands.
    f_min, f_max
        Lowest and highest frequency of the bands, Hz; ``f_max`` at most half
        the rate.
    floor
        Added to the power of each band before the logarithm, relative to a
        sine at full scale: 1e-8 is -80 dB. Well above the rounding noise of
        float32, so that two right implementations agree.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "log-mel"
    sound: ClassVar[bool] = True
    rate_tolerance: ClassVar[float] = 0.0
    channels: ClassVar[int] = 1  # sound is mixed to mono
    planes: ClassVar[int] = 1
    names: ClassVar[tuple[str, ...]] = ()
    offset: ClassVar[tuple[float, ...]] = ()
    scale: ClassVar[tuple[float, ...]] = ()

    rate: int
    n_fft: int
    hop: int
    n_mels: int
    f_min: float
    f_max: float
    floor: float = 1e-8

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        checks = {
            "rate must be at least 1": self.rate >= 1,
            "n_fft must be at least 2": self.n_fft >= 2,
            "hop must lie between 1 and n_fft": 1 <= self.hop <= self.n_fft,
            "n_mels must be at least 1": self.n_mels >= 1,
            "f_min must lie between 0 and f_max": 0 <= self.f_min < self.f_max,
            "f_max must be at most half the rate": self.f_max <= self.rate / 2,
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
    def n_bands(self) -> int:
        """Bands of a frame."""
        return self.n_mels

    @property
    def log_floor(self) -> float | None:
        """Natural logarithm of the floor: the value of a band without power."""
        return float(np.log(self.floor))

    def stream(
        self, tail: NDArray[np.float32], new: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Turn samples (N,) into the frames (1, n_mels, T) that they complete."""
        return stream_log_mel(tail, new, self)

    def padding(self, n: int) -> NDArray[np.float32]:
        """Return n samples of silence."""
        return np.zeros(n, np.float32)

    def example(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Generate n samples: noise with a slow swell."""
        return (rng.standard_normal(n, dtype=np.float32) * swell(n)).astype(np.float32)

    def band_ticks(self) -> list[tuple[float, str]]:
        """Return marks at 100, 300, 1000 ... Hz, as far as there is room for them."""
        centres = mel_filters(self).argmax(0) * self.rate / self.n_fft
        ticks: dict[int, float] = {}
        for f in (10000, 3000, 1000, 300, 100):  # high ones first: low ones are close together
            at = float(np.interp(f, centres, np.arange(centres.size)))
            apart = all(abs(at - other) > self.n_mels / 7 for other in ticks.values())
            if centres[0] * 0.7 <= f <= centres[-1] and apart:
                ticks[f] = at
        return [(at, f"{f // 1000} kHz" if f >= 1000 else f"{f} Hz") for f, at in ticks.items()]

    def summary(self) -> str:
        """Describe the frames in a few words."""
        return f"{self.n_mels} mel bands from {self.f_min:g} to {self.f_max:g} Hz"


def mel_filters(spec: MelSpec) -> NDArray[np.float32]:
    """Triangular filters, evenly spaced on the mel scale, each with peak 1.

    Returns
    -------
    array (n_fft // 2 + 1, n_mels)

    Notes
    -----
    The scale is HTK's, ``mel = 2595 log10(1 + f / 700)`` [1]_, as in
    torchaudio's ``MelSpectrogram`` with its defaults.

    References
    ----------
    .. [1] D. O'Shaughnessy, Speech Communication: Human and Machine, 1987.
    """
    bins = np.linspace(0, spec.rate / 2, spec.n_fft // 2 + 1)
    low, high = (2595 * np.log10(1 + f / 700) for f in (spec.f_min, spec.f_max))
    edges = 700 * (10 ** (np.linspace(low, high, spec.n_mels + 2) / 2595) - 1)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _tables(spec: MelSpec) -> tuple[NDArray[np.float32], tuple[Block, ...]]:
    """Window and scaled filters; computed once per front end."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft) / spec.n_fft)
    scale = 1 / (window.sum() / 2) ** 2
    return window.astype(np.float32), split_bank((mel_filters(spec) * scale).astype(np.float32))


def stream_log_mel(
    tail: NDArray[np.float32], new: NDArray[np.float32], spec: MelSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn new samples into the frames that they complete.

    Parameters
    ----------
    tail
        (K,) what the last call handed back; empty at the beginning.
    new
        (N,) samples, full scale at 1.
    spec
        The front end.

    Returns
    -------
    frames
        (1, n_mels, T) natural logarithm of power plus floor; one plane.
    tail
        (L,) for the next call, L < n_fft.

    Notes
    -----
    Costs one real FFT a frame; each frame is computed once, whatever the
    windows that later look at it.
    """
    ready, tail, n = slide(tail, new, spec.n_fft, spec.hop)
    frames = np.empty((1, spec.n_mels, n), np.float32)
    if n == 0:
        return frames, tail
    window, filters = _tables(spec)
    cut = np.lib.stride_tricks.sliding_window_view(ready, spec.n_fft)[:: spec.hop]
    for at in range(0, n, AT_ONCE):
        spectra = scipy.fft.rfft(cut[at : at + AT_ONCE] * window, axis=1)
        power = spectra.real**2 + spectra.imag**2
        apply_bank(filters, power, frames[0, :, at : at + AT_ONCE])
    np.log(frames + np.float32(spec.floor), out=frames)
    return frames, tail


def log_mel(samples: NDArray[np.float32], spec: MelSpec) -> NDArray[np.float32]:
    """Give the frames of a whole recording: the stream that comes in one piece."""
    return stream_log_mel(samples[:0], samples, spec)[0]
