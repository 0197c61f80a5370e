"""The microphone: nothing is ever spliced, and nothing that a device does ends it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiocnn.errors import ArgumentError, DeviceError
from audiocnn.streaming.inputs import microphone, reconnect
from audiocnn.streaming.inputs.capture import BLOCK, FULL, OVERFLOW
from audiocnn.streaming.inputs.chunk import Chunk, Input
from audiocnn.streaming.inputs.microphone import UNSAID, Microphone
from tests.fake_sounddevice import FakeSoundDevice, PortAudioError, device, fake
from tests.virtual_microphone import VirtualMicrophone, virtual_microphone

__all__ = ["fake", "virtual_microphone"]

RAMP = np.arange(1, 321, dtype=np.float32) / 1000  # 20 ms at 16 kHz


class Listener:
    """Takes the pieces of a microphone in a thread, as a session does."""

    def __init__(self, mic: Microphone) -> None:
        self.mic = mic
        self.pieces: list[Chunk] = []
        self.times: list[float] = []
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self) -> None:
        for piece in self.mic.chunks():
            self.pieces.append(piece)
            self.times.append(time.monotonic())

    def wait_for(self, happened: Callable[[], Any], timeout: float = 5.0) -> None:
        end = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > end:
                self.mic.close()  # or it would go on into the next test
                pytest.fail(f"{self.mic.status()}, {[p.lost for p in self.pieces]}")
            time.sleep(0.005)

    def samples(self) -> np.ndarray:
        return np.concatenate([np.empty(0, np.float32), *(p.samples for p in self.pieces)])

    def close(self) -> None:
        self.mic.close()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "TICK", 0.03)


def take(mic: Microphone, n: int) -> list[Chunk]:
    pieces = mic.chunks()
    return [next(pieces) for _ in range(n)]


def gaps(samples: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last of each run of NaN."""
    lost = np.isnan(samples)
    edges = np.flatnonzero(np.diff(lost, prepend=False, append=False))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist()]


# With a device that does what it should.


def test_pieces_are_what_was_heard(fake: FakeSoundDevice) -> None:
    mic: Input = Microphone()
    assert (mic.name, mic.rate) == ("desk", 16000)
    how = fake.streams[0].how
    assert (how["latency"], how["blocksize"], how["dtype"]) == ("low", 1600, "float32")
    before = time.time()
    for k in range(5):
        fake.streams[0].feed(RAMP + k)
    pieces = take(mic, 5)  # type: ignore[arg-type]
    for k, piece in enumerate(pieces):
        np.testing.assert_array_equal(piece.samples, RAMP + np.float32(k))
        assert piece.lost == ""
        assert before <= piece.time <= time.time()
    assert mic.status() == microphone.Status(1600, 0, 0, 0, 0.0)  # type: ignore[attr-defined]


def test_channels_are_mixed(fake: FakeSoundDevice) -> None:
    fake.plugged = [device("desk", channels=2)]
    fake._initialize()
    mic = Microphone(channels=2)
    fake.streams[0].feed(RAMP)
    assert fake.streams[0].how["channels"] == 2
    np.testing.assert_array_equal(take(mic, 1)[0].samples, RAMP)


def test_device_without_mono_is_opened_in_stereo(fake: FakeSoundDevice) -> None:
    def no_mono(how: dict[str, Any]) -> None:
        if how["channels"] == 1:
            raise PortAudioError("Invalid number of channels", -9998)

    fake.faults.append(no_mono)
    mic = Microphone()
    fake.streams[0].feed(RAMP)
    np.testing.assert_array_equal(take(mic, 1)[0].samples, RAMP)


def test_a_rate_that_the_device_takes(fake: FakeSoundDevice) -> None:
    def only_32000(how: dict[str, Any]) -> None:
        if how["samplerate"] != 32000:
            raise PortAudioError("Invalid sample rate", -9997)

    fake.faults.append(only_32000)
    assert Microphone().rate == 32000
    assert [how["samplerate"] for how in fake.tried] == [16000, 48000, 44100, 32000]


