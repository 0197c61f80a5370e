"""`audiocnn label`: recordings to events.

With and without ``-o`` recordings are labelled by the same tasks. A run with ``-o`` is
kept: results go into a ledger, and the output is written from it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from audiocnn.annotations.formats import format_events
from audiocnn.cli.label_options import (
    LabelOptions,
    check_not_a_recording,
    check_options,
    clock_from,
)
from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import Recordings, gather, reading_of
from audiocnn.cli.progress import Progress, show_progress
from audiocnn.cli.run_summary import (
    WORTH_A_LINE,
    RunTotals,
    counted,
    finish,
    report_missing,
    report_result,
)
from audiocnn.cli.tables import level_table, score_table
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.inference.bundle import Bundle, checksum, grid_of
from audiocnn.inference.events import Event
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.label import LabelResult, Observers, with_threshold
from audiocnn.labeling.ledger import (
    SUFFIX,
    Ledger,
    RunSettings,
    begin_run,
    count_states,
    list_recordings,
    listed_states,
    open_ledger,
    record,
    remove_ledger,
    results_of,
    settings_of,
)
from audiocnn.labeling.outputs import (
    EditGuard,
    Output,
    choose_output,
    common_folder,
    write_outputs,
)
from audiocnn.labeling.process_pool import run_on_workers
from audiocnn.labeling.ray_runner import connected, label_on_cluster
from audiocnn.labeling.runner import (
    Execute,
    TaskSelection,
    execute_here,
    pending_tasks,
    refresh_events,
    run_tasks,
)
from audiocnn.labeling.sound_levels import recording_levels
from audiocnn.labeling.tasks import (
    LabelJob,
    LabelTask,
    WorkerJob,
    label_task_in_worker,
    model_files,
    task_of,
)
from audiocnn.zoo.class_selection import load_classes

OF_SOUND = frozenset({"audacity", "raven", "kaleidoscope"})  # formats read beside sound
WORTH_WORKERS = 64 << 20  # bytes of sound; less takes no longer than processes take to start
WIDEST = 32  # characters of a label in a table; a longer one moves its line's rest
LEAST_TIME = 300.0  # seconds that a recording may take at least
SLOWEST = 50_000.0  # bytes a second; a decoder that is slower counts as hung


@dataclass(frozen=True)
class LabelRun:
    """A run of `audiocnn label`, checked and ready to start."""

    options: LabelOptions
    bundle: Bundle
    job: LabelJob
    recordings: Recordings
    output: Output | None


def run(args: argparse.Namespace) -> int:
    """Label, write events, and report what was scored."""
    options = options_of(LabelOptions, args)
    clock = options.clock()
    output = choose_output(options.output, options.format, clock) if options.output else None
    check_options(options)
    bundle = load_classes(options.model, options.classes, accelerator=options.accelerator)
    rules = bundle.rules
    if options.threshold is not None:
        rules = with_threshold(rules, options.threshold)
    reading = reading_of(options, bundle.front)
    check_sound(bundle, output)
    report_rounding(bundle, options.hop)
    recordings = gather(options.all_paths(), bundle.front, options.include, options.exclude)
    if recordings.missing and not recordings.paths:
        raise AudioError("; ".join(recordings.missing))
    check_output(options, output, recordings.paths)
    job = LabelJob(options.hop, rules, options.by_content, reading, keep_scores=options.kept)
    plan = LabelRun(options, bundle, job, recordings, output)
    return label_kept(plan) if options.kept else label_streamed(plan)


def label_streamed(run: LabelRun) -> int:
    """Label recordings and write each one's events at once; return the exit code."""
    options, paths, totals = run.options, run.recordings.paths, RunTotals()
    shown = bool(run.output) or not sys.stdout.isatty()
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(
            show_progress("label", len(paths), shown=shown, graceful=True)
        )
        report_missing(run.recordings.missing, totals, progress)
        windows = stack.enter_context(score_table(options.windows, run.bundle.labels))
        frames = stack.enter_context(score_table(options.frames, run.bundle.labels))
        observers = Observers(windows, frames, progress.advance)
        execute = execute_here(run.bundle, run.job, observers, lambda: progress.interrupted)
        results = label_all(run, map(task_of, paths), execute, progress)
        results = stack.enter_context(measuring_levels(run, results, progress))
        write_streamed(run, totalled(results, totals), progress)
    sys.stdout.flush()
    return finish(totals, progress)


