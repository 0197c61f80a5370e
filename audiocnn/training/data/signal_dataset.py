"""Signals other than sound, as training reads them: every channel, at their own rate.

The clips of a dataset are read once and lie one after the other in a file of 32-bit
floats, memory-mapped, in the unit in which they were recorded; so a dataset may be
larger than memory. Training sees them through a front end: its offset taken away, and
divided by its scale. A cache is found again by what it was made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.frontend.base import FrontEnd

STARTS_A_WINDOW = 16  # places in a window's length at which another may begin


@dataclass(frozen=True)
class Recorded:
    """The clips of a dataset, all of the same channels and rate.

    Parameters
    ----------
    samples
        (N, K) all clips end to end, float32, memory-mapped, as they were recorded.
    starts
        (n_clips + 1,) where each clip begins; the last entry is N.
    sums
        (n_clips, 2, K) of every clip: sum of its samples, and of their squares.
    names
        Of the channels.
    rate
        Samples per second.
    rate_known
        Whether any of the files, or the caller, said the rate.
    offset, scale
        (K, 1) what a front end takes away, and divides by.
    step
        Samples between the places where a window may begin.
    """

    samples: NDArray[np.float32]
    starts: NDArray[np.int64]
    sums: NDArray[np.float64]
    names: tuple[str, ...]
    rate: float
    rate_known: bool
    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    step: int = 1

    def read(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip (K, length), as the front end sees it; 0 where it has none."""
        out = np.zeros((len(self.names), length), np.float32)
        a, b = max(0, start), min(self.length(clip), start + length)
        if b > a:
            found = self.recorded(clip, a, b - a)
            out[:, a - start : b - start] = (found - self.offset) / self.scale
        return out

    def recorded(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a clip (K, length) in the unit in which it was recorded."""
        begin = int(self.starts[clip]) + start
        return np.ascontiguousarray(self.samples[begin : begin + length].T)

    def length(self, clip: int) -> int:
        """Count the samples of a clip."""
        return int(self.starts[clip + 1] - self.starts[clip])

    def clip_levels(self, clip: int) -> NDArray[np.float32]:
        """Return 1 for each step of a clip: no part of a signal is silence."""
        return np.ones(max(1, -(-self.length(clip) // self.step)), np.float32)

    def power(self, clip: int, start: int, length: int) -> float:
        """Return 1 for every sample: a signal at rest says something too."""
        return float(length)

    def digest(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return what tells these clips from others, small."""
        return self.sums, self.starts

    def spread(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Measure mean and standard deviation of each channel over all clips; 1 where it is 0."""
        n = max(1, int(self.starts[-1]))
        mean, square = self.sums.sum(0) / n
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        # A constant channel has none; what rounding leaves of it is none either.
        deviation[deviation <= 1e-6 * np.abs(mean)] = 0
        rounded = ([float(f"{v:.7g}") for v in values] for values in (mean, deviation))
        offset, scale = (tuple(values) for values in rounded)
        return offset, tuple(s or 1.0 for s in scale)

    def torch_front_end(self, front: FrontEnd, n_window: int) -> Recorded:
        """Return the same clips as a front end sees them, for windows of so many samples."""
        offset, scale = (np.array(v, np.float32)[:, None] for v in (front.offset, front.scale))
        return replace(self, offset=offset, scale=scale, step=max(1, n_window // STARTS_A_WINDOW))
