"""Live sound as an endless WAV, for those who have the right to hear it.

    session's thread --add--> 16-bit pieces -> a queue for each listener -> sockets

The sound is what `Station.listen_in` gives, so `[privacy]` has decided about it before.
Nothing is stored, and without listeners nothing is converted. Lost samples are silence. A
listener that falls `LONGEST` seconds behind is disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from audiocnn.streaming.inputs.chunk import Samples

LONGEST = 10.0  # seconds of sound that may wait for a listener
ENDLESS = 0xFFFFFFFF  # the size in the header of a WAV of unknown length


@dataclass(eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    pieces: deque[bytes] = field(default_factory=deque)
    waiting: int = 0  # bytes
    rate: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, samples: Samples, rate: float) -> None:
        """Take samples; called in the session's thread."""
        if not samples.size:
            return
        scaled = np.nan_to_num(np.asarray(samples, np.float32), posinf=0, neginf=0) * 32767
        piece = np.clip(scaled, -32768, 32767).astype("<i2").tobytes()
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            self.loop.call_soon_threadsafe(self._put, piece, rate)

    def _put(self, piece: bytes, rate: float) -> None:
        self.pieces.append(piece)
        self.waiting += len(piece)
        self.rate = rate
        self.wake.set()


ListenIn = Callable[[str, Callable[[Samples, float], None]], Callable[[], None]]


class LiveAudio:
    """Gives the sound of a station's sources to listeners.

    Parameters
    ----------
    listen_in
        `Station.listen_in`: calls a function with a source's samples and their rate, and
        gives the function that ends this.
    """

    def __init__(self, listen_in: ListenIn) -> None:
        self._listen_in = listen_in
        self._listeners: set[_Listener] = set()
        self._closed = False

    @property
    def n_listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def listen(self, source: str) -> AsyncIterator[bytes]:
        """Give a WAV that goes on until the listener leaves or falls behind."""
        listener = _Listener(asyncio.get_running_loop())
        self._listeners.add(listener)
        end = self._listen_in(source, listener.take)
        try:
            await listener.wake.wait()
            rate = listener.rate
            if rate:
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
            end()
            self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams; from any thread."""
        self._closed = True
        for listener in tuple(self._listeners):
            with contextlib.suppress(RuntimeError):
                listener.loop.call_soon_threadsafe(listener.wake.set)


def wav_header(rate: int) -> bytes:
    """Write the header of a mono 16-bit WAV of unknown length."""
    format_chunk = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"".join((
        b"RIFF", struct.pack("<I", ENDLESS), b"WAVEfmt ", format_chunk,
        b"data", struct.pack("<I", ENDLESS - 36),
    ))  # fmt: skip
