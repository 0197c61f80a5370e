"""Hostile use of the web server: each is refused, and the server goes on."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("starlette")

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.web import feed
from audiocnn.web.access import Access
from audiocnn.web.app import make_app
from audiocnn.web.server import WebServer
from audiocnn.web.settings import Tokens, WebSettings, read_tokens
from tests.web.site import GUEST, OWNER, OWNS, Running, client_of, make_site, running
from tests.web.stations import gap

VERDICT = "/api/events/a/verdict"
RIGHT = {"verdict": "right"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with client_of(tmp_path) as found:
        yield found


@pytest.fixture
def open_client(tmp_path: Path) -> Iterator[httpx.Client]:
    """Reachable from other machines."""
    with client_of(tmp_path, host="0.0.0.0") as found:
        yield found


# Tokens and rights


def test_other_machines_need_a_token_to_read(open_client: httpx.Client) -> None:
    for path in ("/api/events", "/api/sources", "/api/stream", "/metrics", "/api/events/a/clip"):
        assert open_client.get(path).status_code == 401, path
        wrong = open_client.get(path, headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401, path
    assert open_client.get("/api/events", headers=OWNS).status_code == 200
    assert open_client.get("/").status_code == 200  # the empty page, to sign in
    assert open_client.get("/api").json()["rights"] == {
        "read": False, "write": False, "audio": False,
    }  # fmt: skip


def test_changes_need_the_owners_token_on_loopback_too(client: httpx.Client) -> None:
    assert client.get("/api/events").status_code == 200
    assert client.put(VERDICT, json=RIGHT).status_code == 403
    assert client.put(VERDICT, json=RIGHT, headers=OWNS).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "birds.example.org"}, {"X-Forwarded-For": "10.0.0.7"}, {"Forwarded": "for=10.0.0.7"},
     {"Host": "192.168.1.5"}, {"Via": "1.1 proxy"}],
)  # fmt: skip
def test_whom_a_proxy_on_this_machine_lets_in_needs_a_token(tmp_path: Path, headers: dict) -> None:
    with client_of(tmp_path, hosts=("birds.example.org",)) as client:
        assert client.get("/api/events", headers=headers).status_code == 401
        assert client.get("/api/events", headers={**headers, **OWNS}).status_code == 200
        assert client.get("/api/events").status_code == 200


def test_guests_only_read(open_client: httpx.Client) -> None:
    guest = {"Authorization": f"Bearer {GUEST}"}
    assert open_client.get("/api/events", headers=guest).status_code == 200
    assert open_client.put(VERDICT, json=RIGHT, headers=guest).status_code == 403


def test_a_cookie_for_a_token(open_client: httpx.Client) -> None:
    origin = {"Origin": str(open_client.base_url).rstrip("/")}
    wrong = open_client.post("/api/login", json={"token": "wrong"}, headers=origin)
    assert wrong.status_code == 401
    answer = open_client.post("/api/login", json={"token": OWNER}, headers=origin)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert OWNER not in cookie
    assert open_client.get("/api/events").status_code == 200
    assert open_client.put(VERDICT, json=RIGHT, headers=origin).status_code == 200
    assert open_client.put(VERDICT, json=RIGHT).status_code == 403  # names no origin
    open_client.post("/api/logout", json={}, headers=origin)
    assert open_client.get("/api/events").status_code == 401


def test_cookies_are_for_https_alone_behind_https(open_client: httpx.Client) -> None:
    answer = open_client.post(
        "/api/login", json={"token": OWNER}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("change", ["role", "expiry", "signature", "empty", "other key"])
def test_forged_cookies(change: str) -> None:
    from starlette.datastructures import Headers

    access = Access(WebSettings(host="0.0.0.0"), Tokens(OWNER, GUEST))
    role, expiry, signature = access.make_cookie("guest").split(".")
    other = Access(WebSettings(), Tokens(OWNER + "!", GUEST))
    forged = {
        "role": f"owner.{expiry}.{signature}",
        "expiry": f"{role}.{int(expiry) + 1}.{signature}",
        "signature": f"{role}.{expiry}.{'0' * 64}",
        "empty": "",
        "other key": other.make_cookie("owner"),
    }[change]
    good = Headers({"cookie": f"{access.cookie_name}={role}.{expiry}.{signature}"})
    assert access.rights_of(good).read
    bad = Headers({"cookie": f"{access.cookie_name}={forged}"})
    assert not access.rights_of(bad).read


def test_an_old_cookie_is_worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.datastructures import Headers

    access = Access(WebSettings(host="0.0.0.0"), Tokens(OWNER))
    cookie = Headers({"cookie": f"{access.cookie_name}={access.make_cookie('owner')}"})
    assert access.rights_of(cookie).write
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 91 * 86400)
    assert not access.rights_of(cookie).write


def test_many_wrong_tokens_are_answered_429_and_the_right_one_still_works(
    open_client: httpx.Client,
) -> None:
    answers = [
        open_client.post("/api/login", json={"token": f"guess{n}"}).status_code for n in range(15)
    ]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert open_client.post("/api/login", json={"token": OWNER}).status_code == 200


@pytest.mark.parametrize(
    ("settings", "environment", "words"),
    [
        ({"host": "0.0.0.0"}, {}, "a token is required: set the variable AUDIOCNN_TOKEN"),
        ({"host": "192.168.1.5"}, {}, "reachable from other machines"),
        ({}, {"AUDIOCNN_TOKEN": "short"}, "has 5 characters: at least 16"),
        ({"guest_token_env": "G"}, {}, "the variable G is not set"),
        ({"guest_token_env": "G"}, {"G": OWNER, "AUDIOCNN_TOKEN": OWNER}, "are the same"),
    ],
)
def test_a_server_without_a_good_token_does_not_start(
    settings: dict, environment: dict, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        read_tokens(WebSettings(**settings), environment)


def test_on_loopback_a_token_is_made() -> None:
    one, two = (read_tokens(WebSettings(), {}) for _ in range(2))
    assert len(one.owner) >= 32
    assert one.owner != two.owner
    assert not one.chosen


# Other sites


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8780", "127.0.0.1.evil.example",
             "localhost.evil.example", "", "a b", 
             "127.0.0.1@evil.example", "localhost/..", "localhost:http", "[::1"],
)  # fmt: skip
def test_other_host_names_are_refused(client: httpx.Client, host: str) -> None:
    """DNS rebinding: a name of an attacker that leads to this machine."""
    for path in ("/", "/api/events", "/healthz", "/static/app.js"):
        assert client.get(path, headers={"Host": host}).status_code == 421, path


@pytest.mark.parametrize("host", ["localhost:8780", "127.0.0.1", "[::1]:8780", "192.168.1.5:80",
                                  "birds.example.org", "LOCALHOST", "localhost."])  # fmt: skip
def test_own_names_and_addresses(tmp_path: Path, host: str) -> None:
    with client_of(tmp_path, hosts=("birds.example.org",)) as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_changes_from_other_sites_are_refused(client: httpx.Client, headers: dict) -> None:
    answer = client.put(VERDICT, json=RIGHT, headers={**OWNS, **headers})
    assert answer.status_code == 403
    assert client.get("/api/events/a").json()["verdict"] is None


def test_origin_of_a_proxy_that_is_in_the_settings(tmp_path: Path) -> None:
    headers = {**OWNS, "Origin": "https://birds.example.org"}
    with client_of(tmp_path, hosts=("birds.example.org",)) as client:
        assert client.put(VERDICT, json=RIGHT, headers=headers).status_code == 200


def test_other_sites_may_not_embed_or_read(client: httpx.Client) -> None:
    headers = client.get("/api/events", headers={"Origin": "http://evil.example"}).headers
    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert client.options("/api/events").status_code in (403, 405)


# Script and paths


def test_the_policy_allows_no_inline_script_anywhere(client: httpx.Client) -> None:
    for path in ("/", "/api/events", "/nothing", "/static/app.js"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    page = client.get("/").text
    assert "<script>" not in page
    assert " on" not in page.replace(" on ", "")
    assert "style=" not in page


def test_pages_use_nothing_of_other_hosts(client: httpx.Client) -> None:
    from audiocnn.web.app import STATIC

    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "innerHTML" not in text.replace("without innerHTML", ""), path


def test_script_in_a_label_is_data(client: httpx.Client) -> None:
    answer = client.get("/api/events?label=%3Cscript%3Ealert(1)%3C/script%3E")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["events"][0]["label"] == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd",
        "/..%2f..%2fetc/passwd", "/api/events/..%2f..%2fsecret.txt/clip", "/api/events/d/clip",
        "/api/events/%2e%2e/clip", "/api/events/a%00/clip", "/static/app.js%00",
        "/api/events/d/picture",
        "//etc/passwd", "/static/..%5capp.py",
    ],
)  # fmt: skip
def test_no_path_reaches_the_file_system(tmp_path: Path, path: str) -> None:
    """Event "d" has a clip outside of the folder of clips in the database itself."""
    with running(tmp_path) as it, socket.create_connection(("127.0.0.1", it.server.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"400"), answer[:200]
    assert b"secret" not in answer
    assert b"root:" not in answer


# Sizes and numbers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, max_connections=40) as it:
        yield it


def test_huge_bodies(server: Running) -> None:
    url = server.address + VERDICT
    big = b'{"verdict": "' + b"x" * 200_000 + b'"}'
    assert httpx.put(url, content=big, headers=OWNS).status_code == 413

    def pieces():
        for _ in range(50):
            yield b"x" * 10_000

    try:
        status = httpx.put(url, content=pieces(), headers=OWNS).status_code
    except httpx.TransportError:
        status = 413  # closed while we were sending
    assert status in (400, 413)
    deep = b"[" * 60_000
    assert httpx.put(url, content=deep, headers=OWNS).status_code == 400
    assert httpx.get(server.address + "/healthz").status_code == 200


def test_huge_headers(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.server.port)) as raw:
        raw.settimeout(5)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        answer = raw.recv(1000)
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert httpx.get(server.address + "/healthz").status_code == 200


def test_broken_requests(server: Running) -> None:
    double = b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n"
    negative = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"
    for rubbish in (
        b"\0" * 500, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 9,
        double, negative,
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", server.server.port)) as raw:
            raw.settimeout(5)
            raw.sendall(rubbish)
            answer = raw.recv(1000)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), rubbish
    assert httpx.get(server.address + "/healthz").status_code == 200


def test_connections_beyond_the_limit_are_closed_and_open_ones_go_on(server: Running) -> None:
    with httpx.Client(base_url=server.address) as mine:
        assert mine.get("/healthz").status_code == 200
        many = []
        try:
            for _ in range(300):
                many.append(socket.create_connection(("127.0.0.1", server.server.port)))
            time.sleep(0.5)
            assert len(server.server._server.server_state.connections) <= 40
            assert mine.get("/healthz").status_code == 200  # on the connection that it has
        finally:
            for one in many:
                one.close()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            assert httpx.get(server.address + "/healthz").status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not recover")


def test_a_connection_that_asks_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.web.server.REQUEST_WITHIN", 0.3)
    with running(tmp_path) as it, socket.create_connection(("127.0.0.1", it.server.port)) as raw:
        raw.settimeout(5)
        raw.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(100) == b""


def test_a_client_that_never_reads_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.web.sse.SEND_TIMEOUT", 0.5)
    monkeypatch.setattr(feed, "MOST_WAITING", 50)
    with running(tmp_path) as it, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", it.server.port))
        raw.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got: list[str] = []
        reading = threading.Thread(target=read_events, args=(it.address, got, 400), daemon=True)
        reading.start()
        end = time.monotonic() + 15
        while it.site.feed.n_clients < 2 and time.monotonic() < end:
            time.sleep(0.01)
        for number in range(400):
            it.station.say(gap(number, reason="y" * 50_000))
            time.sleep(0.002)
        reading.join(20)
        assert len(got) == 400  # who reads gets everything
        while it.site.feed.n_clients > 0 and time.monotonic() < end + 15:
            time.sleep(0.05)
        assert it.site.feed.n_clients == 0
        assert it.site.feed.n_dropped == 1


def read_events(address: str, into: list[str], n: int) -> None:
    with httpx.stream("GET", f"{address}/api/stream", timeout=20) as answer:
        for line in answer.iter_lines():
            if line.startswith("id:"):
                into.append(line)
                if len(into) == n:
                    return


def test_the_server_stops_quickly_with_open_streams(tmp_path: Path) -> None:
    with running(tmp_path) as it:
        got: list[str] = []
        reading = threading.Thread(target=read_events, args=(it.address, got, 2), daemon=True)
        reading.start()
        while it.site.feed.n_clients < 1:
            time.sleep(0.01)
        it.station.say(gap(1))
        began = time.monotonic()
    assert time.monotonic() - began < 3
    reading.join(5)
    assert not reading.is_alive()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with running(tmp_path) as it:
        site, _ = make_site(tmp_path / "other", port=it.server.port)
        with pytest.raises(AudiocnnError, match="another program uses it"):
            WebServer(make_app(site), site.access.settings)


# Behind a proxy


def test_a_prefix_that_a_proxy_passes_on(tmp_path: Path) -> None:
    with client_of(tmp_path, base_path="/birds") as client:
        assert client.get("/birds/api/events").status_code == 200
        assert client.get("/birds/static/app.js").status_code == 200
        assert client.get("/api/events").status_code == 404
        answer = client.post("/birds/api/login", json={"token": OWNER})
        assert "Path=/birds;" in answer.headers["set-cookie"]


def test_every_link_of_the_page_is_relative(client: httpx.Client) -> None:
    page = client.get("/").text
    for part in page.split("href=")[1:] + page.split("src=")[1:]:
        assert not part.startswith('"/'), part[:40]
