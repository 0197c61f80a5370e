"""The kinds of front end: samples to frames, in pieces of any length.

    log-mel        sound: one channel, bands as people hear them       (1, n_mels, T)
    log-spectrum   any signal, every channel a plane of linear bands   (K, n_fft // 2 + 1, T)
    raw            any signal, its samples as they are                 (1, K, T)

Samples of sound are (N,); those of other signals (K, N), time last, in whatever
unit they were measured in: such a front end brings every channel to mean 0 and
deviation 1 by fixed numbers of the training set. As everywhere, nothing here
looks ahead, pads or normalises over time. It must never know what frames are for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.frontend.framing import slide
from audiocnn.frontend.log_mel import MelSpec, stream_log_mel

Array = NDArray[np.float32]
FRAMES_AT_ONCE = 256  # as for log-mel: what stays in a core's cache


@dataclass(frozen=True)
class RawSpec:
    """Samples as they are, every one a frame; channels are its bands.

    Parameters
    ----------
    rate
        Samples per second; need not be whole.
    names
        Of the channels, by which they are found in a file.
    offset, scale
        Per channel, in the signal's own units: what is taken away, and what the
        rest is divided by (mean and standard deviation of the training set).

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "raw"
    n_fft: ClassVar[int] = 1  # samples in a frame
    hop: ClassVar[int] = 1
    planes: ClassVar[int] = 1

    rate: float
    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the ranges, once."""
        _check_channels(self)

    @property
    def channels(self) -> int:
        """Number of channels K."""
        return len(self.scale)

    @property
    def n_bands(self) -> int:
        """Bands of a frame: one a channel."""
        return self.channels


@dataclass(frozen=True)
class SpectrumSpec:
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
        _check_channels(self)
        checks = {
            "n_fft must be a whole number, at least 2": _whole(self.n_fft) and self.n_fft >= 2,
            "hop must be a whole number between 1 and n_fft": _whole(self.hop)
            and 1 <= self.hop <= self.n_fft,
            "floor must be above 0": self.floor > 0,
        }
        for message, good in checks.items():
            if not good:
                raise ArgumentError(f"{message}, got {self}")

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


Front = MelSpec | RawSpec | SpectrumSpec
KINDS: dict[str, type[Front]] = {kind.kind: kind for kind in (MelSpec, RawSpec, SpectrumSpec)}


def is_sound(front: Front) -> bool:
    """Tell whether a front end takes sound: (N,) samples, mixed and resampled for it."""
    return isinstance(front, MelSpec)


def stream_frames(tail: Array, new: Array, front: Front) -> tuple[Array, Array]:
    """Turn new samples into the frames that they complete.

    Parameters
    ----------
    tail
        What the last call handed back; `no_samples` at the beginning.
    new
        (N,) of sound, (K, N) of any other signal.
    front
        The front end.

    Returns
    -------
    frames
        (P, M, T).
    tail
        For the next call, shorter than a frame.
    """
    if isinstance(front, MelSpec):
        return stream_log_mel(tail, new, front)
    if isinstance(front, RawSpec):
        return _normalised(new, front)[None], new[:, :0]
    return _stream_spectrum(tail, new, front)


def no_samples(front: Front) -> Array:
    """Give no samples, in the shape that a front end takes."""
    return padding(front, 0)


def padding(front: Front, n: int) -> Array:
    """Give what stands for nothing: silence, or every channel at its mean."""
    if isinstance(front, MelSpec):
        return np.zeros(n, np.float32)
    return np.repeat(np.array(front.offset, np.float32)[:, None], n, axis=1)


def example(front: Front, n: int, rng: np.random.Generator) -> Array:
    """Make up a signal: noise with a slow swell, as strong as signals for this front end are."""
    swell = 0.1 * np.sin(np.linspace(0, np.pi, n, dtype=np.float32)) ** 2
    if isinstance(front, MelSpec):
        return (rng.standard_normal(n, dtype=np.float32) * swell).astype(np.float32)
    noise = rng.standard_normal((front.channels, n), dtype=np.float32) * (10 * swell)
    offset, scale = _offset_and_scale(front)
    return (offset + scale * noise).astype(np.float32)


def describe(front: Front) -> dict[str, Any]:
    """Say what a front end is, for JSON."""
    return {"kind": front.kind, **asdict(front)}


def front_of(described: Mapping[str, Any]) -> Front:
    """Make a front end of what `describe` gave.

    Raises
    ------
    ArgumentError
        If there is no such kind, or a value is missing or out of range.
    """
    values = dict(described)
    kind = KINDS.get(str(values.pop("kind", None)))
    if kind is None:
        raise ArgumentError(
            f"front end {described.get('kind')!r} is not known here, but {', '.join(KINDS)}"
        )
    whole = ("rate", "n_fft", "hop", "n_mels")
    if kind is MelSpec and not all(_whole(values.get(name)) for name in whole):
        raise ArgumentError(f"rate, n_fft, hop and n_mels must be whole numbers, got {values}")
    values |= {name: tuple(values[name]) for name in ("names", "offset", "scale") if name in values}
    try:
        return kind(**values)
    except TypeError as error:
        raise ArgumentError(f"front end {kind.kind!r}: {error}") from error


def _normalised(samples: Array, front: RawSpec | SpectrumSpec) -> Array:
    offset, scale = _offset_and_scale(front)
    return (samples - offset) / scale


@functools.lru_cache(maxsize=8)
def _offset_and_scale(front: RawSpec | SpectrumSpec) -> tuple[Array, Array]:
    offset, scale = (np.array(v, np.float32)[:, None] for v in (front.offset, front.scale))
    return offset, scale


@functools.lru_cache(maxsize=8)
def _window(n_fft: int) -> tuple[Array, np.float32]:
    """Hann window, periodic, and what makes a sine's power 1 in its bin."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return window.astype(np.float32), np.float32(1 / (window.sum() / 2) ** 2)


def _stream_spectrum(tail: Array, new: Array, front: SpectrumSpec) -> tuple[Array, Array]:
    ready, tail, n = slide(tail, new, front.n_fft, front.hop)
    frames = np.empty((front.channels, front.n_bands, n), np.float32)
    if n == 0:
        return frames, tail
    window, one = _window(front.n_fft)
    x = _normalised(ready, front)
    cut = np.lib.stride_tricks.sliding_window_view(x, front.n_fft, axis=1)[:, :: front.hop]
    for at in range(0, n, FRAMES_AT_ONCE):
        spectra = scipy.fft.rfft(cut[:, at : at + FRAMES_AT_ONCE] * window, axis=2)
        power = (spectra.real**2 + spectra.imag**2) * one
        frames[..., at : at + FRAMES_AT_ONCE] = power.transpose(0, 2, 1)
    np.log(frames + np.float32(front.floor), out=frames)
    return frames, tail


def _check_channels(front: RawSpec | SpectrumSpec) -> None:
    offset, scale = front.offset, front.scale
    if not 0 < front.rate < math.inf:
        raise ArgumentError(f"rate must be above 0 Hz, got {front.rate}")
    if not scale or not len(front.names) == len(offset) == len(scale):
        raise ArgumentError(
            "names, offset and scale need one for every channel, got "
            f"{front.names}, {offset} and {scale}"
        )
    if len(set(front.names)) < len(front.names):
        raise ArgumentError(f"two channels have one name: {', '.join(front.names)}")
    if not all(map(math.isfinite, offset)) or not all(0 < s < math.inf for s in scale):
        raise ArgumentError(f"offset must be finite and scale above 0, got {offset} and {scale}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
