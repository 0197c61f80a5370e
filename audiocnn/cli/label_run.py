"""A labelling run that is kept: begun, gone on with, written out."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from audiocnn.cli.paths import Meant
from audiocnn.cli.progress import Watch, watching
from audiocnn.cli.run_summary import LOST, Tally, finish, tell_missing
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, checksum, grid_of
from audiocnn.inference.events import EventRule
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.label import Labeled, Observers
from audiocnn.labeling.ledger import (
    SUFFIX,
    Ledger,
    Settings,
    begin_run,
    open_ledger,
    remove_ledger,
)
from audiocnn.labeling.ledger_rows import count_states, known, labeled, list_recordings
from audiocnn.labeling.outputs import Output, common_folder, write_outputs
from audiocnn.labeling.process_pool import run_on_workers
from audiocnn.labeling.ray_pool import connected
from audiocnn.labeling.ray_runner import label_on_cluster
from audiocnn.labeling.runner import Execute, Wanted, find_again, in_process, run_job, to_do
from audiocnn.labeling.tasks import Errand, Job, as_labeled, label_errand, model_files

WORTH_WORKERS = 64 << 20  # bytes of sound; less is done before processes have begun
LEAST_TIME = 300.0  # seconds that a recording may take at least
SLOWEST = 50_000.0  # bytes a second that a recording may not fall below


def run_with_ledger(
    args: argparse.Namespace, bundle: Bundle, rules: Mapping[str, EventRule], output: Output,
    meant: Meant, reading: SignalReadOptions,
) -> int:  # fmt: skip
    """Label what the ledger does not have, and write the output from it."""
    path = Path(args.ledger or f"{str(output.path).rstrip(os.sep)}{SUFFIX}")
    check_files(args, output, path)
    if args.restart:
        remove_ledger(path)
    settings = Settings(
        bundle.name, checksum(bundle), grid_of(bundle, args.hop).hop, rules, reading,
        bundle.front.names,
    )  # fmt: skip
    job = Job(model_files(args.model), args.hop, rules, args.by_content, args.accelerator, reading)
    tally = Tally()
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(path, write=True))
        number = begin_run(ledger, settings)
        if not args.only_write:
            list_recordings(ledger, meant.paths)
        watch = stack.enter_context(
            watching("label", sum(count_states(ledger).values()), graceful=True)
        )
        tell_missing(meant.missing, tally, watch)
        errands: list[Errand] = []
        if not args.only_write:
            errands += to_do(ledger, Wanted(args.retry, args.by_content), meant.stamps)
        for _ in find_again(ledger, bundle, job, number):
            watch.tick()
        if not args.only_write:
            label(args, ledger, job, number, errands, watch, stack)
        results = tallied(labeled(ledger), tally)
        write_outputs(results, output, root=common_folder(path for path, _ in known(ledger)))
    watch.done = tally.recordings
    return finish(tally, watch)


def check_files(args: argparse.Namespace, output: Output, ledger: Path) -> None:
    """Refuse folders that are not there, and files that another program wrote."""
    for what in (output.path, ledger):
        if not what.absolute().parent.is_dir():
            raise ArgumentError(f"{what}: there is no folder {what.parent}; make it first")
    if args.only_write and not ledger.exists():
        raise ArgumentError(
            f"--only-write writes what a run has found, and there is no {ledger}: name the run's "
            "ledger with --ledger"
        )
    if output.path.is_file() and not ledger.exists() and not args.restart:
        raise ArgumentError(
            f"{output.path} is there, and no ledger ({ledger}) says that a run wrote it: name "
            "another output, or write over it with --restart"
        )


def label(
    args: argparse.Namespace, ledger: Ledger, job: Job, rules: int, errands: Sequence[Errand],
    watch: Watch, stack: contextlib.ExitStack,
) -> None:  # fmt: skip
    """Label what is still to be done; Ctrl-C ends it, and what is done stays."""
    watch.done = watch.total - len(errands)
    if watch.done:
        failed = 0 if args.retry else count_states(ledger).get("failed", 0)
        watch.say(
            f"{watch.done} of {watch.total} recordings were labelled before"
            + (f"; {failed} of them failed: --retry tries again" if failed else "")
        )
    if not errands:
        return
    n_workers = args.workers or default_workers(errands)
    execute = executor(args, job, n_workers, watch, stack)
    results = run_job(ledger, job, rules, errands, execute, part_done=watch.went_on)
    with contextlib.suppress(KeyboardInterrupt):
        for result in results:
            watch.finished(result.coverage.seconds, result.error)
            tell_skipped(as_labeled(result), watch)


def executor(
    args: argparse.Namespace, job: Job, n_workers: int, watch: Watch, stack: contextlib.ExitStack
) -> Execute:
    """Choose what does the work: a cluster, processes of this machine, or this one."""
    if args.cluster:
        ray = stack.enter_context(connected(args.cluster))
        return lambda errands: label_on_cluster(ray, job, errands, tick=watch.tick)
    if n_workers == 1:
        return in_process(job, Observers(heard=watch.heard), watch.tick)
    return lambda errands: run_on_workers(
        label_errand, job, errands, n_workers,
        limit=time_limit, stopped=lambda: watch.interrupted,
    )  # fmt: skip


def default_workers(errands: Sequence[Errand]) -> int:
    """Say how many processes are worth their start: at most one a processor."""
    known = getattr(os, "sched_getaffinity", None)
    processors = len(known(0)) if known else os.cpu_count() or 1
    sizes = {RecordingRef.of(errand.where).file: max(0, errand.stamp.size) for errand in errands}
    size = sum(sizes.values())
    return processors if size >= WORTH_WORKERS else 1


def time_limit(errand: Errand) -> float:
    """Say how long a recording may take before its decoder is taken to hang, seconds."""
    return LEAST_TIME + max(0, errand.stamp.size) / SLOWEST


def tallied(results: Iterator[Labeled], tally: Tally) -> Iterator[Labeled]:
    """Pass results on, adding them up."""
    for result in results:
        tally.add(result)
        yield result


def tell_skipped(result: Labeled, watch: Watch) -> None:
    """Say which seconds of a recording could not be heard, if that is not as usual."""
    for skipped in result.coverage.skipped:
        if skipped.reason in LOST and skipped.seconds > 1e-3:
            watch.say(
                f"{result.path}: {skipped.seconds:.3f} s {skipped.reason}, "
                f"from {skipped.first:.3f} s on"
            )
