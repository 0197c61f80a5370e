"""Live sound as an endless WAV, for those who have the right to hear it.

    session's thread --add--> 16-bit pieces -> a queue for each listener -> sockets

Nothing is kept: a piece that nobody listens to is not even converted. What was lost is
silence. A listener that falls `LONGEST` seconds behind is disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from audiocnn.inference.bundle import Bundle
from audiocnn.streaming.inputs.chunk import Input, Samples
from audiocnn.streaming.session import Session
from audiocnn.streaming.station import Hooks

LONGEST = 10.0  # seconds of sound that may wait for a listener
ENDLESS = 0xFFFFFFFF  # the size in the header of a WAV of unknown length


@dataclass(eq=False)
class _Listener:
    source: str
    loop: asyncio.AbstractEventLoop
    pieces: deque[bytes] = field(default_factory=deque)
    waiting: int = 0  # bytes
    rate: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, piece: bytes, rate: float) -> None:
        self.pieces.append(piece)
        self.waiting += len(piece)
        self.rate = rate
        self.wake.set()


class LiveAudio:
    """Distributes the samples of a station's sessions to listeners."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._closed = False

    @property
    def n_listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def attach(self, session: Session, source: Input, bundle: Bundle) -> Hooks:
        """Observe a session; for `Station(attach=...)`."""
        return Hooks((_Observer(self, session),)) if bundle.front.sound else Hooks()

    def put(self, source: str, samples: Samples, rate: float) -> None:
        """Take samples of a source; called in its session's thread."""
        listeners = [one for one in tuple(self._listeners) if one.source == source]
        if not listeners or not samples.size:
            return
        scaled = np.nan_to_num(np.asarray(samples, np.float32), posinf=0, neginf=0) * 32767
        piece = np.clip(scaled, -32768, 32767).astype("<i2").tobytes()
        for listener in listeners:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                listener.loop.call_soon_threadsafe(listener.put, piece, rate)

    async def listen(self, source: str) -> AsyncIterator[bytes]:
        """Give a WAV that goes on until the listener leaves or falls behind."""
        listener = _Listener(source, asyncio.get_running_loop())
        self._listeners.add(listener)
        try:
            await listener.wake.wait()
            rate = listener.rate
            yield wav_header(round(rate))
            while not self._closed and listener.rate == rate:
                while listener.pieces:
                    if listener.waiting > 2 * LONGEST * rate:
                        return
                    piece = listener.pieces.popleft()
                    listener.waiting -= len(piece)
                    yield piece
                listener.wake.clear()
                await listener.wake.wait()
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams; from any thread."""
        self._closed = True
        for listener in tuple(self._listeners):
            with contextlib.suppress(RuntimeError):
                listener.loop.call_soon_threadsafe(listener.wake.set)


class _Observer:
    """Passes a session's samples on."""

    def __init__(self, audio: LiveAudio, session: Session) -> None:
        self._audio, self._source, self._rate = audio, session.source, session.rate

    def add(self, samples: Samples) -> None:
        """Take a chunk's samples."""
        self._audio.put(self._source, samples, self._rate)

    def tick(self, session: Session) -> None:
        """Do nothing: everything is passed on as it comes."""


def wav_header(rate: int) -> bytes:
    """Write the header of a mono 16-bit WAV of unknown length."""
    format_chunk = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"".join((
        b"RIFF", struct.pack("<I", ENDLESS), b"WAVEfmt ", format_chunk,
        b"data", struct.pack("<I", ENDLESS - 36),
    ))  # fmt: skip
