"""What the terminal view draws of a signal that is not sound: each channel as a strip.

Where a channel stands about its usual value, in deviations of the data that the model
was trained on: dark below, bright above. Made for the eye alone, like `spectrum`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiocnn.streaming.spectrogram import QUIETEST

TICK = 0.05  # seconds, at least a sample
SWING = 2.5  # deviations from dark to the middle, and on to bright


class Traces:
    """The last half minute or more of a signal, tick by tick; as `Spectrum` is used.

    Parameters
    ----------
    rate
        Samples per second.
    names
        Of the channels.
    offset, scale
        Their usual values, and deviations.
    seconds
        What a picture shows at least, once as much was heard.
    """

    low, high = -SWING, SWING

    def __init__(
        self, rate: float, names: Sequence[str], offset: Sequence[float], scale: Sequence[float],
        seconds: float = 30.0,
    ) -> None:  # fmt: skip
        self.size = max(1, round(rate * TICK))
        self.tick = self.size / rate
        self.seconds = max(seconds, 100 * self.tick)
        self.names, self.rate = tuple(names), rate
        self.n_ticks = 0
        self._offset, self._scale = (np.array(v, np.float32)[:, None] for v in (offset, scale))
        n = 2 * math.ceil(self.seconds / self.tick)
        self._ring = np.full((n, len(self.names)), -np.inf, np.float32)
        self._waiting = np.empty((len(self.names), 0), np.float32)
        self._heard = self._lost = False

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take samples (K, N); NaN where they were lost."""
        waiting = np.concatenate((self._waiting, samples), axis=1)
        n = waiting.shape[1] // self.size
        ticks = waiting[:, : n * self.size].reshape(len(self.names), n, self.size)
        self._waiting = waiting[:, n * self.size :].copy()
        means = ((ticks.mean(axis=2) - self._offset) / self._scale).T[-len(self._ring) :]
        good = np.isfinite(means).all(axis=1)
        self._heard, self._lost = self._heard or bool(good.any()), self._lost or not good.all()
        self._ring[(self.n_ticks + np.arange(len(means))) % len(self._ring)] = means
        self.n_ticks += len(means)

    def levels(self) -> tuple[float, float, bool, bool]:
        """Tell whether anything was heard and lost since the last call; a signal has no level."""
        levels = QUIETEST, QUIETEST, self._heard, self._lost
        self._heard = self._lost = False
        return levels

    def ticks_per_column(self, width: int) -> int:
        """Tell how many ticks a column shows, so that ``width`` columns show long enough."""
        return max(1, math.ceil(self.seconds / self.tick / max(1, width)))

    def picture(self, width: int, n_rows: int) -> NDArray[np.float32]:
        """Give the newest whole columns (n_rows, width); each channel has as many rows."""
        per = self.ticks_per_column(width)
        n = min(width, len(self._ring) // per)
        end = self.n_ticks // per * per
        ticks = self._ring[np.arange(end - n * per, end) % len(self._ring)]
        columns = ticks.reshape(n, per, -1).mean(axis=1).T  # NaN if any of it was lost
        drawn = np.full((n_rows, width), -np.inf, np.float32)
        for row, channel in enumerate(self.rows(n_rows)):
            drawn[row, width - n :] = columns[channel]
        return drawn

    def rows(self, n_rows: int) -> list[int]:
        """Say which channel each row of a picture shows, first to last; some none if many."""
        shown = min(n_rows, len(self.names))
        return [row * shown // n_rows for row in range(n_rows)]
