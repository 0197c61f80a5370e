"""Sinks that reach other programs: commands, webhooks, MQTT; slow, failing, away."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import parse_message
from audiocnn.streaming.sinks import dispatcher
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.sinks.command import Command, CommandError
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher
from audiocnn.streaming.sinks.webhook import Webhook, WebhookError
from tests.live_messages import event, number_of, other

ROOT = Path(__file__).parents[3]
SECRET = "s3cr3t-not-to-be-seen"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(dispatcher, "SOON", 0.1)


def wait_for(what: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# Commands


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


WRITE = "import os, sys, json; json.dump([sys.argv[2:], dict(os.environ)], open(sys.argv[1], 'w'))"


def test_a_command_gets_the_event_and_no_shell_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOCNN_MQTT_PASSWORD", SECRET)
    out = tmp_path / "out"
    label = "dog; touch x $(touch x) `touch x` 'a\" {score}\n*"
    places = [
        "{label}",
        "{score}",
        "{start}-{end}",
        "{id} {type} {source} {host}",
        "{{label}}",
        '{"a": 1}',
        "*",
    ]
    monkeypatch.chdir(tmp_path)
    message = event(5, label=label)
    Command(python(WRITE, str(out), *places)).handle(message)
    found, environment = json.loads(out.read_text())
    assert found == [
        label,
        "0.900",
        "5.250-5.750",
        f"{message.id} event garden attic",
        "{label}",
        '{"a": 1}',
        "*",
    ]
    assert list(tmp_path.iterdir()) == [out]
    assert environment["PATH"] == os.environ["PATH"]
    assert SECRET not in environment.values()


def test_a_label_cannot_be_an_option() -> None:
    sink = Command(["true", "{label}"])
    with pytest.raises(CommandError, match="'--delete' would be read as an option"):
        sink.handle(event(label="--delete"))
    Command(["true", "--label={label}"]).handle(event(label="--delete"))
    with pytest.raises(CommandError, match="null byte"):
        sink.handle(event(label="a\0b"))


HANG = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs /proc to look for processes"
)
def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    out = tmp_path / "pids"
    sink = Command(python(HANG, str(out)), time_limit=1.0)
    begun = time.monotonic()
    with pytest.raises(CommandError, match=r"took more than 1 s and was killed"):
        sink.handle(event())
    assert time.monotonic() - begun < 4
    pids = [int(pid) for pid in out.read_text().split()]
    assert len(pids) == 2
    wait_for(lambda: not any(is_running(pid) for pid in pids))


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs /proc to look for processes"
)
def test_closing_does_not_wait_for_a_command(tmp_path: Path) -> None:
    out = tmp_path / "pids"
    outlet = SinkDispatcher([Command(python(HANG, str(out)), time_limit=60)])
    outlet.send(event(1))
    wait_for(lambda: out.exists() and len(out.read_text().split()) == 2)
    begun = time.monotonic()
    outlet.close(timeout=0.2)
    assert time.monotonic() - begun < 3
    wait_for(lambda: not any(is_running(int(pid)) for pid in out.read_text().split()))


def test_what_a_failing_command_says_is_told() -> None:
    code = "import sys; print('to stdout'); sys.exit('no such lamp: ' + sys.argv[1])"
    with pytest.raises(CommandError, match="ended with 1: no such lamp: dog"):
        Command(python(code, "{label}")).handle(event())
    with pytest.raises(CommandError, match="ended with -9"):
        Command(["sh", "-c", "kill -9 $$"]).handle(event())


def test_a_command_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Command(["sh", "-c", "echo out; echo err >&2"]).handle(event())
    assert capfd.readouterr() == ("", "")


# Webhooks


class Server:
    """Answers as told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int | float] = []  # status codes, or seconds to sleep first
        self.headers: dict[str, str] = {}
        self.methods: list[str] = []
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_json = "json" in self.headers["Content-Type"]
                outer.methods.append(self.command)
                outer.got.append((dict(self.headers), json.loads(body) if is_json else body))
                code = outer.answers.pop(0) if outer.answers else 200
                if isinstance(code, float):
                    time.sleep(code)
                    code = 200
                with contextlib.suppress(OSError):
                    self.send_response(code)
                    for name, value in outer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hooks/{SECRET}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def ids(self) -> list[int]:
        return [number_of(body["id"]) for _, body in self.got]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_webhook_gets_json_and_the_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", f"Bearer {SECRET}")
    sink = Webhook(server.url, secret_env="MY_SECRET")
    sink.handle(event(3, label="Kauz\n"))
    ((headers, body),) = server.got
    assert parse_message(json.dumps(body)) == event(3, label="Kauz\n")
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "event-sKauz_-3"
    assert SECRET not in repr(sink)


