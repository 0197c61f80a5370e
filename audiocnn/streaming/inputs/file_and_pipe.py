"""Recordings and raw samples on a pipe, as inputs of a session.

A pipe is read by a thread of its own into a bounded queue, so that a session goes on
while nothing comes. The writer of the pipe waits when the queue is full: nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.blocks import mix
from audiocnn.io.audio.decoder import open_recording
from audiocnn.streaming.inputs.chunk import Chunk, Samples

FORMATS = {"s16": ("<i2", 32768.0), "f32": ("<f4", 1.0)}
FILES = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3"}  # by how they begin
PATIENCE = 0.2  # seconds without sound after which an empty piece is given
WAITING = 64  # pieces of a pipe that wait at most
CERTAIN = 500  # values that are not silence, from which on the format is certain
SMALLEST_LIKELY, LARGEST_LIKELY = 1e-7, 16.0  # of float samples; full scale is 1
AT_ONCE = 1 << 16  # bytes of a pipe that are read at once, at most


class FileInput:
    """A recording, as fast as it can be processed, or in real time.

    Parameters
    ----------
    path
        The recording.
    realtime
        Whether to take as long over it as it lasts.
    seconds
        Length of a piece.
    channel
        Which channel, counted from 0; the mean of all if None.

    Raises
    ------
    AudioError
        If it cannot be opened; from `chunks`, if it is damaged further on.
    """

    lost = ""  # why samples are NaN, if they are not so in the recording

    def __init__(
        self,
        path: str | Path,
        *,
        realtime: bool = False,
        seconds: float = 0.1,
        channel: int | None = None,
    ) -> None:
        self._opened = contextlib.ExitStack()
        source = self._source = self._opened.enter_context(open_recording(path))
        self.name = str(path)
        self.rate: float = source.info.rate
        self._realtime, self._seconds, self._closed = realtime, seconds, False
        self._channel = channel
        if channel is not None and channel >= source.info.channels:
            raise AudioError(f"{path} has {source.info.channels} channels, from 0: no {channel}")

    def chunks(self) -> Iterator[Chunk]:
        """Give the recording, cut to length."""
        began, given = time.monotonic(), 0
        size = max(1, round(self._seconds * self.rate))
        with self._opened:
            for samples in self._arrays():
                for at in range(0, samples.shape[-1], size):
                    if self._closed:
                        return
                    piece = samples[..., at : at + size]
                    given += piece.shape[-1]
                    yield from self._wait(began + given / self.rate)
                    yield Chunk(piece, time.time() if self._realtime else None, self.lost)

    def close(self) -> None:
        """Stop giving pieces."""
        self._closed = True

    def _arrays(self) -> Iterator[Samples]:
        for frames in self._source.pieces:
            yield mix(frames, self._channel)
        if self._source.damage:
            raise AudioError(f"{self.name} {self._source.damage}; read up to there")

    def _wait(self, until: float) -> Iterator[Chunk]:
        while self._realtime and not self._closed and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, PATIENCE))
            if left > PATIENCE:
                yield Chunk(np.empty(0, np.float32))


class PipeInput:
    """Raw samples from a file descriptor, little-endian, channels interleaved.

    Parameters
    ----------
    descriptor
        What to read; 0 is stdin.
    rate, channels
        Samples per second and channel; number of channels, which are mixed to mono.
    format
        ``"s16"`` or ``"f32"``.

    Raises
    ------
    ArgumentError
        If the rate, the channels or the format make no sense.
    """

    name = "stdin"

    def __init__(
        self,
        descriptor: int,
        rate: int,
        channels: int = 1,
        format: str = "s16",
        channel: int | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ArgumentError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")
        if rate < 1 or channels < 1:
            raise ArgumentError(f"--rate and --channels must be 1 or more, got {rate}, {channels}")
        if channel is not None and channel >= channels:
            raise ArgumentError(f"--channel {channel} of {channels} (--channels), counted from 0")
        self.rate, self._channels, self._channel = rate, channels, channel
        self._kind, self._full_scale = FORMATS[format]
        self._frame = np.dtype(self._kind).itemsize * channels
        self._pipe = PipeReader(descriptor)

    def chunks(self) -> Iterator[Chunk]:
        """Give samples as they come; what is left of half a sample at the end is dropped.

        Raises
        ------
        AudioError
            If it is a file's content that comes.
        """
        rest, began, checked = b"", False, False
        for new, when in self._pipe.reads():
            data = rest + new
            if not began and len(data) >= 4:
                refuse_file(data)
                began = True
            whole = len(data) // self._frame * self._frame
            rest = data[whole:]
            if not checked and whole:
                checked = self._check_format(data[:whole])
            if whole:
                yield Chunk(self._decode(data[:whole]), when)
            elif when is None:
                yield Chunk(np.empty(0, np.float32))

    def close(self) -> None:
        """Stop giving pieces."""
        self._pipe.close()

    def _check_format(self, data: bytes) -> bool:
        """Refuse samples that are in the other format; True if it is certain that they are not.

        Of 16-bit samples read in pairs as floats, many are huge, tiny or no number: a quiet
        negative sample has the exponent of infinity. Floats of sound are all of a likely size.
        """
        words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
        words = words[(words & 0x7FFFFFFF) != 0]  # silence is the same in both
        if len(words) < CERTAIN:
            return False
        size = np.abs(words.view("<f4"))
        likely = float(np.mean((size > SMALLEST_LIKELY) & (size < LARGEST_LIKELY)))
        found = "f32" if likely > 0.99 else "s16" if likely < 0.9 else ""
        given = "f32" if self._kind == "<f4" else "s16"
        if found and found != given:
            raise AudioError(
                f"stdin: the samples look like {found}, and are read as {given}: give --format "
                f"{found}, or have them sent as {given}"
            )
        return True

    def _decode(self, data: bytes) -> Samples:
        frames = np.frombuffer(data, self._kind).astype(np.float32)
        return mix(frames.reshape(-1, self._channels) / np.float32(self._full_scale), self._channel)


def refuse_file(data: bytes) -> None:
    """Refuse what begins as files of sound do: their bytes are no samples."""
    for begin, kind in FILES.items():
        if data.startswith(begin):
            raise AudioError(
                f"stdin: a {kind} file, and --input - takes raw samples: name the file, record "
                "with `arecord -t raw`, or decode it with `ffmpeg -i FILE -f s16le -ac 1 -`"
            )


class PipeReader:
    """What comes out of a file descriptor, read ahead by a thread.

    Parameters
    ----------
    descriptor
        What to read; 0 is stdin.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._closed = descriptor, False
        self._queue: queue.Queue[tuple[bytes, float] | None] = queue.Queue(WAITING)
        threading.Thread(target=self._read, name="pipe", daemon=True).start()

    def reads(self) -> Iterator[tuple[bytes, float | None]]:
        """Give bytes and when they came, until the end; none and None while nothing comes."""
        while not self._closed:
            try:
                item = self._queue.get(timeout=PATIENCE)
            except queue.Empty:
                yield b"", None
                continue
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Stop giving anything."""
        self._closed = True

    def _read(self) -> None:
        while not self._closed:
            try:
                data = os.read(self._descriptor, AT_ONCE)
            except OSError:
                data = b""
            self._queue.put((data, time.time()) if data else None)
            if not data:
                return
