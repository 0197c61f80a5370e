"""What a user should know of a recording although it can be read to its end."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

LOG = logging.getLogger(__name__)
UNIT, SPIKES, PHASE, HEADER, TRACKS = "unit", "spikes", "opposite phase", "header", "tracks"


class Note(NamedTuple):
    """A remark on a recording.

    Parameters
    ----------
    kind
        One of the constants of this module.
    text
        The predicate of a sentence whose subject is the recording.
    """

    kind: str
    text: str


def log_notes(path: Path, notes: Iterable[Note]) -> None:
    """Log notes on a recording, each once in a process."""
    for note in notes:
        _log_once(str(path), note.text)


@functools.lru_cache(maxsize=1 << 14)
def _log_once(path: str, text: str) -> None:
    LOG.warning("%s %s", path, text)