def test_a_webhook_sends_a_body_of_ones_own(server: Server) -> None:
    body = '{"text": "{label} in {source}: {score}", "file": "{clip}", "braces": "{{x"}'
    sink = Webhook(server.url, method="PUT", body=body, headers={"x-room": "attic"})
    sink.handle(event(3, label='a "quoted" \\ dog\n'))
    sink = Webhook(server.url, body="{label}!", headers={"content-type": "text/plain"})
    sink.handle(event(3, label='a "quoted" dog'))
    (headers, found), (other_headers, text) = server.got
    assert server.methods == ["PUT", "POST"]
    assert found == {"text": 'a "quoted" \\ dog\n in garden: 0.900', "file": "", "braces": "{x"}
    assert headers["X-Room"] == "attic"
    assert (text, other_headers["Content-Type"]) == (b'a "quoted" dog!', "text/plain")


def test_a_failing_webhook_is_tried_again(server: Server) -> None:
    server.answers = [503, 500, 200, 404, 500, 500, 500, 500, 500, 200]
    told: list[str] = []
    with SinkDispatcher([Webhook(server.url)], notify=told.append) as out:
        for number in range(4):
            out.send(event(number))
        wait_for(lambda: out.status()["webhook"].handled == 2)
    status = out.status()["webhook"]
    assert server.ids() == [0, 0, 0, 1, 2, 2, 2, 2, 2, 3]
    assert (status.handled, status.failed, status.dropped) == (2, 2, 0)
    assert told[0] == "webhook: http://127.0.0.1 answered 503 Service Unavailable; trying again"
    assert SECRET not in " ".join(told)


def test_a_slow_webhook_stops_nothing(server: Server) -> None:
    server.answers = [1.0, 1.0]
    sink = Webhook(server.url, timeout=0.2)
    with pytest.raises(TryAgain, match=r"http://127.0.0.1 did not answer: .*timed out") as caught:
        sink.handle(event(1))
    assert caught.value.tries == 5
    with SinkDispatcher([sink]) as out:
        begun = time.monotonic()
        for number in range(2, 5):
            out.send(event(number))
        assert time.monotonic() - begun < 0.1
        wait_for(lambda: out.status()["webhook"].handled == 3)
    assert server.ids() == [1, 2, 2, 3, 4]


def test_a_server_that_is_away_gets_all_when_it_comes(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    told: list[str] = []
    with SinkDispatcher([Webhook(f"http://127.0.0.1:{port}/")], notify=told.append) as out:
        for number in range(5):
            out.send(event(number))
        wait_for(lambda: told)
        late = http.server.ThreadingHTTPServer(("127.0.0.1", port), server.http.RequestHandlerClass)
        threading.Thread(target=late.serve_forever, args=(0.02,), daemon=True).start()
        wait_for(lambda: out.status()["webhook"].handled == 5)
        late.shutdown()
        late.server_close()
    assert server.ids() == [0, 1, 2, 3, 4]
    assert "cannot be reached: " in told[0]


def test_a_server_that_asks_for_patience_gets_it(server: Server) -> None:
    server.answers, server.headers = [429, 429], {"Retry-After": "7"}
    with pytest.raises(TryAgain, match="answered 429 Too Many Requests") as caught:
        Webhook(server.url).handle(event())
    assert (caught.value.after, caught.value.tries) == (7.0, None)
    server.headers = {"Retry-After": "99999999"}
    with pytest.raises(TryAgain) as caught:
        Webhook(server.url).handle(event())
    assert caught.value.after == 300


def test_redirects_are_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    server.answers, server.headers = [302], {"Location": server.url}
    sink = Webhook(server.url, secret_env="MY_SECRET", header="X-Token")
    with pytest.raises(WebhookError, match="answered 302 Found: it moved; give its new address"):
        sink.handle(event())
    assert len(server.got) == 1


def test_what_is_no_http_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        sink = Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TryAgain, match="did not answer"):
            sink.handle(event())
        thread.join()


