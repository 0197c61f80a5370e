"""Recordings that lie elsewhere, named by URL: found and fetched by fsspec (``audiocnn[remote]``).

A recording is copied into a temporary file before it is read, and labelled there:
decoders seek, and a connection that breaks in the middle must not look like a damaged
recording. What is told of it names its URL. Nothing but this module imports fsspec, and
it does so when it meets a URL.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule
from audiocnn.io.audio.reader import AUDIO_SUFFIXES
from audiocnn.io.recording import ARCHIVE_SUFFIX, SIGNAL_SUFFIXES
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.label import NO_TAPS, Labeled, Observers, label_recording

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # C:\ is none
WHEN = ("mtime", "LastModified", "last_modified", "updated", "modified", "created", "ETag", "etag")


@dataclass(frozen=True)
class Remote:
    """A recording that lies elsewhere.

    Parameters
    ----------
    url
        Where.
    size
        Bytes; -1 if its server does not say.
    version
        What changes when it is written again, as its server tells it; may be empty.
    """

    url: str
    size: int
    version: str


def is_url(path: str) -> bool:
    """Tell URLs from paths."""
    return URL.match(path) is not None


def find_remote(url: str, front: FrontEnd | None = None) -> list[Remote]:
    """List the recordings below a URL, at any depth, or the one that it names.

    Parameters
    ----------
    url
        As in s3://bucket/folder; what fsspec has a package for.
    front
        Of the model, if it is one of other signals than sound.

    Returns
    -------
    list of Remote
        Sorted by URL; hidden ones are left out.

    Raises
    ------
    AudioError
        If there is none, or it cannot be reached.
    """
    with _speaking(url):
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
    """Give the file of a path or URL: itself, or a copy that is there for as long.

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
        with _speaking(path):
            system, inner = _import_fsspec().url_to_fs(path)
            system.get_file(inner, str(there))
        yield there


def label_anywhere(
    bundle: Bundle,
    path: str,
    *,
    hop: float | None = None,
    rules: Mapping[str, EventRule] | None = None,
    taps: Observers = NO_TAPS,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Labeled:
    """Label a recording as `label_recording` does, wherever it lies."""
    if not is_url(path):
        return label_recording(bundle, path, hop=hop, rules=rules, taps=taps, reading=reading)

    def under_its_url(tell: Callable[..., None] | None) -> Callable[..., None] | None:
        return tell and (lambda _, *told: tell(path, *told))

    here = Observers(*map(under_its_url, (taps.windows, taps.frames, taps.heard)))
    try:
        with local_copy(path) as there:
            result = label_recording(
                bundle, there, hop=hop, rules=rules, taps=here, reading=reading
            )
            return renamed(result, there, path)
    except AudioError as error:  # it could not be fetched
        return Labeled(path, error=str(error))


def renamed(result: Labeled, there: Path, name: str) -> Labeled:
    """Tell what came of a recording under the name that the user gave it."""
    if str(there) == name:
        return result
    return replace(
        result,
        path=name,
        events=tuple(replace(event, source=name) for event in result.events),
        error=result.error.replace(str(there), name),
    )


@contextlib.contextmanager
def _speaking(url: str) -> Iterator[None]:
    """Say whatever a file system, of which there are many, has to say, with the URL."""
    try:
        yield
    except AudiocnnError:
        raise
    except ImportError as error:
        raise AudiocnnError(f"{url}: {error}") from error
    except FileNotFoundError as error:
        why = f" ({error.__cause__})" if error.__cause__ else ""  # as of a server that is not there
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
    """Write a time as seconds since 1970, whichever way a file system has told it."""
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
