"""Stations for tests of the page: one that replays a recording, and one that only says things."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import audiocnn
from audiocnn.web.calendar import timestamp
from audiocnn.web.spectrum import frequency_range, spectrogram, to_bytes
from audiocnn.web.station import SourceView, SpectrumColumns

DEMO = Path(__file__).parents[2] / "data" / "demo.flac"
COLUMN = 0.05  # seconds
TABLES = """
CREATE TABLE sessions (id TEXT, source TEXT, began TEXT, last TEXT, ended TEXT, details TEXT);
CREATE TABLE events (
    id TEXT PRIMARY KEY, session TEXT, source TEXT, time TEXT, label TEXT, start REAL, "end" REAL,
    score REAL, clip TEXT, verdict TEXT, verdict_label TEXT, verdict_time TEXT, details TEXT);
CREATE TABLE gaps (
    session TEXT, source TEXT, time TEXT, start REAL, "end" REAL, details TEXT);
CREATE TABLE levels (
    source TEXT, time TEXT, laeq REAL, lafmax REAL, l10 REAL, l90 REAL, calibrated INTEGER);
"""


class Saying:
    """A station of which a test decides what it says."""

    def __init__(self, *views: SourceView) -> None:
        self.views = list(views)
        self.takers: list[Callable[[Mapping[str, Any]], None]] = []

    def say(self, message: Mapping[str, Any]) -> None:
        for take in list(self.takers):
            take(message)

    def sources(self) -> Sequence[SourceView]:
        return self.views

    def spectrum(self, source: str, since: int) -> SpectrumColumns | None:
        return None

    def subscribe(self, take: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        self.takers.append(take)
        return lambda: self.takers.remove(take)

    def health(self) -> Mapping[str, Any]:
        return {"sinks": {"sqlite": {"handled": 3, "waiting": 0, "dropped": 0, "failed": 0}}}


class Replay(Saying):
    """Plays a recording as if it were live, again and again, and stores its events."""

    def __init__(self, database: Path, clips: Path, names: Sequence[str] = ("garden",)) -> None:
        super().__init__()
        self.database, self.clips = database, clips
        self.bundle = audiocnn.load("environment")
        self.samples, self.rate = soundfile.read(DEMO, dtype="float32")
        if self.samples.ndim > 1:
            self.samples = self.samples.mean(axis=1)
        blocks = audiocnn.read_blocks(DEMO, self.bundle.rate)
        self.scores = list(audiocnn.listen(self.bundle, blocks))
        self.events = list(audiocnn.find_events(iter(self.scores), self.bundle.rules))
        self.values = np.concatenate([run.values for run in self.scores], axis=1)
        n_columns = int(len(self.samples) / self.rate / COLUMN)
        image = spectrogram(self.samples, self.rate, n_columns)
        self.columns = to_bytes(image).T
        self.names, self.began = names, time.time()
        self.stopped = threading.Event()
        with sqlite3.connect(database) as connection:
            connection.executescript(TABLES)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def position(self, name: str) -> float:
        offset = 20.0 * self.names.index(name)
        return (time.time() - self.began + offset) % (len(self.samples) / self.rate)

    def sources(self) -> Sequence[SourceView]:
        return [self.view(name) for name in self.names]

    def view(self, name: str) -> SourceView:
        at = self.position(name)
        first = self.scores[0]
        window = min(int(at / first.hop), self.values.shape[1] - 1)
        values = self.values[:, window]
        piece = self.samples[int(max(0, at - 0.3) * self.rate) : int(at * self.rate) + 1]
        level = 10 * np.log10(max(1e-12, float(np.mean(piece**2))))
        peak = 20 * np.log10(max(1e-6, float(np.abs(piece).max())))
        best = int(values.argmax())
        label = self.bundle.labels[best]
        on = self.bundle.rules[label].on
        why = f"{label} {values[best]:.2f} " + (f"below {on:.2f}" if values[best] < on else "lasts")
        return SourceView(
            name, "environment", "USB microphone", "listening", "", timestamp(self.began),
            time.time() - self.began, 0.0, 0.036, level, peak,
            dict(zip(self.bundle.labels, values.tolist(), strict=True)),
            {k: rule.on for k, rule in self.bundle.rules.items()}, why,
        )  # fmt: skip

    def spectrum(self, source: str, since: int) -> SpectrumColumns | None:
        now = int((time.time() - self.began) / COLUMN)
        since = max(since, now - 600)
        offset = int(20.0 * self.names.index(source) / COLUMN)
        which = (np.arange(since, now) + offset) % len(self.columns)
        low, high = frequency_range(self.rate)
        return SpectrumColumns(
            since, COLUMN, low, high, self.began + now * COLUMN, self.columns[which]
        )

    def run(self) -> None:
        pending: deque[tuple[float, str, dict[str, Any]]] = deque()
        length = len(self.samples) / self.rate
        for lap in range(1000):
            for number, event in enumerate(self.events):
                for name in self.names:
                    base = self.began + lap * length - 20.0 * self.names.index(name)
                    content = {
                        "id": f"{lap}-{number}-{name}", "source": name, "label": event.label,
                        "time": timestamp(base + event.start), "start": event.start,
                        "score": event.score,
                    }  # fmt: skip
                    for kind, when, end in (
                        ("onset", event.start, None), ("event", event.end, event.end)
                    ):  # fmt: skip
                        pending.append((base + when + 0.5, kind, {**content, "end": end}))
            for when, kind, message in sorted(pending, key=lambda item: item[0]):
                if when < self.began:
                    continue
                if self.stopped.wait(max(0.0, when - time.time())):
                    return
                self.keep(kind, message)
                self.say({"type": kind, "host": "attic", **message})
            pending.clear()

    def keep(self, kind: str, message: dict[str, Any]) -> None:
        clip = None
        if kind == "event":
            self.clips.mkdir(parents=True, exist_ok=True)
            clip = f"{message['id']}.flac"
            first = int(max(0, message["start"] - 2) * self.rate)
            last = int((message["end"] + 2) * self.rate)
            with soundfile.SoundFile(self.clips / clip, "w", self.rate, 1, format="FLAC") as file:
                file.comment = json.dumps({"clip_start": first / self.rate})
                file.write(self.samples[first:last])
        with sqlite3.connect(self.database) as connection:
            connection.execute(
                'INSERT INTO events (id, source, time, label, start, "end", score, clip, details) '
                "VALUES (:id, :source, :time, :label, :start, :end, :score, :clip, NULL) "
                'ON CONFLICT (id) DO UPDATE SET "end" = excluded."end", clip = excluded.clip',
                {**message, "clip": clip},
            )
