"""What one server shows: a station or a review, with its history, feed and access."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from audiocnn import __version__
from audiocnn.streaming.messages import Message, format_message
from audiocnn.streaming.monitor import SourceStatus, SpectrumColumns
from audiocnn.streaming.store import History
from audiocnn.web.access import Access
from audiocnn.web.feed import Feed
from audiocnn.web.live_audio import LiveAudio
from audiocnn.web.metrics import Metrics
from audiocnn.web.spectrum import to_bytes
from audiocnn.web.station import LiveStation

SILENT = -119.0  # dBFS; what is reported of digital silence lies below


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
    audio
        Live audio of the sources; None if it is switched off.
    """

    title: str
    access: Access
    station: LiveStation | None = None
    history: History | None = None
    models: Sequence[Mapping[str, Any]] = ()
    kind: str = "station"
    audio: LiveAudio | None = None
    version: str = __version__
    began: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Connect the feed and the metrics to the station."""
        self.feed = Feed(self.history.since if self.history else None)
        self._metrics = Metrics()
        self._columns: dict[str, tuple[str, int]] = {}  # of each source: session, next column
        self._unsubscribe = self.station.subscribe(self._take) if self.station else None

    def _take(self, message: Message) -> None:
        self._metrics.count(message)
        values = json.loads(format_message(message))
        if "clip" in values:  # paths of the server are not published
            values["has_clip"] = values.pop("clip") is not None
        self.feed.publish(values)

    def close(self) -> None:
        """End the streams and leave the station."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self.audio is not None:
            self.audio.close()
        self.feed.close()

    def sources(self) -> list[dict[str, Any]]:
        """Give the sources as JSON values."""
        return [source_values(source) for source in self._sources()]

    def labels(self) -> list[str]:
        """Give the labels of all running models."""
        return sorted({label for source in self._sources() for label in source.thresholds or ()})

    def publish_spectra(self) -> None:
        """Send the columns that are new since the last call, and scores, of each source."""
        for source in self._sources():
            began, since = self._columns.get(source.name, ("", 0))
            found = self.spectrum(source, since if began == source.began else 0)
            if found is None:
                continue
            self._columns[source.name] = source.began, found["first"] + found["n"]
            values = source_values(source)
            self.feed.publish({
                "type": "spectrum", "source": source.name, **found,
                **{name: values[name] for name in LIVE},
                "scores": {k: round(v, 4) for k, v in (source.scores or {}).items()},
            })  # fmt: skip

    def spectrum(self, source: SourceStatus | str, since: int = 0) -> dict[str, Any] | None:
        """Give spectrogram columns of a source as JSON values; None if there are none."""
        if isinstance(source, str):
            source = next(one for one in self._sources() if one.name == source)
        assert self.station is not None
        found = self.station.spectrum(source.name, since)
        if found is None or not len(found.values) or not source.began:
            return None
        return spectrum_values(found, source.began)

    def health(self) -> dict[str, Any]:
        """Give the state of everything as JSON values."""
        sinks = self.station.status().sinks if self.station else {}
        found = {
            "version": self.version, "uptime": round(time.time() - self.began, 1),
            "sources": self.sources(), "clients": self.feed.n_clients,
            "dropped_clients": self.feed.n_dropped,
            "sinks": {name: asdict(status) for name, status in sinks.items()},
        }  # fmt: skip
        if self.history is not None:
            found["disk"] = {"free": free_bytes(self.history.path)}
        return found

    def is_alive(self) -> bool:
        """Whether no source has ended with an error."""
        return all(source.state != "failed" for source in self._sources())

    def metrics(self) -> tuple[bytes, str]:
        """Give the metrics in Prometheus' text format, and its media type."""
        sinks = self.station.status().sinks if self.station else {}
        return self._metrics.render(self._sources(), sinks, self.feed.n_clients)

    def _sources(self) -> Sequence[SourceStatus]:
        return self.station.status().sources if self.station else ()


LIVE = ("level", "peak", "clipping", "state", "reason", "why_not", "heard", "lost", "load")


def source_values(source: SourceStatus) -> dict[str, Any]:
    """Give the state of a source as JSON values; silence has no level."""
    values = {**asdict(source), "why_not": source.why_not}
    for name in ("level", "peak"):
        values[name] = round(values[name], 1) if values[name] > SILENT else None
    values["scores"], values["thresholds"] = source.scores or {}, source.thresholds or {}
    return values


def spectrum_values(found: SpectrumColumns, began: str) -> dict[str, Any]:
    """Give columns as JSON values: bytes in base64, and the UTC of their end."""
    n = len(found.values)
    start = datetime.fromisoformat(began).timestamp()
    return {
        "first": found.first, "n": n, "bands": found.values.shape[1], "seconds": found.period,
        "f_min": found.f_min, "f_max": found.f_max,
        "time": round(start + (found.first + n) * found.period, 3),
        "columns": base64.b64encode(to_bytes(found.values).tobytes()).decode(),
    }  # fmt: skip


def free_bytes(path: Path) -> int:
    """Give the bytes that are left on the disk of a file, which need not be there yet."""
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
