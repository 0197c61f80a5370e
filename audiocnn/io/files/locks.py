"""One process at a time at some work: a lock beside it, that dies with whoever holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, AudiocnnError

HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # what systems say of a lock that is taken


@contextlib.contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Keep others away from ``path`` while this process works on it.

    Parameters
    ----------
    path
        The lock is a file beside it.
    work
        What the other one is then said to be: ``"another run is writing it"``.

    Raises
    ------
    AudiocnnError
        If another process holds the lock.
    ArgumentError
        If nothing can be written there.

    Notes
    -----
    A file system that knows no locks (some across a network) grants every one.
    """
    lock = Path(f"{path}-lock")
    with contextlib.ExitStack() as stack:
        while True:
            try:
                file = stack.enter_context(lock.open("a+b"))
            except OSError as error:
                raise ArgumentError(f"cannot write {path}: {error.strerror}") from error
            try:
                _lock(file)
            except OSError as error:
                if error.errno in HELD:
                    raise AudiocnnError(
                        f"{path}: {work}; wait for its end, or name another output"
                    ) from None
            if _is(file, lock):
                break  # else it was removed between opening and locking it
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows keeps what is open
                lock.unlink()


def _is(file: Any, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _lock(file: Any) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
