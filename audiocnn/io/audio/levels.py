"""Recordings whose samples are in another unit, or whose channels cancel each other.

Both are read without an error and give wrong scores: samples in the units of 16-bit
integers are 90 dB too loud, and the mean of two channels in opposite phase is silence. They
are recognised while the samples are read, and reported with the figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiocnn.io.audio.notes import PHASE, SPIKES, UNIT, Note
from audiocnn.io.audio.source import Frames

FLOATS = frozenset({"FLOAT", "DOUBLE"})
FAR_BEYOND = 10.0  # times full scale: no gain in float files is meant to reach that
ENOUGH = 0.01  # share of samples beyond full scale, from which on it is the unit
CANCELLED = 0.1  # of the power that the mean of unrelated channels has
UNITS = ((1 << 15, "16-bit"), (1 << 23, "24-bit"), (1 << 31, "32-bit"))


@dataclass
class LevelWatch:
    """Sums over the samples of a recording.

    Parameters
    ----------
    is_float
        Whether its samples are stored as floating-point numbers.
    mixes
        Whether its channels are averaged.
    """

    is_float: bool
    mixes: bool
    peak: float = 0.0
    n: int = 0
    n_beyond: int = 0
    power_of_mean: float = 0.0
    powers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def take(self, frames: Frames) -> None:
        """Add (N, channels) samples."""
        if not frames.size or not (self.is_float or (self.mixes and frames.shape[1] > 1)):
            return
        with np.errstate(all="ignore"):
            if self.is_float:
                sizes = np.abs(frames)
                self.peak = max(self.peak, float(np.nanmax(sizes, initial=0.0, where=sizes < 1e15)))
                self.n += frames.size
                self.n_beyond += int(np.count_nonzero(sizes > 1.0))
            if self.mixes and frames.shape[1] > 1:
                mean = frames.mean(axis=1)
                if np.isfinite(power := float(mean @ mean)):
                    self.power_of_mean += power
                    powers = np.einsum("nc,nc->c", frames, frames, dtype=np.float64)
                    self.powers = powers + (self.powers if self.powers.size else 0.0)

    def notes(self) -> tuple[Note, ...]:
        """Return what is to be said."""
        return tuple(note for note in (self._unit(), self._phase()) if note is not None)

    def _unit(self) -> Note | None:
        if self.peak <= FAR_BEYOND:
            return None
        if self.n_beyond < ENOUGH * self.n:
            return Note(
                SPIKES,
                f"has {self.n_beyond:,} of {self.n:,} float samples beyond full scale, up to "
                f"{self.peak:.4g} where full scale is 1: spikes of a damaged file?",
            )
        unit = next((name for size, name in UNITS if self.peak <= size), "another unit's")
        size = next((size for size, name in UNITS if name == unit), None)
        advice = f"divide by {size:,}" if size else "scale it to full scale 1"
        return Note(
            UNIT,
            f"has float samples up to {self.peak:,.0f} where full scale is 1, "
            f"{20 * math.log10(self.peak):.0f} dB too loud: they look like {unit} integers; "
            f"{advice}, or scores mean nothing",
        )

    def _phase(self) -> Note | None:
        if self.powers.size < 2 or not self.powers.all():
            return None
        expected = float(self.powers.mean()) / self.powers.size
        if self.power_of_mean >= CANCELLED * expected:
            return None
        down = 10 * math.log10(max(self.power_of_mean, 1e-12 * expected) / self.powers.mean())
        return Note(
            PHASE,
            f"has channels in opposite phase: their mean is {-down:.0f} dB weaker than they are; "
            "give --channel 0 to take one of them",
        )
