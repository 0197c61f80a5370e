"""Front end of networks that take samples: mono sound, times a gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import Array, FrontEnd, is_whole, swell


@dataclass(frozen=True)
class WaveformSpec(FrontEnd):
    """Samples (N,) to frames (1, 1, N): every sample is a frame of one band.

    Parameters
    ----------
    rate
        Samples per second.
    gain
        Factor for samples whose full scale is 1: 32768 for networks that take the range
        of 16-bit integers.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    kind: ClassVar[str] = "waveform"
    sound: ClassVar[bool] = True
    rate_tolerance: ClassVar[float] = 0.0
    channels: ClassVar[int] = 1
    planes: ClassVar[int] = 1
    n_bands: ClassVar[int] = 1
    n_samples: ClassVar[int] = 1
    hop: ClassVar[int] = 1
    names: ClassVar[tuple[str, ...]] = ()
    offset: ClassVar[tuple[float, ...]] = ()
    scale: ClassVar[tuple[float, ...]] = ()

    rate: int
    gain: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not is_whole(self.rate) or self.rate < 1:
            raise ArgumentError(f"rate must be a whole number of Hz, at least 1, got {self.rate}")
        if not math.isfinite(self.gain) or self.gain <= 0:
            raise ArgumentError(f"gain must be above 0 and finite, got {self.gain}")

    def stream(self, tail: Array, new: Array) -> tuple[Array, Array]:
        """Scale the samples; nothing is kept."""
        return (new * np.float32(self.gain))[None, None], tail

    def padding(self, n: int) -> Array:
        """Return n samples of silence."""
        return np.zeros(n, np.float32)

    def example(self, n: int, rng: np.random.Generator) -> Array:
        """Generate n samples: noise with a slow swell."""
        return (rng.standard_normal(n, dtype=np.float32) * swell(n)).astype(np.float32)

    @property
    def log_floor(self) -> float | None:
        """None: values are no logarithms."""
        return None

    def band_ticks(self) -> list[tuple[float, str]]:
        """Return nothing: there are no bands."""
        return []

    def summary(self) -> str:
        """Describe the frames in a few words."""
        return "samples" if self.gain == 1 else f"samples times {self.gain:g}"
