"""Samples to log-mel frames, in pieces of any length.

The front end of sound: short-time spectra, gathered into mel bands, on a logarithmic scale
with a floor. Nothing here looks ahead, pads or normalises over time, so a stream gives the
frames of the file.

With its defaults, power is scaled so that a sine at full scale gives 1 in its bin, whatever
the FFT's size: ``floor`` is then in decibels below full scale, and levels mean the same in
every model of ours. The other parameters are those in which networks that others trained
differ (YAMNet, PANNs, EfficientAT, Kaldi's features).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd, is_whole, swell
from audiocnn.frontend.filter_bank import AT_ONCE, Block, apply_bank, split_bank
from audiocnn.frontend.framing import slide
from audiocnn.frontend.mel_scale import SCALES, triangles

Array = NDArray[np.float32]
WINDOWS = ("hann", "hann-symmetric", "hamming", "povey")
OF = ("stream", "frame")


@dataclass(frozen=True)
class MelSpec(FrontEnd):
    """Log-mel front end of sound, by its parameters.

    Parameters
    ----------
    rate
        Samples per second that the frames are made from.
    n_fft
        Size of the FFT.
    hop
        Samples from one frame to the next, at most those of the window.
    n_mels
        Number of mel bands.
    f_min, f_max
        Lowest and highest frequency of the bands, Hz; ``f_max`` at most half
        the rate.
    floor
        Added to each band before the logarithm. Relative to a sine at full scale: 1e-8 is
        -80 dB. Well above the rounding noise of float32, so that two right implementations
        agree.
    window_length
        Samples of the window, at most ``n_fft``; zeros fill the rest. None for ``n_fft``.
    window
        ``"hann"`` (periodic), ``"hann-symmetric"``, ``"hamming"`` (symmetric) or
        ``"povey"`` (Kaldi's default: the symmetric Hann to the power 0.85).
    mel_scale
        ``"htk"``, ``"slaney"`` or ``"kaldi"``, see `audiocnn.frontend.mel_scale`.
    area_norm
        Whether a filter's area is 1, not its peak.
    power
        2 for power spectra, 1 for magnitudes.
    full_scale
        Whether spectra are scaled so that a sine at full scale gives 1; otherwise they are
        the FFT's own.
    gain
        Factor for the samples: 32768 for the range of 16-bit integers.
    pre_emphasis
        a in ``y[n] = x[n] - a x[n-1]``; 0 for none.
    pre_emphasis_of
        ``"stream"``: over the whole stream, whose first y is of its first two samples, so a
        frame depends on one sample more than its window (equal to ``y[n] = x[n+1] - a x[n]``
        without padding, as EfficientAT has it); ``"frame"``: within each frame, with
        ``y[0] = (1 - a) x[0]``, as Kaldi has it.
    remove_offset
        Whether each frame's mean is subtracted before anything else, as Kaldi does.
    floor_is
        ``"added"``: log(x + floor); ``"least"``: log(max(x, floor)).
    log_shift, log_scale
        The frames are ``(log(...) + log_shift) * log_scale``, natural logarithm; a scale of
        10 / log(10) = 4.343 gives decibels.

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
    window_length: int | None = None
    window: str = "hann"
    mel_scale: str = "htk"
    area_norm: bool = False
    power: int = 2
    full_scale: bool = True
    gain: float = 1.0
    pre_emphasis: float = 0.0
    pre_emphasis_of: str = "stream"
    remove_offset: bool = False
    floor_is: str = "added"
    log_shift: float = 0.0
    log_scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        size = "n_fft" if self.window_length is None else "window_length"
        numbers = (self.gain, self.pre_emphasis, self.log_shift, self.log_scale)
        checks = {
            "rate must be at least 1": self.rate >= 1,
            "n_fft must be at least 2": self.n_fft >= 2,
            "window_length must be a whole number between 2 and n_fft": self.window_length is None
            or (is_whole(self.window_length) and 2 <= self.window_length <= self.n_fft),
            f"hop must lie between 1 and {size}": 1 <= self.hop <= self.length,
            "n_mels must be at least 1": self.n_mels >= 1,
            "f_min must lie between 0 and f_max": 0 <= self.f_min < self.f_max,
            "f_max must be at most half the rate": self.f_max <= self.rate / 2,
            "floor must be above 0": self.floor > 0,
            f"window must be one of {', '.join(WINDOWS)}": self.window in WINDOWS,
            f"mel_scale must be one of {', '.join(SCALES)}": self.mel_scale in SCALES,
            "power must be 1 or 2": self.power in (1, 2),
            f"pre_emphasis_of must be {' or '.join(OF)}": self.pre_emphasis_of in OF,
            "floor_is must be added or least": self.floor_is in ("added", "least"),
            "gain, pre_emphasis, log_shift and log_scale must be finite": bool(
                np.isfinite(numbers).all()
            ),
            "gain must be above 0 and log_scale not 0": self.gain > 0 and self.log_scale != 0,
        }
        for message, good in checks.items():
            if not good:
                raise ArgumentError(f"{message}, got {self}")

    @property
    def length(self) -> int:
        """Samples of the window."""
        return self.n_fft if self.window_length is None else self.window_length

    @functools.cached_property
    def n_samples(self) -> int:
        """Samples that a frame depends on."""
        return self.length + (self.pre_emphasis != 0 and self.pre_emphasis_of == "stream")

    @property
    def is_plain(self) -> bool:
        """Whether all parameters after ``floor`` have their defaults."""
        return not self._extra()

    def _extra(self) -> dict[str, Any]:
        """Return the parameters after ``floor`` that differ from their defaults."""
        added = fields(self)[[f.name for f in fields(self)].index("floor") + 1 :]
        return {f.name: getattr(self, f.name) for f in added if getattr(self, f.name) != f.default}

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters for JSON, as before for a front end without the others."""
        names = ("rate", "n_fft", "hop", "n_mels", "f_min", "f_max", "floor")
        return {"kind": self.kind, **{n: getattr(self, n) for n in names}, **self._extra()}

    @functools.cached_property
    def tables(self) -> tuple[Array, tuple[Block, ...]]:
        """Window and scaled filters, computed once."""
        window = window_samples(self)
        scale = 1 / (window.sum() / 2) ** self.power if self.full_scale else 1.0
        filters = (mel_filters(self) * scale).astype(np.float32)
        return window.astype(np.float32), split_bank(filters)

    @property
    def n_bands(self) -> int:
        """Bands of a frame."""
        return self.n_mels

    @property
    def log_floor(self) -> float | None:
        """Value of a band without power."""
        return float((np.log(self.floor) + self.log_shift) * self.log_scale)

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


def mel_filters(spec: MelSpec) -> Array:
    """Return the triangular filters (n_fft // 2 + 1, n_mels), see `mel_scale.triangles`."""
    return triangles(
        spec.n_fft // 2 + 1, spec.rate, spec.n_mels, spec.f_min, spec.f_max, spec.mel_scale,
        spec.area_norm,
    )  # fmt: skip


def window_samples(spec: MelSpec) -> NDArray[np.float64]:
    """Return the window (length,)."""
    n = spec.length
    around = 2 * np.pi * np.arange(n) / (n if spec.window == "hann" else n - 1)
    if spec.window == "hamming":
        return np.asarray(0.54 - 0.46 * np.cos(around))
    hann = np.asarray(0.5 - 0.5 * np.cos(around))
    return hann**0.85 if spec.window == "povey" else hann


def stream_log_mel(tail: Array, new: Array, spec: MelSpec) -> tuple[Array, Array]:
    """Turn new samples into the frames that they complete.

    Parameters
    ----------
    tail
        (K,) what the last call returned; empty at the beginning.
    new
        (N,) samples, full scale at 1.
    spec
        The front end.

    Returns
    -------
    frames
        (1, n_mels, T) natural logarithm of power plus floor; one plane.
    tail
        (L,) for the next call, L < ``spec.n_samples``.

    Notes
    -----
    Costs one real FFT a frame; each frame is computed once, whatever the
    windows that later use it.
    """
    ready, tail, n = slide(tail, new, spec.n_samples, spec.hop)
    frames = np.empty((1, spec.n_mels, n), np.float32)
    if n == 0:
        return frames, tail
    window, filters = spec.tables
    if spec.gain != 1:
        ready = ready * np.float32(spec.gain)
    if spec.n_samples > spec.length:
        ready = ready[1:] - np.float32(spec.pre_emphasis) * ready[:-1]
    cut = np.lib.stride_tricks.sliding_window_view(ready, spec.length)[:: spec.hop]
    for at in range(0, n, AT_ONCE):
        part = cut[at : at + AT_ONCE]
        if spec.remove_offset:
            part = part - part.mean(axis=1, keepdims=True)
        if spec.pre_emphasis and spec.pre_emphasis_of == "frame":
            before = np.concatenate((part[:, :1], part[:, :-1]), axis=1)
            part = part - np.float32(spec.pre_emphasis) * before
        spectra = scipy.fft.rfft(part * window, n=spec.n_fft, axis=1)
        power = spectra.real**2 + spectra.imag**2
        if spec.power == 1:
            power = np.sqrt(power)
        apply_bank(filters, power, frames[0, :, at : at + AT_ONCE])
    return _logarithm(frames, spec), tail


def _logarithm(frames: Array, spec: MelSpec) -> Array:
    floor = np.float32(spec.floor)
    np.log(frames + floor if spec.floor_is == "added" else np.maximum(frames, floor), out=frames)
    if spec.log_shift:
        frames += np.float32(spec.log_shift)
    if spec.log_scale != 1:
        frames *= np.float32(spec.log_scale)
    return frames


def log_mel(samples: Array, spec: MelSpec) -> Array:
    """Return the frames of a whole recording: the stream that comes in one piece."""
    return stream_log_mel(samples[:0], samples, spec)[0]
