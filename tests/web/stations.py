"""A station of which a test decides what it says."""

from collections.abc import Callable

from audiocnn.streaming.messages import EventMessage, Gap, Message, Onset
from audiocnn.streaming.monitor import SourceStatus, SpectrumColumns
from audiocnn.streaming.sinks.dispatcher import SinkStatus
from audiocnn.streaming.station import StationStatus

DAY = "2026-11-27"
HEAD = {"host": "attic", "time": f"{DAY}T05:00:00.000Z"}


class Saying:
    """Gives the state that it was made with, and the messages that a test says."""

    def __init__(self, *sources: SourceStatus) -> None:
        self.sources = sources
        self.takers: list[Callable[[Message], None]] = []

    def say(self, message: Message) -> None:
        for take in list(self.takers):
            take(message)

    def status(self) -> StationStatus:
        sinks = {"sqlite": SinkStatus(handled=3)}
        return StationStatus("attic", f"{DAY}T04:00:00.000Z", self.sources, sinks)

    def spectrum(self, source: str, since: int = 0) -> SpectrumColumns | None:
        return None

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        self.takers.append(callback)
        return lambda: self.takers.remove(callback)


def gap(number: int, source: str = "garden", reason: str = "unplugged") -> Gap:
    return Gap(
        id=f"s-{number}",
        source=source,
        start=float(number),
        end=number + 1.0,
        reason=reason,
        **HEAD,
    )


def onset(key: str, label: str, source: str = "garden") -> Onset:
    return Onset(id=key, source=source, label=label, start=1.0, score=0.9, **HEAD)


def event(key: str, label: str, source: str = "garden") -> EventMessage:
    return EventMessage(id=key, source=source, label=label, start=1.0, end=2.0, score=0.9, **HEAD)