def test_an_empty_piece_when_nothing_comes(fake: FakeSoundDevice) -> None:
    mic = Microphone()
    began = time.monotonic()
    assert [len(p.samples) for p in take(mic, 2)] == [0, 0]
    assert time.monotonic() - began < 0.5


def test_close_ends_pieces(fake: FakeSoundDevice) -> None:
    listener = Listener(Microphone())
    began = time.monotonic()
    listener.close()
    listener.close()
    assert time.monotonic() - began < 0.5
    assert fake.streams[0].closed
    assert list(listener.mic.chunks()) == []


def test_close_in_a_signal_handler(fake: FakeSoundDevice) -> None:
    mic = Microphone()
    before = signal.signal(signal.SIGALRM, lambda *_: mic.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert all(len(p.samples) == 0 for p in mic.chunks())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert fake.streams[0].closed


def test_leaving_the_loop_lets_go_of_the_device(fake: FakeSoundDevice) -> None:
    mic = Microphone()
    for _ in mic.chunks():
        break
    assert fake.streams[0].closed


# What cannot be opened.


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PortAudioError("Device unavailable", -9985), "is another program using it"),
        (PortAudioError("Host", -9999, (0, -13, "Permission denied")), "group 'audio'"),
        (PortAudioError("Invalid sample rate", -9997), "none of the rates"),
        (PortAudioError("Invalid number of channels", -9998), "it has 1 channels: ask"),
    ],
)
def test_what_does_not_open_says_what_to_do(
    fake: FakeSoundDevice, error: PortAudioError, says: str
) -> None:
    def fail(how: dict[str, Any]) -> None:
        raise error

    fake.faults.append(fail)
    with pytest.raises(DeviceError, match="cannot open the microphone 'desk'") as caught:
        Microphone()
    assert says in str(caught.value)
    assert str(error.args[0]) in str(caught.value)


def test_bad_arguments(fake: FakeSoundDevice) -> None:
    for how in ({"channels": 0}, {"ring_seconds": 0.0}, {"ring_seconds": float("nan")}):
        with pytest.raises(ArgumentError, match="channels must be at least 1"):
            Microphone(**how)
    with pytest.raises(DeviceError, match="no device that can record has the name 'dask'"):
        Microphone("dask")


def test_device_plugged_in_since_the_start(fake: FakeSoundDevice) -> None:
    fake.plugged.append(device("webcam"))
    assert Microphone("webcam").name == "webcam"


# Samples that are lost.


def test_full_ring_becomes_a_gap(fake: FakeSoundDevice) -> None:
    mic = Microphone(ring_seconds=0.1)
    for k in range(9):  # five fit
        fake.streams[0].feed(RAMP + k)
    assert mic.status().waiting == pytest.approx(0.1)
    pieces = mic.chunks()
    heard = [next(pieces) for _ in range(5)]
    np.testing.assert_array_equal(heard[4].samples, RAMP + np.float32(4))
    fake.streams[0].feed(RAMP + 9)
    gap, after = next(pieces), next(pieces)
    assert gap.lost == FULL
    assert np.isnan(gap.samples).all()
    assert len(gap.samples) == 4 * 320
    np.testing.assert_array_equal(after.samples, RAMP + np.float32(9))
    assert mic.status() == microphone.Status(6 * 320, 4 * 320, 0, 0, 0.0)


