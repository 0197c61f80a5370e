"""Network streams: from real servers, cut and back, with passwords that nobody sees."""

import gc
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.errors import ArgumentError, DeviceError
from audiocnn.streaming.config import ListenSettings, Settings, SourceSettings
from audiocnn.streaming.inputs import url as url_module
from audiocnn.streaming.inputs.url import UrlInput, shown_url, split_url
from audiocnn.streaming.messages import EventMessage, Gap, Message
from audiocnn.streaming.station import Station
from tests.stream_servers import Cutter, Icecast, RtspServer, missing

DEMO = Path(__file__).parents[3] / "data" / "demo.flac"
SECRET = "p@ss/word-not-to-be-seen"

pytest.importorskip("av", reason="PyAV is not installed: audiocnn[av]")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_module, "PAUSES", (0.1, 0.4))


def needs(*names: str) -> None:
    if reason := missing(*names):
        pytest.skip(reason)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Give twelve seconds of the demo, 16 bits."""
    samples, rate = soundfile.read(DEMO, dtype="int16")
    soundfile.write(tmp_path / "part.wav", samples[: 12 * rate], rate)
    return tmp_path / "part.wav"


@pytest.fixture
def web_server(part: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(part.parent))

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def read(source: UrlInput, seconds: float) -> np.ndarray:
    """Read for so many seconds of the clock, or to the end."""
    got, end = [], time.monotonic() + seconds
    for chunk in source.chunks():
        got.append(chunk.samples)
        if time.monotonic() > end:
            source.close()
    return np.concatenate(got)


def place(found: np.ndarray, whole: np.ndarray) -> int:
    """Find where a stretch of sound lies in a recording."""
    some = found[1000:9000]
    at = np.correlate(whole, some, "valid").argmax()
    return int(at) - 1000


def test_a_file_on_a_web_server_is_read_once_and_whole(web_server: str, part: Path) -> None:
    samples, rate = soundfile.read(part, dtype="float32")
    source = UrlInput(f"{web_server}/part.wav")
    assert source.rate == rate
    chunks = list(source.chunks())
    assert all(chunk.time is None for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), samples)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_gives_what_was_sent(part: Path, transport: str) -> None:
    needs("rtsp")
    samples, rate = soundfile.read(part, dtype="float32")
    with RtspServer(part) as server:
        source = UrlInput(server.url, transport=transport)
        assert source.rate == rate
        found = read(source, 5.0)
    assert found.size > 3.5 * rate
    at = place(found, samples)
    assert abs(at) < 0.5 * rate
    n = round(3.5 * rate)
    np.testing.assert_allclose(found[:n], samples[at : at + n], atol=1e-4)


def test_a_password_is_taken_from_the_environment_and_never_shown(
    part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("rtsp")
    with RtspServer(part, "me", SECRET) as server:
        url = server.url.replace("//", "//me@")
        monkeypatch.delenv("AUDIOCNN_INPUT_PASSWORD", raising=False)
        with pytest.raises(ArgumentError, match="'AUDIOCNN_INPUT_PASSWORD' with the password"):
            UrlInput(url)
        monkeypatch.setenv("CAMERA", "wrong-" + SECRET)
        with pytest.raises(DeviceError) as caught:
            UrlInput(server.url, user="me", password_env="CAMERA")
        assert "401" in str(caught.value)
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
        monkeypatch.setenv("AUDIOCNN_INPUT_PASSWORD", SECRET)
        source = UrlInput(url)
        assert read(source, 1.0).size > 0
        assert source.name == server.url


def listen_to(url: str, seconds: float, **more: Any) -> tuple[list[Message], list[str], Station]:
    messages: list[Message] = []
    notes: list[str] = []
    source = SourceSettings(name="camera", input=url, **more)
    listen = ListenSettings(seconds=seconds, hop=0.25)
    station = Station(Settings(listen=listen, sources=(source,)), notify=notes.append)
    station.subscribe(messages.append)
    station.run()
    return messages, notes, station


def events_of(path: Path) -> list[audiocnn.Event]:
    bundle = audiocnn.load("environment")
    blocks = audiocnn.read_blocks(path, bundle.rate)
    return list(audiocnn.find_events(audiocnn.listen(bundle, blocks, 0.25), bundle.rules))


def same(messages: list[Message], expected: list[audiocnn.Event], atol: float) -> None:
    found = [m for m in messages if isinstance(m, EventMessage)]
    assert [e.label for e in found] == [e.label for e in expected]
    times = np.array([(e.start, e.end, e.score) for e in found])
    np.testing.assert_allclose(times, [(e.start, e.end, e.score) for e in expected], atol=atol)


def test_the_events_of_a_stream_are_those_of_its_recording(part: Path, tmp_path: Path) -> None:
    needs("rtsp")
    with RtspServer(part) as server:
        messages, _, _ = listen_to(server.url, 11.0, record=tmp_path / "heard.wav")
    expected = events_of(tmp_path / "heard.wav")
    assert expected
    same(messages, expected, 1e-5)
    assert {m.source for m in messages} == {"camera"}


def test_the_events_of_icecast_are_those_of_the_coded_file(part: Path, tmp_path: Path) -> None:
    needs("icecast")
    import subprocess

    coded = tmp_path / "coded.ogg"
    codec = ("-c:a", "libvorbis", "-q:a", "5")
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", part, *codec, coded], check=True)
    expected = events_of(coded)
    with Icecast() as server:
        server.send(part, *codec)
        end = time.monotonic() + 10
        while True:  # until the first bytes are there
            try:
                UrlInput(server.url()).close()
                break
            except DeviceError:
                assert time.monotonic() < end
                time.sleep(0.1)
        messages, _, _ = listen_to(server.url(), 11.0)
    found = [m for m in messages if isinstance(m, EventMessage)]
    assert [e.label for e in found] == [e.label for e in expected]
    for event, wanted in zip(found, expected, strict=True):
        assert event.start == pytest.approx(wanted.start, abs=0.3)  # windows begin elsewhere
        assert event.score == pytest.approx(wanted.score, abs=0.1)


def test_a_cut_is_a_gap_and_the_source_is_back_within_its_backoff(part: Path) -> None:
    needs("rtsp")
    notes: list[str] = []
    with RtspServer(part) as server, Cutter(server.port) as cutter:
        source = UrlInput(f"rtsp://127.0.0.1:{cutter.port}/live", notify=notes.append)
        got: list[tuple[float, np.ndarray, str]] = []
        began = time.monotonic()
        cut = back = 0.0
        for chunk in source.chunks():
            now = time.monotonic()
            got.append((now, chunk.samples, chunk.lost))
            if not cut and now - began > 2.0:
                cutter.refusing, cut = True, now
                cutter.cut()
            if cutter.refusing and now - cut > 1.0:
                cutter.refusing, back = False, now
            if back and now - back > 2.5:
                source.close()
    finite = [(at, bool(np.isfinite(x).all())) for at, x, _ in got if x.size]
    first_back = next(at for at, good in finite if good and at > back)
    assert first_back - back < 0.4 * (1 + url_module.JITTER) + 1.0
    lost = sum(np.isnan(x).sum() for _, x, _ in got) / source.rate
    assert lost == pytest.approx(first_back - cut, abs=0.6)
    assert {why for _, x, why in got if x.size and np.isnan(x).any()} != {""}
    assert "is lost: " in notes[0]
    assert "is back after " in notes[1]
    assert source.status().times_lost == 1


def test_a_server_that_dies_and_starts_again(part: Path) -> None:
    needs("rtsp")
    server = RtspServer(part)
    server.start()
    try:
        restart = threading.Timer(4.0, lambda: (server.stop(), time.sleep(1.0), server.start()))
        restart.start()
        messages, notes, station = listen_to(server.url, 10.0, timeout=2.0)
        restart.join()
    finally:
        server.stop()
    (gap,) = [m for m in messages if isinstance(m, Gap)]
    assert 0.5 < gap.end - gap.start < 5
    assert gap.reason
    (status,) = station.status().sources
    assert status.heard + status.lost == pytest.approx(10.0, abs=1e-6)
    assert [note.split(" ")[1] + note.split(" ")[2].rstrip(":") for note in notes] == [
        "islost", "isback",
    ]  # fmt: skip


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count files")
def test_cuts_leave_no_open_file_behind(part: Path) -> None:
    """Ten cuts here; `scripts/soak_streams` makes a hundred, and looks at memory too."""
    needs("rtsp")
    with RtspServer(part) as server, Cutter(server.port) as cutter:
        source = UrlInput(f"rtsp://127.0.0.1:{cutter.port}/live")
        counts: list[int] = []
        n_threads, is_cut = threading.active_count(), False
        for chunk in source.chunks():
            if is_cut and chunk.samples.size and np.isnan(chunk.samples).any():
                is_cut = False
            elif not is_cut and chunk.samples.size and np.isfinite(chunk.samples).all():
                gc.collect()
                counts.append(open_files())
                cutter.cut()
                is_cut = True
                if len(counts) == 10:
                    source.close()
    assert source.status().times_lost >= 8
    assert max(counts[2:]) <= counts[1] + 6  # sockets of the proxy that are being closed
    assert threading.active_count() <= n_threads + 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/a", "ftp:// cannot be listened to; there are: rtsp,"),
        ("file:///etc/passwd", "file:// cannot be listened to"),
        ("rtsp:///a", "the URL names no host"),
        ("http://host:99999/", "its host or port cannot be read"),
        (f"rtsp://me:{SECRET.replace('/', '%2F').replace('@', '%40')}@host/a?key=1",
         "rtsp://host/a: no passwords in a URL"),
    ],
)  # fmt: skip
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        UrlInput(url)
    assert message in str(caught.value)
    assert "not-to-be-seen" not in str(caught.value)


def test_what_cannot_be_reached_is_said_without_its_key() -> None:
    with pytest.raises(DeviceError) as caught:
        UrlInput("http://127.0.0.1:9/live?key=abc", timeout=2.0)
    assert str(caught.value) == "http://127.0.0.1:9/live: Connection refused"


def test_a_stream_without_sound(web_server: str, part: Path) -> None:
    (part.parent / "text.html").write_text("<html>no stream</html>")
    with pytest.raises(DeviceError, match=r"text\.html: Invalid data"):
        UrlInput(f"{web_server}/text.html")


def test_a_server_that_is_silent_is_left_after_the_time_out() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        with pytest.raises(DeviceError, match="nothing came from it within the time-out"):
            UrlInput(f"http://127.0.0.1:{server.getsockname()[1]}/x", timeout=1.0)
        assert time.monotonic() - began < 4


def test_a_reader_that_is_stuck_is_a_gap_too(
    part: Path, web_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(url_module, "LATE", 0.2)
    monkeypatch.setattr(UrlInput, "_read_all", lambda self, container, stream: container.close())
    notes: list[str] = []
    source = UrlInput(f"{web_server}/part.wav", timeout=0.3, notify=notes.append)
    source._is_file = False
    found = read(source, 2.0)
    assert np.isnan(found).all()
    assert 1.0 < found.size / source.rate < 2.5
    assert "is lost: nothing has come from it for" in notes[0]


def test_how_a_url_is_shown() -> None:
    assert shown_url(split_url("rtsp://me@[::1]:8554/a?b#c")) == "rtsp://[::1]:8554/a"
