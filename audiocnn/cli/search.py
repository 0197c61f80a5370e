"""`audiocnn search`: the moments of recordings that sound most like an example."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from audiocnn.annotations.formats import FORMATS, read_events
from audiocnn.cli.options.parsing import options_of
from audiocnn.cli.paths import ReadingOptions, reading_of
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.bundle import Bundle, checksum, load
from audiocnn.labeling.embedding_index import EmbeddingIndex, open_index
from audiocnn.labeling.embedding_tasks import embed_part
from audiocnn.labeling.remote import local_copy
from audiocnn.labeling.similarity import Match, Stretch, find_similar

PART = re.compile(r"(?P<path>.+):(?P<start>\d+(?:\.\d+)?)-(?P<end>\d+(?:\.\d+)?)")
EVENT = re.compile(r"(?P<path>.+):(?P<line>\d+)")
HEADERS = frozenset({"csv", "raven", "kaleidoscope"})  # formats whose first line is no event


@dataclass(frozen=True, kw_only=True)
class SearchOptions(ReadingOptions):
    """Options of `audiocnn search`; see its ``--help``."""

    index: str
    like: str
    top: int
    model: str | None
    json: bool


def run(args: argparse.Namespace) -> int:
    """Embed the example, search, and print the matches."""
    options = options_of(SearchOptions, args)
    index = open_index(options.index)
    bundle = model_of(index, options.model)
    stretch = parse_example(options.like)
    with local_copy(stretch.path) as path:
        reading = reading_of(options, bundle.front)
        if reading.channel is None:
            reading = replace(reading, channel=index.settings.channel)
        example = embed_part(bundle, path, stretch.start, stretch.end, reading)
    matches = find_similar(index, example, options.top, leave_out=[stretch])
    if options.json:
        print(json.dumps([asdict(match) for match in matches], indent=1, ensure_ascii=False))
    else:
        print_matches(matches)
    return 0


def model_of(index: EmbeddingIndex, model: str | None) -> Bundle:
    """Load the model that an index was made with.

    Raises
    ------
    BundleError
        If the model computes other vectors.
    """
    bundle = load(model or index.settings.model)
    if checksum(bundle) != index.settings.checksum:
        raise BundleError(
            f"{index.folder} was made with another version of {index.settings.model!r} than "
            f"{bundle.name!r}: name that model with --model, or embed into a new folder"
        )
    return bundle


def parse_example(text: str) -> Stretch:
    """Parse the example of ``--like``: a recording, a part of one, or an event of a run.

    Raises
    ------
    ArgumentError
        If a part ends before it begins, or a file of events has no such line.
    """
    if Path(text).exists():
        return Stretch(text)
    if part := PART.fullmatch(text):
        start, end = float(part["start"]), float(part["end"])
        if end <= start:
            raise ArgumentError(f"--like {text}: the part ends before it begins")
        return Stretch(part["path"], start, end)
    event = EVENT.fullmatch(text)
    if event and event["path"].lower().endswith(tuple(FORMATS)):
        return event_at(Path(event["path"]), int(event["line"]))
    return Stretch(text)


def event_at(path: Path, line: int) -> Stretch:
    """Return the stretch of the event in a line of a file."""
    form = next(form for suffix, form in FORMATS.items() if path.name.lower().endswith(suffix))
    events = read_events(path)
    at = line - (2 if form in HEADERS else 1)
    if not 0 <= at < len(events):
        raise ArgumentError(f"--like {path}:{line}: no event there, the file has {len(events)}")
    event = events[at]
    if not event.source:
        raise ArgumentError(f"--like {path}:{line}: the event does not name its recording")
    return Stretch(event.source, event.start, event.end)


def print_matches(matches: Sequence[Match] | Iterable[Match]) -> None:
    """Print matches as a table."""
    print(f"{'score':>6}  {'start':>10}  {'end':>10}  path")
    for match in matches:
        print(f"{match.score:6.3f}  {match.start:10.2f}  {match.end:10.2f}  {match.path}")