@pytest.mark.parametrize(("skipped", "n"), [(0.0, 1), (0.05, 800), (-1.0, 1), (1e9, 1)])
def test_overflow_becomes_a_gap_by_the_devices_clock(
    fake: FakeSoundDevice, skipped: float, n: int
) -> None:
    mic = Microphone()
    fake.streams[0].feed(RAMP)
    fake.streams[0].feed(RAMP + 1, overflow=True, skipped=skipped)
    fake.streams[0].feed(RAMP + 2)
    pieces = [p for p in take(mic, 4) if len(p.samples)]
    assert [p.lost for p in pieces] == ["", OVERFLOW, ""]
    # The block with the hole somewhere in it is lost too. Clocks that cannot be are not believed.
    assert len(pieces[1].samples) == 320 + n
    assert np.isnan(pieces[1].samples).all()
    np.testing.assert_array_equal(pieces[2].samples, RAMP + np.float32(2))
    assert mic.status() == microphone.Status(640, 320 + n, 1, 0, 0.0)


def test_overflow_of_a_device_without_a_clock(fake: FakeSoundDevice) -> None:
    mic = Microphone()
    fake.streams[0].adc = float("nan")
    fake.streams[0].feed(RAMP)
    time.sleep(0.1)
    fake.streams[0].feed(RAMP, overflow=True)
    assert 0.08 < len(take(mic, 2)[1].samples) / 16000 < 0.15


def test_sound_left_out_without_a_word_becomes_a_gap(fake: FakeSoundDevice) -> None:
    listener = Listener(Microphone())
    began = time.monotonic()
    n = fake.streams[0].feed_for(0.3)
    time.sleep(0.5)
    fake.streams[0].feed_for(0.6)
    listener.wait_for(lambda: listener.mic.status().waiting == 0)
    seconds = time.monotonic() - began
    listener.close()
    samples = listener.samples()
    ((first, last),) = gaps(samples)
    assert first == n
    assert 0.5 < (last - first) / 16000 < 0.8
    assert len(samples) / 16000 == pytest.approx(seconds, abs=0.1)
    assert {p.lost for p in listener.pieces} == {"", UNSAID}


def test_sound_that_is_only_late_is_no_gap(fake: FakeSoundDevice) -> None:
    listener = Listener(Microphone())
    n = fake.streams[0].feed_for(0.3)
    time.sleep(0.5)
    for _ in range(26):  # what had gathered meanwhile
        fake.streams[0].feed(RAMP)
    n += 26 * 320 + fake.streams[0].feed_for(0.4)
    listener.wait_for(lambda: len(listener.samples()) == n)
    listener.close()
    assert listener.mic.status() == microphone.Status(n, 0, 0, 0, 0.0)


# Devices that are lost.


def lose_and_find(fake: FakeSoundDevice, lose: Callable[[], None], value: float) -> Listener:
    """Hear 0.5 for a while, lose the device for about 0.6 s, hear a value."""
    told: list[str] = []
    listener = Listener(Microphone(notify=told.append))
    fake.streams[0].feed_for(0.3)
    plugged, fake.plugged = fake.plugged, []
    lost = time.monotonic()
    lose()
    listener.wait_for(lambda: told)
    listener.noticed = time.monotonic() - lost  # type: ignore[attr-defined]
    time.sleep(0.4)
    fake.plugged = plugged
    listener.wait_for(lambda: fake.streams[-1].active and fake.streams[-1] is not fake.streams[0])
    gap = time.monotonic() - lost
    fake.streams[-1].feed_for(0.4, value)
    seconds = time.monotonic() - listener.began
    listener.wait_for(lambda: listener.mic.status().waiting == 0 and len(told) == 2)
    listener.close()
    samples = listener.samples()
    ((first, last),) = gaps(samples)
    rate = listener.mic.rate
    assert (last - first) / rate == pytest.approx(gap, abs=0.1)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.1)
    assert "desk is lost" in told[0]
    assert "desk is back after" in told[1]
    assert listener.mic.status().times_lost == 1
    assert listener.mic.status().lost == last - first
    assert max(np.diff(listener.times)) < 0.3
    assert fake.streams[0].closed or fake.hang_in_close
    return listener


