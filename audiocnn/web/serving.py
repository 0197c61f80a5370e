"""A station with its page: what `serve` starts, and `listen --web`.

settings -> station -> sinks (SQLite, clips) -> history \
                  |                                          > page and API
+---------- messages, state, spectra -----/
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.streaming.config import Settings, SinkSettings
from audiocnn.streaming.station import Station
from audiocnn.streaming.store import History
from audiocnn.web.access import Access
from audiocnn.web.app import make_app
from audiocnn.web.live_audio import LiveAudio
from audiocnn.web.server import WebServer
from audiocnn.web.settings import Tokens, WebSettings
from audiocnn.web.site import Site

SPEECH = """{where} keep sound in which people may speak, so [privacy] must say what to do:
  speech = "drop"   sound with speech in it is not kept, sent or played at all
  speech = "mute"   it is kept with the speech silenced
  speech = "keep"   it is kept as it is; in many countries you then need the consent of those who are recorded"""  # noqa: E501


def check_privacy(settings: Settings, web: WebSettings) -> None:
    """Refuse to keep or play sound before the user has chosen what becomes of speech.

    Raises
    ------
    ArgumentError
        If there are clips or live audio, and no choice.
    """
    if settings.privacy.speech is not None:
        return
    reasons = []
    if any(sink.kind == "clips" for sink in settings.sinks):
        reasons.append("[clips]")
    if any(source.record for source in settings.sources) or settings.listen.record:
        reasons.append("record")
    if web.live_audio:
        reasons.append("[web] live_audio")
    if reasons:
        place = f"{settings.path}: " if settings.path else ""
        raise ArgumentError(place + SPEECH.format(where=" and ".join(reasons)))


def with_database(settings: Settings, stack: ExitStack) -> Settings:
    """Add a database that lasts as long as the program, if the settings have none."""
    if any(sink.kind == "sqlite" for sink in settings.sinks):
        return settings
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="audiocnn-")))
    added = SinkSettings("sqlite", {"path": folder / "events.db", "name": "events of this run"})
    return replace(settings, sinks=(*settings.sinks, added))


def history_of(settings: Settings) -> History | None:
    """Give the history in the settings' database and clips; None if there is no database."""
    paths: dict[str, Path] = {}
    for sink in settings.sinks:
        key = {"sqlite": "path", "clips": "folder"}.get(sink.kind)
        if key and sink.kind not in paths:
            paths[sink.kind] = Path(sink.options[key]).expanduser().absolute()
    return History(paths["sqlite"], paths.get("clips")) if "sqlite" in paths else None


def station_server(
    station: Station, settings: Settings, web: WebSettings, tokens: Tokens
) -> WebServer:
    """Make the server of a station, not started.

    Raises
    ------
    AudiocnnError
        If the address or port cannot be used.
    """
    bundles = {source.bundle.name: source.bundle for source in station.sources}
    site = Site(
        station.host, Access(web, tokens), station, history_of(settings),
        [describe_model(bundle) for bundle in bundles.values()],
        audio=LiveAudio(station.listen_in) if web.live_audio else None,
    )  # fmt: skip
    return WebServer(make_app(site), web, site.close)


def describe_model(bundle: Bundle) -> Mapping[str, Any]:
    """Give what the page shows of a model."""
    grid = grid_of(bundle)
    return {
        "name": bundle.name, "labels": list(bundle.labels), "window": round(grid.window, 4),
        "hop": round(grid.hop, 4), "card": dict(bundle.card),
    }  # fmt: skip


def link(server: WebServer, tokens: Tokens) -> str:
    """Give the page's address; with the token behind the ``#`` if it was made for this run."""
    return server.address if tokens.chosen else f"{server.address}#token={tokens.owner}"
