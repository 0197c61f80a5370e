"""Servers of network streams for tests: Icecast and RTSP as Debian has them, and a cutter.

Import what is needed; each is a context manager, and `missing()` says what is not installed.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ICECAST = """<icecast>
  <limits><clients>20</clients><sources>4</sources><burst-size>65535</burst-size>
    <source-timeout>3</source-timeout></limits>
  <authentication><source-password>hackme</source-password>
    <admin-user>admin</admin-user><admin-password>hackme</admin-password></authentication>
  <hostname>localhost</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <paths><basedir>{folder}</basedir><logdir>{folder}</logdir><webroot>{folder}</webroot>
    <adminroot>{folder}</adminroot></paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog></logging>
  <security><chroot>0</chroot>
    <changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>"""

# Runs in the system's Python, which has GObject: port, pipeline, user, password.
RTSP = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, pipeline, user, password = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_service(port)
server.set_address("127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(pipeline)
factory.set_shared(False)
if user:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""
SYSTEM_PYTHON = "/usr/bin/python3"


def missing(*names: str) -> str:
    """Say what is not installed of "icecast", "rtsp" and "av"; empty if all is."""
    if "av" in names:
        try:
            import av  # noqa: F401
        except ImportError:
            return "PyAV is not installed: pip install 'audiocnn[av]'"
    if "icecast" in names:
        for tool in ("icecast2", "ffmpeg"):
            if shutil.which(tool) is None:
                return f"{tool} is not installed: apt-get install {tool}"
    if "rtsp" in names:
        check = "import gi; gi.require_version('GstRtspServer', '1.0')"
        try:
            done = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=30)
        except OSError:
            return f"{SYSTEM_PYTHON} is not installed"
        if done.returncode:
            return ("no RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
                    "gstreamer1.0-plugins-good")  # fmt: skip
    return ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return int(reserved.getsockname()[1])


def wait_for_port(port: int, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < end, f"nothing listens on {port}"
        time.sleep(0.05)


def end(process: "subprocess.Popen[Any] | None") -> None:
    if process is not None:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


class Icecast:
    """An Icecast server, and ffmpeg as the client that sends it sound."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="icecast-"))
        self.folder.chmod(0o777)
        self.process: subprocess.Popen[bytes] | None = None
        self.source: subprocess.Popen[bytes] | None = None

    def url(self, mount: str = "live.ogg") -> str:
        return f"http://127.0.0.1:{self.port}/{mount}"

    def __enter__(self) -> "Icecast":
        config = self.folder / "icecast.xml"
        config.write_text(ICECAST.format(port=self.port, folder=self.folder))
        config.chmod(0o644)
        self.process = subprocess.Popen(
            ["icecast2", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port)
        return self

    def send(self, path: Path, *codec: str, mount: str = "live.ogg", realtime: bool = True) -> None:
        """Send a file, coded as it is said ("-c:a", "flac")."""
        end(self.source)
        self.source = subprocess.Popen(
            ["ffmpeg", "-loglevel", "error", *(["-re"] if realtime else []), "-i", str(path),
             *codec, "-f", "ogg", "-content_type", "application/ogg",
             f"icecast://source:hackme@127.0.0.1:{self.port}/{mount}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def cut(self) -> None:
        """End what is sent; its listeners are thrown out."""
        end(self.source)
        self.source = None

    def __exit__(self, *error: object) -> None:
        self.cut()
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class RtspServer:
    """An RTSP server that plays a WAV file from its beginning to each client, as 16-bit L16."""

    def __init__(self, path: Path, user: str = "", password: str = "", port: int = 0) -> None:
        self.port, self.path = port or free_port(), path
        self.user, self.password = user, password
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        pipeline = (f"( filesrc location={self.path} ! wavparse ! audioconvert ! "
                    "rtpL16pay name=pay0 pt=96 )")  # fmt: skip
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, "-c", RTSP, str(self.port), pipeline, self.user, self.password],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"
        wait_for_port(self.port)

    def stop(self) -> None:
        end(self.process)
        self.process = None

    def __enter__(self) -> "RtspServer":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class Cutter:
    """A TCP proxy that cuts all connections when asked, and refuses new ones for a while."""

    def __init__(self, port: int) -> None:
        self._target, self._pairs = port, set[tuple[socket.socket, socket.socket]]()
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.n_connections = 0
        self.refusing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        with self._guard:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Cutter":
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target), 5)
                except OSError:
                    client.close()
                    continue
                self.n_connections += 1
                with self._guard:
                    self._pairs.add((client, server))
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end_of in (one, other):
            with contextlib.suppress(OSError):
                end_of.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            one.close()