@pytest.mark.usefixtures("quick")
def test_device_that_ends_is_opened_again(fake: FakeSoundDevice) -> None:
    listener = lose_and_find(fake, lambda: fake.streams[0].die(), 0.25)
    assert listener.noticed < 0.1  # type: ignore[attr-defined]
    assert set(np.unique(listener.samples()[~np.isnan(listener.samples())])) == {0.5, 0.25}


@pytest.mark.usefixtures("quick")
def test_device_that_is_inactive_is_opened_again(fake: FakeSoundDevice) -> None:
    listener = lose_and_find(fake, lambda: fake.streams[0].abort(), 0.25)
    assert listener.noticed < 0.2  # type: ignore[attr-defined]


def test_device_that_falls_silent_is_opened_again(fake: FakeSoundDevice) -> None:
    listener = lose_and_find(fake, lambda: None, 0.25)
    assert 1.5 < listener.noticed < 2.0  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
def test_zeros_are_no_dead_device(fake: FakeSoundDevice) -> None:
    listener = Listener(Microphone())
    fake.streams[0].feed_for(0.5, 0.0)
    assert listener.mic.status().times_lost == 0
    listener.close()


@pytest.mark.usefixtures("quick")
def test_closing_that_hangs_does_not(fake: FakeSoundDevice, monkeypatch: Any) -> None:
    fake.hang_in_close = True
    webcam = fake.plugged[0]
    told: list[str] = []
    listener = Listener(Microphone(notify=told.append))
    fake.streams[0].feed_for(0.1)
    fake.streams[0].die()
    fake.plugged = [webcam]
    listener.wait_for(lambda: len(fake.streams) == 2 and fake.streams[1].active)
    assert fake.n_initialized == 1  # not terminated over the stream that hangs
    fake.streams[1].feed_for(0.3)
    listener.wait_for(lambda: len(told) == 2)
    assert max(np.diff(listener.times)) < 0.3
    began = time.monotonic()
    listener.close()
    assert time.monotonic() - began < 2
    fake.hanging.set()


@pytest.mark.usefixtures("quick")
def test_opening_that_hangs_is_tried_beside(fake: FakeSoundDevice, monkeypatch: Any) -> None:
    monkeypatch.setattr(reconnect, "PATIENCE", 0.8)
    monkeypatch.setattr("audiocnn.streaming.inputs.portaudio.TURN", 0.1)
    hanging, n = threading.Event(), 0

    def hang(how: dict[str, Any]) -> None:
        nonlocal n
        n += 1
        if n == 2:
            hanging.wait()

    fake.faults.append(hang)
    listener = Listener(Microphone())
    fake.streams[0].feed_for(0.1)
    fake.streams[0].die()
    try:
        listener.wait_for(lambda: len(fake.streams) == 2 and fake.streams[1].active)
        feeding = threading.Thread(target=fake.streams[1].feed_for, args=(0.8,))
        feeding.start()
        time.sleep(0.4)
    finally:
        hanging.set()
    listener.wait_for(lambda: len(fake.streams) == 3 and fake.streams[2].closed)  # one too many
    assert not fake.streams[1].closed
    feeding.join()
    listener.close()


@pytest.mark.usefixtures("quick")
def test_another_rate_after_reopening(fake: FakeSoundDevice) -> None:
    refused: set[int] = set()

    def refuse(how: dict[str, Any]) -> None:
        if how["samplerate"] in refused:
            raise PortAudioError("Invalid sample rate", -9997)

    def lose() -> None:
        fake.streams[0].die()
        refused.add(16000)

    fake.faults.append(refuse)
    listener = lose_and_find(fake, lose, 0.25)
    assert fake.streams[-1].how["samplerate"] == 48000
    assert listener.mic.rate == 16000
    heard = listener.samples()[gaps(listener.samples())[0][1] :]
    assert len(heard) == pytest.approx(0.4 * 16000, abs=800)  # the resampler holds some back
    np.testing.assert_allclose(heard[400:-400], 0.25, atol=1e-3)


