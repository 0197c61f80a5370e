"""The cost of live listening on this machine: the whole session, fed from memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.windows import Scores
from audiocnn.streaming.inputs.chunk import Chunk, Samples
from audiocnn.streaming.run import run_session
from audiocnn.streaming.session import Session, SessionOptions

RATE = 48000  # of most microphones
PIECE = 0.05  # seconds: about what a sound card hands over at once
WARM = 5.0  # seconds of sound before the clock starts
SAFE = 0.5  # share of a core up to which a machine keeps up with other work beside


@dataclass(frozen=True)
class Cost:
    """What a hop costs.

    Parameters
    ----------
    hop
        Seconds, as rounded to columns.
    load
        Share of one core.
    worst
        Longest time from a piece's arrival to the end of what it brought about, seconds
        (99th percentile).
    """

    hop: float
    load: float
    worst: float

    @property
    def sustained(self) -> bool:
        """Whether this machine keeps up with room to spare."""
        return self.load <= SAFE and self.worst < self.hop


class FromMemory:
    """An input that gives the same sound again and again."""

    name = "memory"

    def __init__(
        self, sound: Samples, rate: float, seconds: float, piece: float = PIECE, warm: float = WARM
    ) -> None:
        self.rate, self._sound = rate, sound
        self._size = max(1, round(piece * rate))
        self._n_pieces = round(seconds * rate / self._size)
        self._n_warm = min(self._n_pieces // 2, round(warm * rate / self._size))
        self.taken: list[float] = []  # wall seconds that each piece took
        self.cpu = 0.0  # at the first piece behind the warm-up

    def chunks(self) -> Iterator[Chunk]:
        """Give pieces as fast as they are taken, noting how long each took."""
        span = self._sound.shape[-1] - self._size
        for number in range(self._n_pieces):
            if number == self._n_warm:
                self.cpu = time.process_time()
                self.taken.clear()
            at = number * self._size % max(1, span)
            begin = time.perf_counter()
            yield Chunk(self._sound[..., at : at + self._size])
            self.taken.append(time.perf_counter() - begin)

    def close(self) -> None:
        """Need nothing."""


def material(bundle: Bundle, seconds: float, rate: float, seed: int = 0) -> Samples:
    """Generate an input for a model: for sound, noise of changing level."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    if not bundle.front.sound:
        return bundle.front.example(n, rng)
    level = np.repeat(10 ** rng.uniform(-3, -0.5, round(seconds * 4) + 1), round(rate / 4))
    return rng.standard_normal(n, dtype=np.float32) * level[:n].astype(np.float32)


def measure_hop(bundle: Bundle, hop: float, seconds: float = 30.0) -> Cost:
    """Run a session over sound from memory and see what it costs.

    Parameters
    ----------
    bundle, hop
        The model, and seconds from window to window.
    seconds
        Of sound to process, after `WARM` before the clock starts. Of other signals, a
        window counts for a second.
    """
    rate, unit = (RATE, 1.0) if bundle.front.sound else (bundle.rate, grid_of(bundle).window)
    seconds *= unit
    source = FromMemory(
        material(bundle, 10.0 * unit, rate), rate, WARM * unit + seconds, PIECE * unit, WARM * unit
    )
    block = min(10.0, max(2 * PIECE * unit, 1 / rate))
    session = Session(rate, lambda message: None, SessionOptions(hop, heartbeat=0, block=block))
    windows: list[Scores] = []
    run_session(bundle, source, session, on_scores=windows.append)
    used = time.process_time() - source.cpu
    worst = sorted(source.taken)[int(0.99 * len(source.taken))]
    return Cost(grid_of(bundle, hop).hop, used / seconds, worst)
