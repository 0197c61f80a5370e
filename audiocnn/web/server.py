"""The server: a thread with uvicorn beside the station, or in the caller's thread.

The socket is bound before anything else starts, so a port that is taken is an error at
once. Connections beyond the limit are closed when they are made; those that send no
complete request are closed after a while.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from audiocnn.errors import AudiocnnError
from audiocnn.web.settings import WebSettings

MAX_HEADERS = 16 * 1024  # bytes of a request's headers
REQUEST_WITHIN = 15.0  # seconds from connecting to a complete request
SEND_BUFFER = 64 * 1024  # bytes that the system holds for a client
KEEP_ALIVE = 20  # seconds that an idle connection stays open between requests
START_WITHIN = 20.0  # seconds
STOP_WITHIN = 5  # seconds for open requests when the server stops

log = logging.getLogger("audiocnn.web")


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 with a limit on connections and on the time to the first request."""

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, or close it where there are too many."""
        limit = self.config.limit_concurrency
        # uvicorn answers 503 to all from its limit on; refusing one earlier, open ones go on.
        if limit is not None and len(self.connections) >= limit - 1:
            self._refused = True
            transport.abort()
            return
        # A client that does not read is noticed after this much, and not after megabytes.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().connection_made(transport)
        self._deadline = self.loop.call_later(REQUEST_WITHIN, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass data on, unless the connection was refused."""
        if not getattr(self, "_refused", False):
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if getattr(self, "_refused", False):
            return
        self._deadline.cancel()
        super().connection_lost(exc)


class WebServer:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app
        What to serve.
    settings
        Where, and limits.
    on_stop
        Called before connections are ended: has to end streams that would go on.

    Raises
    ------
    AudiocnnError
        If the address or port cannot be used.
    """

    def __init__(
        self, app: ASGIApp, settings: WebSettings, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._settings, self._on_stop = settings, on_stop
        self._socket = _bind(settings)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, http=GuardedProtocol, ws="none", loop="asyncio", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, lifespan="on",
            limit_concurrency=settings.max_connections + 1, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=STOP_WITHIN, h11_max_incomplete_event_size=MAX_HEADERS,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """The page's address, as a person on this machine would open it."""
        host = self._settings.host
        if host in ("0.0.0.0", "::", ""):
            host = socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}{self._settings.base_path}/"

    def start(self) -> None:
        """Serve in a thread; returns once requests are answered.

        Raises
        ------
        AudiocnnError
            If the server does not start.
        """
        self._thread = threading.Thread(target=self._serve, name="web server", daemon=True)
        self._thread.start()
        until = time.monotonic() + START_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise AudiocnnError("the web server did not start; see its log")
            time.sleep(0.01)

    def stop(self) -> None:
        """End all connections and wait for the thread."""
        self._on_stop()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_WITHIN + 5)
        self._socket.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except Exception:  # the station goes on
            log.exception("the web server has ended")


def _bind(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        bound.close()
        hint = "another program uses it: name another --port" if _is_taken(error) else "check it"
        raise AudiocnnError(
            f"cannot listen on {settings.host} port {settings.port}: {error}; {hint}"
        ) from error
    bound.setblocking(False)
    return bound


def _is_taken(error: Exception) -> bool:
    import errno

    return getattr(error, "errno", None) == errno.EADDRINUSE
