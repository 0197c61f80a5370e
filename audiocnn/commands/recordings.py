"""Which recordings are meant: files, folders and URLs, by patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from audiocnn.audio import find_recordings
from audiocnn.errors import AudioError
from audiocnn.labeling.errands import Stamp
from audiocnn.labeling.remote import find_remote, is_url


@dataclass(frozen=True)
class Meant:
    """Recordings that somebody means.

    Parameters
    ----------
    paths
        Of the recordings, each once.
    missing
        What was not found, a sentence each.
    stamps
        Of those that lie elsewhere, as their servers told.
    """

    paths: Sequence[str]
    missing: Sequence[str]
    stamps: Mapping[str, Stamp]


def gather(paths: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Meant:
    """List the recordings that are meant.

    Parameters
    ----------
    paths
        Files, folders (to any depth) and URLs.
    include, exclude
        Patterns as of a shell, for the path or the name alone: only what matches one
        of the first (if there are any), and none of the others.
    """
    found: dict[str, Stamp | None] = {}
    missing = []
    for path in paths:
        try:
            if is_url(path):
                found |= {r.url: Stamp(r.size, 0, r.version) for r in find_remote(path)}
            else:
                found |= dict.fromkeys(map(str, find_recordings([path])))
        except AudioError as error:
            missing.append(str(error))
    if include or exclude:
        found = {path: s for path, s in found.items() if is_meant(path, include, exclude)}
    return Meant(list(found), missing, {path: s for path, s in found.items() if s})


def is_meant(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Hold a path against patterns."""
    path = path.replace(os.sep, "/")
    name = path.rpartition("/")[2]

    def matches(pattern: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(name, pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))
