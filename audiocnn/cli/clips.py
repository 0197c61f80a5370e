"""`audiocnn clips`: the sounds of a run, cut out for review; other signals are drawn."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from audiocnn.cli.paths import reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.datasets.reviews import Cut, check_list, write_reviews
from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.event_clips import choose_events, cut_events
from audiocnn.labeling.event_plots import Seen
from audiocnn.labeling.finished_run import open_run

LIST = "review.csv"


def run(args: argparse.Namespace) -> int:
    """Choose, cut, and write the list; 1 if sounds could not be cut out."""
    folder = Path(args.output)
    check_list(folder / LIST)
    found = open_run(args.run)
    chosen = choose_events(found.events(), order=args.order, limit=args.limit, labels=args.label)
    if not chosen:
        raise AudiocnnError(f"{args.run} has no events")
    before = found.settings() if found.settings else None
    given = reading_of(args)
    reading = over(given, before.reading if before else DEFAULT_OPTIONS)
    seen = Seen(reading, before.channels if before and not given.columns else ())
    cuts: list[Cut] = []
    with show_progress("clips", len(chosen)) as progress:
        for cut in cut_events(chosen, folder, margin=args.margin, longest=args.longest, seen=seen):
            if isinstance(cut, AudioError):
                progress.finished(0.0, str(cut))
            else:
                cuts.append(cut)
                progress.finished((cut.event.end or cut.event.start) - cut.event.start)
    if not cuts:
        raise AudiocnnError(
            f"none of the {len(chosen)} sounds could be cut out; the recordings are looked for "
            "where the run found them, so run this in the folder where label ran"
        )
    write_reviews(cuts, folder / LIST)
    print(folder / LIST)
    return 1 if progress.failed else 0


def over(given: SignalReadOptions, before: SignalReadOptions) -> SignalReadOptions:
    """Take what was given, and what was not as it was before."""
    chosen = {
        name: value for name, value in vars(given).items() if value != vars(DEFAULT_OPTIONS)[name]
    }
    return replace(before, **chosen)
