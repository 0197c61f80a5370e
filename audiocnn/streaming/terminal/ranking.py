"""Which scores a small screen shows, and in which order: what matters first, but calmly.

A label's interest is its score over its threshold, remembered for some seconds. Places
are exchanged seldom, and only for a clear difference; only a label that reaches its
threshold while it is not shown takes a place at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

HALVED = 5.0  # seconds in which interest halves
SORTED = 2.0  # seconds between two exchanges of places at least
CLEARLY = 1.3  # times as interesting


class Ranking:
    """The scores of all labels, and the few that are shown.

    Parameters
    ----------
    thresholds
        (C,), one for each label.
    """

    def __init__(self, thresholds: NDArray[np.float64]) -> None:
        self.thresholds = thresholds
        self.values = np.full(len(thresholds), np.nan)  # NaN: no score
        self._scale = np.maximum(np.nan_to_num(thresholds, nan=1.0), 1e-3)
        self._interest = np.zeros(len(thresholds))
        self._fresh = False
        self._shown: list[int] = []
        self._now = self._sorted_at = -math.inf

    def take(self, values: NDArray[np.floating]) -> None:
        """Take newest scores (C,); of several between two looks, the highest is shown."""
        values = np.asarray(values, np.float64)
        values = np.where(np.isfinite(values), values, np.nan)
        self.values = np.fmax(self.values, values) if self._fresh else values
        self._fresh = True

    def forget(self) -> None:
        """Forget the scores: nothing is heard."""
        self.values = np.full(len(self.values), np.nan)
        self._fresh = False

    def above(self, label: int) -> bool:
        """Tell whether a label's score reaches its threshold."""
        return bool(self.values[label] >= self.thresholds[label])

    def look(self, n: int, now: float) -> list[int]:
        """Choose ``n`` labels, in the order in which they are shown at the time ``now``."""
        self._fresh = False
        passed = max(0.0, min(60.0, now - self._now))
        self._now = now
        interest = np.clip(np.nan_to_num(self.values) / self._scale, 0.0, 10.0)
        self._interest = np.maximum(interest, self._interest * 0.5 ** (passed / HALVED))
        if len(self._shown) != min(n, len(self.values)):
            self._resize(n)
        elif not now - self._sorted_at < SORTED:
            self._sort(now)
        self._hurry()
        return self._shown

    def _resize(self, n: int) -> None:
        others = [label for label in self._by_interest() if label not in set(self._shown)]
        self._shown = [*self._shown, *others][: max(0, n)]

    def _by_interest(self) -> list[int]:
        return [int(label) for label in np.argsort(-self._interest, kind="stable")]

    def _sort(self, now: float) -> None:
        self._sorted_at = now
        shown, interest = self._shown, self._interest
        taken = set(shown)
        for label in self._by_interest()[: len(shown)]:
            weakest = min(shown, key=lambda other: interest[other])
            if label not in taken and interest[label] > CLEARLY * interest[weakest] + 0.02:
                shown[shown.index(weakest)] = label
        for end in range(1, len(shown)):
            at = end
            while at and interest[shown[at]] > CLEARLY * interest[shown[at - 1]] + 0.02:
                shown[at - 1], shown[at] = shown[at], shown[at - 1]
                at -= 1

    def _hurry(self) -> None:
        """Show at once what reaches its threshold, in the place of what does not."""
        taken = set(self._shown)
        for label in np.flatnonzero(self.values >= self.thresholds).tolist():
            free = [other for other in self._shown if not self.above(other)]
            if label not in taken and free:
                weakest = min(free, key=lambda other: self._interest[other])
                self._shown[self._shown.index(weakest)] = label
