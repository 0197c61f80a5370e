"""Playing a sound on this machine, where it has a device for that."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Speaker:
    """Plays sounds, one at a time; does nothing where there is no device."""

    def __init__(self) -> None:
        self._sounddevice: Any = None
        with contextlib.suppress(OSError, ImportError):  # OSError: PortAudio is missing
            import sounddevice

            with contextlib.suppress(sounddevice.PortAudioError, ValueError):
                sounddevice.query_devices(kind="output")
                self._sounddevice = sounddevice

    @property
    def works(self) -> bool:
        """Whether there is a device."""
        return self._sounddevice is not None

    def play(self, samples: NDArray[np.float32], rate: int) -> None:
        """Play samples (N,); a sound that is playing ends."""
        if self._sounddevice is None:
            return
        with contextlib.suppress(self._sounddevice.PortAudioError):
            self._sounddevice.play(np.clip(samples, -1, 1), rate)

    def stop(self) -> None:
        """End the sound."""
        if self._sounddevice is not None:
            self._sounddevice.stop()
