"""`audiocnn embed`: the embeddings of all windows of recordings, as a file or an index."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocnn.cli.label import default_workers, report_rounding, time_limit
from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, Recordings, gather, reading_of
from audiocnn.cli.progress import Progress, show_progress
from audiocnn.cli.run_summary import counted, duration
from audiocnn.errors import ArgumentError, Cancelled
from audiocnn.inference.bundle import Bundle, checksum, grid_of, load
from audiocnn.inference.embeddings import Embeddings, n_features
from audiocnn.labeling.embedding_files import SUFFIXES, vector_file
from audiocnn.labeling.embedding_index import (
    IndexedRecording,
    IndexSettings,
    IndexWriter,
    writing_index,
)
from audiocnn.labeling.embedding_tasks import (
    EmbeddedRecording,
    embed_task,
    embed_task_in_worker,
)
from audiocnn.labeling.process_pool import run_on_workers
from audiocnn.labeling.remote import is_url
from audiocnn.labeling.tasks import (
    LabelJob,
    LabelTask,
    WorkerJob,
    WorkerLost,
    model_files,
    task_of,
)


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(ReadingOptions):
    """Options of `audiocnn embed`; see its ``--help``."""

    paths: Sequence[str]
    output: str
    model: str
    hop: float | None
    workers: int | None


@dataclass(frozen=True)
class EmbedRun:
    """A run of `audiocnn embed`, checked and ready to start."""

    options: EmbedOptions
    bundle: Bundle
    job: LabelJob
    recordings: Recordings


def run(args: argparse.Namespace) -> int:
    """Embed, write, and report how much; 1 if recordings could not be read to their end."""
    options = options_of(EmbedOptions, args)
    target = Path(options.output)
    as_file = target.suffix.lower() in SUFFIXES
    if not as_file and (target.suffix or target.is_file()):
        raise ArgumentError(
            f"embeddings are written as {', '.join(SUFFIXES)}, or into a folder to search in, "
            f"got {options.output!r}"
        )
    if as_file and options.workers is not None:
        raise ArgumentError("--workers is for an index: give a folder with -o")
    bundle = load(options.model)
    n_features(bundle)
    reading = reading_of(options, bundle.front)
    recordings = gather(options.paths, bundle.front)
    report_rounding(bundle, options.hop)
    job = LabelJob(options.hop, bundle.rules, reading=reading)
    run = EmbedRun(options, bundle, job, recordings)
    with show_progress("embed", len(recordings.paths), graceful=True) as progress:
        for problem in recordings.missing:
            progress.failed += 1
            progress.say(f"audiocnn embed: {problem}")
        n_windows = write_file(run, progress) if as_file else write_index(run, progress)
    print(
        f"{counted(n_windows, 'window')} of {duration(progress.seconds)}, "
        f"{n_features(bundle)} numbers each: {options.output}",
        file=sys.stderr,
    )
    return 130 if progress.interrupted else 1 if progress.failed else 0


def write_file(run: EmbedRun, progress: Progress) -> int:
    """Write all embeddings into a file; return the number of windows."""
    n_windows = 0
    with vector_file(run.options.output, n_features(run.bundle)) as put:
        for found in embed_here(run, map(task_of, run.recordings.paths), progress):
            if len(found.begins):
                put(found.path, Embeddings(found.begins, found.ends, found.vectors.T))
            n_windows += len(found.begins)
            progress.finished(found.seconds, found.error)
        progress.check()  # half a file is of no use
    return n_windows


def write_index(run: EmbedRun, progress: Progress) -> int:
    """Add what an index lacks; return the number of windows that were added."""
    bundle, options, n_windows = run.bundle, run.options, 0
    grid = grid_of(bundle, options.hop)
    model = str(Path(options.model).absolute()) if Path(options.model).is_dir() else options.model
    settings = IndexSettings(
        model, checksum(bundle), grid.hop, bundle.window, n_features(bundle),
        run.job.reading.channel,
    )  # fmt: skip
    with writing_index(options.output, settings) as writer:
        tasks = missing_tasks(run.recordings, writer)
        progress.done = progress.total - len(tasks)
        if progress.done:
            progress.say(f"{progress.done} of {progress.total} recordings are in it already")
        for found in embed_all(run, tasks, progress):
            writer.add(found)
            n_windows += len(found.begins)
            progress.finished(found.seconds, found.error)
    return n_windows


def missing_tasks(recordings: Recordings, writer: IndexWriter) -> list[LabelTask]:
    """List the recordings that an index lacks, or has in another version."""
    tasks = []
    for path in recordings.paths:
        task = task_of(path)
        if is_url(path) and path in recordings.fingerprints:
            task = LabelTask(path, path, recordings.fingerprints[path])
        before = writer.recordings.get(path)
        if before is None or not _is_same(before, task):
            tasks.append(task)
    return tasks


def _is_same(before: IndexedRecording, task: LabelTask) -> bool:
    one, other = before.fingerprint, task.fingerprint
    if is_url(task.location):
        return one == other
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns) or other.size < 0


def embed_all(
    run: EmbedRun, tasks: Sequence[LabelTask], progress: Progress
) -> Iterator[EmbeddedRecording]:
    """Embed recordings in this process or, where it is worth it, in several."""
    n_workers = run.options.workers or default_workers(tasks)
    if n_workers == 1:
        yield from embed_here(run, tasks, progress, half=True)
        return
    shared = WorkerJob(run.job, model_files(run.options.model))
    results = run_on_workers(
        embed_task_in_worker, shared, tasks, n_workers,
        limit=time_limit, stopped=lambda: progress.interrupted,
    )  # fmt: skip
    for task, found in results:
        if isinstance(found, WorkerLost):
            error = f"{task.name} could not be embedded: {found.reason}"
            yield EmbeddedRecording(task.name, error=error, fingerprint=task.fingerprint)
        else:
            yield found


def embed_here(
    run: EmbedRun, tasks: Iterable[LabelTask], progress: Progress, *, half: bool = False
) -> Iterator[EmbeddedRecording]:
    """Embed recordings in this process, one after the other, until Ctrl-C."""
    for task in tasks:
        try:
            progress.check()
            found = embed_task(run.bundle, run.job, task, progress.advance, half=half)
        except Cancelled:
            return
        yield found
