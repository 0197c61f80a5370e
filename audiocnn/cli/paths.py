"""Recordings of the command line: files, folders and URLs, selected by patterns."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.model_input import find_for
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.fingerprints import FileFingerprint
from audiocnn.labeling.remote import find_remote, is_url


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """Options of a verb that reads signals; see `audiocnn.cli.options.parsing.add_reading`."""

    columns: str | None = None
    time: str | None = None
    rate: float | None = None
    missing: str | None = None
    labels: str | None = None
    channel: str | None = None


@dataclass(frozen=True)
class Recordings:
    """The recordings that paths, folders and URLs of the command line stand for.

    Parameters
    ----------
    paths
        Of the recordings, each once.
    missing
        A sentence for each path that was not found and each folder that cannot be read.
    fingerprints
        Of recordings at URLs, as their servers report them.
    """

    paths: Sequence[str]
    missing: Sequence[str]
    fingerprints: Mapping[str, FileFingerprint]


def reading_of(
    options: ReadingOptions | argparse.Namespace, front: FrontEnd | None = None
) -> SignalReadOptions:
    """Return how signals are to be read, by the options that were given.

    Parameters
    ----------
    options
        The options of a verb.
    front
        Front end of the model; None if there is no model.

    Raises
    ------
    ArgumentError
        If there are options for other signals, and the model is one of sound, or the
        other way round.
    """
    text = getattr(options, "channel", None)
    channel = channel_of(text) if text is not None else None
    if channel is not None and front is not None and not front.sound:
        raise ArgumentError("--channel is for sound, and the model is for other signals: --columns")
    names = ("columns", "time", "rate", "missing", "labels")
    given: dict[str, Any] = {
        name: value for name in names if (value := getattr(options, name, None)) is not None
    }
    if given and front is not None and front.sound:
        raise ArgumentError(
            f"--{next(iter(given))} is for signals other than sound, and the model is one of sound"
        )
    if "columns" in given:
        columns = (name.strip() for name in str(given["columns"]).split(","))
        given["columns"] = tuple(name for name in columns if name)
    return SignalReadOptions(**given, channel=channel)


def channel_of(text: str) -> int | None:
    """Parse ``--channel``: a number from 0, or ``mix`` for the mean of all channels.

    Raises
    ------
    ArgumentError
        If it is neither.
    """
    if text == "mix":
        return None
    if not text.isdecimal():
        raise ArgumentError(f"--channel is a number from 0, or mix, got {text!r}")
    return int(text)


def gather(
    paths: Iterable[str], front: FrontEnd, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Recordings:
    """List the recordings that paths stand for, for a model.

    Parameters
    ----------
    paths
        Files, folders (to any depth) and URLs.
    front
        The model's front end: it decides which files are recordings.
    include, exclude
        Shell patterns for the path or the name alone: only what matches one of the
        first (if there are any), and none of the others.
    """
    found: dict[str, FileFingerprint | None] = {}
    missing: list[str] = []
    refused: list[AudioError] = []
    for path in paths:
        try:
            if is_url(path):
                found |= {
                    r.url: FileFingerprint(r.size, 0, r.version) for r in find_remote(path, front)
                }
            else:
                found |= dict.fromkeys(map(str, find_for([path], front, refused.append)))
        except AudioError as error:
            missing.append(str(error))
    missing += [
        str(error) for error in refused if is_meant(f"{error.path}/", (), exclude)
        and is_meant(str(error.path), (), exclude)
    ]  # fmt: skip
    if include or exclude:
        found = {path: s for path, s in found.items() if is_meant(path, include, exclude)}
    return Recordings(list(found), missing, {path: s for path, s in found.items() if s})


def is_meant(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Tell whether a path matches the patterns."""
    path = path.replace(os.sep, "/")
    name = path.rpartition("/")[2]

    def matches(pattern: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(name, pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))
