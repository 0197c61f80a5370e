"""What one server shows: a station or a review, with its history, feed and access."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from audiocnn import __version__
from audiocnn.web.access import Access
from audiocnn.web.feed import Feed
from audiocnn.web.history import History
from audiocnn.web.metrics import Metrics
from audiocnn.web.station import LiveStation, SourceView


@dataclass(eq=False)
class Site:
    """Everything that handlers need.

    Parameters
    ----------
    title
        Shown at the top: the machine's name or the run's.
    access
        Who may do what.
    station
        The live sources; None in a review.
    history
        What is stored; None if nothing is.
    models
        A description of each bundle, as JSON values.
    kind
        "station" or "review".
    """

    title: str
    access: Access
    station: LiveStation | None = None
    history: History | None = None
    models: Sequence[Mapping[str, Any]] = ()
    kind: str = "station"
    version: str = __version__
    began: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Connect the feed and the metrics to the station."""
        self.feed = Feed(self.history.since if self.history else None)
        self._metrics = Metrics()
        self._columns: dict[str, int] = {}  # of each source: the next to be sent
        self._unsubscribe = self.station.subscribe(self._take) if self.station else None

    def _take(self, message: Mapping[str, Any]) -> None:
        self._metrics.count(message)
        self.feed.publish(message)

    def close(self) -> None:
        """End the streams and leave the station."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        self.feed.close()

    def sources(self) -> list[dict[str, Any]]:
        """Give the sources as JSON values."""
        return [asdict(view) for view in self._views()]

    def labels(self) -> list[str]:
        """Give the labels of all running models."""
        return sorted({label for view in self._views() for label in view.thresholds})

    def publish_spectra(self) -> None:
        """Send the columns that are new since the last call, and scores, of each source."""
        if self.station is None:
            return
        for view in self._views():
            since = self._columns.get(view.name, 0)
            found = self.spectrum(view.name, since)
            if found is None:
                continue
            self._columns[view.name] = found["first"] + found["n"]
            self.feed.publish({
                "type": "spectrum", "source": view.name, **found,
                "level": view.level, "peak": view.peak, "state": view.state,
                "reason": view.reason, "why_not": view.why_not,
                "scores": {k: round(float(v), 4) for k, v in view.scores.items()},
            })  # fmt: skip

    def spectrum(self, source: str, since: int = 0) -> dict[str, Any] | None:
        """Give spectrogram columns of a source as JSON values; None if there are none."""
        if self.station is None:
            return None
        found = self.station.spectrum(source, since)
        if found is None or not len(found.columns):
            return None
        return {
            "first": found.first, "n": len(found.columns), "bands": found.columns.shape[1],
            "seconds": found.seconds, "f_min": found.f_min, "f_max": found.f_max,
            "time": round(found.time, 3),
            "columns": base64.b64encode(found.columns.tobytes()).decode(),
        }  # fmt: skip

    def health(self) -> dict[str, Any]:
        """Give the state of everything as JSON values."""
        return {
            "version": self.version, "uptime": round(time.time() - self.began, 1),
            "sources": self.sources(), "clients": self.feed.n_clients,
            "dropped_clients": self.feed.n_dropped,
            **(self.station.health() if self.station else {}),
        }  # fmt: skip

    def is_alive(self) -> bool:
        """Whether no source has ended with an error."""
        return all(view.state != "failed" for view in self._views())

    def metrics(self) -> tuple[bytes, str]:
        """Give the metrics in Prometheus' text format, and its media type."""
        sinks = self.station.health().get("sinks", {}) if self.station else {}
        return self._metrics.render(self._views(), sinks, self.feed.n_clients)

    def _views(self) -> Sequence[SourceView]:
        return self.station.sources() if self.station else ()
