"""Summary lines of a labelling run, for all verbs that print one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from audiocnn.cli.progress import Progress
from audiocnn.labeling.coverage import MISSING, NOT_FINITE, UNREADABLE
from audiocnn.labeling.label import LabelResult

WORTH_A_LINE = 1e-3  # seconds; less is not reported
LOST = frozenset({MISSING, NOT_FINITE, UNREADABLE})  # reasons that are reported one by one


class Totals(Protocol):
    """Totals of recordings, in seconds where they are times."""

    recordings: int
    failed: int
    seconds: float
    scored: float

    @property
    def skipped(self) -> Mapping[str, float]:
        """Seconds skipped, by reason."""


@dataclass
class RunTotals:
    """Totals of a run; nothing is kept of single recordings."""

    recordings: int = 0
    events: int = 0
    failed: int = 0
    missing: int = 0
    padded: int = 0
    seconds: float = 0.0
    scored: float = 0.0
    interpolated: float = 0.0
    skipped: dict[str, float] = field(default_factory=dict)

    def add(self, result: LabelResult) -> None:
        """Add the result of a recording."""
        self.recordings += 1
        self.events += len(result.events)
        self.failed += bool(result.error)
        self.padded += result.coverage.padded > WORTH_A_LINE
        self.seconds += result.coverage.seconds
        self.scored += result.coverage.scored
        self.interpolated += result.coverage.interpolated
        for skipped in result.coverage.skipped:
            self.skipped[skipped.reason] = self.skipped.get(skipped.reason, 0) + skipped.seconds


def report_result(result: LabelResult, progress: Progress) -> None:
    """Count a finished recording, and print its error and its lost seconds."""
    progress.finished(result.coverage.seconds, result.error)
    for skipped in result.coverage.skipped:
        if skipped.reason in LOST and skipped.seconds > WORTH_A_LINE:
            progress.say(
                f"{result.path}: {skipped.seconds:.3f} s {skipped.reason}, "
                f"from {skipped.first:.3f} s on"
            )


def report_missing(missing: Iterable[str], totals: RunTotals, progress: Progress) -> None:
    """Print and count what the user asked for and could not be found."""
    for problem in missing:
        totals.missing += 1
        progress.say(f"audiocnn {progress.verb}: {problem}")


def coverage_text(totals: Totals) -> str:
    """Return how many recordings and seconds there are, scored and skipped with reasons."""
    skipped = "".join(
        f", {duration(seconds)} skipped ({reason})" for reason, seconds in totals.skipped.items()
    )
    return (
        f"{counted(totals.recordings, 'recording')}, {duration(totals.seconds)}: "
        f"{duration(totals.scored)} scored{skipped}"
    )


def summary_text(totals: RunTotals, progress: Progress) -> str:
    """Return the summary line of a run."""
    filled = f", {duration(totals.interpolated)} interpolated" if totals.interpolated else ""
    padded = f", {counted(totals.padded, 'recording')} padded to a window" if totals.padded else ""
    text = (
        f"{coverage_text(totals)}{filled}{padded}; {counted(totals.events, 'event')}, "
        f"{totals.failed} failed"
    )
    if totals.missing:
        text += f", {counted(totals.missing, 'path')} not found or not readable"
    if progress.interrupted:
        left = progress.total - progress.done
        return f"interrupted, with {counted(left, 'recording')} left; done: {text}"
    return text


def finish(totals: RunTotals, progress: Progress) -> int:
    """Print the summary line; return the exit code."""
    print(summary_text(totals, progress), file=sys.stderr)
    return (
        130
        if progress.interrupted
        else 1
        if totals.failed or totals.missing or progress.failed
        else 0
    )


def counted(n: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in seconds or, from ten minutes on, in hours."""
    return f"{seconds:.2f} s" if seconds < 600 else f"{seconds / 3600:.2f} h"
