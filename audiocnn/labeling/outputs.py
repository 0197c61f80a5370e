"""What a labelling run writes: one file for all, or a folder with one for each recording.

Both are written from a stream of results, from the ledger or as they come, and hold
one recording at a time. A folder mirrors the folders of the recordings, and a file is
named after its recording with all of its name, so that none can take another's place:

    recordings/SITE_A/0430.wav      out/SITE_A/0430.wav.selections.txt
    recordings/SITE_B/0430.wav      out/SITE_B/0430.wav.selections.txt

A recording without events has a file too, or yesterday's events would seem to be
today's; one of which nothing could be heard has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiocnn.annotations.formats import FORMATS, check_format, format_of, rows_of, write_rows
from audiocnn.annotations.records import Row
from audiocnn.annotations.start_times import Clock
from audiocnn.errors import ArgumentError
from audiocnn.labeling.label import Labeled

SUFFIXES = {format: suffix for suffix, format in FORMATS.items()}


@dataclass(frozen=True)
class Output:
    """Where the events go, and how.

    Parameters
    ----------
    path
        A file, or the folder for a file of each recording.
    format
        One of the values of `FORMATS`.
    folder
        Whether it is a folder.
    clock
        None for no wall-clock times.
    """

    path: Path
    format: str
    folder: bool = False
    clock: Clock | None = None


def choose_output(
    path: str | Path, format: str | None = None, clock: Clock | None = None
) -> Output:
    """Understand what was asked for, before the work.

    Parameters
    ----------
    path
        A file whose name ends in one of `FORMATS`; or, if ``format`` is given, any
        file name that ends so, and else a folder, which is made when it is written.
    format
        One of the values of `FORMATS`; None: what the end of the name says.
    clock
        As for `write_events`.

    Raises
    ------
    ArgumentError
        If this makes no sense or needs what is not installed.
    """
    path = Path(path)
    if format is not None:
        check_format(format)
        if not _names_a_file(path):
            if path.exists() and not path.is_dir():
                raise ArgumentError(f"{path} is a file, and --format {format} makes a folder")
            return Output(path, format, folder=True, clock=clock)
        if format_of(path) != format:
            raise ArgumentError(
                f"{path} is {format_of(path)} by its name, and --format says {format}: "
                f"name a folder, or a file that ends in {SUFFIXES[format]}"
            )
    if path.is_dir():
        raise ArgumentError(
            f"{path} is a folder: say with --format {'|'.join(sorted(SUFFIXES))} what to write "
            "for each recording, or name a file"
        )
    return Output(path, check_format(format_of(path)), clock=clock)


def write_outputs(results: Iterable[Labeled], output: Output, *, root: str = "") -> None:
    """Write the events of results, whole or not at all: the one file, or each file.

    Parameters
    ----------
    results
        Taken one by one.
    output
        Where to, and how.
    root
        For a folder: the part of all recordings' paths that names no folder there,
        see `common_folder`.

    Raises
    ------
    ArgumentError
        If a file cannot be written, or its format cannot hold an event.
    """
    if not output.folder:
        rows = _rows(results, output.clock)
        write_rows(rows, output.path, output.format, output.clock)
        return
    made: Path | None = None
    for result in results:
        path = output.path / (_below(result.path, root) + SUFFIXES[output.format])
        if result.error and not result.coverage.scored:
            path.unlink(missing_ok=True)  # of a run in which it could be read
            continue
        if path.parent != made:
            _make(path.parent)
            made = path.parent
        write_rows(rows_of(result.events, output.clock), path, output.format, output.clock)


def common_folder(paths: Iterable[str]) -> str:
    """Give the folder in which all recordings lie, at any depth, with a slash at its end.

    Parameters
    ----------
    paths
        Paths or URLs, taken one by one; with ``/`` between folders.

    Examples
    --------
    >>> common_folder(["rec/a/1.wav", "rec/ab/2.wav"])
    'rec/'
    """
    common: str | None = None
    for path in paths:
        folder = path.replace(os.sep, "/")
        folder = folder[: folder.rfind("/") + 1]
        if common is None:
            common = folder
        while not folder.startswith(common):
            common = common[: common.rfind("/", 0, -1) + 1]
    return common or ""


def _names_a_file(path: Path) -> bool:
    return any(path.name.lower().endswith(suffix) for suffix in FORMATS) and not path.is_dir()


def _rows(results: Iterable[Labeled], clock: Clock | None) -> Iterator[Row]:
    lead = 0.0
    for result in results:
        yield from rows_of(result.events, clock, lead)
        lead += result.coverage.seconds


def _below(path: str, root: str) -> str:
    """Say where below the output's folder a recording's file lies; never above it."""
    rest = path.replace(os.sep, "/").removeprefix(root)
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    parts[:1] = [part.removesuffix(":") for part in parts[:1]]  # C: and s3: are no folders
    return "/".join("_" if part == ".." else part for part in parts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"cannot make the folder {folder}: {error.strerror}") from error
