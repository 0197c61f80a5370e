"""Network streams: RTSP, HTTP and Icecast, HLS; decoded by PyAV.

    connection   |====|====|..lost packets..|===|  cut            |====|===|
    chunks       |====|====|NaN|NaN|NaN|NaN |===|NaN|NaN|NaN|NaN  |====|===|
                                                 noticed           back

A thread connects, reads and decodes; when the connection ends it tries again, with pauses
that double and a random part, so that many listeners do not return at once. Within a
connection the stream's own time stamps say where packets are missing; between connections
the clock of this machine does. What is missing is NaN, as long as it was.

A URL whose length is known (a file on a web server) is a recording: it is read once, as
fast as it comes, and the session ends with it.

User name and password never appear in a message: neither does the query of a URL, where
many services put a key.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import numpy as np

from audiocnn.errors import ArgumentError, DeviceError
from audiocnn.io.audio.blocks import mix
from audiocnn.streaming.inputs.chunk import Chunk, Samples, nothing

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "srt", "udp")
TICK = 0.2  # seconds without data, before an empty chunk
PAUSES = (0.5, 30.0)  # seconds between two attempts to connect: the first, the longest
JITTER = 0.25  # share by which a pause is longer or shorter
STEADY = 10.0  # seconds that a connection must last for the pauses to begin anew
LATE = 2.0  # seconds beyond the time-out after which FFmpeg itself must be stuck
QUEUE = 30.0  # seconds of sound that may wait; servers send up to 10 s at once at the start
FULL = "the program did not keep up with the stream"
PACKETS = "packets of the stream were lost"
SMALLEST_HOLE = 0.1  # seconds; smaller ones are rounding of time stamps
LARGEST_HOLE = 60.0  # seconds; a larger jump is a new beginning of the time stamps


@dataclass(frozen=True)
class UrlStatus:
    """State of a stream: seconds that wait, and how often the connection was lost."""

    waiting: float
    times_lost: int


@dataclass(frozen=True)
class _Sound:
    samples: Samples
    time: float  # UTC at which they came
    missing: int = 0  # samples that were lost before them
    why: str = ""


@dataclass(frozen=True)
class _Cut:
    why: str


@dataclass(frozen=True)
class _End:
    error: Exception | None = None


class UrlInput:
    """A network stream; an `Input`. Connects when it is made.

    Parameters
    ----------
    url
        ``rtsp://``, ``http://``, ``https://``, ...; may contain a user name, no password.
    user
        User name, if it is not in the URL.
    password_env
        Environment variable with the password; used if there is a user name.
    transport
        Of RTSP: ``"tcp"`` or ``"udp"``.
    audio_only
        Whether to ask an RTSP server for sound alone. Saves bandwidth; some cameras fail.
    timeout
        Seconds for connecting, and without data before the connection counts as lost.
    notify
        Called, from within `chunks`, with a sentence when the connection is lost or back.

    Raises
    ------
    ArgumentError
        If the URL cannot be used, the password is missing, or PyAV is not installed.
    DeviceError
        If there is no connection, or no sound in the stream.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password_env: str = "AUDIOCNN_INPUT_PASSWORD",
        transport: str = "tcp",
        audio_only: bool = False,
        timeout: float = 10.0,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        parts = split_url(url)
        user = user or parts.username or ""
        self.name = shown_url(parts)
        self._url = url if not user else with_password(parts, user, password_env)
        if timeout <= 0:
            raise ArgumentError(f"timeout must be above 0 seconds, got {timeout}")
        self._options = {"user_agent": "audiocnn"}
        if parts.scheme.startswith("rtsp"):
            self._options = {"rtsp_transport": transport}
            self._options |= {"allowed_media_types": "audio"} if audio_only else {}
        self._timeout = timeout
        self._notify = notify or (lambda sentence: None)
        self._av = _load_av(self.name)
        self._closed = threading.Event()
        self._queue: queue.Queue[_Sound | _Cut | _End] = queue.Queue()
        self._n_put = self._n_taken = 0  # samples; one thread writes each
        self._times_lost = 0
        self.rate = 0.0
        container, stream = self._connect()
        self.rate = float(stream.rate)
        self._is_file = bool(container.duration) and parts.scheme in ("http", "https")
        self._thread = threading.Thread(
            target=self._read_all, args=(container, stream), name="url", daemon=True
        )
        self._thread.start()

    def status(self) -> UrlStatus:
        """Give what waits, and how often the connection was lost; from any thread."""
        return UrlStatus(max(0, self._n_put - self._n_taken) / self.rate, self._times_lost)

    def close(self) -> None:
        """End `chunks`; the connection is closed within the time-out."""
        self._closed.set()

    def chunks(self) -> Iterator[Chunk]:
        """Give sound as it comes, NaN while there is no connection.

        Raises
        ------
        DeviceError
            If a URL of known length cannot be read to its end.
        """
        cut: tuple[float, str] | None = None
        last = time.monotonic()  # when the last sound came
        while not self._closed.is_set():
            try:
                item = self._queue.get(timeout=TICK)
            except queue.Empty:
                silence = time.monotonic() - last
                if cut is None and (self._is_file or silence < self._timeout + LATE):
                    yield Chunk(nothing(0))
                    continue
                item = _Cut(cut[1] if cut else f"nothing has come from it for {silence:.0f} s")
            now = time.monotonic()
            match item:
                case _End(error):
                    if error is not None:
                        raise error
                    return
                case _Cut(why):
                    if cut is None:
                        cut = (now, why)
                        self._times_lost += 1
                        self._notify(f"{self.name} is lost: {why}; connecting again")
                    yield from self._missing(now - last, why)
                case _Sound():
                    if cut is not None:
                        self._notify(f"{self.name} is back after {now - cut[0]:.1f} s")
                        yield from self._missing(now - last, cut[1])
                        cut = None
                    self._n_taken += len(item.samples)
                    yield from self._missing(item.missing / self.rate, item.why)
                    yield Chunk(item.samples, None if self._is_file else item.time)
            last = now

    def _missing(self, seconds: float, why: str) -> Iterator[Chunk]:
        """Give NaN, a second at a time."""
        n, second = round(seconds * self.rate), round(self.rate)
        while n > 0:
            part = min(n, second)
            n -= part
            yield Chunk(nothing(part), time.time() - n / self.rate, why)

    def _connect(self) -> tuple[Any, Any]:
        """Open the stream; of the first audio stream in it."""
        av = self._av
        try:
            container = av.open(self._url, options=dict(self._options), timeout=self._timeout)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DeviceError(f"{self.name}: {reason(error)}") from None
        if not container.streams.audio:
            container.close()
            raise DeviceError(f"{self.name}: there is no sound in the stream")
        return container, container.streams.audio[0]

    def _read_all(self, container: Any, stream: Any) -> None:
        """Read until closed, connecting again after each cut; in a thread of its own."""
        pause = PAUSES[0]
        while True:
            began = time.monotonic()
            why = self._read(container, stream)
            container = stream = None
            if self._closed.is_set():
                return
            if self._is_file:
                error = DeviceError(f"{self.name}: {why}") if why else None
                self._queue.put(_End(error))
                return
            self._queue.put(_Cut(why or "the server ended the stream"))
            pause = PAUSES[0] if time.monotonic() - began > STEADY else pause
            while container is None:
                self._closed.wait(pause * random.uniform(1 - JITTER, 1 + JITTER))
                pause = min(2 * pause, PAUSES[1])
                if self._closed.is_set():
                    return
                try:
                    container, stream = self._connect()
                except DeviceError:
                    container = None

    def _read(self, container: Any, stream: Any) -> str:
        """Decode one connection to its end; say why it ended, empty if the stream did."""
        av = self._av
        to_float = av.AudioResampler(format="fltp", rate=round(self.rate))
        expected: float | None = None  # time stamp of the next frame
        try:
            with container:
                for frame in container.decode(stream):
                    if self._closed.is_set():
                        return ""
                    hole = 0.0
                    if frame.pts is not None and frame.time_base:
                        at = float(frame.pts * frame.time_base)
                        jump = 0.0 if expected is None else at - expected
                        hole = jump if SMALLEST_HOLE < jump < LARGEST_HOLE else 0.0
                        expected = at + frame.samples / frame.sample_rate
                    self._put(to_float.resample(frame), hole)
                if self._is_file:
                    self._put(to_float.resample(None), 0.0)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            return reason(error)
        return ""

    def _put(self, frames: list[Any], hole: float) -> None:
        samples = [mix(frame.to_ndarray().T) for frame in frames]
        n = sum(map(len, samples))
        if not n:
            return
        while self._is_file and self._waits() > QUEUE and not self._closed.is_set():
            time.sleep(0.01)
        if self._waits() > QUEUE:
            self._queue.put(_Sound(np.empty(0, np.float32), time.time(), n, FULL))
            return
        self._queue.put(
            _Sound(np.concatenate(samples), time.time(), round(hole * self.rate), PACKETS)
        )
        self._n_put += n

    def _waits(self) -> float:
        return (self._n_put - self._n_taken) / self.rate


