"""Which recordings are meant: files, folders and URLs, by patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from audiocnn.audio import find_recordings
from audiocnn.errors import AudioError
from audiocnn.labeling.remote import find_remote, is_url


def gather(
    paths: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """List the recordings that are meant, each once, and say what was not found.

    Parameters
    ----------
    paths
        Files, folders (to any depth) and URLs.
    include, exclude
        Patterns as of a shell, for the path or the name alone: only what matches one
        of the first (if there are any), and none of the others.
    """
    found: dict[str, None] = {}
    missing = []
    for path in paths:
        try:
            if is_url(path):
                found |= dict.fromkeys(remote.url for remote in find_remote(path))
            else:
                found |= dict.fromkeys(map(str, find_recordings([path])))
        except AudioError as error:
            missing.append(str(error))
    if include or exclude:
        return [p for p in found if is_meant(p, include, exclude)], missing
    return list(found), missing


def is_meant(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Hold a path against patterns."""
    path = path.replace(os.sep, "/")
    name = path.rpartition("/")[2]

    def matches(pattern: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(name, pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))
