"""Server-sent events over HTTP: pings, and a limit on how long one write may take."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PING = 15  # seconds between comments that keep proxies from closing a quiet stream
SEND_TIMEOUT = 10  # seconds that a client may leave its socket full


class Stream(EventSourceResponse):
    """A stream that ends quietly when its client does not read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client or the server ends it."""
        with contextlib.suppress(SendTimeoutError, ClientDisconnect):
            await super().__call__(scope, receive, send)


def stream(messages: AsyncIterator[bytes]) -> Response:
    """Make the response of encoded messages."""
    return Stream(messages, ping=PING, send_timeout=SEND_TIMEOUT, sep="\n")


def endless(pieces: AsyncIterator[bytes], media_type: str) -> Response:
    """Make a response of pieces of bytes that goes on until its client leaves."""
    return Stream(pieces, media_type=media_type, ping=0, send_timeout=SEND_TIMEOUT)
