"""Live sound: who may hear it, what is heard, and that one who does not listen is dropped."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")

from audiocnn.web.live_audio import LiveAudio
from tests.web.site import GUEST, OWNS, running

RATE = 8000


class Source:
    """What a station gives to those who listen in."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Callable[[np.ndarray, float], None]]] = {}
        self.audio = LiveAudio(self.listen_in)

    def listen_in(self, name: str, callback: Callable[[np.ndarray, float], None]) -> Callable:
        self.callbacks.setdefault(name, []).append(callback)
        return lambda: self.callbacks[name].remove(callback)

    def put(self, name: str, samples: np.ndarray) -> None:
        for callback in self.callbacks.get(name, []):
            callback(samples, RATE)


PATH = "/api/sources/garden/audio"


def wait_for_listener(audio: LiveAudio) -> None:
    end = time.monotonic() + 10
    while not audio.n_listeners:
        assert time.monotonic() < end
        time.sleep(0.01)


def hear(address: str, source: Source, samples: np.ndarray, n_bytes: int) -> bytes:
    """Play samples in pieces while somebody listens."""
    heard = b""
    with httpx.stream("GET", address + PATH, headers=OWNS, timeout=10) as answer:
        assert answer.headers["content-type"] == "audio/wav"
        wait_for_listener(source.audio)
        for at in range(0, len(samples), 400):
            source.put("garden", samples[at : at + 400])
        for piece in answer.iter_raw():
            heard += piece
            if len(heard) >= n_bytes:
                return heard
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("allowed", "headers", "status"),
    [(False, OWNS, 403), (True, {}, 403), (True, {"Authorization": f"Bearer {GUEST}"}, 403)],
)
def test_it_is_a_right_of_its_own(
    tmp_path: Path, allowed: bool, headers: dict, status: int
) -> None:
    with running(tmp_path, live_audio=allowed) as it:
        it.site.audio = Source().audio
        assert httpx.get(it.address + PATH, headers=headers).status_code == status


def test_what_is_heard_is_what_came_and_lost_samples_are_silence(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 4000).astype(np.float32)
    samples[1000:1100] = np.nan
    with running(tmp_path, live_audio=True) as it:
        source = Source()
        it.site.audio = source.audio
        heard = hear(it.address, source, samples, 44 + 2 * len(samples))
        other = httpx.get(it.address + "/api/sources/nobody/audio", headers=OWNS)
        assert other.status_code == 404
    found, rate = soundfile.read(io.BytesIO(heard), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(found, np.nan_to_num(samples), atol=1e-4)


def test_the_server_stops_while_somebody_listens(tmp_path: Path) -> None:
    with running(tmp_path, live_audio=True) as it:
        source = Source()
        it.site.audio = source.audio
        with httpx.stream("GET", it.address + PATH, headers=OWNS, timeout=10) as answer:
            wait_for_listener(it.site.audio)
            source.put("garden", np.zeros(100, np.float32))
            pieces = answer.iter_raw()
            assert next(pieces)[:4] == b"RIFF"
            it.server.stop()
            list(pieces)
    assert not any(source.callbacks.values())  # nobody is left behind
