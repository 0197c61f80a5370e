"""The newest sound of a stream, kept for the clips of events."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from audiocnn.streaming.inputs.chunk import Samples


class RingBuffer:
    """Keeps the last seconds of a stream; may be read from other threads.

    Parameters
    ----------
    rate
        Samples per second.
    seconds
        How much is kept at least; 0 keeps nothing.
    """

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate, self._most = rate, round(rate * seconds)
        self._pieces: deque[tuple[int, Samples]] = deque()  # where each begins
        self._end = 0
        self._lock = threading.Lock()

    def add(self, samples: Samples) -> None:
        """Add what follows; NaN where samples were lost."""
        with self._lock:
            if self._most:
                self._pieces.append((self._end, samples))
            self._end += samples.shape[-1]
            while len(self._pieces) > 1 and self._end - self._pieces[1][0] >= self._most:
                self._pieces.popleft()

    def fetch(self, start: float, end: float) -> tuple[Samples, float, float]:
        """Give what is kept of a stretch, up to where samples were lost.

        Parameters
        ----------
        start, end
            Seconds since the stream began.

        Returns
        -------
        samples, rate, start
            A copy; and where it really begins, later than asked if the beginning is
            no longer kept or was lost. Empty if nothing is kept.
        """
        first, last = round(start * self.rate), round(end * self.rate)
        with self._lock:
            held = [(at, piece) for at, piece in self._pieces
                    if at < last and at + piece.size > first]  # fmt: skip
        if not held:
            return np.empty(0, np.float32), self.rate, start
        begin = held[0][0]
        samples = np.concatenate([piece for _, piece in held])
        skip = max(0, first - begin)
        samples = samples[skip : last - begin]
        good = np.isfinite(samples)
        if not good.all():
            at = int(np.argmax(good)) if good.any() else samples.size
            lost = np.flatnonzero(~good[at:])
            samples, skip = samples[at : at + int(lost[0]) if lost.size else None], skip + at
        return samples, self.rate, (begin + skip) / self.rate