@contextlib.contextmanager
def measuring_levels(
    run: LabelRun, results: Iterator[LabelResult], progress: Progress
) -> Iterator[Iterator[LabelResult]]:
    """Measure the sound levels of each recording as its result passes, if it is wanted."""
    options = run.options
    if options.levels is None:
        yield results
        return
    if not run.bundle.front.sound:
        raise ArgumentError("--levels are of sound, and the model is one of other signals")
    if options.calibration is None:
        progress.say("levels are uncalibrated, in dB re full scale: give --calibration DB")
    with level_table(options.levels, options.clock()) as write:

        def measured() -> Iterator[LabelResult]:
            for result in results:
                if result.coverage.scored:
                    try:
                        for level in recording_levels(
                            result.path, offset=options.calibration, clock=options.clock(),
                            channel=run.job.reading.channel,
                        ):  # fmt: skip
                            write(result.path, level)
                    except (AudioError, ArgumentError) as error:
                        report_problem(progress, f"no levels of {result.path}: {error}")
                yield result

        yield measured()


def write_streamed(run: LabelRun, results: Iterable[LabelResult], progress: Progress) -> None:
    """Write the events of results, as they come, to a file or to stdout."""
    options, paths = run.options, run.recordings.paths
    events = (event for result in results for event in result.events)
    if run.output:
        report = partial(report_problem, progress)
        write_outputs(results, run.output, root=common_folder(paths), report=report)
    elif options.table:
        print_table(events, run.bundle.labels, several=len(paths) > 1)
    else:
        form = "jsonl" if options.json else "csv"
        sys.stdout.writelines(format_events(events, form, clock=options.clock()))


def label_kept(run: LabelRun) -> int:
    """Label what the ledger has no result for, and write the output; return the exit code."""
    options, output, totals = run.options, run.output, RunTotals()
    assert output is not None, "a run that is kept has an output"
    path = Path(options.ledger or f"{str(output.path).rstrip(os.sep)}{SUFFIX}")
    check_files(options, output, path)
    if options.restart:
        remove_ledger(path)
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(path, write=True))
        number = begin_run(ledger, run_settings(run), only_write=options.only_write)
        if options.only_write and output.clock is None:  # the times that the run had
            output = replace(output, clock=clock_from(settings_of(ledger).times))
        others = 0
        if not options.only_write:
            others = list_recordings(ledger, run.recordings.paths, prune=options.prune)
        total = sum(count_states(ledger, asked=not options.only_write).values())
        progress = stack.enter_context(show_progress("label", total, graceful=True))
        report_missing(run.recordings.missing, totals, progress)
        report_others(output, others, options.prune, progress)
        for _ in refresh_events(ledger, run.job, number):
            progress.check()
        if not options.only_write:
            label_pending(run, ledger, number, progress, stack)
        root = common_folder(path for path, _ in listed_states(ledger))
        write_outputs(
            totalled(results_of(ledger), totals), output, root=root,
            report=partial(report_problem, progress),
            guard=EditGuard(ledger, output, progress.say, prune=options.prune),
        )  # fmt: skip
    return finish(totals, progress)


def label_pending(
    run: LabelRun, ledger: Ledger, rules: int, progress: Progress, stack: contextlib.ExitStack
) -> None:
    """Label what is still to be done; Ctrl-C ends it, and finished work stays."""
    options = run.options
    selection = TaskSelection(options.retry, options.by_content)
    tasks = list(pending_tasks(ledger, selection, run.recordings.fingerprints))
    progress.done = progress.total - len(tasks)
    if progress.done:
        failed = 0 if options.retry else count_states(ledger, asked=True).get("failed", 0)
        progress.say(
            f"{progress.done} of {progress.total} recordings were labelled before"
            + (f"; {failed} of them failed: --retry tries again" if failed else "")
        )
    if not tasks:
        return
    execute = choose_executor(run, tasks, progress, stack)
    for result in label_all(run, tasks, execute, progress, partial(record, ledger, rules=rules)):
        del result  # it is in the ledger


def label_all(
    run: LabelRun,
    tasks: Iterable[LabelTask],
    execute: Execute,
    progress: Progress,
    store: Callable[[LabelResult], None] = lambda result: None,
) -> Iterator[LabelResult]:
    """Label recordings; store and report each result, and pass it on."""
    results = run_tasks(
        run.bundle, run.job, tasks, execute,
        chunked=not run.options.streamed, chunk_done=progress.finished_part,
    )  # fmt: skip
    for result in results:
        store(result)
        report_result(result, progress)
        yield result


def choose_executor(
    run: LabelRun, tasks: Sequence[LabelTask], progress: Progress, stack: contextlib.ExitStack
) -> Execute:
    """Choose what executes tasks: a cluster, processes of this machine, or this process."""
    options = run.options

    def stopped() -> bool:
        return progress.interrupted

    n_workers = options.workers or default_workers(tasks)
    if not options.cluster and n_workers == 1:
        return execute_here(run.bundle, run.job, Observers(progress=progress.advance), stopped)
    shared = WorkerJob(run.job, model_files(options.model), options.accelerator)
    if options.cluster:
        ray = stack.enter_context(connected(options.cluster))
        return lambda tasks: label_on_cluster(ray, shared, tasks, stopped=stopped)
    return lambda tasks: run_on_workers(
        label_task_in_worker, shared, tasks, n_workers, limit=time_limit, stopped=stopped
    )


