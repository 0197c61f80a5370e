"""One process at a time at some work: a lock file beside it, released when its holder ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from audiocnn.errors import ArgumentError, AudiocnnError


@contextlib.contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Keep other processes away from ``path`` while this one works on it.

    Parameters
    ----------
    path
        The lock is a file beside it.
    work
        What the message says of the other process: ``"another run is writing it"``.

    Raises
    ------
    AudiocnnError
        If another process holds the lock.
    ArgumentError
        If nothing can be written there.

    Notes
    -----
    Where the file system knows no locks (some across a network), every lock is granted.
    """
    import filelock  # late: it imports asyncio

    if not path.parent.is_dir():  # filelock would make it
        raise ArgumentError(f"cannot write {path}: there is no folder {path.parent}")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(f"{path}-lock", blocking=False))
        except filelock.Timeout:
            raise AudiocnnError(
                f"{path}: {work}; wait for its end, or name another output"
            ) from None
        except NotImplementedError:
            pass
        except OSError as error:
            raise ArgumentError(f"cannot write {path}: {error.strerror}") from error
        try:
            yield
        finally:
            # Removed while it is held: filelock opens it again if it was removed meanwhile.
            with contextlib.suppress(OSError):  # Windows keeps what is open
                Path(f"{path}-lock").unlink()
