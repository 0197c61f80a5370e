"""`audiocnn clips`: the sounds of a run, cut out for review."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiocnn.commands.watch import watching
from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.labeling.cutting import choose_events, cut_events
from audiocnn.labeling.runs import open_run
from audiocnn.reviews import Cut, check_list, write_reviews
from audiocnn.series import file_of
from audiocnn.signals import is_signal_file

LIST = "review.csv"


def run(args: argparse.Namespace) -> int:
    """Choose, cut, and write the list; 1 if sounds could not be cut out."""
    folder = Path(args.output)
    check_list(folder / LIST)
    chosen = choose_events(
        open_run(args.run).events(), order=args.order, limit=args.limit, labels=args.label
    )
    if not chosen:
        raise AudiocnnError(f"{args.run} has no events")
    other = next((e.source for e in chosen if is_signal_file(file_of(e.source or ""))), None)
    if other is not None:
        raise AudiocnnError(
            f"{args.run} is of signals other than sound (as {other}), and clips cuts out sound: "
            "its events say from where to where to look"
        )
    cuts: list[Cut] = []
    with watching("clips", len(chosen)) as watch:
        for cut in cut_events(chosen, folder, margin=args.margin, longest=args.longest):
            if isinstance(cut, AudioError):
                watch.finished(0.0, str(cut))
            else:
                cuts.append(cut)
                watch.finished((cut.event.end or cut.event.start) - cut.event.start)
    if not cuts:
        raise AudiocnnError(
            f"none of the {len(chosen)} sounds could be cut out; the recordings are looked for "
            "where the run found them, so run this in the folder where label ran"
        )
    write_reviews(cuts, folder / LIST)
    print(folder / LIST)
    return 1 if watch.failed else 0
