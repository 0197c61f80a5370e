"""Label many recordings: plan the tasks, execute them, put chunks together.

    recordings -> tasks that the ledger has no result for -> executor -> outcomes
    results    <- whole recordings <- chunks joined       <- outcomes

An executor runs tasks in this process, in a process pool or on a cluster; it knows
neither chunks nor the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from audiocnn.errors import Cancelled
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.engine import Grid
from audiocnn.io.audio.decoder import AudioInfo, open_recording
from audiocnn.labeling.chunking import ChunkScores, join_chunks, plan_chunks
from audiocnn.labeling.fingerprints import UNKNOWN, FileFingerprint, fingerprint_of
from audiocnn.labeling.label import NO_OBSERVERS, LabelResult, Observers, events_of
from audiocnn.labeling.ledger import (
    Ledger,
    RecordingState,
    asked_states,
    copy_same_content,
    other_rules,
    replace_events,
)
from audiocnn.labeling.remote import is_url
from audiocnn.labeling.score_codec import unpack_scores
from audiocnn.labeling.tasks import (
    LabelJob,
    LabelTask,
    NotVisible,
    Outcome,
    WorkerLost,
    changed_message,
    label_task,
    make_result,
    task_of,
)

Execute = Callable[[Iterable[LabelTask]], Iterable[tuple[LabelTask, Outcome]]]


@dataclass(frozen=True)
class TaskSelection:
    """Which recordings with a result in the ledger are labelled again.

    Parameters
    ----------
    retry
        Those that failed.
    by_content
        Those whose content has changed, rather than their size or time.
    """

    retry: bool = False
    by_content: bool = False


def pending_tasks(
    ledger: Ledger,
    selection: TaskSelection,
    fingerprints: Mapping[str, FileFingerprint] | None = None,
) -> Iterator[LabelTask]:
    """Give the recordings that a run asks for and the ledger has no result for.

    These are new recordings, those that have changed and, if selected, those that
    failed. A recording that is done and has been deleted stays done.

    Parameters
    ----------
    ledger
        After `list_recordings`.
    selection
        Which recordings are labelled again.
    fingerprints
        Of recordings at URLs.
    """
    fingerprints = fingerprints or {}
    for path, before in list(asked_states(ledger)):
        task = task_of(path)
        task = replace(task, fingerprint=fingerprints.get(path, task.fingerprint))
        if before.state == "failed" and not selection.retry and _is_same(task, before):
            continue
        if before.state == "done" and (task.fingerprint.size < 0 or _is_same(task, before)):
            continue
        if selection.by_content and task.fingerprint.size >= 0 and not is_url(path):
            try:
                fingerprint = fingerprint_of(path, by_content=True)
            except OSError:  # labelling it reports what is wrong
                fingerprint = UNKNOWN
            if fingerprint.digest and copy_same_content(ledger, path, fingerprint):
                continue
        yield task


def execute_here(
    bundle: Bundle,
    job: LabelJob,
    observers: Observers = NO_OBSERVERS,
    stopped: Callable[[], bool] = lambda: False,
) -> Execute:
    """Make an executor that runs tasks in this process, one after the other.

    It ends between two tasks once ``stopped`` returns True, and within a task when an
    observer raises `Cancelled`.
    """

    def execute(tasks: Iterable[LabelTask]) -> Iterator[tuple[LabelTask, Outcome]]:
        with contextlib.suppress(Cancelled):
            for task in tasks:
                if stopped():
                    return
                yield task, label_task(bundle, job, task, observers)

    return execute


def run_tasks(
    bundle: Bundle,
    job: LabelJob,
    tasks: Iterable[LabelTask],
    execute: Execute,
    *,
    chunked: bool = True,
    chunk_done: Callable[[float], None] = lambda seconds: None,
) -> Iterator[LabelResult]:
    """Label recordings.

    Parameters
    ----------
    bundle, job
        The model and the settings.
    tasks
        Whole recordings, taken as they are needed.
    execute
        The executor.
    chunked
        Whether long recordings are executed in chunks. The chunks do not depend on
        the executor, as their scores may differ from those of the whole by rounding.
    chunk_done
        Called with the seconds of sound of each completed chunk.

    Yields
    ------
    LabelResult
        One for each recording, in order of completion: that of ``tasks`` if the
        executor keeps the order.
    """
    plan = _ChunkPlan(job, grid_of(bundle, job.hop), chunked and bundle.front.sound)
    planned = plan.tasks(tasks)
    while True:
        ended = True
        for task, outcome in execute(planned):
            ended = False
            if task.chunk is None:
                yield _result_of(task, outcome)
            elif isinstance(outcome, ChunkScores):
                chunk_done(_length(outcome))
                if (result := plan.add(task, outcome)) is not None:
                    yield result
            else:
                plan.give_up(task)
        if ended or not plan.again:  # without an outcome, the executor was stopped
            return
        planned = plan.tasks(())


def refresh_events(ledger: Ledger, job: LabelJob, rules: int) -> Iterator[str]:
    """Find events by the job's rules where others found them, in stored scores; give paths."""
    for path, scores in other_rules(ledger, rules):
        replace_events(ledger, path, events_of(unpack_scores(scores), job.rules, path), rules)
        yield path


