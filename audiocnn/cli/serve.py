"""`audiocnn serve`: live sources with their page and API, in one process."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
import threading
from typing import Any

import msgspec

from audiocnn.errors import AudiocnnError
from audiocnn.streaming.config import Settings, read_settings
from audiocnn.streaming.station import Station
from audiocnn.web.settings import WebSettings, read_tokens


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; 1 if a source has failed."""
    settings = read_settings(args.settings, {"web": WebSettings})
    web = settings.sections.get("web") or WebSettings()
    given = {name: getattr(args, name) for name in ("host", "port")}
    given = {name: value for name, value in given.items() if value is not None}
    web = msgspec.structs.replace(web, **given)
    serving = import_serving()
    serving.check_privacy(settings, web)
    tokens = read_tokens(web)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with contextlib.ExitStack() as stack:
        settings = serving.with_database(settings, stack)
        station = Station(settings, notify=note)
        server = serving.station_server(station, settings, web, tokens)
        server.start()
        stack.callback(server.stop)
        station.start()
        stack.callback(station.close)
        print(serving.link(server, tokens), flush=True)
        while not stopped.wait(0.5):
            pass
    return 1 if any(source.error for source in station.sources) else 0


class Page:
    """The page of `listen --web`: on this machine alone, with a database for the run.

    Parameters
    ----------
    port
        To listen on; 0 for a free one.
    settings
        Of the station.
    stack
        Ends the server, and removes the database that it makes if the settings have none.
    """

    def __init__(self, port: int, settings: Settings, stack: contextlib.ExitStack) -> None:
        self._web, self._stack = WebSettings(port=port), stack
        self._serving = import_serving()
        self._serving.check_privacy(settings, self._web)
        self.settings: Settings = self._serving.with_database(settings, stack)

    def open(self, station: Station) -> str:
        """Serve a station, made of `settings`; gives the link to its page."""
        tokens = read_tokens(self._web)
        server = self._serving.station_server(station, self.settings, self._web, tokens)
        server.start()
        self._stack.callback(server.stop)
        link: str = self._serving.link(server, tokens)
        return link


def note(sentence: str) -> None:
    """Write a note to the user on stderr."""
    print(sentence, file=sys.stderr, flush=True)


def import_serving() -> Any:
    """Import the server.

    Raises
    ------
    AudiocnnError
        If its packages are not installed.
    """
    try:
        return importlib.import_module("audiocnn.web.serving")
    except ImportError as error:
        raise AudiocnnError(
            f"the page needs pip install 'audiocnn[web]': {error.name} is missing"
        ) from error
