"""`audiocnn verify`: check that a stream gives the scores of the file, on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from audiocnn.cli.label import report_rounding
from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, gather, reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.cli.run_summary import counted
from audiocnn.evaluation.stream_check import ALLOWED, Verified, verify_recording
from audiocnn.inference.bundle import load


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(ReadingOptions):
    """Options of `audiocnn verify`; see its ``--help``."""

    paths: Sequence[str]
    model: str
    hop: float | None
    seed: int


def run(args: argparse.Namespace) -> int:
    """Compare every recording; 1 if one differs by more than is allowed, or cannot be read."""
    options = options_of(VerifyOptions, args)
    bundle = load(options.model)
    reading = reading_of(options, bundle.front)
    recordings = gather(options.paths, bundle.front)
    paths, missing = recordings.paths, recordings.missing
    report_rounding(bundle, options.hop)
    worst, failed, unread = 0.0, 0, len(missing)
    with show_progress("verify", len(paths), shown=False) as progress:
        for problem in missing:
            progress.say(f"audiocnn verify: {problem}")
        for path in paths:
            result = verify_recording(bundle, path, options.hop, options.seed, reading)
            progress.finished(0.0, result.error)
            print(as_text(result), flush=True)
            if result.error and not result.windows:
                unread += 1
                continue
            failed += not result.good
            worst = max(worst, result.difference)
    judged = f"BAD ({counted(failed, 'recording')})" if failed else "good"
    if len(paths) + len(missing) > unread:
        print(f"{judged}: largest difference {worst:.2g}, allowed {ALLOWED}")
    if unread:
        print(
            f"{counted(unread, 'recording')} could not be read, and was not verified"
            if unread == 1
            else f"{unread} recordings could not be read, and were not verified"
        )
    return 1 if failed or unread else 0


def as_text(result: Verified) -> str:
    """Describe the result of a recording."""
    events = counted(result.events, "event") + ("" if result.same_events else " THAT DIFFER")
    until = " up to the damage" if result.error else ""
    return (
        f"{result.path}: {counted(result.windows, 'window')}, "
        f"largest difference {result.difference:.2g}, {events}{until}"
    )
