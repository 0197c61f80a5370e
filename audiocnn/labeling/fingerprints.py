"""Fingerprints of recordings: whether a file is the one that was labelled before."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from audiocnn.io.recording import RecordingRef


@dataclass(frozen=True)
class FileFingerprint:
    """Size, time of modification and, where asked for, digest of a recording.

    Parameters
    ----------
    size, mtime_ns
        Bytes, and time of the last modification in nanoseconds since 1970; -1 and 0
        where unknown.
    digest
        Digest of the content, or the version that a server gives; empty where neither
        was asked for.
    """

    size: int = -1
    mtime_ns: int = 0
    digest: str = ""


UNKNOWN = FileFingerprint()


def fingerprint_of(path: str | Path, by_content: bool = False) -> FileFingerprint:
    """Take the fingerprint of a file.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    """
    found = os.stat(RecordingRef.of(path).file)
    digest = digest_of(path) if by_content else ""
    return FileFingerprint(found.st_size, found.st_mtime_ns, digest)


def has_changed(path: str | Path, before: FileFingerprint) -> bool:
    """Compare size and time of a file with those of an earlier fingerprint."""
    try:
        after = fingerprint_of(path)
    except OSError:
        return True
    return (after.size, after.mtime_ns) != (before.size, before.mtime_ns)


def digest_of(path: str | Path) -> str:
    """Return the digest of a file's content, with the number of the series in it.

    Raises
    ------
    OSError
        If it is not a regular file (reading a pipe would block forever), or cannot be read.
    """
    ref = RecordingRef.of(path)
    if not os.path.isfile(ref.file):
        raise OSError(errno.EINVAL, "is no regular file")
    found = os.stat(ref.file)
    digest = _digest(os.fspath(ref.file), found.st_size, found.st_mtime_ns)
    return digest if ref.member is None else f"{digest}#{ref.member}"


@functools.lru_cache(maxsize=4)  # a file of many series is asked for each of them
def _digest(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
