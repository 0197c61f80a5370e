"""Server-sent events: every message once as bytes, for any number of clients.

    station's threads --publish--> encoded once -> a queue for each client -> sockets
                                        |
                                        +-> the last messages, for clients that come back

Kept messages (events, gaps, status) have ids; a client that reconnects names the last
one that it received (``Last-Event-ID``) and gets all that followed. Ids contain the
server's start, so a client of the time before a restart is recognised: it gets what the
database has since then. Passing messages (spectra, scores, levels) are not repeated.
A client that does not read its messages is dropped when its queue is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect

KEPT = 2000  # messages that a client which reconnects can catch up with
MOST_WAITING = 500  # messages that a client may leave unread
KEPT_TYPES = frozenset({"onset", "event", "gap", "session", "verdict"})
PASSING_TYPES = frozenset({"scores", "level", "spectrum", "heartbeat"})
TYPES = KEPT_TYPES | PASSING_TYPES

Replay = Callable[[float], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class _Entry:
    number: int  # 0 for messages that pass
    kind: str
    source: str
    data: bytes


@dataclass(eq=False)
class _Client:
    types: Collection[str]
    source: str
    queue: deque[_Entry] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    overflowed: bool = False

    def wants(self, entry: _Entry) -> bool:
        return entry.kind in self.types and self.source in ("", entry.source)


class Feed:
    """Distributes messages to clients.

    Parameters
    ----------
    replay
        Gives the messages of the database since a time (seconds since 1970), for clients
        from before this process began; None if there is no database.
    """

    def __init__(self, replay: Replay | None = None) -> None:
        self._replay = replay
        self._boot = f"{time.time_ns() // 1_000_000:x}"
        self._numbers = itertools.count(1)
        self._kept: deque[_Entry] = deque(maxlen=KEPT)
        self._clients: set[_Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.n_dropped = 0  # clients that did not keep up

    @property
    def n_clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def is_wanted(self, kind: str) -> bool:
        """Whether any client receives this type of message."""
        return any(kind in client.types for client in tuple(self._clients))

    def publish(self, message: Mapping[str, Any]) -> None:
        """Send a message to all clients that want it; from any thread.

        Parameters
        ----------
        message
            JSON values, with ``type`` (one of `TYPES`; others are ignored) and, if it is
            of one source, ``source``.
        """
        kind, source = str(message.get("type")), str(message.get("source", ""))
        if kind not in TYPES:
            return
        kept = kind in KEPT_TYPES
        with self._lock:
            number = next(self._numbers) if kept else 0
            entry = _Entry(number, kind, source, self._encode(number, kind, message))
            if kept:
                self._kept.append(entry)
            loop = self._loop
        if loop is not None and self._clients:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._distribute, entry)

    async def subscribe(
        self, last_id: str = "", types: Collection[str] = TYPES, source: str = ""
    ) -> AsyncIterator[bytes]:
        """Give encoded messages for one client, until it disconnects or the feed closes.

        Parameters
        ----------
        last_id
            What the client received last; it gets what followed. Empty for from now on.
        types, source
            Which messages; an empty source is all.
        """
        self._loop = asyncio.get_running_loop()
        client = _Client(frozenset(types), source)
        missed = await asyncio.to_thread(self._missed, last_id)
        with self._lock:
            self._clients.add(client)
            since = self._number_of(last_id)
            behind = [e for e in self._kept if since is not None and e.number > since]
        try:
            yield b"retry: 2000\n\n"
            newest = 0
            for data in missed:
                yield data
            for entry in behind:
                newest = entry.number
                if client.wants(entry):
                    yield entry.data
            async for entry in self._follow(client):
                if not entry.number or entry.number > newest:
                    yield entry.data
        finally:
            self._clients.discard(client)

    async def _follow(self, client: _Client) -> AsyncIterator[_Entry]:
        while not self._closed:
            while client.queue:
                yield client.queue.popleft()
                if client.overflowed:
                    raise ClientDisconnect
            client.wake.clear()
            await client.wake.wait()
            if client.overflowed:
                raise ClientDisconnect

    def close(self) -> None:
        """End all streams; from any thread."""
        self._closed = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for client in self._clients:
            client.wake.set()

    def _distribute(self, entry: _Entry) -> None:
        for client in self._clients:
            if not client.wants(entry) or client.overflowed:
                continue
            if len(client.queue) >= MOST_WAITING:
                client.overflowed = True
                client.queue.clear()
                self.n_dropped += 1
            else:
                client.queue.append(entry)
            client.wake.set()

    def _encode(self, number: int, kind: str, message: Mapping[str, Any]) -> bytes:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        head = f"id: {self._boot}-{number}-{int(time.time() * 1000):x}\n" if number else ""
        return f"{head}event: {kind}\ndata: {text}\n\n".encode("utf-8", "replace")

    def _number_of(self, last_id: str) -> int | None:
        """Give the number in an id of this process; 0 for an id of one before, None for none."""
        boot, number, _ = _parse(last_id)
        if not boot:
            return None
        return number if boot == self._boot else 0

    def _missed(self, last_id: str) -> list[bytes]:
        """Give what only the database still has of what followed an id."""
        boot, number, when = _parse(last_id)
        with self._lock:
            oldest = self._kept[0].number if self._kept else 1
        if not boot or self._replay is None or (boot == self._boot and number >= oldest - 1):
            return []
        return [self._encode_old(message) for message in self._replay(when)]

    def _encode_old(self, message: Mapping[str, Any]) -> bytes:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return f"event: {message['type']}\ndata: {text}\n\n".encode("utf-8", "replace")


def _parse(last_id: str) -> tuple[str, int, float]:
    """Give the process, number and time in an id; ("", 0, 0) if it is none of ours."""
    parts = last_id.split("-")
    try:
        boot, number, when = parts
        int(boot, 16)
        return boot, int(number), int(when, 16) / 1000
    except ValueError:
        return "", 0, 0.0
