"""A site over a small database, for tests of the API and of the guard."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from audiocnn.streaming.monitor import SourceStatus
from audiocnn.streaming.sinks.sqlite import open_database
from audiocnn.streaming.store import History
from audiocnn.web.access import Access
from audiocnn.web.app import make_app
from audiocnn.web.server import WebServer
from audiocnn.web.settings import Tokens, WebSettings
from audiocnn.web.site import Site
from tests.web.stations import DAY, Saying

pytest.importorskip("starlette")
OWNER, GUEST = "owner-token-of-tests", "guest-token-of-tests"
OWNS = {"Authorization": f"Bearer {OWNER}"}


def write_database(folder: Path) -> History:
    """Five events, one with a clip, a session of a day with a gap, two minutes of levels."""
    clips = folder / "clips"
    (clips / "dog").mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    with soundfile.SoundFile(clips / "dog" / "a.flac", "w", 8000, 1, format="FLAC") as file:
        file.comment = '{"clip_start": 8.5}'
        file.write(noise)
    (folder / "secret.flac").write_text("secret")
    path = folder / "heard.db"
    open_database(path).close()
    with sqlite3.connect(path) as connection:
        for key, source, hour, label, score, clip in (
            ("a", "garden", "05:10", "dog", 0.9, str(clips / "dog" / "a.flac")),
            ("b", "garden", "05:40", "dog", 0.6, None),
            ("c", "street", "06:00", "car", 0.8, None),
            ("d", "garden", "07:00", "<script>alert(1)</script>", 0.7, str(folder / "secret.flac")),
            ("e", "street", "23:30", "car", 0.99, None),
        ):
            connection.execute(
                'INSERT INTO events (id, session, source, time, label, start, "end", score, clip) '
                "VALUES (?, 's', ?, ?, ?, 10, 11.5, ?, ?)",
                (key, source, f"{DAY}T{hour}:00.000Z", label, score, clip),
            )
        for source in ("garden", "street"):
            connection.execute(
                "INSERT INTO sessions (id, source, began, last) VALUES (?, ?, ?, ?)",
                (source, source, f"{DAY}T04:00:00.000Z", f"{DAY}T12:00:00.000Z"),
            )
        connection.execute(
            'INSERT INTO gaps (id, session, source, time, start, "end", reason) '
            "VALUES ('g', 'garden', 'garden', ?, 0, 1800, 'unplugged')",
            (f"{DAY}T05:00:00.000Z",),
        )
        for minute, laeq in (("00", 40.0), ("01", 50.0)):
            connection.execute(
                "INSERT INTO levels (id, session, source, time, laeq, lafmax, l10, l90, "
                "calibrated) VALUES (?, 'garden', 'garden', ?, ?, 60, 52, 38, 1)",
                (minute, f"{DAY}T05:{minute}:00.000Z", laeq),
            )
    connection.close()
    return History(path, clips)


@dataclass
class Running:
    """A server in a thread, and what a test needs of it."""

    server: WebServer
    site: Site
    station: Saying

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


def make_site(folder: Path, **settings: Any) -> tuple[Site, Saying]:
    station = Saying(
        SourceStatus(
            "garden",
            "USB microphone",
            "environment",
            "listening",
            began=f"{DAY}T04:00:00.000Z",
            thresholds={"dog": 0.5, "car": 0.6},
        ),
        SourceStatus("street", "camera", "environment", "listening"),
    )
    access = Access(WebSettings(**settings), Tokens(OWNER, GUEST))
    return Site("attic", access, station, write_database(folder)), station


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Running]:
    site, station = make_site(folder, port=0, **settings)
    server = WebServer(make_app(site), site.access.settings, site.close)
    server.start()
    try:
        yield Running(server, site, station)
    finally:
        server.stop()


@contextmanager
def client_of(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    """Give a client of a running server, with the server as its ``it``."""
    with running(folder, **settings) as it, httpx.Client(base_url=it.address) as client:
        client.it = it  # type: ignore[attr-defined]
        yield client
