"""Which microphone PulseAudio or PipeWire really gives a stream.

Where a sound server is between PortAudio and the devices, an unplugged microphone does not
end its stream: the server moves it to another one, without a word to the program. This
module asks the server, by `pactl`, which source is behind each stream of this process, and
moves a stream back when its own source is there again.

    pactl subscribe ──> changed ──> list source-outputs ──> stream 7: alsa_input.usb-...

One thread for the process reads `pactl subscribe`, so that nothing is polled. Without
`pactl`, or without a sound server, nothing is known and nothing is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from typing import Any

PATIENCE = 3.0  # seconds for one answer of pactl

_guard = threading.Lock()
_streams: dict[int, str] = {}  # index of a stream of this process to the name of its source
_wanted: dict[int, str] = {}  # streams that are to be moved back, and where
_claimed: set[int] = set()
_watch: subprocess.Popen[str] | None = None


def claim() -> int | None:
    """Find the stream that this process has just opened.

    To be called right after a device was started, in the same turn at PortAudio: the newest
    stream of this process that no other device has.

    Returns
    -------
    int | None
        Its number at the server; None if there is no server, or it is not asked.
    """
    if not _start():
        return None
    _refresh()
    with _guard:
        free = [index for index in _streams if index not in _claimed]
        if not free:
            return None
        _claimed.add(max(free))
        return max(free)


def release(stream: int | None) -> None:
    """Forget a stream that was closed."""
    with _guard:
        if stream is not None:
            _claimed.discard(stream)
            _wanted.pop(stream, None)


def source_of(stream: int | None) -> str | None:
    """Give the name of the source behind a stream, as it is known; None if it is not."""
    return None if stream is None else _streams.get(stream)


def bring_back(stream: int, source: str) -> None:
    """Have a stream moved to a source as soon as that exists; returns at once."""
    with _guard:
        if _wanted.get(stream) == source:
            return
        _wanted[stream] = source
    threading.Thread(target=_move_back, name="audiocnn-move", daemon=True).start()


def _start() -> bool:
    """Start to watch the server, once."""
    global _watch
    with _guard:
        if _watch is not None and _watch.poll() is None:
            return True
        if not _is_running() or shutil.which("pactl") is None:
            return False
        _watch = subprocess.Popen(
            ["pactl", "subscribe"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=_environment(), start_new_session=True,
        )  # fmt: skip
        threading.Thread(
            target=_read, args=(_watch,), name="audiocnn-sound-server", daemon=True
        ).start()
    return True


def _is_running() -> bool:
    """Whether there is a server: pactl would start one where there is none."""
    if os.environ.get("PULSE_SERVER"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folders = [os.environ.get("PULSE_RUNTIME_PATH", ""), runtime and os.path.join(runtime, "pulse")]
    return any(folder and os.path.exists(os.path.join(folder, "native")) for folder in folders)


def _read(watch: subprocess.Popen[str]) -> None:
    """Follow the server's changes until it ends."""
    with watch:
        for line in watch.stdout or ():
            if "source" in line:
                _refresh()
                _move_back()
    with _guard:
        _streams.clear()


def _refresh() -> None:
    outputs, sources = _ask("list", "source-outputs"), _ask("list", "sources", "short")
    if outputs is None or sources is None:
        return
    names = {source.get("index"): str(source.get("name")) for source in sources}
    found = {}
    for output in outputs:
        process = output.get("properties", {}).get("application.process.id")
        if str(process) == str(os.getpid()) and output.get("source") in names:
            found[int(output["index"])] = names[output["source"]]
    with _guard:
        _streams.clear()
        _streams.update(found)


def _move_back() -> None:
    with _guard:
        wanted = {k: name for k, name in _wanted.items() if _streams.get(k) not in (None, name)}
    if not wanted:
        return
    there = {str(source.get("name")) for source in _ask("list", "sources", "short") or ()}
    for stream, name in wanted.items():
        if name in there:
            _ask("move-source-output", str(stream), name)


def _ask(*arguments: str) -> Any:
    """Give pactl's answer; None if there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(
            ["pactl", "--format=json", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE, check=True, env=_environment(),
        )  # fmt: skip
        return json.loads(done.stdout) if done.stdout.strip().startswith(("[", "{")) else []
    return None


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}
