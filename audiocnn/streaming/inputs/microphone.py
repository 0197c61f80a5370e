"""A microphone that runs for months: losses are NaN, and it is opened again.

    device        |====|====|==        lost           |===|====|
    pieces        |====|====|==|NaN|NaN|NaN|NaN|NaN|N|===|====|
                               noticed                back

Whatever happens to the device, the place of a sample in the stream is the time at
which it was heard: what was lost is NaN, and as long as it was. Time is kept by the
device's own clock while it runs, and by ``time.monotonic`` while it does not, so a
clock on the wall that is set matters to nothing but `Chunk.time`. Time in which the
computer itself slept is not in the stream where ``time.monotonic`` leaves it out.

What comes from the device, from what opens it again and from `close` goes through one
inbox, which `chunks` alone reads. How a device is opened is not known here.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import soxr

from audiocnn.errors import ArgumentError
from audiocnn.io.audio.blocks import mix
from audiocnn.streaming.inputs import sound_server
from audiocnn.streaming.inputs.capture import Capture, DeviceBlock, Inbox
from audiocnn.streaming.inputs.chunk import Chunk, Samples, nothing
from audiocnn.streaming.inputs.reconnect import Opener

TICK = 0.2  # without anything from the device, before an empty piece
N_QUIET = 9  # ticks without a callback: the device is dead
SETTLING = 0.15  # of a device that is back, until its callbacks come regularly
LATE = 0.25  # a callback; then all are kept until it is known whether something is missing
HIDDEN = 0.05  # missing, although the driver reported nothing
UNSAID = "the device or its driver left out sound, without saying where"
MOVED = "the sound server has moved the stream to {}"
DRIFT = 3e-3  # by which a clock of a device may be wrong; crystals are 1e-4 off at most


@dataclass(frozen=True)
class Status:
    """State of a microphone: samples at its rate, and seconds."""

    heard: int
    lost: int
    overflows: int
    times_lost: int
    waiting: float


@dataclass(eq=False)
class _Outage:
    since: float
    why: str


class Microphone:
    """A microphone; an `Input`. Opens, and begins to record, when it is made.

    Parameters
    ----------
    device
        Number, name or part of a name; None is the system's default.
    channels
        To open it with; they are mixed to mono.
    ring_seconds
        How much sound may wait to be taken; more is lost, and counted.
    notify
        Called, from within `chunks`, with a sentence when the device is lost or back.
    on_move
        When the sound server moves the stream to another microphone: ``"wait"`` for the
        right one, as for a lost device, or ``"follow"``.

    Raises
    ------
    DeviceError
        If there is no such device or it does not open; says what to do.

    Notes
    -----
    `Chunk.time` is the wall clock when the last sample's callback came: later than the
    sound by what the device and the driver hold back (a few blocks of 50 ms).
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        channels: int = 1,
        channel: int | None = None,
        ring_seconds: float = 10.0,
        notify: Callable[[str], None] | None = None,
        on_move: str = "wait",
    ) -> None:
        if channels < 1 or not 0.1 <= ring_seconds <= 3600:
            raise ArgumentError(
                "channels must be at least 1 and ring_seconds from 0.1 to 3600, "
                f"got {channels} and {ring_seconds}"
            )
        if channel is not None and not 0 <= channel < channels:
            raise ArgumentError(f"--channel {channel} of {channels} (--channels), counted from 0")
        self._channel = channel
        self._notify = notify or (lambda sentence: None)
        self._inbox: Inbox = queue.SimpleQueue()
        self._closed = False
        self._opener = Opener(device, channels, ring_seconds, self._inbox, self._notify)
        self._name = self._opener.device.name
        self._capture: Capture | None = self._opener.open()
        self._until = time.monotonic()  # when the last sample given was heard
        self._rate = self._capture.rate
        self._follow = on_move == "follow"
        self._source = sound_server.source_of(self._capture.stream)
        self._moved_to = ""  # the microphone that the sound server gives instead
        self._resampler: soxr.ResampleStream | None = None
        self._outage: _Outage | None = None
        self._first: list[DeviceBlock] = []  # of a device that is back
        self._n_quiet = self._n_heard = self._n_lost = self._times_lost = self._overflows = 0

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

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
        """Let go of the device; `chunks` ends. From any thread or signal handler, also twice."""
        self._closed = True
        self._inbox.put(None)
        self._opener.close()

    def chunks(self) -> Iterator[Chunk]:
        """Give what is heard, as it comes, until `close`.

        Yields
        ------
        Chunk
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

    def _handle(
        self, source: Capture | Opener, what: DeviceBlock | Capture | None
    ) -> Iterator[Chunk]:
        if isinstance(what, Capture):  # opened again
            if self._capture is None:
                self._capture, self._n_quiet = what, 0
                self._opener.opened()
            else:  # by two threads
                self._opener.give_up(what)
        elif source is not self._capture:  # not yet known, or dead
            if isinstance(source, Capture) and what is not None:
                source.n_taken += what.n
        else:
            self._n_quiet = 0
            if what is None:
                yield from self._lose("it has stopped")
            else:
                yield from self._hear(source, what)

    def _wait(self) -> Iterator[Chunk]:
        """Nothing has come for a tick."""
        if self._capture is None:
            yield from self._missing_until_now()
            self._opener.watch()
            return
        self._n_quiet += 1  # counted, not timed: this process itself may have been stopped
        if self._n_quiet >= N_QUIET:
            yield from self._lose(f"nothing has come from it for {N_QUIET * TICK:g} s")
        elif self._n_quiet > 1 and not self._capture.active():
            yield from self._lose("it has become inactive")
        else:
            yield Chunk(nothing(0))

    def _hear(self, capture: Capture, heard: DeviceBlock) -> Iterator[Chunk]:
        """Give what one callback brought, or keep it until it is known when it was heard."""
        capture.n_taken += heard.n
        if self._is_moved(capture):
            n_lost, why = heard.lost + len(heard.frames), MOVED.format(self._moved_to)
            heard = heard._replace(frames=heard.frames[:0], lost=n_lost, why=why)
        n = heard.lost + len(heard.frames)
        late = heard.clock - self._until - n / capture.rate > LATE
        if self._outage or self._first or late:
            yield from self._settle(capture, heard)
        else:
            yield from self._place(capture, heard)

    def _is_moved(self, capture: Capture) -> bool:
        """Whether what comes is another microphone's; then have the stream moved back."""
        source = sound_server.source_of(capture.stream)
        if source is None or self._source is None or self._follow:
            return False
        if source == self._source:
            if self._moved_to:
                self._notify(f"{self.name} is back: the sound server gives {source} again")
                self._moved_to = ""
            return False
        if source != self._moved_to:
            self._moved_to = source
            self._times_lost += 1
            self._notify(
                f"{self.name} is lost: {MOVED.format(source)}; waiting for {self._source} "
                '(on_move = "follow" would take the other one)'
            )
        assert capture.stream is not None
        sound_server.bring_back(capture.stream, self._source)
        return True

    def _settle(self, capture: Capture, heard: DeviceBlock) -> Iterator[Chunk]:
        """Find out when a device that is back, or late, was heard.

        Callbacks may be late where a driver fills its buffers first, or the computer was
        busy or this process stopped, and then come the faster: the earliest tells, once
        they are regular.
        """
        first = self._first
        first.append(heard)
        recent = list(takewhile(lambda b: heard.clock - b.clock < SETTLING, reversed(first)))
        too_fast = sum(block.n for block in recent) > 1.5 * SETTLING * capture.rate
        if len(recent) == len(first) or too_fast:
            yield Chunk(nothing(0))
            return
        n, began = 0, math.inf
        for block in first:
            n += block.lost + len(block.frames)
            began = min(began, block.clock - n / capture.rate)
        self._first = []
        n_gap = round((began - self._until) * self._rate)
        if self._outage:
            yield from self._missing(n_gap, first[0].utc, self._outage.why)
            self._until = began
            self._notify(f"{self.name} is back after {first[0].clock - self._outage.since:.1f} s")
            self._outage = None
            self._opener.works()
        elif n_gap > HIDDEN * self._rate:  # somewhere among these
            yield from self._flush()
            n_gap += round(n * self._rate / capture.rate)
            yield from self._missing(n_gap, heard.utc, UNSAID)
            return
        for block in first:
            yield from self._place(capture, block)

    def _place(self, capture: Capture, heard: DeviceBlock) -> Iterator[Chunk]:
        """Give a block, and NaN before it where samples were lost."""
        samples = mix(heard.frames, self._channel)
        if heard.lost:
            yield from self._flush()
            n_gap = max(1, round(heard.lost * self._rate / capture.rate))
            yield from self._missing(n_gap, heard.utc, heard.why)
        # A callback may be late, never early; the device's clock may run slow or fast.
        due = self._until + len(samples) / capture.rate * (1 + DRIFT)
        self._until = min(heard.clock, due) if self._n_heard else heard.clock
        yield from self._sound(capture, samples, heard.utc)

    def _sound(self, capture: Capture, samples: Samples, utc: float) -> Iterator[Chunk]:
        if capture.rate != self._rate:
            if self._resampler is None:
                self._resampler = soxr.ResampleStream(
                    capture.rate, self._rate, 1, dtype="float32", quality="HQ"
                )
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        self._n_heard += len(samples)
        yield Chunk(samples, utc)

    def _flush(self) -> Iterator[Chunk]:
        """Give what the resampler still holds: sound on both sides of a gap is never joined."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
            self._resampler = None
            self._n_heard += len(samples)
            yield Chunk(samples, time.time())

    def _missing(self, n: int, utc: float, why: str) -> Iterator[Chunk]:
        """Give NaN, a second at a time; moves `_until` with it."""
        self._n_lost += max(n, 0)
        while n > 0:
            part = min(n, self._rate)
            n -= part
            self._until += part / self._rate
            yield Chunk(nothing(part), utc - n / self._rate, why)

    def _missing_until_now(self) -> Iterator[Chunk]:
        assert self._outage
        n = round((time.monotonic() - self._until) * self._rate)
        yield from self._missing(max(1, n), time.time(), self._outage.why)

    def _lose(self, why: str) -> Iterator[Chunk]:
        """Begin an outage, or go on with it if what was opened again does not work either."""
        assert self._capture
        dead, self._capture, self._n_quiet = self._capture, None, 0
        self._first.clear()
        self._overflows += dead.overflows
        if self._outage is None:
            self._times_lost += 1
            self._outage = _Outage(time.monotonic(), f"{self.name} was lost: {why}")
            self._notify(f"{self.name} is lost: {why}; trying to open it again")
            yield from self._flush()
        self._opener.lost(dead)
        yield from self._missing_until_now()
