"""One run at a time in a ledger: a lock beside it, that dies with the process that holds it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, AudiocnnError


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other runs away; the lock dies with the process that holds it."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(f"{path}-lock", "a+b"))
        except OSError as error:
            raise ArgumentError(f"cannot write {path}: {error.strerror}") from error
        try:
            _lock(file)
        except OSError:
            raise AudiocnnError(
                f"{path}: another run is writing it; wait for its end, or name another output"
            ) from None
        yield


def _lock(file: Any) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
