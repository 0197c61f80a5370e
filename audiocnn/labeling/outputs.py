"""Output of a labelling run: one file for all recordings, or a folder with a file for each.

Both are written from a stream of results, and hold one recording at a time. A folder
mirrors the folders of the recordings, and a file is named after its recording with all of
its name, so that no two share a file:

    recordings/SITE_A/0430.wav      out/SITE_A/0430.wav.selections.txt
    recordings/SITE_B/0430.wav      out/SITE_B/0430.wav.selections.txt

A recording without events has a file too, so that events of an earlier run do not stay;
one that could not be read has none.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiocnn.annotations.formats import (
    FORMATS,
    check_format,
    check_row,
    format_of,
    rows_of,
    write_rows,
)
from audiocnn.annotations.records import Row
from audiocnn.annotations.start_times import Clock
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.reader import audio_info
from audiocnn.labeling.fingerprints import (
    UNKNOWN,
    FileFingerprint,
    digest_of,
    fingerprint_of,
    has_changed,
)
from audiocnn.labeling.label import LabelResult
from audiocnn.labeling.ledger import (
    Ledger,
    add_outputs,
    forget_output,
    has_outputs,
    record_output,
    recorded_outputs,
    written_output,
)
from audiocnn.labeling.remote import is_url

# Errors that concern one file of a folder, so that the others can still be written.
OF_ONE_FILE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR,
                         errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EEXIST})  # fmt: skip
SUFFIXES = {format: suffix for suffix, format in FORMATS.items()}


@dataclass(frozen=True)
class Output:
    """Where the events go, and in which format.

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
    """Choose path and format of the output, before the work.

    Parameters
    ----------
    path
        A file whose name ends in one of `FORMATS`; or, if ``format`` is given, any
        file name that ends so, and else a folder, which is made when it is written.
    format
        One of the values of `FORMATS`; None: by the suffix of the name.
    clock
        As for `write_events`.

    Raises
    ------
    ArgumentError
        If path and format do not fit, or a package that the format needs is missing.
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
                f"{path} is {format_of(path)} by its name, and --format is {format}: "
                f"name a folder, or a file that ends in {SUFFIXES[format]}"
            )
    if path.is_dir():
        raise ArgumentError(
            f"{path} is a folder: choose with --format {'|'.join(sorted(SUFFIXES))} what to write "
            "for each recording, or name a file"
        )
    return Output(path, check_format(format_of(path)), clock=clock)


class EditGuard:
    """Keeps outputs that were changed by hand since the run last wrote them.

    Before a file is replaced, its content is compared with what the ledger recorded when
    the run wrote it. If they differ, the file is kept under another name,
    ``events.csv.edited``.

    Parameters
    ----------
    ledger
        Of the run, open for writing.
    output
        Where the events go.
    say
        Called with a line for each file that is kept.
    prune
        Whether files that the run wrote before and does not write now are removed.
    """

    def __init__(
        self, ledger: Ledger, output: Output, say: Callable[[str], None], *, prune: bool = False
    ) -> None:
        self._ledger, self._output, self._say = ledger, output, say
        # A ledger of version 0.1.0 does not know its outputs: trust that they are its own.
        self._trusting = not has_outputs(ledger)
        self._written: set[str] | None = set() if prune else None
        add_outputs(ledger)

    def protect(self, path: Path) -> None:
        """Keep the file under another name if it is not what the run wrote."""
        before = written_output(self._ledger, path)
        if not path.is_file() or (before is None and self._trusting):
            return
        if before is not None and not (before.digest and _is_edited(path, before)):
            return
        kept = _free_name(path)
        try:
            os.link(path, kept)
        except OSError:  # not every file system has hard links
            shutil.copy2(path, kept)
        self._say(f"{path} was changed since this run last wrote it: kept as {kept}")

    def writing(self, path: Path) -> None:
        """Record that a file is being written, in case the run dies before it is recorded."""
        record_output(self._ledger, path, UNKNOWN)

    def written(self, path: Path) -> None:
        """Record a file that the run has written."""
        record_output(self._ledger, path, fingerprint_of(path, by_content=True))
        if self._written is not None:
            self._written.add(str(path.absolute()))

    def finish(self) -> None:
        """Remove files of recordings that were pruned."""
        if self._written is None or not self._output.folder:
            return
        folder = self._output.path.absolute()
        for path in recorded_outputs(self._ledger):
            if str(path) not in self._written and path.is_relative_to(folder):
                self.protect(path)
                path.unlink(missing_ok=True)
                forget_output(self._ledger, path)


def _is_edited(path: Path, before: FileFingerprint) -> bool:
    if not has_changed(path, before):
        return False
    return digest_of(path) != before.digest


def _free_name(path: Path) -> Path:
    """Return a name for an edited output that is free, and that no reader takes for one."""
    names = itertools.chain(["edited"], (f"edited-{n}" for n in itertools.count(2)))
    return next(kept for name in names if not (kept := Path(f"{path}.{name}")).exists())


def write_outputs(
    results: Iterable[LabelResult],
    output: Output,
    *,
    root: str = "",
    report: Callable[[str], None] | None = None,
    guard: EditGuard | None = None,
) -> None:
    """Write the events of results, each file atomically.

    A row or a file that cannot be written is reported; the others are written.

    Parameters
    ----------
    results
        Taken one by one.
    output
        Where to, and how.
    root
        For a folder: the part of the recordings' paths that is dropped there, see
        `common_folder`.
    report
        Called with a message for each row or file that cannot be written; None: such
        a row or file ends the work.
    guard
        Keeps what was changed by hand.

    Raises
    ------
    ArgumentError
        If the output cannot be written at all, or without ``report`` a part of it.
    """
    if not output.folder:
        rows = _writable(_rows(results, output), output.format, report)
        with _guarded(guard, output.path):
            write_rows(rows, output.path, output.format, output.clock)
        return
    made: Path | None = None
    for result in results:
        path = output.path / (_below(result.path, root) + SUFFIXES[output.format])
        try:
            if result.error and not result.coverage.scored:
                _remove(path, guard)  # of a run in which it could be read
                continue
            if path.parent != made:
                _make(path.parent)
                made = path.parent
            rows = _writable(_rows([result], output, lead=False), output.format, report)
            with _guarded(guard, path):
                write_rows(rows, path, output.format, output.clock)
        except (ArgumentError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            concerns_one = isinstance(cause, OSError) and cause.errno in OF_ONE_FILE
            if report is None or not concerns_one:
                raise
            reason = cause.strerror if isinstance(cause, OSError) else cause
            report(f"{result.path}: cannot write {path}: {reason}")
    if guard:
        guard.finish()


@contextlib.contextmanager
def _guarded(guard: EditGuard | None, path: Path) -> Iterator[None]:
    if guard:
        guard.protect(path)
        guard.writing(path)
    yield
    if guard and path.is_file():  # not a pipe or device
        guard.written(path)


def _remove(path: Path, guard: EditGuard | None) -> None:
    if guard:
        guard.protect(path)
    path.unlink(missing_ok=True)


def _writable(
    rows: Iterable[Row], format: str, report: Callable[[str], None] | None
) -> Iterator[Row]:
    """Leave out and report rows that a format cannot hold."""
    for row in rows:
        if report is not None:
            try:
                check_row(row, format)
            except ArgumentError as error:
                of = row.event.source or "an event"
                report(f"{of} at {row.event.start:.3f} s is left out: {error}")
                continue
        yield row


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


def _rows(results: Iterable[LabelResult], output: Output, *, lead: bool = True) -> Iterator[Row]:
    """Give the rows of results, with what a format needs beside the events."""
    before = 0.0
    for result in results:
        rows = rows_of(result.events, output.clock, before)
        if output.format == "raven" and result.events:
            nyquist = _nyquist(result.path)
            rows = (row._replace(nyquist=nyquist) for row in rows)
        yield from rows
        before += result.coverage.seconds if lead else 0.0


def _nyquist(path: str) -> float | None:
    """Return the highest frequency in a recording, Hz, if its header can be read here."""
    try:
        return None if is_url(path) else audio_info(path).rate / 2
    except AudioError:
        return None


def _below(path: str, root: str) -> str:
    """Return the path of a recording's file below the output folder; never above it."""
    rest = path.replace(os.sep, "/").removeprefix(root)
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    parts[:1] = [part.removesuffix(":") for part in parts[:1]]  # C: and s3: are no folders
    return "/".join("_" if part == ".." else part for part in parts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"cannot make the folder {folder}: {error.strerror}") from error