@pytest.mark.usefixtures("quick")
def test_clock_set_back_moves_no_sample(
    fake: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time

    def lose() -> None:
        fake.streams[0].die()
        monkeypatch.setattr(time, "time", lambda: real() - 86400)

    listener = lose_and_find(fake, lose, 0.25)
    times = [p.time for p in listener.pieces if p.time is not None]
    assert times[-1] - times[0] < -86000


@pytest.mark.usefixtures("quick")
def test_device_that_opens_but_is_never_heard_is_not_back(fake: FakeSoundDevice) -> None:
    told: list[str] = []
    listener = Listener(Microphone(notify=told.append))
    fake.streams[0].die()
    listener.wait_for(lambda: len(fake.streams) >= 3)
    listener.close()
    assert len(told) == 1
    assert listener.mic.status().times_lost == 1


@pytest.mark.usefixtures("quick")
def test_one_lost_microphone_does_not_close_another(fake: FakeSoundDevice) -> None:
    fake.plugged = [device("desk"), device("webcam")]
    fake._initialize()
    one, two = Listener(Microphone("desk")), Listener(Microphone("webcam"))
    before = fake.n_initialized
    fake.streams[0].die()
    for _ in range(20):
        fake.streams[1].feed_for(0.02)
    one.wait_for(lambda: len(fake.streams) >= 3)
    assert fake.n_initialized == before
    assert two.mic.status().times_lost == 0
    one.close()
    two.close()


# With PulseAudio, through PortAudio.

RECORD = """
import json, sys, threading, time
import numpy as np
from audiocnn.streaming.inputs.microphone import Microphone

told = []
mic = Microphone(sys.argv[2] or None, notify=lambda s: told.append([time.time(), s]))
pieces, times = [], []
def stop():
    sys.stdin.read()
    mic.close()
threading.Thread(target=stop, daemon=True).start()
for piece in mic.chunks():
    if not pieces and len(piece.samples):
        print("hears", flush=True)
    pieces.append(piece.samples)
    times.append(time.monotonic())
status = mic.status()
np.save(sys.argv[1], np.concatenate(pieces))
print(json.dumps({"told": told, "rate": mic.rate, "lost": status.lost, "heard": status.heard,
    "overflows": status.overflows, "times_lost": status.times_lost,
    "longest": max(np.diff(times))}))
"""


class Recording:
    """A process that records from the virtual microphone."""

    def __init__(self, server: VirtualMicrophone, name: str = "", device: str = "") -> None:
        self.path = server.folder / f"recording{name}.npy"
        self.process = subprocess.Popen(
            [sys.executable, "-Xfaulthandler", "-Werror", "-c", RECORD, str(self.path), device],
            env={**server.environment, "PYTHONPATH": path()},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stdout.readline() == "hears\n"
        self.began = time.monotonic()

    def stop(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.seconds = time.monotonic() - self.began
        try:
            out, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler tells where it hangs
            self.process.communicate()
            raise
        assert self.process.returncode == 0
        return np.load(self.path), json.loads(out)


def path() -> str:
    """Give the PYTHONPATH that finds what this process finds."""
    return os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])


def chirp(rate: int, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * t + 0.5 * 4000 / seconds * t**2))).astype(np.float32)


def correlate(recording: np.ndarray, played: np.ndarray, rate: int) -> float:
    """Find what was played in a recording; how well it agrees after the first 10 ms."""
    n = 1 << (len(recording) + len(played)).bit_length()
    spectrum = np.fft.rfft(recording, n) * np.conj(np.fft.rfft(played, n))
    at = int(np.argmax(np.fft.irfft(spectrum, n)[: len(recording)]))
    skip = rate // 100
    found = recording[at + skip : at + len(played)]
    return float(np.corrcoef(found, played[skip : skip + len(found)])[0, 1])


