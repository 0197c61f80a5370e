"""What a job sends out, and what a worker makes of it, here or on another machine.

The model travels with the job, as the files of its bundle, and is loaded with all its
checks wherever the work is done: a processor on which it gives other scores refuses it.
A recording is named to the workers by its absolute path or its URL, and its result as
the user named it, so that the output is the same wherever it was made.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiocnn.bundle import SHIPPED, Bundle, grid_of, load
from audiocnn.errors import AudioError
from audiocnn.events import Event, EventRule
from audiocnn.labeling.coverage import Coverage
from audiocnn.labeling.kept import joined_runs, pack_scores
from audiocnn.labeling.parts import Part, PartScores, score_part
from audiocnn.labeling.recordings import events_of, score_recording

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
    """

    model: Mapping[str, bytes] = field(repr=False)
    hop: float | None
    rules: Mapping[str, EventRule]
    by_content: bool = False


@dataclass(frozen=True)
class Errand:
    """A recording that is to be labelled, or a part of it.

    Parameters
    ----------
    name
        As the user named it.
    where
        Its absolute path, or its URL.
    size
        Bytes of work; 0 if that is not known.
    part
        None for all of it.
    """

    name: str
    where: str
    size: int
    part: Part | None = None


@dataclass(frozen=True)
class Stamp:
    """What tells that a file is the one that was read.

    Parameters
    ----------
    size, mtime_ns
        Bytes, and when it was last changed, nanoseconds since 1970.
    digest
        Of its content; empty if that was not asked for.
    """

    size: int = -1
    mtime_ns: int = 0
    digest: str = ""


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
    stamp: Stamp
    events: tuple[Event, ...] = ()
    coverage: Coverage = Coverage()
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


def stamp_of(path: str | Path, by_content: bool = False) -> Stamp:
    """Look at a file.

    Raises
    ------
    OSError
        If it is not there, or cannot be read.
    """
    found = os.stat(path)
    return Stamp(found.st_size, found.st_mtime_ns, digest_of(path) if by_content else "")


def digest_of(path: str | Path) -> str:
    """Tell a file by its content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def label_errand(job: Job, errand: Errand) -> Result | PartScores:
    """Label a recording, or score a part of it, wherever this runs.

    Raises
    ------
    AudioError
        If a part cannot be scored: the recording must be read as a whole.
    """
    bundle = bundle_of(job)
    if errand.part is not None:
        found = score_part(bundle, grid_of(bundle, job.hop), errand.where, errand.part)
        return PartScores(tuple(joined_runs(found.runs)), found.end)
    try:
        before = stamp_of(errand.where, job.by_content)
    except FileNotFoundError:
        error = f"no such file: {errand.name}; it was there when the job began"
        return Result(errand.name, Stamp(), error=error)
    except OSError as problem:
        return Result(errand.name, Stamp(), error=f"{errand.name}: {problem.strerror}")
    return label_file(job, errand.name, errand.where, before)


def label_file(job: Job, name: str, path: str | Path, before: Stamp) -> Result:
    """Label a file as a whole; ``before`` is its stamp."""
    bundle = bundle_of(job)
    runs, coverage, error = score_recording(bundle, path, hop=job.hop)
    error = error.replace(str(path), name)
    try:
        after = stamp_of(path)
    except OSError:
        after = Stamp()
    if (after.size, after.mtime_ns) != (before.size, before.mtime_ns):
        error = f"{name} changed while it was read: label it again when it is complete"
    return make_result(job, name, before, runs, coverage, error)


def make_result(
    job: Job, name: str, stamp: Stamp, runs: Iterable, coverage: Coverage, error: str
) -> Result:
    """Find the events in the scores of a recording, and pack both."""
    runs = tuple(joined_runs(runs))
    events = events_of(runs, job.rules, name)
    return Result(name, stamp, events, coverage, error, pack_scores(runs))


def part_or_error(job: Job, errand: Errand) -> Result | PartScores | AudioError:
    """Label an errand; what is wrong with a part is a result, not an end of the job."""
    try:
        return label_errand(job, errand)
    except AudioError as error:
        return error


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
    return _load(_Model(job.model))


@functools.lru_cache(maxsize=1)
def _load(model: _Model) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="audiocnn-") as folder:
        for name, data in model.files.items():
            Path(folder, name).write_bytes(data)
        return load(folder)
