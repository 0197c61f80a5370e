"""A microphone that is listened to for months.

    device        |====|====|==        lost           |===|====|
    pieces        |====|====|==|NaN|NaN|NaN|NaN|NaN|N|===|====|
                               noticed                back

Whatever happens to the device, the place of a sample in the stream is the time at
which it was heard: what was lost is NaN, and as long as it was. Time is told by the
device's own clock while it runs, and by ``time.monotonic`` while it does not, so a
clock on the wall that is set matters to nothing but `Piece.time`. Time in which the
computer itself slept is not in the stream where ``time.monotonic`` leaves it out.

Everything that can hang (opening, closing, PortAudio itself) is done in threads that
may be left behind. What comes from the device, from those threads and from `close`
goes through one inbox, which `pieces` alone reads. Nothing here knows what sound is for.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from audiocnn.blocks import mix
from audiocnn.errors import ArgumentError, DeviceError
from audiocnn.streaming import portaudio
from audiocnn.streaming.capture import RATES, Capture, Heard, Inbox, open_device
from audiocnn.streaming.devices import Device, find_again, find_device, list_devices
from audiocnn.streaming.pieces import Piece, Samples, nothing

TICK = 0.2  # without anything from the device, before an empty piece
N_QUIET = 9  # ticks without a callback: the device is dead
PAUSES = (0.1, 1.0)  # between two tries to open it again: the first, the longest
PATIENCE = 15.0  # with a try before another is started beside it
N_STUCK = 8  # tries that may hang at once
DRIFT = 1e-3  # by which a device's clock may be wrong


@dataclass(frozen=True)
class Status:
    """How a microphone fares: samples at its rate, and seconds."""

    heard: int
    lost: int
    overflows: int
    times_lost: int
    waiting: float


@dataclass(eq=False)
class _Outage:
    since: float
    why: str
    pause: float = PAUSES[0]
    n_tries: int = 0  # threads started
    beat: float = 0.0  # when the newest thread last came round


class Microphone:
    """A microphone; an `Input`. Opens, and begins to hear, when it is made.

    Parameters
    ----------
    device
        Number, name or part of a name; None is the system's default.
    channels
        To open it with; they are mixed to mono.
    ring_seconds
        How much sound may wait for whoever takes the pieces; more is lost, and counted.
    tell
        Told, from within `pieces`, in a sentence, that the device is lost or back.

    Raises
    ------
    DeviceError
        If there is no such device or it does not open; says what to do.

    Notes
    -----
    `Piece.time` is the wall clock when the last sample's callback came: later than the
    sound by what the device and the driver hold back (a few blocks of 20 ms).
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        channels: int = 1,
        ring_seconds: float = 10.0,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if channels < 1 or not 0.1 <= ring_seconds <= 3600:
            raise ArgumentError(
                "channels must be at least 1 and ring_seconds from 0.1 to 3600, "
                f"got {channels} and {ring_seconds}"
            )
        self._channels, self._ring_seconds = channels, ring_seconds
        self._tell = tell or (lambda sentence: None)
        self._inbox: Inbox = queue.SimpleQueue()
        self._closed = False
        self._held: list[Capture] = []  # to be closed at the end
        try:
            self._device = find_device(device, list_devices())
        except DeviceError:  # plugged in since this process began?
            self._device = find_device(device, list_devices(anew=True))
        with portaudio.turn():
            capture = self._open(self._device, (self._device.rate, *RATES))
        self._capture: Capture | None = capture
        self._rate = capture.rate
        self._resampler: soxr.ResampleStream | None = None
        self._outage: _Outage | None = None
        self._n_quiet = self._n_heard = self._n_lost = self._times_lost = self._overflows = 0
        self._until = time.monotonic()  # when the last sample given was heard
        try:
            with portaudio.turn():
                capture.start()
        except DeviceError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The device's name."""
        return self._device.name

    @property
    def rate(self) -> int:
        """Samples per second of all pieces, also if the device comes back with another rate."""
        return self._rate

    def status(self) -> Status:
        """Count what was heard and lost so far."""
        capture = self._capture
        overflows = self._overflows + (capture.overflows if capture else 0)
        waiting = capture.waiting if capture else 0.0
        return Status(self._n_heard, self._n_lost, overflows, self._times_lost, waiting)

    def close(self) -> None:
        """Let go of the device; `pieces` ends. From any thread or signal handler, also twice."""
        self._closed = True
        self._inbox.put(None)
        while self._held:
            with contextlib.suppress(IndexError):
                self._held.pop().close()

    def pieces(self) -> Iterator[Piece]:
        """Give what is heard, as it comes, until `close`.

        Yields
        ------
        Piece
            At least every 0.25 s, be it empty; NaN, as long as what was lost.
        """
        try:
            while not self._closed:
                try:
                    message = self._inbox.get(timeout=TICK)
                except queue.Empty:
                    yield from self._wait()
                    continue
                if message is not None and not self._closed:
                    yield from self._handle(*message)
        finally:
            self.close()

    def _handle(self, source: Capture | _Outage, what: Heard | Capture | None) -> Iterator[Piece]:
        if isinstance(what, Capture):  # opened again
            if self._capture is None:
                self._capture, self._n_quiet = what, 0
            else:  # by two threads
                self._give_up(what)
        elif source is self._capture:  # and no echo of a dead stream
            if what is None:
                yield from self._lose("it has stopped")
            else:
                self._n_quiet = 0
                yield from self._hear(self._capture, what)

    def _wait(self) -> Iterator[Piece]:
        """Nothing has come for a tick."""
        if self._capture is None:
            yield from self._missing_until_now()
            self._watch_tries()
            return
        self._n_quiet += 1  # counted, not timed: this process itself may have been stopped
        if self._n_quiet >= N_QUIET:
            yield from self._lose(f"nothing has come from it for {N_QUIET * TICK:g} s")
        elif self._n_quiet > 1 and not self._capture.active():
            yield from self._lose("it has become inactive")
        else:
            yield Piece(nothing(0))

    def _hear(self, capture: Capture, heard: Heard) -> Iterator[Piece]:
        samples = mix(heard.frames)
        began = heard.clock - len(samples) / capture.rate
        if self._outage:
            n_gap = round((began - self._until) * self._rate)
            yield from self._missing(n_gap, heard.utc, self._outage.why)
            self._tell(f"{self.name} is back after {heard.clock - self._outage.since:.1f} s")
            self._outage = None
            self._until = began
        elif heard.lost:
            yield from self._flush()
            n_gap = max(1, round(heard.lost * self._rate / capture.rate))
            yield from self._missing(n_gap, heard.utc, heard.why)
            self._until = began
        capture.n_taken += heard.n
        # A callback may be late, never early; the device's clock may run slow or fast.
        due = self._until + len(samples) / capture.rate * (1 + DRIFT)
        self._until = min(heard.clock, due) if self._n_heard else heard.clock
        yield from self._sound(capture, samples, heard.utc)

    def _sound(self, capture: Capture, samples: Samples, utc: float) -> Iterator[Piece]:
        if capture.rate != self._rate:
            if self._resampler is None:
                self._resampler = soxr.ResampleStream(
                    capture.rate, self._rate, 1, dtype="float32", quality="HQ"
                )
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        self._n_heard += len(samples)
        yield Piece(samples, utc)

    def _flush(self) -> Iterator[Piece]:
        """Give what the resampler still holds: sound on both sides of a gap is never joined."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
            self._resampler = None
            self._n_heard += len(samples)
            yield Piece(samples, time.time())

    def _missing(self, n: int, utc: float, why: str) -> Iterator[Piece]:
        """Give NaN, a second at a time; moves `_until` with it."""
        self._n_lost += max(n, 0)
        while n > 0:
            part = min(n, self._rate)
            n -= part
            self._until += part / self._rate
            yield Piece(nothing(part), utc - n / self._rate, why)

    def _missing_until_now(self) -> Iterator[Piece]:
        assert self._outage
        n = round((time.monotonic() - self._until) * self._rate)
        yield from self._missing(max(1, n), time.time(), self._outage.why)

    def _lose(self, why: str) -> Iterator[Piece]:
        """Begin an outage, or go on with it if what was opened again does not work either."""
        assert self._capture
        dead, self._capture, self._n_quiet = self._capture, None, 0
        self._overflows += dead.overflows
        if self._outage is None:
            self._times_lost += 1
            self._outage = _Outage(time.monotonic(), f"{self.name} was lost: {why}")
            self._tell(f"{self.name} is lost: {why}; trying to open it again")
            yield from self._flush()
        self._start_try(dead)
        yield from self._missing_until_now()

    def _watch_tries(self) -> None:
        outage = self._outage
        late = outage and time.monotonic() - outage.beat > PATIENCE
        if outage and late and outage.n_tries < N_STUCK:
            self._start_try(None)

    def _start_try(self, dead: Capture | None) -> None:
        outage = self._outage
        assert outage
        outage.n_tries += 1
        outage.beat = time.monotonic()
        threading.Thread(
            target=self._try_again, args=(outage, dead), name="audiocnn-reopen", daemon=True
        ).start()

    def _try_again(self, outage: _Outage, dead: Capture | None) -> None:
        """Try to open the device until it opens; in a thread of its own."""
        if dead is not None:
            self._give_up(dead)
        capture = None
        while self._outage is outage and self._capture is None and not (capture or self._closed):
            time.sleep(outage.pause)
            outage.pause = min(2 * outage.pause, PAUSES[1])
            outage.beat = time.monotonic()
            with contextlib.suppress(DeviceError):
                device = find_again(self._device, list_devices(anew=True))
                with portaudio.turn():
                    capture = self._open(device, (self._rate, device.rate, *RATES))
        outage.n_tries -= 1
        if capture is not None and self._closed:
            self._give_up(capture)
        elif capture is not None:
            self._inbox.put((outage, capture))  # before the first that it hears
            try:
                with portaudio.turn():
                    capture.start()
            except DeviceError:
                self._inbox.put((capture, None))

    def _open(self, device: Device, rates: tuple[int, ...]) -> Capture:
        capture = open_device(device, rates, self._channels, self._inbox, self._ring_seconds)
        self._held.append(capture)
        return capture

    def _give_up(self, capture: Capture) -> None:
        with contextlib.suppress(ValueError):
            self._held.remove(capture)
        capture.close()
