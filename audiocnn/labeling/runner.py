"""A run over many recordings: what is still to be done, done anywhere, entered one by one.

    list of recordings -> what the ledger does not have -> errands -> workers
    ledger <- results of whole recordings <- parts put together <- workers

A job knows a ledger and something that executes errands; neither knows the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audiocnn.errors import AudioError
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.engine import Grid
from audiocnn.io.audio.decoder import AudioInfo, open_recording
from audiocnn.labeling.chunking import PartScores, join_parts, split
from audiocnn.labeling.label import Observers, events_of
from audiocnn.labeling.ledger import Ledger
from audiocnn.labeling.ledger_rows import (
    Known,
    known,
    other_rules,
    record,
    replace_events,
    same_content,
)
from audiocnn.labeling.remote import is_url
from audiocnn.labeling.score_codec import unpack_scores
from audiocnn.labeling.tasks import (
    Errand,
    FileFingerprint,
    Job,
    Lost,
    Result,
    Unseen,
    bundle_of,
    errand_of,
    label_errand,
    make_result,
    stamp_of,
)

Outcome = Result | PartScores | AudioError | Unseen | Lost
Execute = Callable[[Iterable[Errand]], Iterator[tuple[Errand, Any]]]


@dataclass(frozen=True)
class Wanted:
    """Which recordings of the list are to be labelled.

    Parameters
    ----------
    retry
        Those that failed, too.
    by_content
        A recording counts as changed if its content is another, not if only its time is.
    """

    retry: bool = False
    by_content: bool = False


def to_do(
    ledger: Ledger, wanted: Wanted, stamps: Mapping[str, FileFingerprint] | None = None
) -> Iterator[Errand]:
    """Give the recordings of a run that are still to be labelled.

    New ones, those that have changed since, and, if asked, those that failed. One that
    is done and is not there any more stays done. Recordings that lie elsewhere have
    their ``stamps``.
    """
    stamps = stamps or {}
    for path, what in list(known(ledger)):
        errand = errand_of(path)
        errand = replace(errand, stamp=stamps.get(path, errand.stamp))
        if what.state == "failed" and not wanted.retry and _same(errand, what):
            continue
        if what.state == "done" and (errand.stamp.size < 0 or _same(errand, what)):
            continue
        if wanted.by_content and errand.stamp.size >= 0 and not is_url(path):
            try:
                stamp = stamp_of(path, by_content=True)
            except OSError:  # the worker that looks into it says what is wrong
                stamp = FileFingerprint()
            if stamp.digest and same_content(ledger, path, stamp):
                continue
        yield errand


def _same(errand: Errand, what: Known) -> bool:
    one, other = errand.stamp, what.stamp
    if is_url(errand.where):  # its version stands in the place of its digest
        return one == other
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def in_process(job: Job, taps: Observers, tick: Callable[[], None] = lambda: None) -> Execute:
    """Execute errands here, one after the other; ``tick``, called before each, may end it."""

    def execute(errands: Iterable[Errand]) -> Iterator[tuple[Errand, Any]]:
        for errand in errands:
            tick()
            yield errand, label_errand(job, errand, taps)

    return execute


def run_job(
    ledger: Ledger,
    job: Job,
    rules: int,
    errands: Iterable[Errand],
    execute: Execute,
    *,
    part_done: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Result]:
    """Label recordings and enter what comes of each.

    Parameters
    ----------
    ledger, job
        Where results go, and what is the same for all.
    rules
        Number of the rules, from `begin_run`.
    errands
        Whole recordings.
    execute
        Does errands, in any order.
    part_done
        Told how many seconds of sound a part was.

    Yields
    ------
    Result
        Of a recording, once the ledger has it.
    """
    grid = grid_of(bundle_of(job), job.hop)
    # Parts are those of any executor, or the scores would differ by a hair.
    puzzle = _Puzzle(job, grid, bundle_of(job).front.sound)
    work: Iterable[Errand] = puzzle.parted(errands)
    while True:
        whole: list[Errand] = []  # recordings whose parts did not do
        for errand, outcome in execute(work):
            if errand.part is None:
                result = _result_of(errand, outcome)
            elif isinstance(outcome, PartScores):
                part_done(_length(outcome))
                done = puzzle.put(errand, outcome)
                if done is None:
                    continue
                result = done
            else:
                if puzzle.give_up(errand):
                    whole.append(replace(errand, part=None))
                continue
            record(ledger, result, rules)
            yield result
        if not whole:
            return
        work = whole


def find_again(ledger: Ledger, bundle: Bundle, job: Job, rules: int) -> Iterator[str]:
    """Find events anew by the job's rules, in the scores that are kept; give each path."""
    for path, scores in other_rules(ledger, rules):
        replace_events(ledger, path, events_of(unpack_scores(scores), job.rules, path), rules)
        yield path


def _result_of(errand: Errand, outcome: Outcome) -> Result:
    if isinstance(outcome, Result):
        return outcome
    if isinstance(outcome, Lost):
        why = f"{errand.name} could not be labelled: {outcome.reason}"
    elif isinstance(outcome, Unseen):
        why = f"no such file: {errand.name}"
    else:
        why = f"{errand.name}: {outcome}"
    return Result(errand.name, errand.stamp, error=why)


@dataclass
class _Puzzle:
    """Recordings in parts: which parts there are, and which have come back."""

    job: Job
    grid: Grid
    sound: bool = True
    infos: dict[str, AudioInfo] = field(default_factory=dict)
    parts: dict[str, dict[int, PartScores | None]] = field(default_factory=dict)

    def parted(self, errands: Iterable[Errand]) -> Iterator[Errand]:
        """Give errands, long recordings in parts."""
        for errand in errands:
            info = _info(errand) if self.sound else None
            parts = split(info, self.grid) if info else []
            if not parts or info is None:
                yield errand
                continue
            self.infos[errand.name] = info
            self.parts[errand.name] = {part.first: None for part in parts}
            yield from (replace(errand, part=part) for part in parts)

    def put(self, errand: Errand, found: PartScores) -> Result | None:
        """Put a part in its place; give the result once it is whole."""
        assert errand.part is not None
        if errand.name not in self.parts:  # given up
            return None
        parts = self.parts[errand.name]
        parts[errand.part.first] = found
        if any(part is None for part in parts.values()):
            return None
        there = [part for _, part in sorted(self.parts.pop(errand.name).items()) if part]
        runs, coverage = join_parts(there, self.infos.pop(errand.name), self.grid.rate)
        error = ""
        if errand_of(errand.name).stamp != errand.stamp:
            error = f"{errand.name} changed while it was read: label it again when it is complete"
        stamp = errand.stamp
        if self.job.by_content and not error:
            with contextlib.suppress(OSError):  # it has gone meanwhile: known by its time alone
                stamp = stamp_of(errand.where, by_content=True)
        return make_result(self.job, errand.name, stamp, runs, coverage, error)

    def give_up(self, errand: Errand) -> bool:
        """Forget the parts of a recording; say whether that is news."""
        self.infos.pop(errand.name, None)
        return self.parts.pop(errand.name, None) is not None


def _info(errand: Errand) -> AudioInfo | None:
    if is_url(errand.where):
        return None
    try:
        with open_recording(errand.where) as source:
            return source.info
    except Exception:  # decoders are many; the worker that gets it says what is wrong
        return None


def _length(part: PartScores) -> float:
    return float(sum(run.hop * run.values.shape[1] for run in part.runs))
