"""Getting published files: a server on this machine that behaves in all ways that servers do."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiocnn.zoo import fetch
from audiocnn.zoo.fetch import FetchError, check_content, download, find_files, gather_files
from audiocnn.zoo.registry import NETWORKS, Content, Source

CONTENT = bytes(range(256)) * 1000
PINNED = Content(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(BaseHTTPRequestHandler):
    """Answers according to the path."""

    def do_GET(self) -> None:
        how = self.path.strip("/").split("/")[0]
        if how == "missing":
            self.send_error(404)
            return
        if how == "moved":
            self.send_response(302)
            self.send_header("Location", "/good/net.bin")
            self.end_headers()
            return
        if how == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        self.send_response(200)
        if how != "unsized":
            length = len(CONTENT) + (7 if how == "longer" else 0)
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.send(how)

    def send(self, how: str) -> None:
        if how == "slow":
            for begin in range(0, len(CONTENT), 64_000):
                self.wfile.write(CONTENT[begin : begin + 64_000])
                self.wfile.flush()
                time.sleep(0.05)
        elif how == "cut":
            self.wfile.write(CONTENT[:100_000])
        elif how == "stalled":
            self.wfile.write(CONTENT[:100_000])
            self.wfile.flush()
            time.sleep(2)
        elif how == "other":
            self.wfile.write(CONTENT[::-1])
        elif how == "unsized":
            self.wfile.write(CONTENT + b"more")
        else:
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def source(address: str, how: str) -> Source:
    return Source("net.bin", f"{address}/{how}/net.bin", PINNED)


@pytest.mark.parametrize("how", ["good", "slow", "moved"])
def test_download_is_whole_and_shows_progress(address: str, how: str, tmp_path: Path) -> None:
    shown: list[tuple[str, int, int]] = []
    path = download(source(address, how), tmp_path / "new", lambda *now: shown.append(now))
    assert path == tmp_path / "new" / "net.bin"
    assert path.read_bytes() == CONTENT
    assert [path] == list(path.parent.iterdir())
    assert shown[-1] == ("net.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in shown] == sorted(done for _, done, _ in shown)
    assert len(shown) > 2


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"missing/net\.bin: the server answers 404 Not Found; .*--file"),
        ("cut", r"broke off after 100,000 of 256,000 bytes.*; nothing was kept; try again"),
        ("stalled", r"broke off after 100,000 of 256,000 bytes \(no answer for 0\.3 s\)"),
        ("longer", r"offers 256007 bytes, expected 256,000: it is another file"),
        ("unsized", r"sends more than the expected 256,000 bytes"),
        ("other", r"is not net\.bin: 256,000 bytes with SHA-256 .*; it was not opened"),
        ("elsewhere", r"the server answers 302"),
    ],
)
def test_failed_download_says_why_and_leaves_nothing(
    address: str, how: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    with pytest.raises(FetchError, match=message):
        download(source(address, how), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"cannot be reached \(.*efused\): is this machine online"):
        download(source("http://127.0.0.1:9", "good"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_file_that_was_there_stays_when_a_download_fails(address: str, tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(CONTENT)
    with pytest.raises(FetchError):
        download(source(address, "cut"), tmp_path)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT


def test_interrupted_download_leaves_nothing(address: str, tmp_path: Path) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(source(address, "slow"), tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_disk_without_room(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = fetch.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(FetchError, match=r"No space left on device; make room.*AUDIOCNN_CACHE"):
        download(source(address, "good"), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_disk_that_fills_up(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open
    monkeypatch.setattr(
        Path, "open",
        lambda path, mode="r", *how: opened(Path("/dev/full") if "w" in mode else path, mode, *how),
    )  # fmt: skip
    with pytest.raises(FetchError, match="No space left on device"):
        download(source(address, "good"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot be written: .*see that it can be written"):
        download(source(address, "good"), tmp_path / "file")


def test_files_are_recognised_by_content(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "whatever.tmp").write_bytes(CONTENT)
    (deep / "net.bin").write_bytes(CONTENT[::-1])  # has the name and the size, is not the file
    wanted = Source("net.bin", "http://nowhere/", PINNED)
    assert find_files([wanted], [tmp_path]) == {"net.bin": deep / "whatever.tmp"}
    assert gather_files([wanted], [deep / "whatever.tmp"], tmp_path / "unused") == {
        "net.bin": deep / "whatever.tmp"
    }
    assert not (tmp_path / "unused").exists()


def test_variants_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    wanted = Source("net.bin", "http://nowhere/", Content(3, "0" * 64), variants=(PINNED,))
    assert find_files([wanted], [tmp_path]) == {"net.bin": tmp_path / "x"}


def test_folder_without_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(CONTENT[:-1])
    wanted = Source("net.bin", "http://nowhere/net.bin", PINNED)
    with pytest.raises(FetchError, match=r"no file there is net\.bin .*http://nowhere/net\.bin"):
        gather_files([wanted], [tmp_path], tmp_path)
    with pytest.raises(FetchError, match="no such file or folder"):
        gather_files([wanted], [tmp_path / "nowhere"], tmp_path)
    with pytest.raises(FetchError, match=r"is not net\.bin: 255,999 bytes"):
        check_content(tmp_path / "net.bin", wanted)


def test_large_folder_is_not_searched_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"")
    with pytest.raises(FetchError, match="holds more than 3 files; name the file"):
        find_files([Source("net.bin", "", PINNED)], [tmp_path])


def test_unreadable_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert find_files([Source("net.bin", "", PINNED)], [tmp_path]) == {}


def test_every_address_is_https_and_pinned() -> None:
    for network in NETWORKS.values():
        for wanted in network.sources:
            assert wanted.url.startswith("https://")
            assert wanted.url.endswith(wanted.name)
            for content in (wanted.content, *wanted.variants):
                assert len(content.sha256) == 64
                assert int(content.sha256, 16)
                assert content.size > 100_000


def test_real_files_are_the_pinned_ones(real_models: Path) -> None:
    for network in NETWORKS.values():
        found = find_files(network.sources, [real_models])
        assert set(found) == {wanted.name for wanted in network.sources}
