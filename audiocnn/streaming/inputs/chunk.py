"""What an input gives a session: chunks of samples, with the time at which they came.

    microphone   |===|===|..........|===|     chunks; what was lost is NaN, as long as it was
    session      |=======|          |===|     blocks; `Block.start` jumps over what was lost

Nothing is ever spliced: a chunk of NaN stands where samples were lost, so the place of
every sample in the stream is the time at which it was heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some consecutive samples of an input.

    Parameters
    ----------
    samples
        (N,) mono sound, full scale at 1, or (K, N) another signal; NaN where samples were
        lost. N may be 0: nothing came for a while, and the session goes on with other work.
    time
        UTC, seconds since 1970, at which the last sample was heard; None if it was not
        heard now (a file).
    lost
        Why samples were lost, for the user; empty if nothing was lost.
    """

    samples: Samples
    time: float | None = None
    lost: str = ""


class Input(Protocol):
    """A source of samples."""

    @property
    def name(self) -> str:
        """Its name, for messages to the user."""

    @property
    def rate(self) -> float:
        """Samples per second of all chunks; known once the input is open."""

    def chunks(self) -> Iterator[Chunk]:
        """Give chunks until the input ends; at least every quarter of a second, be they empty."""

    def close(self) -> None:
        """Close the device or the file; `chunks` ends."""


def nothing(n: int) -> Samples:
    """Give ``n`` lost samples: NaN."""
    return np.full(n, np.nan, np.float32)
