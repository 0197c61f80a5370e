"""What a job sends out, and what a worker makes of it, here or on another machine.

The model travels with the job, as the files of its bundle, and is loaded with all its
checks wherever the work is done: a processor on which it gives other scores refuses it.
A recording is named to the workers by its absolute path or its URL, and its result as
the user named it, so that the output is the same wherever it was made.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import SHIPPED, Bundle, grid_of, load
from audiocnn.inference.events import Event, EventRule
from audiocnn.inference.malloc import keep_freed_memory
from audiocnn.inference.windows import Scores
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.chunking import Part, PartScores, score_part
from audiocnn.labeling.coverage import Coverage
from audiocnn.labeling.label import (
    NO_TAPS,
    Labeled,
    Observers,
    events_of,
    score_recording,
)
from audiocnn.labeling.remote import is_url, local_copy
from audiocnn.labeling.score_codec import joined_runs, pack_scores

CHUNK = 1 << 20  # bytes read at once to tell a file by its content


@dataclass(frozen=True)
class Job:
    """What is the same for all recordings.

    Parameters
    ----------
    model
        The files of the bundle, by name.
    hop
        Seconds between windows; None for the bundle's.
    rules
        When events are found.
    by_content
        Whether a recording's content is to be told by a digest.
    accelerator
        What runs the network, see `load`.
    reading
        How signals other than sound are read.
    """

    model: Mapping[str, bytes] = field(repr=False)
    hop: float | None
    rules: Mapping[str, EventRule]
    by_content: bool = False
    accelerator: str = "cpu"
    reading: SignalReadOptions = DEFAULT_OPTIONS


@dataclass(frozen=True)
class FileFingerprint:
    """What tells that a recording is the one that was read.

    Parameters
    ----------
    size, mtime_ns
        Bytes, and when it was last changed, nanoseconds since 1970; -1 and 0 if
        that is not known.
    digest
        Of its content, or its version as a server tells it; empty if it was not asked for.
    """

    size: int = -1
    mtime_ns: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Errand:
    """A recording that is to be labelled, or a part of it.

    Parameters
    ----------
    name
        As the user named it.
    where
        Its absolute path, or its URL.
    stamp
        Of the file as it was when the job was planned.
    part
        None for all of it.
    """

    name: str
    where: str
    stamp: FileFingerprint = FileFingerprint()
    part: Part | None = None


@dataclass(frozen=True)
class Unseen:
    """A worker does not see a recording.

    Parameters
    ----------
    machine
        Its name.
    """

    machine: str


@dataclass(frozen=True)
class Lost:
    """A task whose worker process or node was lost on every attempt.

    Parameters
    ----------
    reason
        The error that Ray reports.
    """

    reason: str


@dataclass(frozen=True)
class Result:
    """What came of a recording.

    Parameters
    ----------
    name
        As the user named it.
    stamp
        Of the file as it was when it was read.
    events, coverage, error
        As in `Labeled`.
    scores
        Of its windows, see `pack_scores`.
    """

    name: str
    stamp: FileFingerprint
    events: tuple[Event, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    error: str = ""
    scores: bytes = field(default=b"", repr=False)


def model_files(model: str | Path) -> dict[str, bytes]:
    """Read the files of a bundle, to be sent out.

    Parameters
    ----------
    model
        A shipped name or a folder, which `load` has accepted.
    """
    folder = Path(model) if Path(model).is_dir() else SHIPPED / str(model)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def stamp_of(path: str | Path, by_content: bool = False) -> FileFingerprint:
    """Look at a file.

    Raises
    ------
    OSError
        If it is not there, or cannot be read.
    """
    found = os.stat(RecordingRef.of(path).file)
    return FileFingerprint(found.st_size, found.st_mtime_ns, digest_of(path) if by_content else "")


def digest_of(path: str | Path) -> str:
    """Tell a file, or a series in it, by its content."""
    ref = RecordingRef.of(path)
    there = ref.file
    if not os.path.isfile(there):  # reading a pipe would wait for ever
        raise OSError(errno.EINVAL, "is no regular file")
    found = os.stat(there)
    digest = _digest(os.fspath(there), found.st_size, found.st_mtime_ns)
    return digest if ref.member is None else f"{digest}#{ref.member}"


@functools.lru_cache(maxsize=4)  # a file of many series is asked for each of them
def _digest(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def errand_of(path: str | Path) -> Errand:
    """Say how workers find a recording."""
    name = str(path)
    if is_url(name):
        return Errand(name, name)
    try:
        stamp = stamp_of(name)
    except OSError:  # the worker that looks for it says what is wrong
        stamp = FileFingerprint()
    return Errand(name, os.path.abspath(name), stamp)


def label_errand(
    job: Job, errand: Errand, taps: Observers = NO_TAPS
) -> Result | PartScores | Unseen | AudioError:
    """Label a recording, or score a part of it, wherever this runs.

    Returns
    -------
    Result or PartScores
        What came of it.
    Unseen
        If it is not there.
    AudioError
        If a part cannot be scored: the recording must be read as a whole.
    """
    if not is_url(errand.where) and not RecordingRef.of(errand.where).file.exists():
        return Unseen(socket.gethostname())
    try:
        if errand.part is not None:
            bundle = bundle_of(job)
            found = score_part(bundle, grid_of(bundle, job.hop), errand.where, errand.part)
            return PartScores(tuple(joined_runs(found.runs)), found.end)
        if is_url(errand.where):
            with local_copy(errand.where) as there:
                return label_file(job, errand, there, taps)
        return label_file(job, errand, Path(errand.where), taps)
    except AudioError as error:
        return error if errand.part else Result(errand.name, errand.stamp, error=str(error))


def label_file(job: Job, errand: Errand, path: Path, taps: Observers = NO_TAPS) -> Result:
    """Label the recording of an errand, which lies at ``path`` now."""
    copied = is_url(errand.where)
    try:
        before = errand.stamp if copied else stamp_of(path, job.by_content)
    except OSError as problem:
        return Result(errand.name, FileFingerprint(), error=f"{errand.name}: {problem.strerror}")
    runs, coverage, error = score_recording(
        bundle_of(job), path, hop=job.hop, taps=taps, reading=job.reading
    )
    error = error.replace(str(path), errand.name)
    if not copied and _changed(path, before):
        error = f"{errand.name} changed while it was read: label it again when it is complete"
    return make_result(job, errand.name, before, runs, coverage, error)


def make_result(
    job: Job,
    name: str,
    stamp: FileFingerprint,
    runs: Iterable[Scores],
    coverage: Coverage,
    error: str,
) -> Result:
    """Find the events in the scores of a recording, and pack both."""
    runs = tuple(joined_runs(runs))
    events = events_of(runs, job.rules, name)
    return Result(name, stamp, events, coverage, error, pack_scores(runs))


def as_labeled(result: Result) -> Labeled:
    """Leave out what only a ledger is interested in."""
    return Labeled(result.name, result.events, result.coverage, result.error)


def _changed(path: Path, before: FileFingerprint) -> bool:
    try:
        after = stamp_of(path)
    except OSError:
        return True
    return (after.size, after.mtime_ns) != (before.size, before.mtime_ns)


class _Model:
    """A bundle's files as a key: equal where the files are."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._checksums = files["bundle.json"]  # has those of the others in it

    def __hash__(self) -> int:
        return hash(self._checksums)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Model) and self._checksums == other._checksums


def bundle_of(job: Job) -> Bundle:
    """Load the model of a job, once in the life of a worker."""
    return _load(_Model(job.model), job.accelerator)


@functools.lru_cache(maxsize=1)
def _load(model: _Model, accelerator: str) -> Bundle:
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="audiocnn-") as folder:
        for name, data in model.files.items():
            Path(folder, name).write_bytes(data)
        return load(folder, accelerator=accelerator)
