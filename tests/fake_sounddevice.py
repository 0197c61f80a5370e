"""A sounddevice whose microphones do what a test says."""

import sys
import threading
import time
import types
from typing import Any

import numpy as np
import pytest

from audiocnn.streaming.inputs import portaudio


class PortAudioError(Exception):
    """As sounddevice's: a message, a code, what the host API said."""


class FakeStream:
    """A stream; `feed` is its callback."""

    def __init__(self, sd: "FakeSoundDevice", **how: Any) -> None:
        sd.tried.append(how)
        for fault in sd.faults:
            fault(how)
        self.sd, self.how = sd, how
        self.active, self.closed, self.adc = False, False, 100.0
        sd.streams.append(self)

    def start(self) -> None:
        self.active = True

    def abort(self) -> None:
        self.active = False

    def close(self) -> None:
        if self.sd.hang_in_close:
            self.sd.hanging.wait()
        self.closed = True

    def feed(self, samples: np.ndarray, *, overflow: bool = False, skipped: float = 0.0) -> None:
        """Call back with (N,) samples, as PortAudio's thread does; ``skipped`` seconds late."""
        frames = np.repeat(np.asarray(samples, np.float32)[:, None], self.how["channels"], axis=1)
        self.adc += skipped
        clock = types.SimpleNamespace(inputBufferAdcTime=self.adc)
        flags = types.SimpleNamespace(input_overflow=overflow)
        self.how["callback"](frames, len(frames), clock, flags)
        frames[:] = 99.0  # PortAudio uses its buffer again
        self.adc += len(frames) / self.how["samplerate"]

    def feed_for(self, seconds: float, value: float = 0.5, block: float = 0.02) -> int:
        """Call back in real time; give how many samples."""
        rate, n = self.how["samplerate"], 0
        began = time.monotonic()
        while n < seconds * rate:
            n += round(block * rate)
            time.sleep(max(0.0, began + n / rate - time.monotonic()))
            self.feed(np.full(round(block * rate), value))
        return n

    def die(self) -> None:
        """End as a device does that is pulled out."""
        self.active = False
        self.how["finished_callback"]()


class FakeSoundDevice(types.ModuleType):
    """What of sounddevice is used."""

    PortAudioError = PortAudioError

    def __init__(self, *devices: dict[str, Any]) -> None:
        super().__init__("sounddevice")
        self.devices: list[dict[str, Any]] = []
        self.plugged = list(devices)
        self.streams: list[FakeStream] = []
        self.tried: list[dict[str, Any]] = []
        self.faults: list[Any] = []
        self.default = types.SimpleNamespace(device=[0, 0])
        self.hang_in_close, self.hanging = False, threading.Event()
        self.n_initialized = 0
        self._initialize()

    def InputStream(self, **how: Any) -> FakeStream:
        return FakeStream(self, **how)

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}, {"name": "JACK"}]

    def _initialize(self) -> None:
        self.n_initialized += 1
        self.devices = [{**d, "index": i} for i, d in enumerate(self.plugged)]

    def _terminate(self) -> None:
        self.n_initialized -= 1
        self.devices = []

    def _exit_handler(self) -> None:
        """Sounddevice's own, at exit."""


def device(name: str, *, rate: float = 16000.0, channels: int = 1, hostapi: int = 0) -> dict:
    return {
        "name": name,
        "max_input_channels": channels,
        "default_samplerate": rate,
        "hostapi": hostapi,
    }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    """Put a sounddevice with one microphone, "desk", in the place of the real one."""
    sd = FakeSoundDevice(device("desk"))
    monkeypatch.setitem(sys.modules, "sounddevice", sd)
    monkeypatch.setattr(portaudio, "_open", set())
    monkeypatch.setattr(portaudio, "_turn", threading.Lock())
    return sd
