"""What was heard, as a file: float32 at the input's rate, NaN where samples were lost.

Labelling that file gives the session's scores and events, gaps and all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.streaming.inputs.chunk import Samples

SUFFIXES = {".wav": "RF64", ".w64": "W64", ".caf": "CAF"}  # that hold more than 4 GB


class Recorder:
    """Writes every piece of a session.

    Parameters
    ----------
    path
        The file, which must not be there yet; ``.wav``, ``.w64`` or ``.caf``.
    rate
        Samples per second.

    Raises
    ------
    ArgumentError
        If the suffix is another, the file is there, or cannot be made.
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        import soundfile  # here, so that the command line starts quickly

        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            raise ArgumentError(f"--record {path}: float32 needs one of {known} as suffix")
        if path.exists():
            raise ArgumentError(f"--record {path}: is there already; name another file, or move it")
        try:
            self._file: Any = soundfile.SoundFile(
                path, "w", round(rate), 1, "FLOAT", format=SUFFIXES[path.suffix.lower()]
            )
        except (soundfile.LibsndfileError, OSError) as error:
            raise ArgumentError(f"--record {path}: cannot be written: {error}") from error

    def run_network(self, samples: Samples) -> None:
        """Write a piece."""
        self._file.write(np.asarray(samples, np.float32))

    def tick(self, session: object) -> None:
        """Do nothing: everything is written as it comes."""

    def close(self) -> None:
        """Complete the file."""
        self._file.close()
