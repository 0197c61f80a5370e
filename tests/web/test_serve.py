"""`audiocnn serve` as its user runs it: a microphone, a browser, verdicts, a kill and a restart."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import soxr

pytest.importorskip("starlette")

from audiocnn.errors import ArgumentError
from audiocnn.streaming.config import read_settings
from audiocnn.web.serving import check_privacy
from audiocnn.web.settings import WebSettings
from tests.virtual_microphone import VirtualMicrophone, virtual_microphone
from tests.web.browser import Errors, browser, errors, keep, playwright, wait_for

__all__ = ["browser", "errors", "virtual_microphone"]
DEMO = Path(__file__).parents[2] / "data" / "demo.flac"
RATE = 44100
GARDEN = "section[aria-label=garden]"
TOKEN = "a-token-for-the-tests-of-serve"
TIME = "parseFloat(document.querySelector('.player-time').textContent)"
SETTINGS = """
[listen]
hop = 0.1
[[source]]
name = "garden"
level = true
[[source]]
name = "recording"
input = "{demo}"
realtime = true
[sqlite]
path = "heard.db"
[clips]
folder = "clips"
post = 1.0
[privacy]
speech = "keep"
[web]
port = {port}
"""


class Serving:
    """A process that serves."""

    def __init__(self, settings: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "audiocnn", "serve", "--settings", str(settings)],
            env={**environment, "AUDIOCNN_TOKEN": TOKEN}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.notes: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.notes

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.notes += [line.rstrip() for line in self.process.stderr]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and give the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return status


@pytest.fixture
def serve(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> Iterator[Callable[[], Serving]]:
    """Start the server, on the same port each time."""
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS.format(demo=DEMO, port=free_port()))
    with contextlib.ExitStack() as stack:

        def start() -> Serving:
            serving = Serving(settings, virtual_microphone.environment)
            stack.callback(lambda: serving.process.poll() is None and serving.end(signal.SIGKILL))
            return serving

        yield start


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def part_of_demo(start: float, end: float) -> np.ndarray:
    samples, rate = soundfile.read(DEMO, dtype="float32")
    return soxr.resample(samples[round(start * rate) : round(end * rate)], rate, RATE)


@pytest.mark.microphone
@pytest.mark.slow
def test_from_the_microphone_to_a_verdict_and_over_a_restart(
    browser: "playwright.Browser",
    errors: Errors,
    serve: Callable[[], Serving],
    virtual_microphone: VirtualMicrophone,
    tmp_path: Path,
) -> None:
    serving = serve()
    page = errors.watch(browser.new_page())
    page.goto(f"{serving.address}#token={TOKEN}")
    page.wait_for_selector(f"{GARDEN} .chip[data-state=live]", timeout=30000)
    assert page.locator(".source h2").all_text_contents() == ["garden", "recording"]
    time.sleep(3)  # a window has to be full before anything can be found

    assert seconds_to_page(page, virtual_microphone) < 2.0
    label = page.get_attribute(f"{GARDEN} canvas", "aria-label")
    assert label is not None
    assert "dog bark" in label
    assert bright_pixels(page) > 500  # the spectrogram is drawn
    keep(page, "now-microphone")

    page.wait_for_selector(f"{GARDEN} li[data-label=dog_bark]:not(.sounding)")
    time.sleep(3)  # the clip is written when the sound after the event has come
    page.click(f"{GARDEN} li[data-label=dog_bark] button")
    wait_for(page, f"{TIME} >= 0")
    page.keyboard.press(" ")
    wait_for(page, f"{TIME} > 0.3")
    with page.expect_response("**/verdict"):
        page.keyboard.press("r")
    keep(page, "event-judged")
    assert verdicts(tmp_path) == [("dog_bark", "right")]

    assert serving.end(signal.SIGKILL) == -signal.SIGKILL
    page.evaluate("location.hash = '#now'")
    page.wait_for_selector("#connection[data-state=lost]")
    again = serve()
    page.wait_for_selector("#connection[data-state=live]", timeout=30000)
    page.reload()
    page.wait_for_selector(f"{GARDEN} .chip[data-state=live]", timeout=30000)
    assert page.locator("li[data-label=dog_bark]").count() >= 1  # from the database
    time.sleep(3)
    playing = virtual_microphone.play(part_of_demo(31.0, 34.0), RATE)
    page.wait_for_selector(f"{GARDEN} li[data-label=rooster]", timeout=15000)
    assert playing.wait(30) == 0
    page.close()
    assert again.end() == 0


def seconds_to_page(page: "playwright.Page", microphone: VirtualMicrophone) -> float:
    """Play a bark, and give the seconds from its onset until the page shows it.

    By its rule it is decided 1.3 s after the onset; the rest is the way to the page. Other
    work on the machine may delay that once, so the best of three counts.
    """
    shown = f"document.querySelectorAll(`{GARDEN} li[data-label=dog_bark]`).length"
    times: list[float] = []
    while len(times) < 3 and min(times, default=9.0) >= 2.0:
        before = page.evaluate(f"() => {shown}")
        playing = microphone.play(part_of_demo(17.5, 20.0), RATE)
        began = time.time()
        wait_for(page, f"{shown} > {before}")
        times.append(time.time() - began)
        assert playing.wait(30) == 0
        page.wait_for_timeout(3000)  # by then the rule is ready for the next one
    return min(times)


def bright_pixels(page: "playwright.Page") -> int:
    count: int = page.evaluate(
        """() => {
          const canvas = document.querySelector('section[aria-label=garden] canvas');
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let n = 0;
          for (let i = 0; i < data.length; i += 4) if (data[i] > 180) n++;
          return n;
        }"""
    )
    return count


def verdicts(folder: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(folder / "heard.db")) as connection:
        query = "SELECT label, verdict FROM events WHERE verdict IS NOT NULL"
        return connection.execute(query).fetchall()


@pytest.mark.microphone
def test_it_ends_cleanly_and_says_where_the_page_is(serve: Callable[[], Serving]) -> None:
    serving = serve()
    assert httpx.get(serving.address + "healthz").json() == {"status": "ok"}
    with httpx.stream("GET", serving.address + "api/stream", timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        began = time.monotonic()
        assert serving.end() == 0
        list(lines)
    assert time.monotonic() - began < 10


def test_a_first_look_with_listen(browser: "playwright.Browser", errors: Errors) -> None:
    """`listen --web` shows a recording, and keeps nothing when it ends."""
    command = [sys.executable, "-m", "audiocnn", "listen", "--input", str(DEMO), "--realtime",
               "--web", "0"]  # fmt: skip
    process = subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        link = process.stderr.readline().strip()
        assert "#token=" in link
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".recent li[data-label=clock_tick]", timeout=30000)
        page.evaluate("location.hash = '#events'")
        page.wait_for_selector(".event-row:has-text('clock tick')")
        page.close()
        process.send_signal(signal.SIGTERM)
        _, notes = process.communicate(timeout=30)
        assert process.returncode == 0, notes
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("[clips]\nfolder = 'clips'", True),
        ("[listen]\nrecord = 'heard.wav'", True),
        ("[web]\nlive_audio = true", True),
        ("[sqlite]\npath = 'heard.db'", False),
        ("[clips]\nfolder = 'clips'\n[privacy]\nspeech = 'mute'", False),
    ],
)
def test_nothing_that_keeps_sound_starts_before_speech_is_decided(
    tmp_path: Path, text: str, asks: bool
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    settings = read_settings(path, {"web": WebSettings})
    web = settings.sections.get("web") or WebSettings()
    if not asks:
        check_privacy(settings, web)
        return
    with pytest.raises(ArgumentError) as error:
        check_privacy(settings, web)
    for choice in ("drop", "mute", "keep"):
        assert f'speech = "{choice}"' in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("prot = 8000", "did you mean 'port'"),
        ("port = 99999", "port must be between 0 and 65535"),
        ("base_path = 'x/'", "base_path must look like"),
        ("token = 'secret'", "secrets are taken from the environment"),
    ],
)
def test_wrong_settings_of_the_server(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[web]\n{line}\n")
    with pytest.raises(ArgumentError, match=words):
        read_settings(path, {"web": WebSettings})
