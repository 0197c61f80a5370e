"""The interface of a front end: samples in, frames out, streamed.

    log-mel        sound: one channel, bands on a mel scale            (1, n_mels, T)
    log-spectrum   any signal, every channel a plane of linear bands   (K, n_fft // 2 + 1, T)
    raw            any signal, its samples unchanged but for a scale   (1, K, T)
    waveform       sound, for networks that take samples               (1, 1, T)

Samples of sound are (N,), full scale at 1; those of other signals (K, N), time last, in
the unit in which they were measured. Nothing in a front end looks ahead, pads or
normalises over time, so a stream gives the frames of the file. A new front end is one
class here and an entry in `audiocnn.frontend.specs.KINDS`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError

Array = NDArray[np.float32]


class FrontEnd(ABC):
    """Samples to frames (P, M, T); subclasses are frozen dataclasses of their parameters.

    Attributes
    ----------
    kind
        Name of the front end in a bundle.
    sound
        Whether it takes sound: mono samples (N,), which a reader mixes and resamples for
        it. Otherwise it takes channels (K, N) as they were recorded.
    rate_tolerance
        Relative difference by which the rate of a block may differ from ``rate``.
    rate
        Samples per second.
    n_samples, hop
        Samples that one frame depends on, and from one frame to the next.
    planes, n_bands
        P and M of the frames.
    channels
        K; 1 for sound.
    names, offset, scale
        Per channel: its name, and what is subtracted from and divides its samples. Empty
        for sound.
    """

    kind: ClassVar[str]
    sound: ClassVar[bool] = False
    rate_tolerance: ClassVar[float] = 1e-3

    if TYPE_CHECKING:  # fields, class variables or properties of the subclasses

        @property
        def rate(self) -> float: ...  # noqa: D102
        @property
        def n_samples(self) -> int: ...  # noqa: D102
        @property
        def hop(self) -> int: ...  # noqa: D102
        @property
        def planes(self) -> int: ...  # noqa: D102
        @property
        def n_bands(self) -> int: ...  # noqa: D102
        @property
        def channels(self) -> int: ...  # noqa: D102
        @property
        def names(self) -> tuple[str, ...]: ...  # noqa: D102
        @property
        def offset(self) -> tuple[float, ...]: ...  # noqa: D102
        @property
        def scale(self) -> tuple[float, ...]: ...  # noqa: D102

    @abstractmethod
    def stream(self, tail: Array, new: Array) -> tuple[Array, Array]:
        """Turn new samples into the frames that they complete.

        Parameters
        ----------
        tail
            What the last call returned; `no_samples` at the beginning.
        new
            (N,) for sound, (K, N) for any other signal.

        Returns
        -------
        frames
            (P, M, T).
        tail
            For the next call, shorter than one frame.
        """

    def frames(self, samples: Array) -> Array:
        """Return the frames (P, M, T) of a whole recording: the stream in one piece."""
        return self.stream(self.no_samples(), samples)[0]

    @abstractmethod
    def padding(self, n: int) -> Array:
        """Return n samples of silence, or of every channel at its mean."""

    def no_samples(self) -> Array:
        """Return an array of no samples, in the shape that `stream` takes."""
        return self.padding(0)

    @abstractmethod
    def example(self, n: int, rng: np.random.Generator) -> Array:
        """Generate n samples: noise with a slow swell, at the level of usual signals."""

    def centred(self, samples: Array) -> Array:
        """Return samples as training stores them: channels minus offset, over scale."""
        return samples

    @property
    @abstractmethod
    def log_floor(self) -> float | None:
        """Lowest value of a frame, if values are logarithms of power; else None."""

    @abstractmethod
    def band_ticks(self) -> list[tuple[float, str]]:
        """Return positions and names of marks on an axis of bands; none for raw samples."""

    @abstractmethod
    def summary(self) -> str:
        """Describe the frames in a few words, for people."""

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters for JSON; `front_of` reads them."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    def stream_rate(self, rate: float) -> float:
        """Return the rate that a stream recorded at ``rate`` is brought to."""
        return self.rate if self.sound else rate

    def is_compatible(self, rate: float) -> bool:
        """Whether samples at a rate can be used as they are."""
        return abs(rate / self.rate - 1) <= self.rate_tolerance

    def check_samples(self, samples: Array, rate: float) -> None:
        """Refuse samples that this front end cannot take.

        Raises
        ------
        ArgumentError
            If their rate or shape is wrong; a clock's error of a thousandth is accepted
            for signals other than sound, which are not resampled.
        """
        if not self.is_compatible(rate):
            how = "read_blocks(path, bundle.rate) resamples" if self.sound else "resample it"
            raise ArgumentError(
                f"the model takes {self.rate:g} Hz, got a block at {rate:g} Hz; {how}"
            )
        leading = () if self.sound else (self.channels,)
        if samples.shape[:-1] != leading or not samples.ndim:
            wanted = "(N,)" if self.sound else f"({self.channels}, N)"
            raise ArgumentError(
                f"the model takes samples of shape {wanted}, got a block of {samples.shape}; "
                "read_for(path, bundle.front) gives such blocks"
            )


class SignalFrontEnd(FrontEnd):
    """Base of front ends for signals other than sound: named channels, each with its scale."""

    def padding(self, n: int) -> Array:
        """Return n samples of every channel at its mean."""
        return np.repeat(np.array(self.offset, np.float32)[:, None], n, axis=1)

    def example(self, n: int, rng: np.random.Generator) -> Array:
        """Generate n samples (K, n): noise with a slow swell, ten deviations at most."""
        noise = rng.standard_normal((self.channels, n), dtype=np.float32) * (10 * swell(n))
        offset, scale = (column(values) for values in (self.offset, self.scale))
        return (offset + scale * noise).astype(np.float32)

    def centred(self, samples: Array) -> Array:
        """Return samples minus the channels' offsets, over their scales."""
        away = samples - self.padding(1)
        return np.asarray(away / column(self.scale))

    def check_channels(self) -> None:
        """Check rate, names, offset and scale.

        Raises
        ------
        ArgumentError
            If one is out of range, or their lengths differ.
        """
        offset, scale = self.offset, self.scale
        if not 0 < self.rate < math.inf:
            raise ArgumentError(f"rate must be above 0 Hz, got {self.rate}")
        if not scale or not len(self.names) == len(offset) == len(scale):
            raise ArgumentError(
                "names, offset and scale need one for every channel, got "
                f"{self.names}, {offset} and {scale}"
            )
        if len(set(self.names)) < len(self.names):
            raise ArgumentError(f"two channels have one name: {', '.join(self.names)}")
        if not all(map(math.isfinite, offset)) or not all(0 < s < math.inf for s in scale):
            raise ArgumentError(
                f"offset must be finite and scale above 0, got {offset} and {scale}"
            )


def swell(n: int) -> Array:
    """Return the level (n,) of an example: half a period of a squared sine, at most 0.1."""
    return np.asarray(0.1 * np.sin(np.linspace(0, np.pi, n, dtype=np.float32)) ** 2)


def column(values: Sequence[float]) -> Array:
    """Return numbers, one a channel, as (K, 1)."""
    return np.array(values, np.float32)[:, None]


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)
