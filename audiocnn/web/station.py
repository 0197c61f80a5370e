"""What the server needs of a live station: `audiocnn.streaming.station.Station` has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from audiocnn.streaming.messages import Message
from audiocnn.streaming.monitor import SpectrumColumns
from audiocnn.streaming.station import StationStatus


class LiveStation(Protocol):
    """A station as the server sees it: its state, its spectra and its messages."""

    def status(self) -> StationStatus:
        """Give the state of all sources and sinks; from any thread."""

    def spectrum(self, source: str, since: int = 0) -> SpectrumColumns | None:
        """Give the columns of a source from number ``since`` on; None if there are none."""

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call a function with each message; gives the function that ends this."""
