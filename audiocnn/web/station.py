"""What the server needs of a live station: a view of its sources, and its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SourceView:
    """A source at this moment.

    Parameters
    ----------
    name, model, input
        Name of the source, of its bundle, and of its device or file.
    state
        "listening", "lost" (nothing is received), or "ended".
    reason
        Why nothing is received.
    began
        UTC, ISO 8601.
    heard, lost
        Seconds received and lost since the session began.
    load
        Share of one core.
    level, peak
        dB re full scale; None where nothing was received.
    scores, thresholds
        Of the newest window, and where events begin, by label.
    why_not
        Which rule kept or dropped the labels with the best scores.
    """

    name: str
    model: str = ""
    input: str = ""
    state: str = "listening"
    reason: str = ""
    began: str = ""
    heard: float = 0.0
    lost: float = 0.0
    load: float = 0.0
    level: float | None = None
    peak: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    why_not: str = ""


@dataclass(frozen=True, eq=False)
class SpectrumColumns:
    """Consecutive columns of a live spectrogram.

    Parameters
    ----------
    first
        Number of the first column since the session began.
    seconds
        Length of a column.
    f_min, f_max
        Frequencies at the lower and upper edge, Hz.
    time
        UTC of the end of the last column, seconds since 1970.
    columns
        (N, bands) one byte each: 0 is -120 dB, 255 is full scale; low bands first.
    """

    first: int
    seconds: float
    f_min: float
    f_max: float
    time: float
    columns: NDArray[np.uint8]


class LiveStation(Protocol):
    """A station as the server sees it."""

    def sources(self) -> Sequence[SourceView]:
        """Give all sources as they are now."""

    def spectrum(self, source: str, since: int) -> SpectrumColumns | None:
        """Give the columns of a source from number ``since`` on; None if there are none."""

    def subscribe(self, take: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Have a function called with each message; gives the function that ends this."""

    def health(self) -> Mapping[str, Any]:
        """Give the state of the sinks and of the disk."""
