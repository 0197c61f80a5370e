"""Log-mel front end of networks of others, with every parameter in which they differ.

    samples * gain -> pre-emphasis -> frames of `frame` samples -> mean removed -> window
      -> FFT of `n_fft` -> power or magnitude -> mel bands -> logarithm, shift, factor

`MelSpec` is the front end of our own networks: it has fewer parameters, and its levels
mean the same in every model. Here each step is what the network was trained with. Nothing
looks ahead, pads or normalises over time: a stream gives the frames of the file, so that
"centred" frames of other libraries are those that lie wholly within the sound.

    Kaldi (AST)    preemphasis 0.97 "frame", remove_mean, "hann-symmetric", kaldi, clip 1.2e-7
    librosa (PANNs)   periodic Hann, slaney scale and area, power, clip 1e-10, factor 10 / ln 10
    EfficientAT    preemphasis 0.97 "stream", "hann-symmetric" of 800 in 1024, kaldi, add 1e-5

References
----------
.. [1] Kaldi, src/feat: feature-window.cc, mel-computations.cc.
.. [2] M. Slaney, Auditory Toolbox, 1998: the mel scale that is linear below 1 kHz.
.. [3] S. Young et al., The HTK Book, 2006.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import Array, FrontEnd, is_whole, swell
from audiocnn.frontend.framing import slide

FRAMES_AT_ONCE = 256  # the spectra of 256 frames stay in a core's cache
WINDOWS = ("hann", "hann-symmetric", "hamming-symmetric", "povey")
SCALES = ("htk", "slaney", "kaldi")
AREAS = ("none", "slaney")
EMPHASES = ("stream", "frame")
FLOORS = ("add", "clip")


@dataclass(frozen=True)
class MelBandsSpec(FrontEnd):
    """Log-mel frames (1, n_mels, T) of sound, as other libraries compute them.

    Parameters
    ----------
    rate
        Samples per second.
    n_fft
        Length of the FFT; a shorter frame is filled up with zeros.
    frame, hop
        Samples of a frame, at most ``n_fft``, and from one frame to the next.
    n_mels
        Number of bands.
    f_min, f_max
        Lowest and highest frequency of the bands, Hz.
    window
        ``"hann"`` (periodic), ``"hann-symmetric"``, ``"hamming-symmetric"`` or ``"povey"``
        (the symmetric Hann window to the power of 0.85).
    mel_scale
        ``"htk"``, mel = 2595 log10(1 + f / 700), triangles over Hz; ``"slaney"``, linear
        below 1 kHz, triangles over Hz; ``"kaldi"``, HTK's scale, triangles over mel.
    area
        ``"slaney"``: each triangle divided by half its width in Hz; ``"none"``: peaks of 1.
    power
        Exponent of the magnitude: 2 or 1.
    gain
        Factor for samples whose full scale is 1: 32768 for the range of 16-bit integers.
    preemphasis, emphasis
        Coefficient a; 0 for none. ``"stream"``: x[n + 1] - a x[n] over the samples, so
        that a frame depends on one sample more; ``"frame"``: x[n] - a x[n - 1] within each
        frame, its first sample being its own predecessor, as Kaldi does.
    remove_mean
        Whether each frame's mean is subtracted first, as Kaldi does.
    floor, floor_by
        Added to the bands before the logarithm (``"add"``), or their lowest value
        (``"clip"``).
    shift, factor
        Frames are ``(ln(bands) + shift) * factor``; a factor of 10 / ln 10 gives decibels.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "mel-bands"
    sound: ClassVar[bool] = True
    rate_tolerance: ClassVar[float] = 0.0
    channels: ClassVar[int] = 1
    planes: ClassVar[int] = 1
    names: ClassVar[tuple[str, ...]] = ()
    offset: ClassVar[tuple[float, ...]] = ()
    scale: ClassVar[tuple[float, ...]] = ()

    rate: int
    n_fft: int
    frame: int
    hop: int
    n_mels: int
    f_min: float
    f_max: float
    window: str = "hann"
    mel_scale: str = "htk"
    area: str = "none"
    power: int = 2
    gain: float = 1.0
    preemphasis: float = 0.0
    emphasis: str = "stream"
    remove_mean: bool = False
    floor: float = 1e-10
    floor_by: str = "add"
    shift: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        whole = (self.rate, self.n_fft, self.frame, self.hop, self.n_mels, self.power)
        real = (self.f_min, self.f_max, self.gain, self.preemphasis, self.floor, self.shift,
                self.factor)  # fmt: skip
        checks = {
            "rate, n_fft, frame, hop, n_mels and power must be whole numbers above 0": all(
                is_whole(n) and n >= 1 for n in whole
            ),
            "numbers must be finite": all(math.isfinite(n) for n in real),
            "frame must lie between 2 and n_fft": 2 <= self.frame <= self.n_fft,
            "hop must be at most the frame": self.hop <= self.n_samples,
            "f_min must lie between 0 and f_max": 0 <= self.f_min < self.f_max,
            "f_max must be at most half the rate": self.f_max <= self.rate / 2,
            "gain, floor and factor must be above 0": min(self.gain, self.floor, self.factor) > 0,
            "preemphasis must lie between 0 and 1": 0 <= self.preemphasis <= 1,
            "power must be 1 or 2": self.power in (1, 2),
            f"window must be one of {', '.join(WINDOWS)}": self.window in WINDOWS,
            f"mel_scale must be one of {', '.join(SCALES)}": self.mel_scale in SCALES,
            f"area must be one of {', '.join(AREAS)}": self.area in AREAS,
            f"emphasis must be one of {', '.join(EMPHASES)}": self.emphasis in EMPHASES,
            f"floor_by must be one of {', '.join(FLOORS)}": self.floor_by in FLOORS,
        }
        for message, good in checks.items():
            if not good:
                raise ArgumentError(f"{message}, got {self}")

    @property
    def n_samples(self) -> int:
        """Samples that a frame depends on."""
        return self.frame + (self.preemphasis > 0 and self.emphasis == "stream")

    @property
    def n_bands(self) -> int:
        """Bands of a frame."""
        return self.n_mels

    @property
    def log_floor(self) -> float | None:
        """Value of a band without power."""
        return (math.log(self.floor) + self.shift) * self.factor

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters for JSON."""
        return {"kind": self.kind, **asdict(self)}

    def stream(self, tail: Array, new: Array) -> tuple[Array, Array]:
        """Turn samples (N,) into the frames (1, n_mels, T) that they complete."""
        ready, tail, n = slide(tail, new, self.n_samples, self.hop)
        frames = np.empty((1, self.n_mels, n), np.float32)
        if n == 0:
            return frames, tail
        x = ready * np.float32(self.gain) if self.gain != 1 else ready
        if self.n_samples > self.frame:
            x = x[1:] - np.float32(self.preemphasis) * x[:-1]
        cut = np.lib.stride_tricks.sliding_window_view(x, self.frame)[:: self.hop]
        for at in range(0, n, FRAMES_AT_ONCE):
            frames[0, :, at : at + FRAMES_AT_ONCE] = self._bands(cut[at : at + FRAMES_AT_ONCE]).T
        if self.floor_by == "add":
            frames += np.float32(self.floor)
        else:
            np.maximum(frames, np.float32(self.floor), out=frames)
        np.log(frames, out=frames)
        return (frames + np.float32(self.shift)) * np.float32(self.factor), tail

    def _bands(self, cut: Array) -> Array:
        """Turn frames of samples (T, frame) into mel bands (T, n_mels), before the logarithm."""
        window, filters = _tables(self)
        if self.remove_mean:
            cut = cut - cut.mean(axis=1, keepdims=True)
        if self.preemphasis and self.emphasis == "frame":
            before = np.concatenate((cut[:, :1], cut[:, :-1]), axis=1)
            cut = cut - np.float32(self.preemphasis) * before
        spectra = scipy.fft.rfft(cut * window, self.n_fft, axis=1)
        power = spectra.real**2 + spectra.imag**2
        bands: Array = (power if self.power == 2 else np.sqrt(power)) @ filters
        return bands

    def padding(self, n: int) -> Array:
        """Return n samples of silence."""
        return np.zeros(n, np.float32)

    def example(self, n: int, rng: np.random.Generator) -> Array:
        """Generate n samples: noise with a slow swell."""
        return (rng.standard_normal(n, dtype=np.float32) * swell(n)).astype(np.float32)

    def band_ticks(self) -> list[tuple[float, str]]:
        """Return marks at 100, 300, 1000 ... Hz, as far as there is room for them."""
        centres = mel_bands(self).argmax(0) * self.rate / self.n_fft
        ticks: dict[int, float] = {}
        for f in (10000, 3000, 1000, 300, 100):
            at = float(np.interp(f, centres, np.arange(centres.size)))
            apart = all(abs(at - other) > self.n_mels / 7 for other in ticks.values())
            if centres[0] * 0.7 <= f <= centres[-1] and apart:
                ticks[f] = at
        return [(at, f"{f // 1000} kHz" if f >= 1000 else f"{f} Hz") for f, at in ticks.items()]

    def summary(self) -> str:
        """Describe the frames in a few words."""
        return (
            f"{self.n_mels} mel bands ({self.mel_scale}) from {self.f_min:g} to {self.f_max:g} Hz"
        )


def mel_bands(spec: MelBandsSpec) -> NDArray[np.float64]:
    """Triangular filters.

    Returns
    -------
    array (n_fft // 2 + 1, n_mels)
    """
    bins = np.linspace(0, spec.rate / 2, spec.n_fft // 2 + 1)
    to_mel, to_hz = (_slaney, _hz_of_slaney) if spec.mel_scale == "slaney" else (_htk, _hz_of_htk)
    low, high = to_mel(np.array([spec.f_min, spec.f_max]))
    mels = np.linspace(low, high, spec.n_mels + 2)
    edges = to_hz(mels)
    at, corners = (to_mel(bins), mels) if spec.mel_scale == "kaldi" else (bins, edges)
    rising = (at[:, None] - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - at[:, None]) / np.diff(corners)[1:]
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    if spec.mel_scale == "kaldi":
        filters[-1] = 0  # Kaldi's banks end before the bin at half the rate
    if spec.area == "slaney":
        filters *= 2 / (edges[2:] - edges[:-2])
    return filters


def _htk(f: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + f / 700))


def _hz_of_htk(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _slaney(f: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 15 + np.log(np.maximum(f, 1000) / 1000) / (np.log(6.4) / 27)
    return np.asarray(np.where(f < 1000, 3 * f / 200, above))


def _hz_of_slaney(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27)
    return np.asarray(np.where(mel < 15, 200 * mel / 3, above))


@functools.lru_cache(maxsize=8)
def _tables(spec: MelBandsSpec) -> tuple[Array, Array]:
    """Window and filters; computed once per front end."""
    periodic = spec.window == "hann"
    phase = 2 * np.pi * np.arange(spec.frame) / (spec.frame - (not periodic))
    if spec.window == "hamming-symmetric":
        window = 0.54 - 0.46 * np.cos(phase)
    else:
        window = 0.5 - 0.5 * np.cos(phase)
    if spec.window == "povey":
        window = window**0.85
    return window.astype(np.float32), mel_bands(spec).astype(np.float32)
