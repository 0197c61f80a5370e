"""Metrics for Prometheus: events, seconds received and lost, load, queues, levels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from audiocnn.streaming.messages import EventMessage, Gap, LevelMessage, Message, Onset
from audiocnn.streaming.monitor import SourceStatus
from audiocnn.streaming.sinks.dispatcher import SinkStatus

LATENCY = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)  # seconds: bounds of the histogram


class Metrics:
    """Counts messages as they come, and reads the rest when it is asked for.

    Each server has a registry of its own, so that several can be in one process.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        self._events = Counter(
            "audiocnn_events", "Events that have ended.", ["source", "label"], registry=registry
        )
        self._gaps = Counter("audiocnn_gaps", "Gaps.", ["source"], registry=registry)
        self._latency = Histogram(
            "audiocnn_onset_latency_seconds",
            "Time from the begin of a sound to the message of its onset.",
            ["source"], buckets=LATENCY, registry=registry,
        )  # fmt: skip

        def gauge(name: str, what: str, label: str) -> Gauge:
            return Gauge(f"audiocnn_{name}", what, [label], registry=registry)

        self._heard = gauge("received_seconds", "Sound received in the session.", "source")
        self._lost = gauge("lost_seconds", "Sound lost in the session.", "source")
        self._load = gauge("load", "Share of one core.", "source")
        self._level = gauge("level_dbfs", "Level (RMS), dB re full scale.", "source")
        self._laeq = gauge("laeq_db", "LAeq of the last minute.", "source")
        self._up = gauge("source_up", "1 while the source receives sound.", "source")
        self._waiting = gauge("sink_waiting", "Messages that wait for a sink.", "sink")
        self._dropped = gauge("sink_dropped", "Messages dropped by a sink.", "sink")
        self._failed = gauge("sink_failed", "Messages that a sink failed at.", "sink")
        self._clients = Gauge("audiocnn_stream_clients", "Clients of /api/stream.",
                              registry=registry)  # fmt: skip

    def count(self, message: Message) -> None:
        """Count a message."""
        if isinstance(message, EventMessage):
            self._events.labels(message.source, message.label).inc()
        elif isinstance(message, Gap):
            self._gaps.labels(message.source).inc()
        elif isinstance(message, Onset):
            began = datetime.fromisoformat(message.time).timestamp()
            self._latency.labels(message.source).observe(max(0.0, time.time() - began))
        elif isinstance(message, LevelMessage) and message.laeq is not None:
            self._laeq.labels(message.source).set(message.laeq)

    def render(
        self, views: Sequence[SourceStatus], sinks: Mapping[str, SinkStatus], n_clients: int
    ) -> tuple[bytes, str]:
        """Give all metrics as text, and the media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        for view in views:
            for gauge, value in (
                (self._heard, view.heard), (self._lost, view.lost), (self._load, view.load),
                (self._level, view.level), (self._up, float(view.state == "listening")),
            ):  # fmt: skip
                gauge.labels(view.name).set(value)
        for name, status in sinks.items():
            for gauge, value in (
                (self._waiting, status.waiting), (self._dropped, status.dropped),
                (self._failed, status.failed),
            ):  # fmt: skip
                gauge.labels(name).set(value)
        self._clients.set(n_clients)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
