"""PortAudio, of which a process has exactly one: loading it, and one thread at a time.

PortAudio reads the list of devices once, when it is initialised, and terminating
it to read the list anew closes every stream of the process. So the list is read
anew only while no stream is open, and only one thread at a time opens anything.
This module holds what is common to the whole process: the lock, and the open streams.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from audiocnn.errors import DeviceError

INSTALL = {
    "linux": "on Debian, Ubuntu and Raspberry Pi OS 'sudo apt install libportaudio2', "
    "on Fedora 'sudo dnf install portaudio', on Arch 'sudo pacman -S portaudio'",
    "darwin": "'pip install --force-reinstall sounddevice' brings it, 'brew install portaudio' too",
    "win32": "'pip install --force-reinstall sounddevice' brings it",
}
PATIENCE = 1.0  # with a stream that is to be closed, and with everything at exit
TURN = 5.0  # who waits longer for a turn goes without: the other one hangs in a dead device
BUSY, BAD_RATE, BAD_CHANNELS = -9985, -9997, -9998  # PaErrorCode

_turn = threading.Lock()
_stderr: list[int] = []  # where standard error went before it was hushed
_open: set[int] = set()


def load() -> Any:
    """Give the module sounddevice.

    Raises
    ------
    DeviceError
        If it or PortAudio is not installed; says which package to install.
    """
    first = "sounddevice" not in sys.modules
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError("sounddevice is not installed: 'pip install sounddevice'") from error
    except OSError as error:  # how sounddevice says that it found no PortAudio
        how = INSTALL.get(sys.platform, "install the package of your system that has it")
        raise DeviceError(f"PortAudio, which opens microphones, is not installed: {how}") from error
    if first:
        atexit.register(_before_exit, sounddevice)
    return sounddevice


def _before_exit(sd: Any) -> None:
    """Keep other threads out of PortAudio when sounddevice terminates it, or that hangs."""
    ours = _turn.acquire(timeout=PATIENCE)  # and never given back
    _speak()
    if not (ours and wait_until_closed()):
        atexit.unregister(sd._exit_handler)


@contextlib.contextmanager
def turn() -> Iterator[bool]:
    """Wait until no other thread opens or lists devices, and have it quiet meanwhile.

    PortAudio and ALSA write a screenful to standard error for each device that does not
    open, and know no other way to be silenced than to send it elsewhere for that time.

    Yields
    ------
    bool
        False if the other one has not come back for 5 s.
    """
    ours = _turn.acquire(timeout=TURN)
    try:
        if ours:
            _hush()
        else:  # a thread that hangs must not silence stderr for good
            _speak()
        yield ours
    finally:
        if ours:
            _speak()
            _turn.release()


def _hush() -> None:
    with contextlib.suppress(OSError):  # no standard error at all
        _stderr.append(os.dup(2))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _speak() -> None:
    with contextlib.suppress(OSError, IndexError):
        before = _stderr.pop()
        os.dup2(before, 2)
        os.close(before)


def read_list_anew() -> None:
    """Make PortAudio see the devices that there are now, unless that would close a stream.

    To be called in a `turn`.
    """
    if _open:
        return
    sd = load()
    with contextlib.suppress(sd.PortAudioError):
        sd._terminate()
    with contextlib.suppress(sd.PortAudioError):  # the next list is empty, and says so
        sd._initialize()


def opened(stream: Any) -> None:
    """Note that a stream is open."""
    _open.add(id(stream))


def close(stream: Any, guard: threading.Lock) -> None:
    """Close a stream, in a thread of its own: where a device has died, this may hang.

    A stream that hangs counts as open, so that PortAudio is not terminated under it.
    ``guard`` is held while it is closed.
    """

    def do_close() -> None:
        with guard:
            with contextlib.suppress(sd.PortAudioError):
                stream.abort()  # some host APIs hang in closing what was not stopped
            with contextlib.suppress(sd.PortAudioError):
                stream.close()
        _open.discard(id(stream))

    sd = load()
    threading.Thread(target=do_close, name="audiocnn-close", daemon=True).start()
    if not wait_until_closed(stream):  # sounddevice's terminating at exit would hang too
        atexit.unregister(sd._exit_handler)


def wait_until_closed(stream: Any = None) -> bool:
    """Wait until a stream, or every one, is closed, at most a second; say whether it is."""
    end = time.monotonic() + PATIENCE
    while id(stream) in _open if stream is not None else _open:
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
