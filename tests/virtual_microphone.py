"""A microphone without a sound card: PulseAudio's null sinks, which PortAudio records from.

Import `virtual_microphone` into a test module; it is a fixture. Everything the server
has lies in a temporary folder, so that a PulseAudio of the user is not disturbed. PortAudio
reads ALSA's settings when it is loaded, so what records runs in a process of its own, with
`VirtualMicrophone.environment`.
"""

import ctypes.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

TOOLS = ("pulseaudio", "pactl", "paplay")
ALSA_PLUGIN = "libasound_module_pcm_pulse.so"
SETTINGS = """
pcm.!default {{ type pulse }}
ctl.!default {{ type pulse }}
"""
NAMED = """
pcm.{name} {{ type pulse device {name}.monitor hint {{ show on description "{name}" }} }}
"""


class VirtualMicrophone:
    """A sound server of its own, with sinks whose sound PortAudio hears."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, str] = {}
        alsa = folder / "alsa.conf"
        alsa.write_text("</usr/share/alsa/alsa.conf>\n" + SETTINGS.format())
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PULSE_")},
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "pulse"),
            "PULSE_STATE_PATH": str(folder / "state"),
            "ALSA_CONFIG_PATH": str(alsa),
            "OMP_NUM_THREADS": "1",
        }
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, with no sink."""
        self.server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "--load=module-native-protocol-unix", f"--log-target=file:{self.folder}/pulse.log"],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 10
        while self.pactl("info", check=False).returncode:
            if time.monotonic() > end or self.server.poll() is not None:
                log = self.folder / "pulse.log"
                said = log.read_text(errors="replace") if log.exists() else "nothing"
                raise RuntimeError(f"PulseAudio did not start: {said}")
            time.sleep(0.05)

    def pactl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pactl", *arguments],
            env=self.environment, check=check, capture_output=True, text=True, timeout=20,
        )  # fmt: skip

    def name(self, sink: str) -> None:
        """Give a sink a device of its own name; before PortAudio is loaded."""
        with open(self.environment["ALSA_CONFIG_PATH"], "a") as file:
            file.write(NAMED.format(name=sink))

    def plug_in(self, sink: str = "vmic", rate: int = 44100) -> None:
        """Load a sink: the device is there."""
        # Without rewinds its sound comes every 50 ms; else the first comes after up to 2 s.
        sink_is = (f"sink_name={sink}", f"rate={rate}", "norewinds=1")
        loaded = self.pactl("load-module", "module-null-sink", *sink_is)
        self.modules[sink] = loaded.stdout.strip()

    def pull_out(self, sink: str = "vmic") -> None:
        """Unload a sink: the device is gone."""
        self.pactl("unload-module", self.modules.pop(sink))

    def play(
        self, samples: np.ndarray, rate: int = 44100, sink: str = "vmic"
    ) -> "subprocess.Popen[bytes]":
        """Play mono samples into the microphone; `wait()` on what is given back."""
        file = tempfile.NamedTemporaryFile(dir=self.folder, suffix=".wav", delete=False)  # noqa: SIM115
        file.close()
        soundfile.write(file.name, np.asarray(samples, np.float32), rate, subtype="FLOAT")
        return subprocess.Popen(["paplay", f"--device={sink}", file.name], env=self.environment)

    def stop(self) -> None:
        """Stop the server."""
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(5)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            self.server = None
            self.modules.clear()


def missing() -> str:
    """Say what is not installed; empty if all is."""
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"{', '.join(tools)} not installed: apt-get install pulseaudio pulseaudio-utils"
    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio is not installed: apt-get install libportaudio2"
    if not any(Path("/usr/lib").glob(f"*/alsa-lib/{ALSA_PLUGIN}")):
        return f"{ALSA_PLUGIN} is not installed: apt-get install libasound2-plugins"
    return ""


@pytest.fixture
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    """Start a sound server with one sink, `vmic`, at 44100 Hz: what the device says it likes."""
    if reason := missing():
        pytest.skip(reason)
    # Not pytest's folder: the path of a socket may be 107 characters long.
    folder = Path(tempfile.mkdtemp(prefix="vmic-"))
    microphone = VirtualMicrophone(folder)
    try:
        microphone.start()
        microphone.plug_in()
        yield microphone
    finally:
        microphone.stop()
        shutil.rmtree(folder, ignore_errors=True)
