"""A recording of a session: float32 at the input's rate, NaN where samples were lost.

Labelling that file gives the session's scores and events, gaps and all.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.streaming.inputs.chunk import Samples

log = logging.getLogger(__name__)

SUFFIXES = {".wav": "RF64", ".w64": "W64", ".caf": "CAF"}  # that hold more than 4 GB


class Recorder:
    """Writes every chunk of a session; an observer of it.

    Parameters
    ----------
    path
        The file, which must not be there yet; ``.wav``, ``.w64`` or ``.caf``.
    rate
        Samples per second.
    notify
        Called with a sentence if the file cannot be written any further, as on a full disk;
        what is in it stays, and the session goes on.

    Raises
    ------
    ArgumentError
        If the suffix is another, the file is there, or cannot be made.
    """

    def __init__(
        self, path: str | Path, rate: float, notify: Callable[[str], None] | None = None
    ) -> None:
        import soundfile  # here, so that the command line starts quickly

        path = self._path = Path(path)
        self._rate, self._notify = rate, notify or log.warning
        self._written = 0
        self.has_failed = False  # the recording ends before the session
        if path.suffix.lower() not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            raise ArgumentError(f"--record {path}: float32 needs one of {known} as suffix")
        if path.exists():
            raise ArgumentError(f"--record {path}: exists already; name another file, or move it")
        try:
            self._file: Any = soundfile.SoundFile(
                path, "w", round(rate), 1, "FLOAT", format=SUFFIXES[path.suffix.lower()]
            )
        except (soundfile.LibsndfileError, OSError) as error:
            raise ArgumentError(f"--record {path}: cannot be written: {error}") from error

    def add(self, samples: Samples) -> None:
        """Write a chunk."""
        if self.has_failed:
            return
        try:
            self._file.write(np.asarray(samples, np.float32))
            self._written += samples.shape[-1]
        except Exception as error:  # soundfile raises AssertionError where a disk is full
            self.has_failed = True
            free = shutil.disk_usage(self._path.parent).free
            why = f"{free / 1e6:.0f} MB are left on its disk"
            why = f"{str(error).rstrip('.')}; {why}" if str(error) else why
            self._notify(
                f"--record {self._path}: cannot be written any further ({why}); it ends after "
                f"{self._written / self._rate:.1f} s, and listening goes on"
            )

    def tick(self, session: object) -> None:
        """Do nothing: chunks are written as they come."""

    def close(self) -> None:
        """Complete the file."""
        try:
            self._file.close()
        except Exception as error:  # the last bytes found no room
            if not self.has_failed:
                self._notify(f"--record {self._path}: its end is missing: {error}")