# MQTT


class Broker:
    """As much of MQTT 3.1.1 as a publisher needs; may die, be silent, or refuse."""

    def __init__(self, port: int = 0, *, refuse: bool = False, confirm: bool = True) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self.listener.getsockname()[1]
        self.refuse, self.confirm = refuse, confirm
        self.got: list[tuple[str, str, bool]] = []  # topic, payload, retained
        self.connects: list[bytes] = []
        self.connections: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, IndexError),
            connection,
            connection.makefile("rb") as file,
        ):
            while True:
                kind = file.read(1)[0]
                size = shift = 0
                while True:
                    byte = file.read(1)[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                self.answer(connection, kind, file.read(size))

    def answer(self, connection: socket.socket, kind: int, body: bytes) -> None:
        if kind >> 4 == 1:
            self.connects.append(body)
            connection.sendall(b"\x20\x02\x00" + (b"\x05" if self.refuse else b"\x00"))
        elif kind >> 4 == 3:
            (length,) = struct.unpack(">H", body[:2])
            topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
            quality = kind >> 1 & 3
            self.got.append((topic, rest[2 if quality else 0 :].decode(), bool(kind & 1)))
            if self.confirm and quality:
                connection.sendall(b"\x40\x02" + rest[:2])
        elif kind >> 4 == 8:
            connection.sendall(b"\x90\x03" + body[:2] + b"\x00")
        elif kind >> 4 == 12:
            connection.sendall(b"\xd0\x00")

    def ids(self) -> list[int]:
        return [
            number_of(json.loads(p)["id"]) for topic, p, _ in self.got if topic.endswith("/event")
        ]

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def mqtt(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: audiocnn[mqtt]")
    from audiocnn.streaming.sinks import mqtt

    monkeypatch.setattr(mqtt, "RECONNECT", (1, 1))
    return mqtt


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return int(reserved.getsockname()[1])


def test_mqtt_tells_state_sounds_and_events(mqtt: Any, broker: Broker) -> None:
    sink = mqtt.Mqtt(
        "127.0.0.1", port=broker.port, labels_of={"garden": ["dog", "Dog bark"]}, node="Attic 1"
    )
    with SinkDispatcher([sink]) as out:
        out.send(event(1, type="onset"))
        out.send(event(1))
        out.send(other("gap"))
        out.send(other("scores"))
        wait_for(lambda: out.status()["mqtt"].handled == 3)
    base = "audiocnn/attic_1"
    assert (f"{base}/status", "online", True) in broker.got
    assert broker.got[-1] == (f"{base}/status", "offline", True)
    states = [(p, keep) for topic, p, keep in broker.got if topic == f"{base}/garden/sound/dog"]
    assert states == [("OFF", True), ("ON", True), ("OFF", True)]
    assert [parse_message(p) for t, p, _ in broker.got if t == f"{base}/garden/event"] == [event(1)]
    assert any(topic == f"{base}/garden/gap" for topic, *_ in broker.got)
    assert not any(topic == f"{base}/garden/scores" for topic, *_ in broker.got)
    configs = {t: json.loads(p) for t, p, keep in broker.got if t.endswith("config") and keep}
    assert len(configs) == 3
    config = configs["homeassistant/binary_sensor/audiocnn_attic_1/dog_bark_garden/config"]
    assert config["name"] == "Dog bark"
    assert config["state_topic"] == f"{base}/garden/sound/dog_bark"
    assert config["availability_topic"] == f"{base}/status"
    assert config["device_class"] == "sound"
    assert len({config["unique_id"] for config in configs.values()}) == 3
    assert f"{base}/status".encode() in broker.connects[0]  # the last will
    assert b"offline" in broker.connects[0]


def test_a_broker_that_is_down_at_the_start(mqtt: Any) -> None:
    port, told = free_port(), []
    out = SinkDispatcher([mqtt.Mqtt("127.0.0.1", port=port)], notify=told.append)
    for number in range(3):
        out.send(event(number))
    wait_for(lambda: told)
    assert told == [f"mqtt: no connection to 127.0.0.1:{port}; trying again"]
    broker = Broker(port)
    wait_for(lambda: out.status()["mqtt"].handled == 3)
    out.close()
    assert broker.ids() == [0, 1, 2]
    broker.stop()


def test_a_broker_that_goes_and_comes_back(
    mqtt: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "CONFIRM", 0.5)
    out = SinkDispatcher([mqtt.Mqtt("127.0.0.1", port=broker.port, labels_of={"garden": ["dog"]})])
    out.send(event(1, type="onset"))
    wait_for(lambda: out.status()["mqtt"].handled == 1)
    broker.stop()
    for number in range(2, 5):
        out.send(event(number, label="cat"))
    wait_for(lambda: out.status()["mqtt"].away)
    again = Broker(broker.port)
    wait_for(lambda: out.status()["mqtt"].handled == 4)
    out.close()
    assert sorted(set(again.ids())) == [2, 3, 4]
    assert next(p for topic, p, _ in again.got if topic.endswith("/sound/dog")) == "ON"
    assert any(topic.endswith("/status") and p == "online" for topic, p, _ in again.got)
    again.stop()


def test_a_broker_that_does_not_confirm(mqtt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "CONFIRM", 0.2)
    broker = Broker(confirm=False)
    told: list[str] = []
    out = SinkDispatcher([mqtt.Mqtt("127.0.0.1", port=broker.port)], notify=told.append)
    wait_for(lambda: broker.got)
    out.send(event(1))
    wait_for(
        lambda: any(
            "does not confirm" in sentence for sentence in [*told, out.status()["mqtt"].reason]
        )
    )
    time.sleep(0.5)
    assert broker.ids() == [1]  # published once, however often it was waited for
    begun = time.monotonic()
    out.close(timeout=0.5)
    assert time.monotonic() - begun < 2
    broker.stop()


def test_a_connection_lost_while_waiting_is_tried_again(mqtt: Any, broker: Broker) -> None:
    class Lost:
        def wait_for_publish(self, timeout: float) -> None:
            raise RuntimeError("not currently connected")

    sink = mqtt.Mqtt("127.0.0.1", port=broker.port, labels_of={"garden": ["dog"]}, discovery="")
    wait_for(lambda: "online" in [p for _, p, _ in broker.got])
    message = event(1)
    sink._trying = message, [Lost()]
    with pytest.raises(TryAgain, match="not currently connected"):
        sink.handle(message)
    sink.handle(message)  # published anew
    assert broker.ids() == [1]
    sink.close()
    assert not any("config" in topic for topic, *_ in broker.got)


def test_a_refused_password_is_said_but_not_shown(
    mqtt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOCNN_MQTT_PASSWORD", SECRET)
    broker = Broker(refuse=True)
    sink = mqtt.Mqtt("127.0.0.1", port=broker.port, user="me")
    wait_for(lambda: sink._refused)
    with pytest.raises(TryAgain, match=r"no connection to .*Not authorized") as caught:
        sink.handle(event())
    assert SECRET.encode() in broker.connects[0]
    assert SECRET not in f"{caught.value} {sink!r}"
    sink.close()
    broker.stop()


def mosquitto(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    port = free_port()
    (folder / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)

    def is_up() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_for(is_up)
    return process, port


DYING = """
import sys, time
from audiocnn.streaming.sinks.mqtt import Mqtt
from tests.live_messages import event
sink = Mqtt("127.0.0.1", port=int(sys.argv[1]), node="dying", labels_of={"garden": ["dog"]})
while not sink._client.is_connected():
    time.sleep(0.01)
sink.handle(event(1, type="onset"))
print("told", flush=True)
time.sleep(60)
"""


def test_a_real_broker_gives_the_last_will(mqtt: Any, tmp_path: Path) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    process, port = mosquitto(tmp_path)
    got: list[tuple[str, str]] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: got.append((message.topic, message.payload.decode()))
    client.connect("127.0.0.1", port)
    client.subscribe("#", qos=1)
    client.loop_start()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", DYING, str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as listener:
            assert listener.stdout
            assert listener.stdout.readline() == "told\n"
            wait_for(lambda: ("audiocnn/dying/garden/sound/dog", "ON") in got)
            assert ("audiocnn/dying/status", "online") in got
            listener.kill()
        wait_for(lambda: ("audiocnn/dying/status", "offline") in got)
        assert any(
            t == "homeassistant/binary_sensor/audiocnn_dying/dog_garden/config" for t, _ in got
        )
    finally:
        client.disconnect()
        client.loop_stop()
        process.terminate()
        process.wait()


# Wrong values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Command("rm -rf {label}"), "the command must be a list, as ["),
        (lambda: Command([]), "the command must be a list"),
        (lambda: Command(["no-such-program"]), "there is no program 'no-such-program'"),
        (lambda: Command(["{label}"]), "there is no program '{label}'"),
        (lambda: Command(["true", "{lable}"]), "no placeholder {lable} (did you mean 'label'?)"),
        (lambda: Command(["true"], time_limit=0), "time_limit must be above 0 seconds, got 0"),
        (lambda: Webhook("file:///etc/passwd"), "must begin with https:// or http://"),
        (lambda: Webhook("http://me:pw@host/"), "no passwords in the address; use secret_env"),
        (lambda: Webhook("http://host", secret_env="NOT_SET"), "variable 'NOT_SET' is not set"),
        (lambda: Webhook("http://host", header="A: b"), "'A: b' is no name of a header"),
        (lambda: Webhook("http://host", method="GET"), "method must be POST, PUT, PATCH, got"),
        (lambda: Webhook("http://host", body="{lable}"), "{lable} (did you mean 'label'?)"),
        (lambda: Webhook("http://host", body='{"a": {label}}'), "body is no JSON"),
        (lambda: Webhook("http://host", headers={"X-Api-Key": "1"}), "carries a secret: give"),
        (lambda: Webhook("http://host", headers={"a b": "1"}), "'a b' is no header"),
        (lambda: Webhook("http://host", timeout=0), "timeout must be above 0 seconds, got 0"),
    ],
)
def test_wrong_values_are_said(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


def test_a_secret_of_two_lines_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", f"{SECRET}\r\nX-Other: 1")
    with pytest.raises(ArgumentError, match="MY_SECRET must be one line") as caught:
        Webhook("http://host", secret_env="MY_SECRET")
    assert SECRET not in str(caught.value)


def test_mqtt_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from audiocnn.streaming.sinks.mqtt import Mqtt

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "paho.mqtt.client", None)
        with pytest.raises(ArgumentError, match=r"pip install 'audiocnn\[mqtt\]'"):
            Mqtt("host")
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    monkeypatch.delenv("AUDIOCNN_MQTT_PASSWORD", raising=False)
    with pytest.raises(ArgumentError, match="'AUDIOCNN_MQTT_PASSWORD' is not set"):
        Mqtt("host", user="me")
    with pytest.raises(ArgumentError, match="no broker 'host' with port 99999"):
        Mqtt("host", port=99999)


def test_wants_of_sinks() -> None:
    assert Webhook("http://host", wants=MessageFilter(("gap",))).wants.take(other("gap"))