@pytest.mark.microphone
def test_virtual_microphone_hears_what_is_played(virtual_microphone: VirtualMicrophone) -> None:
    recording = Recording(virtual_microphone)
    assert virtual_microphone.play(chirp(44100)).wait(10) == 0
    samples, said = recording.stop()
    assert said["rate"] == 44100
    assert said["lost"] == said["overflows"] == 0
    assert said["heard"] == len(samples)
    assert len(samples) / 44100 == pytest.approx(recording.seconds, abs=0.15)
    assert correlate(samples, chirp(44100), 44100) > 0.999


@pytest.mark.microphone
def test_virtual_microphone_pulled_out_and_plugged_in(
    virtual_microphone: VirtualMicrophone,
) -> None:
    recording = Recording(virtual_microphone)
    time.sleep(0.7)
    pulled = time.time()
    virtual_microphone.pull_out()
    time.sleep(1.5)
    virtual_microphone.plug_in()
    plugged = time.time()
    time.sleep(2.0)
    assert virtual_microphone.play(chirp(44100)).wait(10) == 0
    samples, said = recording.stop()
    (lost, first), (back, second) = said["told"]
    assert "is lost" in first
    assert "is back" in second
    assert lost - pulled < 2
    assert back - plugged < 2
    ((start, end),) = gaps(samples)
    assert said["lost"] == end - start
    assert said["times_lost"] == 1
    assert said["longest"] < 0.3
    # `back` is told after the callbacks of 0.15 s.
    gap = back - microphone.SETTLING - lost
    assert (end - start) / 44100 == pytest.approx(gap, abs=0.05 + BLOCK)
    assert len(samples) / 44100 == pytest.approx(recording.seconds, abs=0.15)
    assert correlate(samples[end:], chirp(44100), 44100) > 0.999


@pytest.mark.microphone
def test_virtual_microphone_whose_server_dies(virtual_microphone: VirtualMicrophone) -> None:
    recording = Recording(virtual_microphone)
    virtual_microphone.stop()
    time.sleep(0.5)
    virtual_microphone.start()
    virtual_microphone.plug_in(rate=48000)
    time.sleep(1.5)
    samples, said = recording.stop()
    assert [s.split(" is ")[1][:4] for _, s in said["told"]] == ["lost", "back"]
    assert said["rate"] == 44100
    assert len(gaps(samples)) == 1
    assert len(samples) / 44100 == pytest.approx(recording.seconds, abs=0.15)


@pytest.mark.microphone
def test_two_microphones_at_once(virtual_microphone: VirtualMicrophone) -> None:
    virtual_microphone.plug_in("desk", rate=44100)
    virtual_microphone.name("vmic")
    virtual_microphone.name("desk")
    one = Recording(virtual_microphone, "1", "vmic")
    two = Recording(virtual_microphone, "2", "desk")
    again = Recording(virtual_microphone, "3", "desk")
    assert virtual_microphone.play(chirp(44100), sink="desk").wait(10) == 0
    for recording, hears in ((one, False), (two, True), (again, True)):
        samples, said = recording.stop()
        assert said["lost"] == 0, said
        assert said["times_lost"] == 0
        if hears:
            assert correlate(samples, chirp(44100), 44100) > 0.999
        else:
            assert not samples.any()


@pytest.mark.microphone
def test_microphone_without_a_server(virtual_microphone: VirtualMicrophone) -> None:
    virtual_microphone.stop()
    for wanted in ("", "'x'"):
        code = f"from audiocnn.streaming.inputs.microphone import Microphone; Microphone({wanted})"
        tried = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=20,
            env={**virtual_microphone.environment, "PYTHONPATH": path()},
        )  # fmt: skip
        assert tried.returncode == 1
        assert "nothing here can record: plug in a microphone, and see" in tried.stderr
        assert "ALSA lib" not in tried.stderr
