"""Embedding tasks: the embeddings of all windows of a recording, here or in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError, about
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.embeddings import embed
from audiocnn.inference.model_input import read_for, read_part
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import audio_info
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.fingerprints import UNKNOWN, FileFingerprint
from audiocnn.labeling.remote import local_copy
from audiocnn.labeling.tasks import LabelJob, LabelTask, WorkerJob, bundle_of

LONGEST_EXAMPLE = 600.0  # seconds
QUIET_DB = 20.0  # below the loudest window of an example
Progress = Callable[[str, float, float | None], None]


@dataclass(frozen=True, eq=False)
class EmbeddedRecording:
    """The embeddings of a recording.

    Parameters
    ----------
    path
        The recording, as the user named it.
    begins, ends
        (W,) seconds, of each window.
    vectors
        (W, D) float16 or float32.
    seconds
        End of the last sample that was read.
    error
        Why it could not be read (to its end); empty if it could.
    fingerprint
        Of the file.
    """

    path: str
    begins: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    ends: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    vectors: NDArray[np.floating] = field(default_factory=lambda: np.empty((0, 0), np.float16))
    seconds: float = 0.0
    error: str = ""
    fingerprint: FileFingerprint = UNKNOWN


def embed_task(
    bundle: Bundle,
    job: LabelJob,
    task: LabelTask,
    progress: Progress | None = None,
    *,
    half: bool = False,
) -> EmbeddedRecording:
    """Compute the embeddings of a recording, up to its end or the first damage.

    Parameters
    ----------
    bundle, job
        The model; hop and reading options of the job.
    task
        A whole recording.
    progress
        Called as ``Observers.progress`` is.
    half
        Whether vectors are rounded to float16 on the way, for an index.
    """
    begins, ends, vectors, error, clock = [], [], [], "", _Clock()
    try:
        with local_copy(task.location) as path, about(path):
            blocks = clock.watch(read_for(path, bundle.front, job.reading), task.name, progress)
            for run in embed(bundle, blocks, job.hop):
                begins.append(run.begins)
                ends.append(run.ends)
                vectors.append(as_float16(run.values.T) if half else run.values.T)
    except AudioError as problem:
        error = str(problem.renamed(task.name))
    except Exception as problem:  # a fault in a decoder must not cost other recordings
        error = f"{task.name} broke its decoder ({type(problem).__name__}: {problem})"
    if not begins:
        return EmbeddedRecording(task.name, error=error, fingerprint=task.fingerprint)
    return EmbeddedRecording(
        task.name, np.concatenate(begins), np.concatenate(ends), np.concatenate(vectors),
        clock.seconds, error, task.fingerprint,
    )  # fmt: skip


def embed_task_in_worker(shared: WorkerJob, task: LabelTask) -> EmbeddedRecording:
    """Compute the embeddings of a recording in a worker process, for an index."""
    return embed_task(bundle_of(shared), shared.job, task, half=True)


def embed_part(
    bundle: Bundle, path: str | Path, start: float, end: float | None, reading: SignalReadOptions
) -> NDArray[np.float32]:
    """Compute the embedding of a part of a recording, to search by it.

    Windows quieter by more than `QUIET_DB` than the loudest one are left out, as a pause in
    an example is not what the example is about; the others are averaged.

    Parameters
    ----------
    bundle
        The model.
    path
        The recording.
    start, end
        Seconds; ``end`` None: to the end. A part shorter than a window is widened to one
        around its centre, where the recording allows.
    reading
        How a signal other than sound is read.

    Returns
    -------
    (D,) float32

    Raises
    ------
    ArgumentError
        If it is longer than `LONGEST_EXAMPLE`.
    AudioError
        If it cannot be read.
    """
    if bundle.front.sound:
        length = (audio_info(path).duration or 0.0 if end is None else end) - start
        if length > LONGEST_EXAMPLE:
            raise ArgumentError(
                f"an example of {length:.0f} s is longer than {LONGEST_EXAMPLE:g} s: name a part "
                f"of it, as in {path}:10-12"
            )
    if end is not None and end - start < bundle.window:
        start = max(0.0, (start + end - bundle.window) / 2)
        end = start + bundle.window
    blocks = list(read_part(path, bundle.front, start, end, reading))
    vectors, powers = [], []
    samples = np.concatenate([block.samples for block in blocks], axis=-1).astype(np.float64)
    for run in embed(bundle, blocks):
        vectors.append(run.values.T)
        for begin, stop in zip(run.begins, run.ends, strict=True):
            first, last = round(begin * bundle.rate), round(stop * bundle.rate)
            powers.append(float(np.mean(samples[..., first : max(first + 1, last)] ** 2)))
    if not vectors:
        raise AudioError(f"{path}: no sample lies between {start:g} s and its end", str(path))
    power = np.array(powers)
    loud = power >= power.max() * 10 ** (-QUIET_DB / 10)
    mean: NDArray[np.float32] = np.concatenate(vectors)[loud].mean(axis=0)
    return mean


def as_float16(values: NDArray[np.floating]) -> NDArray[np.float16]:
    """Round to float16; large values become its largest one, subnormal ones 0."""
    limits = np.finfo(np.float16)
    clipped = np.clip(values, float(limits.min), float(limits.max))
    clipped[np.abs(clipped) < float(limits.smallest_normal)] = 0
    return np.ascontiguousarray(clipped, np.float16)


@dataclass
class _Clock:
    """How far a recording has been read."""

    seconds: float = 0.0

    def watch(
        self, blocks: Iterator[Block], name: str, progress: Progress | None
    ) -> Iterator[Block]:
        """Pass blocks on and note their end."""
        for block in blocks:
            self.seconds = (block.start + block.samples.shape[-1]) / block.rate
            if progress:
                progress(name, self.seconds, None)
            yield block
