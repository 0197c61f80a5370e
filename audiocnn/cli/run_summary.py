"""What a labelling run gave together, and how it is told."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from audiocnn.cli.progress import Watch
from audiocnn.labeling.label import Labeled

WORTH_A_LINE = 1e-3  # seconds; less is no news
LOST = frozenset({"missing", "not finite", "unreadable"})  # why that is worth a line


@dataclass
class Tally:
    """What the recordings gave together; nothing of any one of them is kept."""

    recordings: int = 0
    events: int = 0
    failed: int = 0
    padded: int = 0
    seconds: float = 0.0
    scored: float = 0.0
    interpolated: float = 0.0
    skipped: dict[str, float] = field(default_factory=dict)

    def add(self, result: Labeled) -> None:
        """Add a recording."""
        self.recordings += 1
        self.events += len(result.events)
        self.failed += bool(result.error)
        self.padded += result.coverage.padded > WORTH_A_LINE
        self.seconds += result.coverage.seconds
        self.scored += result.coverage.scored
        self.interpolated += result.coverage.interpolated
        for skipped in result.coverage.skipped:
            self.skipped[skipped.reason] = self.skipped.get(skipped.reason, 0) + skipped.seconds


def watched(results: Iterable[Labeled], watch: Watch, tally: Tally) -> Iterator[Labeled]:
    """Pass results on, saying what is wrong with which recording."""
    left = iter(results)
    while not watch.interrupted:
        try:
            result = next(left, None)
        except KeyboardInterrupt:  # what is done stays; the one it was at does not count
            return
        if result is None:
            return
        tally.add(result)
        watch.finished(result.coverage.seconds, result.error)
        for skipped in result.coverage.skipped:
            if skipped.reason in LOST and skipped.seconds > WORTH_A_LINE:
                watch.say(
                    f"{result.path}: {skipped.seconds:.3f} s {skipped.reason}, "
                    f"from {skipped.first:.3f} s on"
                )
        yield result


def summary(tally: Tally, watch: Watch) -> str:
    """Say what was heard and what not, and why."""
    skipped = "".join(
        f", {duration(seconds)} skipped ({reason})" for reason, seconds in tally.skipped.items()
    )
    filled = f", {duration(tally.interpolated)} interpolated" if tally.interpolated else ""
    padded = f", {counted(tally.padded, 'recording')} padded to a window" if tally.padded else ""
    said = (
        f"{counted(tally.recordings, 'recording')}, {duration(tally.seconds)}: "
        f"{duration(tally.scored)} scored{skipped}{filled}{padded}; "
        f"{counted(tally.events, 'event')}, {tally.failed} failed"
    )
    if watch.interrupted:
        left = watch.total - watch.done
        return f"interrupted, with {counted(left, 'recording')} left; done: {said}"
    return said


def counted(n: int, what: str) -> str:
    """Say how many, in the right number."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Say how long, in seconds or hours."""
    return f"{seconds:.2f} s" if seconds < 600 else f"{seconds / 3600:.2f} h"


def tell_missing(missing: Iterable[str], tally: Tally, watch: Watch) -> None:
    """Say what was asked for and is not there."""
    for problem in missing:
        tally.add(Labeled("", error=problem))
        watch.say(f"audiocnn label: {problem}")


def finish(tally: Tally, watch: Watch) -> int:
    """Say what came of it all; give the exit code."""
    print(summary(tally, watch), file=sys.stderr)
    return 130 if watch.interrupted else 1 if tally.failed else 0