def split_url(url: str) -> SplitResult:
    """Check a URL and take it apart.

    Raises
    ------
    ArgumentError
        If its scheme is unknown, it names no host, or it contains a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ArgumentError("this is no URL: its host or port cannot be read") from None
    if parts.scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise ArgumentError(f"{parts.scheme}:// cannot be listened to; there are: {known}")
    if not parts.hostname or port == 0:
        raise ArgumentError(f"the URL names no host: {parts.scheme}://...")
    if parts.password is not None:
        raise ArgumentError(
            f"{shown_url(parts)}: no passwords in a URL: put the user name into it (or 'user' "
            "into the settings) and the password into the environment variable "
            "AUDIOCNN_INPUT_PASSWORD, or the one that 'password_env' names"
        )
    return parts


def shown_url(parts: SplitResult) -> str:
    """Write a URL without user name, password and query."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))


def with_password(parts: SplitResult, user: str, password_env: str) -> str:
    """Write a URL with user name and password, which is taken from the environment.

    Raises
    ------
    ArgumentError
        If the variable is not set.
    """
    password = os.environ.get(password_env, "")
    if not password:
        raise ArgumentError(
            f"{shown_url(parts)}: the environment variable {password_env!r} with the password of "
            "its user is not set"
        )
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit((parts.scheme, login, parts.path, parts.query, ""))


def reason(error: Exception) -> str:
    """Say why a stream failed, without its URL."""
    text = getattr(error, "strerror", None) or type(error).__name__
    if "Immediate exit" in text:  # how FFmpeg says that PyAV's time-out was over
        return "nothing came from it within the time-out"
    return str(text)


def _load_av(name: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise ArgumentError(f"{name}: streams need PyAV: pip install 'audiocnn[av]'") from error
    return av
