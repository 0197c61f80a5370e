"""Recordings at a URL, found and fetched by fsspec (``audiocnn[remote]``).

A recording is copied into a temporary file before it is read: decoders seek, and a
connection that breaks must not look like a damaged recording. Only this module imports
fsspec, and only when it meets a URL.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.io.audio.reader import AUDIO_SUFFIXES
from audiocnn.io.recording import ARCHIVE_SUFFIX, SIGNAL_SUFFIXES

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # C:\ is none
WHEN = ("mtime", "LastModified", "last_modified", "updated", "modified", "created", "ETag", "etag")


@dataclass(frozen=True)
class Remote:
    """A recording at a URL.

    Parameters
    ----------
    url
        Its URL.
    size
        Bytes; -1 if the server does not report it.
    version
        Time of modification or entity tag, as the server reports it; may be empty.
    """

    url: str
    size: int
    version: str


def is_url(path: str) -> bool:
    """Return whether a path is a URL."""
    return URL.match(path) is not None


def find_remote(url: str, front: FrontEnd | None = None) -> list[Remote]:
    """List the recordings below a URL, at any depth, or the one that it names.

    Parameters
    ----------
    url
        For example s3://bucket/folder; any protocol that fsspec has a package for.
    front
        Front end of the model; None for sound.

    Returns
    -------
    list of Remote
        Sorted by URL; hidden ones are left out.

    Raises
    ------
    AudioError
        If there is none, or it cannot be reached.
    """
    with _explaining(url):
        system, path = _import_fsspec().url_to_fs(url)
        info = system.info(path)
        if info["type"] == "file":
            return [_remote(system, path, info)]
        found = system.find(path, detail=True)
    other = front is not None and not front.sound
    suffixes = AUDIO_SUFFIXES | (SIGNAL_SUFFIXES - {ARCHIVE_SUFFIX} if other else frozenset())
    below = path.rstrip("/") + "/"
    recordings = [
        _remote(system, name, info)
        for name, info in found.items()
        if PurePosixPath(name).suffix.lower() in suffixes
        and not any(part.startswith(".") for part in name.removeprefix(below).split("/"))
    ]
    if not recordings:
        raise AudioError(f"no recordings in {url}: none of its files ends as recordings do")
    return sorted(recordings, key=lambda remote: remote.url)


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Give the file of a path, or for the length of the context a copy of a URL's.

    Raises
    ------
    AudioError
        If it cannot be fetched.
    """
    if not is_url(path):
        yield Path(path)
        return
    if PurePosixPath(path).suffix.lower() == ARCHIVE_SUFFIX:
        raise AudioError(f"{path}: series in an archive are not read by URL; copy it here first")
    with tempfile.TemporaryDirectory(prefix="audiocnn-") as folder:
        there = Path(folder, "recording" + PurePosixPath(path).suffix)
        with _explaining(path):
            system, inner = _import_fsspec().url_to_fs(path)
            system.get_file(inner, str(there))
        yield there


@contextlib.contextmanager
def _explaining(url: str) -> Iterator[None]:
    """Report the errors of a file system, which may be any, with the URL."""
    try:
        yield
    except AudiocnnError:
        raise
    except ImportError as error:
        raise AudiocnnError(f"{url}: {error}") from error
    except FileNotFoundError as error:
        why = f" ({error.__cause__})" if error.__cause__ else ""  # for example, no such server
        raise AudioError(
            f"no such file or folder: {url}{why}; check the name and the server"
        ) from error
    except Exception as error:
        said = str(error) or type(error).__name__
        raise AudioError(f"{url} cannot be fetched: {said}") from error


def _remote(system: Any, path: str, info: dict[str, Any]) -> Remote:
    size = info.get("size")
    version = next((_as_text(info[name]) for name in WHEN if info.get(name)), "")
    return Remote(system.unstrip_protocol(path), -1 if size is None else int(size), version)


def _as_text(value: Any) -> str:
    """Format a time as seconds since 1970, in whichever type a file system gives it."""
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return f"{seconds:.6f}" if isinstance(seconds, int | float) else str(seconds)


def _import_fsspec() -> Any:
    try:
        import fsspec.core
    except ImportError as error:
        raise AudiocnnError(
            "recordings at a URL need fsspec, which is not installed; run: "
            "pip install 'audiocnn[remote]'"
        ) from error
    return fsspec.core
