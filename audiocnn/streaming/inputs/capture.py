"""A device while it is open: the callback copies what comes into a bounded queue.

    callback     |===|===|   |===|        each block: copied, timed, put; nothing else
    queue         (===) (===) (lost 960, ===)
    microphone   takes from it when it can

The callback runs in PortAudio's thread, where a late answer loses sound. It never
waits: what the queue has no room for is counted, and the next block that fits says how
much is missing before it. The microphone decides what to do about a loss.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import DeviceError
from audiocnn.streaming.inputs import portaudio
from audiocnn.streaming.inputs.devices import Device

BLOCK = 0.1  # of sound in a callback: half of it would cost twice the wake-ups
RATES = (48000, 44100, 32000, 16000, 8000)
OVERFLOW = "the computer was too busy to take the sound from the device (overflow)"
FULL = "the program did not keep up with the sound"


class DeviceBlock(NamedTuple):
    """The samples of one callback."""

    frames: NDArray[np.float32]  # (N, channels); none if the block was lost
    n: int  # that it takes up in the queue
    lost: int  # samples that are missing before them
    why: str  # they are missing
    clock: float  # time.monotonic() at the callback
    utc: float  # time.time() at the callback


Inbox = queue.SimpleQueue[Any]  # SimpleQueue: a signal handler may put into it


class Capture:
    """An open device; puts (itself, DeviceBlock) into an inbox, and (itself, None) at its end.

    Parameters
    ----------
    device
        What to open.
    rate, channels
        To open it with; the attribute ``channels`` may be 2 where 1 was wanted, for
        devices that have no mono.
    inbox
        Where to put what is recorded.
    ring_seconds
        Seconds of sound that may wait in the inbox.

    Raises
    ------
    DeviceError
        If it does not open.
    """

    def __init__(
        self, device: Device, rate: int, channels: int, inbox: Inbox, ring_seconds: float
    ) -> None:
        self.device, self.rate, self.channels = device, rate, channels
        self.overflows = 0
        self.stream: int | None = None  # its number at the sound server
        self.n_put = self.n_taken = 0  # one thread writes each, so neither needs a lock
        self._inbox = inbox
        self._n_room = max(1, round(ring_seconds * rate))
        self._lost, self._why = 0, ""
        self._adc_end = self._last = 0.0
        self._sd = portaudio.load()
        try:
            self._stream = self._open_stream(channels)
        except self._sd.PortAudioError as error:
            if channels != 1 or _code(error) != portaudio.BAD_CHANNELS:
                raise
            self._stream = self._open_stream(2)
            self.channels = 2
        portaudio.opened(self._stream)
        self._to_close = [self._stream]
        self._guard = threading.Lock()  # no thread uses a stream that is being closed

    def _open_stream(self, channels: int) -> Any:
        return self._sd.InputStream(
            device=self.device.index, samplerate=self.rate, channels=channels, dtype="float32",
            blocksize=max(1, round(BLOCK * self.rate)), latency="low",
            callback=self._take, finished_callback=self._end,
        )  # fmt: skip

    def start(self) -> None:
        """Begin to record.

        Raises
        ------
        DeviceError
            If the device refuses.
        """
        self._last = time.monotonic()
        try:
            self._stream.start()
        except self._sd.PortAudioError as error:
            raise DeviceError(explain(self.device, error)) from error

    @property
    def waiting(self) -> float:
        """Seconds of sound that wait in the inbox."""
        return max(0, self.n_put - self.n_taken) / self.rate

    def active(self) -> bool:
        """Whether PortAudio reports the device as working."""
        if not self._guard.acquire(blocking=False):
            return False
        try:
            return bool(self._stream.active)
        except self._sd.PortAudioError:
            return False
        finally:
            self._guard.release()

    def close(self) -> None:
        """Close the device. From any thread, any number of times; does not hang."""
        try:
            stream = self._to_close.pop()
        except IndexError:  # another thread does
            portaudio.wait_until_closed(self._stream)
            return
        portaudio.close(stream, self._guard)

    def _take(self, frames: NDArray[np.float32], n: int, clock: Any, status: Any) -> None:
        now, utc, adc = time.monotonic(), time.time(), clock.inputBufferAdcTime
        if status.input_overflow:
            # PortAudio does not say where in a block of fixed size the hole is, so all of
            # the block is lost with it.
            self.overflows += 1
            self._lost, self._why = self._lost + self._n_skipped(adc, now, n) + n, OVERFLOW
            frames = frames[:0]
        if self.n_put - self.n_taken + n > self._n_room:
            self._lost, self._why = self._lost + len(frames), FULL
        else:
            self._inbox.put((self, DeviceBlock(frames.copy(), n, self._lost, self._why, now, utc)))
            self.n_put += n
            self._lost, self._why = 0, ""
        self._adc_end, self._last = adc + n / self.rate, now

    def _n_skipped(self, adc: float, now: float, n: int) -> int:
        """Count what is missing between two blocks by the device's clock, or else by ours."""
        elapsed = now - self._last
        skipped = adc - self._adc_end
        if not (adc > 0 and self._adc_end > 0 and 0 <= skipped <= elapsed + 1):
            skipped = elapsed - n / self.rate
        return max(1, round(skipped * self.rate))

    def _end(self) -> None:
        self._inbox.put((self, None))


def open_device(
    device: Device, rates: tuple[int, ...], channels: int, inbox: Inbox, ring_seconds: float
) -> Capture:
    """Open a device at the first of some rates that it takes. Not started yet.

    To be called in a turn at PortAudio.

    Raises
    ------
    DeviceError
        If it takes none; says what to do.
    """
    first: Exception | None = None
    sd = portaudio.load()
    for rate in dict.fromkeys(rates):
        try:
            return Capture(device, rate, channels, inbox, ring_seconds)
        except sd.PortAudioError as error:
            first = first or error
            if _code(error) != portaudio.BAD_RATE:
                break
    assert first is not None
    raise DeviceError(explain(device, first)) from first


def _code(error: Exception) -> int:
    return int(error.args[1]) if len(error.args) > 1 else 0


def explain(device: Device, error: Exception) -> str:
    """Explain why a device did not open, and what to do."""
    said = ": ".join(str(a) for a in error.args[:1])
    if len(error.args) > 2:  # what the host API said
        said += f" ({error.args[2][-1]})"
    if _code(error) == portaudio.BAD_CHANNELS:
        what = f"it has {device.channels} channels: ask for no more"
    elif _code(error) == portaudio.BAD_RATE:
        what = f"it takes none of the rates tried ({device.rate} Hz and the usual ones)"
    elif "denied" in said.lower() or "permitted" in said.lower():
        what = "this user may not use it: on Linux join the group 'audio'; elsewhere allow this "
        what += "program the microphone in the privacy settings"
    else:
        what = "is another program using it, is it plugged in, and may this user use it (on "
        what += "Linux: group 'audio'; elsewhere: privacy settings)? 'audiocnn devices' lists all"
    return f"cannot open the microphone {device.name!r}: {what} [{said}]"
