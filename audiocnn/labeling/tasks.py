"""Labelling tasks: a recording, or a chunk of one, labelled here or on another machine.

Worker processes and nodes receive the model as the files of its bundle and load it with
all its checks, so a processor that computes other scores refuses it. A recording is
located by its absolute path or URL, while results carry the name that the user gave, so
the output does not depend on where the work was done.
"""

from __future__ import annotations

import functools
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import CLIPS, Bundle, grid_of, load
from audiocnn.inference.events import EventRule
from audiocnn.inference.installed import folder_of
from audiocnn.inference.malloc import keep_freed_memory
from audiocnn.inference.windows import Scores
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.chunking import Chunk, ChunkScores, score_chunk
from audiocnn.labeling.coverage import Coverage
from audiocnn.labeling.fingerprints import (
    UNKNOWN,
    FileFingerprint,
    fingerprint_of,
    has_changed,
)
from audiocnn.labeling.label import (
    NO_OBSERVERS,
    LabelResult,
    Observers,
    events_of,
    score_recording,
)
from audiocnn.labeling.remote import is_url, local_copy
from audiocnn.labeling.score_codec import joined_runs, pack_scores


@dataclass(frozen=True)
class LabelJob:
    """What all tasks of a run have in common.

    Parameters
    ----------
    hop
        Seconds between windows; None for the bundle's.
    rules
        Event rules by label; workers score these classes of the model.
    by_content
        Whether recordings are identified by a digest of their content.
    reading
        How signals other than sound are read.
    keep_scores
        Whether results carry the packed window scores.
    """

    hop: float | None
    rules: Mapping[str, EventRule]
    by_content: bool = False
    reading: SignalReadOptions = DEFAULT_OPTIONS
    keep_scores: bool = True


@dataclass(frozen=True)
class WorkerJob:
    """A job as worker processes and nodes receive it, once each.

    Parameters
    ----------
    job
        The job.
    model
        The files of the bundle, by name.
    accelerator
        What runs the network, see `load`.
    """

    job: LabelJob
    model: Mapping[str, bytes] = field(repr=False)
    accelerator: str = "cpu"


@dataclass(frozen=True)
class LabelTask:
    """A recording to be labelled, or a chunk of it to be scored.

    Parameters
    ----------
    name
        The path or URL as the user gave it.
    location
        Its absolute path, or its URL.
    fingerprint
        Of the file when the run was planned.
    chunk
        None for the whole recording.
    """

    name: str
    location: str
    fingerprint: FileFingerprint = UNKNOWN
    chunk: Chunk | None = None


@dataclass(frozen=True)
class NotVisible:
    """A worker does not see the recording of a task.

    Parameters
    ----------
    machine
        Its host name.
    """

    machine: str


@dataclass(frozen=True)
class WorkerLost:
    """A task whose worker process or node was lost on every attempt.

    Parameters
    ----------
    reason
        How it ended.
    """

    reason: str


Outcome = LabelResult | ChunkScores | AudioError | NotVisible | WorkerLost


def task_of(path: str | Path) -> LabelTask:
    """Make the task of labelling a whole recording."""
    name = str(path)
    if is_url(name):
        return LabelTask(name, name)
    try:
        fingerprint = fingerprint_of(name)
    except OSError:  # labelling it reports what is wrong
        fingerprint = UNKNOWN
    return LabelTask(name, os.path.abspath(name), fingerprint)


def label_task(
    bundle: Bundle, job: LabelJob, task: LabelTask, observers: Observers = NO_OBSERVERS
) -> LabelResult | ChunkScores | NotVisible | AudioError:
    """Label a recording, or score a chunk of it.

    Returns
    -------
    LabelResult or ChunkScores
        The result.
    NotVisible
        If the file does not exist on this machine.
    AudioError
        If a chunk cannot be scored: the recording must then be read as a whole.
    """
    if not is_url(task.location) and not RecordingRef.of(task.location).file.exists():
        return NotVisible(socket.gethostname())
    try:
        if task.chunk is not None:
            grid = grid_of(bundle, job.hop)
            scores = score_chunk(bundle, grid, task.location, task.chunk, job.reading.channel)
            return ChunkScores(tuple(joined_runs(scores.runs)), scores.end)
        with local_copy(task.location) as path:
            return _label_file(bundle, job, task, path, observers)
    except AudioError as error:
        if task.chunk:
            return error
        return LabelResult(task.name, error=str(error), fingerprint=task.fingerprint)


def label_task_in_worker(
    shared: WorkerJob, task: LabelTask
) -> LabelResult | ChunkScores | NotVisible | AudioError:
    """Do a task in a worker process or on a node, which loads the model once in its life."""
    return label_task(bundle_of(shared), shared.job, task)


def make_result(
    job: LabelJob,
    name: str,
    runs: Iterable[Scores],
    coverage: Coverage,
    *,
    error: str = "",
    fingerprint: FileFingerprint = UNKNOWN,
) -> LabelResult:
    """Find the events in the window scores of a recording, and pack both."""
    runs = tuple(joined_runs(runs))
    events = events_of(runs, job.rules, name)
    packed = pack_scores(runs) if job.keep_scores else b""
    return LabelResult(name, events, coverage, error, fingerprint, packed)


def changed_message(name: str) -> str:
    """Return the error of a recording that was written to while it was read."""
    return f"{name} changed while it was read: label it again when it is complete"


def _label_file(
    bundle: Bundle, job: LabelJob, task: LabelTask, path: Path, observers: Observers
) -> LabelResult:
    """Label the recording of a task, which lies at ``path`` on this machine."""
    copied = is_url(task.location)
    try:
        before = task.fingerprint if copied else fingerprint_of(path, job.by_content)
    except OSError as problem:
        return LabelResult(task.name, error=f"{task.name}: {problem.strerror}")
    runs, coverage, error = score_recording(
        bundle, path, hop=job.hop, observers=observers, reading=job.reading, name=task.name
    )
    if not copied and has_changed(path, before):
        error = changed_message(task.name)
    return make_result(job, task.name, runs, coverage, error=error, fingerprint=before)


def model_files(model: str | Path) -> dict[str, bytes]:
    """Read the files of a bundle, to send them to workers.

    Parameters
    ----------
    model
        A shipped name or a folder, which `load` has accepted.
    """
    files = (path for path in sorted(folder_of(model).iterdir()) if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name != CLIPS}


class _ModelKey:
    """The files of a bundle as a cache key: equal where the files are."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._checksums = files["bundle.json"]  # contains those of the other files

    def __hash__(self) -> int:
        return hash(self._checksums)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ModelKey) and self._checksums == other._checksums


def bundle_of(shared: WorkerJob) -> Bundle:
    """Load the model of a job, once in the life of a worker."""
    return _load(_ModelKey(shared.model), shared.accelerator, tuple(shared.job.rules))


@functools.lru_cache(maxsize=1)
def _load(model: _ModelKey, accelerator: str, labels: tuple[str, ...]) -> Bundle:
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="audiocnn-") as folder:
        for name, data in model.files.items():
            Path(folder, name).write_bytes(data)
        return load(folder, accelerator=accelerator).select(labels)
