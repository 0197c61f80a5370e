"""Opening a device, and opening it again for as long as it takes.

Everything that can hang where a device has died (closing it, opening it, PortAudio
itself) is done in threads that may be left behind: beside one that has not returned for a
while another is started, up to a few. A device that is open again goes into the
inbox. What was lost meanwhile is counted elsewhere.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from audiocnn.errors import DeviceError
from audiocnn.streaming.inputs import portaudio, sound_server
from audiocnn.streaming.inputs.capture import RATES, Capture, Inbox, open_device
from audiocnn.streaming.inputs.devices import (
    AmbiguousDeviceError,
    Device,
    count_equal,
    find_again,
    find_device,
    list_devices,
)

PAUSES = (0.1, 1.0)  # between two tries to open a device again: the first, the longest
PATIENCE = 15.0  # with a try before another is started beside it
N_STUCK = 8  # tries that may hang at once


class Opener:
    """Opens one device, by its name.

    Parameters
    ----------
    wanted
        Number, name or part of a name; None is the system's default.
    channels, ring_seconds
        As for `Capture`.
    notify
        Called, from any thread, with a sentence where it is not certain which device is meant.
    inbox
        Where (self, Capture) is put when the device is open again; what it records before
        that is lost.

    Raises
    ------
    DeviceError
        If there is no such device.
    """

    def __init__(
        self, wanted: str | int | None, channels: int, ring_seconds: float, inbox: Inbox,
        notify: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._channels, self._ring_seconds, self._inbox = channels, ring_seconds, inbox
        self._notify = notify or (lambda sentence: None)
        devices = list_devices()
        try:
            self.device = find_device(wanted, devices)
        except DeviceError:  # plugged in since this process began?
            devices = list_devices(anew=True)
            self.device = find_device(wanted, devices)
        self._n_equal = count_equal(self.device, devices)
        self._is_ambiguous = False
        self._rate = self.device.rate
        self._closed = False
        self._wanted = False  # to be opened again
        self._open: list[Capture] = []
        self._pause, self._n_tries, self._beat = PAUSES[0], 0, 0.0

    def open(self) -> Capture:
        """Open the device for the first time, and start it.

        Raises
        ------
        DeviceError
            If it does not open; says what to do.
        """
        with portaudio.turn():
            capture = self._open_at(self.device, (self._rate, *RATES))
        self._rate = capture.rate
        return capture

    def lost(self, dead: Capture) -> None:
        """Begin, or go on, to open the device again."""
        self._wanted = True
        self._start_try(dead)

    def watch(self) -> None:
        """Start another try where one hangs; to be called regularly."""
        late = time.monotonic() - self._beat > PATIENCE
        if self._wanted and late and self._n_tries < N_STUCK:
            self._start_try(None)

    def opened(self) -> None:
        """Stop trying: the device is open again."""
        self._wanted = False

    def works(self) -> None:
        """Begin with the shortest pause the next time: samples arrive from the device."""
        self._pause = PAUSES[0]

    def give_up(self, capture: Capture) -> None:
        """Close a capture that is not used."""
        with contextlib.suppress(ValueError):
            self._open.remove(capture)
        sound_server.release(capture.stream)
        capture.close()

    def close(self) -> None:
        """Close all. From any thread or signal handler, also twice."""
        self._closed = True
        for capture in tuple(self._open):
            capture.close()

    def _start_try(self, dead: Capture | None) -> None:
        self._n_tries += 1
        self._beat = time.monotonic()
        threading.Thread(
            target=self._try_again, args=(dead,), name="audiocnn-reopen", daemon=True
        ).start()

    def _try_again(self, dead: Capture | None) -> None:
        """Try to open the device until it opens; in a thread of its own."""
        if dead is not None:
            self.give_up(dead)
        capture = None
        while self._wanted and not (capture or self._closed):
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, PAUSES[1])
            self._beat = time.monotonic()
            with contextlib.suppress(DeviceError):
                device = self._find_again()
                with portaudio.turn():
                    capture = self._open_at(device, (self._rate, device.rate, *RATES))
        self._n_tries -= 1
        if capture is not None and self._closed:
            self.give_up(capture)
        elif capture is not None:
            self._inbox.put((self, capture))

    def _find_again(self) -> Device:
        """Find the device; say once if it is not certain which one it is, or has a new name."""
        try:
            device = find_again(self.device, list_devices(anew=True), self._n_equal)
        except AmbiguousDeviceError as error:
            if not self._is_ambiguous:
                self._is_ambiguous = True
                self._notify(f"{self.device.name} is still lost: {error}")
            raise
        if device.name != self.device.name:
            self._notify(f"{self.device.name} has come back as {device.name}")
        self._is_ambiguous = False
        return device

    def _open_at(self, device: Device, rates: tuple[int, ...]) -> Capture:
        capture = open_device(device, rates, self._channels, self._inbox, self._ring_seconds)
        self._open.append(capture)
        try:
            capture.start()
        except DeviceError:
            self.give_up(capture)
            raise
        capture.stream = sound_server.claim()
        return capture
