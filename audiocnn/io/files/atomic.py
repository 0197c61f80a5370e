"""Atomic writes: a file is complete or absent, also after a crash or a power cut."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".tmp"
LONGEST = 48  # characters of a name, of four bytes at most, in that of its temporary file


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside a file, which replaces the file when the context ends.

    Until then what was there stays, and if it ends by an exception for good. A link is
    followed. What is written is on the disk before it has the name.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = Path(os.path.realpath(path))
    begin = target.name[:LONGEST]  # the longest names have no room for more
    part = target.with_name(f".{begin}.{uuid.uuid4().hex[:8]}{SUFFIX}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def is_left_over(path: Path) -> bool:
    """Return whether a file is the remains of an interrupted write."""
    return path.name.endswith(SUFFIX)
