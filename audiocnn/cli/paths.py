"""Which recordings are meant: files, folders and URLs, by patterns."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.model_input import find_for
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.remote import find_remote, is_url
from audiocnn.labeling.tasks import FileFingerprint


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
    stamps: Mapping[str, FileFingerprint]


def reading_of(args: argparse.Namespace, front: FrontEnd | None = None) -> SignalReadOptions:
    """Say how signals are to be read, by the options that were given.

    Parameters
    ----------
    args
        With what `audiocnn.cli.options.parsing.add_reading` adds.
    front
        Of the model; None if there is none.

    Raises
    ------
    ArgumentError
        If there are options for other signals, and the model is one of sound.
    """
    options = {name: getattr(args, name, None)
               for name in ("columns", "time", "rate", "missing", "labels")}  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    if given and front is not None and front.sound:
        raise ArgumentError(
            f"--{next(iter(given))} is for signals other than sound, and the model hears sound"
        )
    if "columns" in given:
        names = (name.strip() for name in str(given["columns"]).split(","))
        given["columns"] = tuple(name for name in names if name)
    return SignalReadOptions(**given)


def gather(
    paths: Iterable[str], front: FrontEnd, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Meant:
    """List the recordings that are meant, for a model.

    Parameters
    ----------
    paths
        Files, folders (to any depth) and URLs.
    front
        The model's front end: whether these are recordings of sound.
    include, exclude
        Patterns as of a shell, for the path or the name alone: only what matches one
        of the first (if there are any), and none of the others.
    """
    found: dict[str, FileFingerprint | None] = {}
    missing = []
    for path in paths:
        try:
            if is_url(path):
                found |= {
                    r.url: FileFingerprint(r.size, 0, r.version) for r in find_remote(path, front)
                }
            else:
                found |= dict.fromkeys(map(str, find_for([path], front)))
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