def run_settings(run: LabelRun) -> RunSettings:
    """Return the settings that the ledger stores."""
    return RunSettings(
        run.bundle.name,
        checksum(run.bundle),
        grid_of(run.bundle, run.options.hop).hop,
        run.job.rules,
        run.job.reading,
        run.bundle.front.names,
        run.options.stored_times,
        os.getcwd(),
    )


def check_sound(bundle: Bundle, output: Output | None) -> None:
    """Refuse a format that belongs to sound, for a model of other signals."""
    if output and output.format in OF_SOUND and not bundle.front.sound:
        raise ArgumentError(
            f"{output.path}: {output.format} labels are read beside sound, and {bundle.name} is a "
            "model of other signals: write .csv, .jsonl or .parquet"
        )


def check_output(options: LabelOptions, output: Output | None, paths: Sequence[str]) -> None:
    """Refuse a format that cannot hold several recordings, and to write over one of them."""
    if output and output.format == "audacity" and not output.folder and len(paths) > 1:
        raise ArgumentError(
            f"{options.output}: Audacity labels belong to one recording, and there are "
            f"{len(paths)}: name a folder with --format audacity, or write .csv, .jsonl or "
            ".selections.txt"
        )
    check_not_a_recording(options, paths)


def check_files(options: LabelOptions, output: Output, ledger: Path) -> None:
    """Refuse folders that do not exist, and files that another program wrote."""
    for path in (output.path, ledger):
        if not path.absolute().parent.is_dir():
            raise ArgumentError(f"{path}: there is no folder {path.parent}; make it first")
    if options.only_write and not ledger.exists():
        raise ArgumentError(
            f"--only-write writes what a run has found, and there is no {ledger}: name the run's "
            "ledger with --ledger"
        )
    if output.path.is_file() and not ledger.exists() and not options.restart:
        raise ArgumentError(
            f"{output.path} exists, and no ledger ({ledger}) shows that a run wrote it: name "
            "another output, or write over it with --restart"
        )


def default_workers(tasks: Sequence[LabelTask]) -> int:
    """Return how many processes are worth their start: at most one per processor."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    sizes = {RecordingRef.of(task.location).file: max(0, task.fingerprint.size) for task in tasks}
    return processors if sum(sizes.values()) >= WORTH_WORKERS else 1


def time_limit(task: LabelTask) -> float:
    """Return how long a recording may take before its decoder counts as hung, seconds."""
    return LEAST_TIME + max(0, task.fingerprint.size) / SLOWEST


def totalled(results: Iterable[LabelResult], totals: RunTotals) -> Iterator[LabelResult]:
    """Pass results on, adding them up."""
    for result in results:
        totals.add(result)
        yield result


def report_others(output: Output, n: int, prune: bool, progress: Progress) -> None:
    """Report recordings in the output that this run was not asked for."""
    if not n:
        return
    recordings = f"{counted(n, 'recording')} of earlier runs, not named this time,"
    if prune:
        progress.say(f"{recordings} left {output.path} (--prune)")
    else:
        stay = "stays" if n == 1 else "stay"
        progress.say(f"{recordings} {stay} in {output.path}; --prune removes them")


def report_problem(progress: Progress, problem: str) -> None:
    """Print what could not be written, and count it."""
    progress.failed += 1
    progress.say(f"audiocnn {progress.verb}: {problem}")


def report_rounding(bundle: Bundle, hop: float | None) -> None:
    """Print a note on stderr if a hop had to be rounded to whole columns."""
    grid = grid_of(bundle, hop)
    if hop is not None and abs(grid.hop - hop) > WORTH_A_LINE:
        rounded = f"hop {hop:g} s is {grid.hop:.4g} s: rounded to columns"
        print(f"{rounded}, {grid.period / grid.rate:g} s apart", file=sys.stderr)


def print_table(events: Iterable[Event], labels: Iterable[str], *, several: bool) -> None:
    """Print events as a table, as they come."""
    width = min(WIDEST, max(5, *map(len, labels)))
    print(f"{'start':>9}  {'end':>9}  {'label':{width}}  score{'  path' if several else ''}")
    for event in events:
        assert event.end is not None, "find_events ends what it begins"
        source = f"  {event.source}" if several else ""
        times = f"{event.start:9.2f}  {event.end:9.2f}"
        print(f"{times}  {event.label:{width}}  {event.score or 0:5.2f}{source}")