def _is_same(task: LabelTask, before: RecordingState) -> bool:
    one, other = task.fingerprint, before.fingerprint
    if is_url(task.location):  # the server's version takes the place of the digest
        return one == other
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def _result_of(task: LabelTask, outcome: Outcome) -> LabelResult:
    if isinstance(outcome, LabelResult):
        return outcome
    if isinstance(outcome, WorkerLost):
        error = f"{task.name} could not be labelled: {outcome.reason}"
    elif isinstance(outcome, NotVisible):
        error = f"no such file: {task.name}"
    else:
        error = f"{task.name}: {outcome}"
    return LabelResult(task.name, error=error, fingerprint=task.fingerprint)


@dataclass
class _ChunkPlan:
    """Which recordings are executed in chunks, and which chunks have been scored.

    A recording whose chunk fails is executed again as a whole, which reports the fault.
    """

    job: LabelJob
    grid: Grid
    chunked: bool
    infos: dict[str, AudioInfo] = field(default_factory=dict)
    chunks: dict[str, dict[int, ChunkScores | None]] = field(default_factory=dict)
    again: list[LabelTask] = field(default_factory=list)

    def tasks(self, tasks: Iterable[LabelTask]) -> Iterator[LabelTask]:
        """Give tasks, those of long recordings in chunks, and those to be repeated."""
        for task in tasks:
            info = _info(task) if self.chunked else None
            chunks = plan_chunks(info, self.grid) if info else []
            if not chunks or info is None:
                yield task
                continue
            self.infos[task.name] = info
            self.chunks[task.name] = {chunk.first: None for chunk in chunks}
            for chunk in chunks:
                if task.name in self.chunks:  # else it has been given up meanwhile
                    yield replace(task, chunk=chunk)
            yield from self._take_again()
        yield from self._take_again()

    def add(self, task: LabelTask, scores: ChunkScores) -> LabelResult | None:
        """Add the scores of a chunk; return the result once the recording is complete."""
        assert task.chunk is not None
        if task.name not in self.chunks:  # given up
            return None
        chunks = self.chunks[task.name]
        chunks[task.chunk.first] = scores
        if any(chunk is None for chunk in chunks.values()):
            return None
        ordered = [chunk for _, chunk in sorted(self.chunks.pop(task.name).items()) if chunk]
        runs, coverage = join_chunks(ordered, self.infos.pop(task.name), self.grid.rate)
        error, fingerprint = "", task.fingerprint
        if task_of(task.name).fingerprint != fingerprint:
            error = changed_message(task.name)
        elif self.job.by_content:
            with contextlib.suppress(OSError):  # deleted meanwhile: identified by its time alone
                fingerprint = fingerprint_of(task.location, by_content=True)
        return make_result(
            self.job, task.name, runs, coverage, error=error, fingerprint=fingerprint
        )

    def give_up(self, task: LabelTask) -> None:
        """Drop the chunks of a recording, and execute it again as a whole."""
        self.infos.pop(task.name, None)
        if self.chunks.pop(task.name, None) is not None:
            self.again.append(replace(task, chunk=None))

    def _take_again(self) -> Iterator[LabelTask]:
        while self.again:
            yield self.again.pop(0)


def _info(task: LabelTask) -> AudioInfo | None:
    if is_url(task.location):
        return None
    try:
        with open_recording(task.location) as source:
            return source.info
    except Exception:  # a fault in a decoder; labelling the recording reports it
        return None


def _length(chunk: ChunkScores) -> float:
    return float(sum(run.hop * run.values.shape[1] for run in chunk.runs))
