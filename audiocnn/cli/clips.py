"""`audiocnn clips`: the sounds of a run, cut out for review; other signals are drawn."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, reading_of
from audiocnn.cli.progress import show_progress
from audiocnn.datasets.reviews import Cut, check_list, write_reviews
from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.inference.events import Event
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.labeling.event_clips import choose_events, cut_events
from audiocnn.labeling.event_plots import TraceOptions
from audiocnn.labeling.finished_run import open_run

LIST = "review.csv"


@dataclass(frozen=True, kw_only=True)
class ClipsOptions(ReadingOptions):
    """Options of `audiocnn clips`; see its ``--help``."""

    run: str
    output: str
    order: str
    label: Sequence[str]
    limit: int
    margin: float | None
    longest: float


def run(args: argparse.Namespace) -> int:
    """Choose, cut, and write the list; 1 if sounds could not be cut out."""
    options = options_of(ClipsOptions, args)
    folder = Path(options.output)
    check_list(folder / LIST)
    found = open_run(options.run)
    chosen = choose_events(
        found.events(), order=options.order, limit=options.limit, labels=options.label
    )
    if not chosen:
        raise AudiocnnError(f"{options.run} has no events")
    before = found.settings() if found.settings else None
    locate = partial(locate_recording, folder=before.folder if before else "")
    check_recordings(chosen, locate)
    given = reading_of(options)
    reading = over(given, before.reading if before else DEFAULT_OPTIONS)
    trace_options = TraceOptions(reading, before.channels if before and not given.columns else ())
    cuts: list[Cut] = []
    with show_progress("clips", len(chosen)) as progress:
        for cut in cut_events(
            chosen, folder, margin=options.margin, longest=options.longest, open_path=locate,
            options=trace_options,
        ):  # fmt: skip
            if isinstance(cut, AudioError):
                progress.finished(0.0, str(cut))
            else:
                cuts.append(cut)
                progress.finished((cut.event.end or cut.event.start) - cut.event.start)
    if not cuts:
        raise AudiocnnError(f"none of the {len(chosen)} sounds could be cut out")
    write_reviews(cuts, folder / LIST)
    print(folder / LIST)
    return 1 if progress.failed else 0


def locate_recording(source: str, folder: str) -> Path:
    """Return the path of an event's recording, seen from here or from the run's folder."""
    there = Path(folder, source)
    here_exists = RecordingRef.of(source).file.exists()
    return there if not here_exists and RecordingRef.of(there).file.exists() else Path(source)


def check_recordings(events: Sequence[Event], locate: Callable[[str], Path]) -> None:
    """Stop before the work if none of the recordings exists.

    Raises
    ------
    AudiocnnError
        With the first one, and the remedy.
    """
    sources = [event.source for event in events if event.source]
    if sources and not any(RecordingRef.of(locate(source)).file.exists() for source in sources):
        raise AudiocnnError(
            f"none of the recordings is found here, for example {sources[0]}: run this in the "
            "folder where label ran"
        )


def over(given: SignalReadOptions, before: SignalReadOptions) -> SignalReadOptions:
    """Return the options of before, replaced by those that were given."""
    chosen = {
        name: value for name, value in vars(given).items() if value != vars(DEFAULT_OPTIONS)[name]
    }
    return replace(before, **chosen)
