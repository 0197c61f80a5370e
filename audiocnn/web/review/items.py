"""What is to be judged, and its sound: from a labelling run, a review list, or a station.

events.csv, events.csv.ledger    a labelling run: sound from the recordings
review.csv                       what `audiocnn clips` made: sound from its clips
heard.db                         a station's database: sound from its clips
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.reviews import DRAWN
from audiocnn.errors import AudioError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.io.audio.excerpts import Excerpt, read_excerpt
from audiocnn.labeling.event_clips import choose_events
from audiocnn.labeling.finished_run import open_run
from audiocnn.streaming.store import EventFilter, History
from audiocnn.web.clip_details import clip_details
from audiocnn.web.review.verdicts import Key, Verdict, VerdictFile, key_of

MARGIN = 3.0  # seconds of sound before and after an event
LONGEST = 60.0  # seconds of an event that are played
ORDERS = {"doubt": "doubtful", "variety": "doubtful", "class": "best", "score": "best",
          "time": "time"}  # fmt: skip
SQLITE = b"SQLite format 3\0"
PAGE = 500


@dataclass(eq=False)
class Item:
    """An event to be judged.

    Parameters
    ----------
    event
        Its source is the recording, or the name of a station's source.
    file
        Where its sound is; None if there is none.
    begin, end
        Seconds of the file that are played; None for all of it.
    offset
        Seconds into what is played at which the event begins; None if unknown.
    row
        The columns of its row in the list.
    time
        UTC at which it was, ISO 8601; empty if unknown.
    key
        What identifies it in the list.
    id
        Of a station's event; empty otherwise.
    verdict
        A person's verdict on it.
    """

    event: Event
    file: Path | None
    begin: float | None
    end: float | None
    offset: float | None
    row: dict[str, str]
    time: str = ""
    id: str = ""
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def key(self) -> Key:
        """What identifies the event in the list."""
        return key_of(*(self.row[name] for name in ("path", "start", "end", "label")))

    @property
    def length(self) -> float:
        """Seconds of the event."""
        return (self.event.end or self.event.start) - self.event.start

    def excerpt(self) -> Excerpt:
        """Read what is played.

        Raises
        ------
        AudioError
            If there is no sound, or it cannot be read.
        """
        if self.file is None:
            raise AudioError("no sound is stored of this event")
        if self.begin is None or self.end is None:
            return read_excerpt(self.file, 0.0, LONGEST)
        return read_excerpt(self.file, self.begin, self.end)

    def sound(self) -> tuple[NDArray[np.float32], int]:
        """Give the event itself, mono, without the sound around it; and its rate."""
        excerpt = self.excerpt()
        samples = excerpt.samples.mean(axis=1)
        if self.offset is None:
            return samples, excerpt.rate
        first = round(self.offset * excerpt.rate)
        last = first + max(round(self.length * excerpt.rate), excerpt.rate // 4)
        return samples[first:last] if first < len(samples) else samples, excerpt.rate


@dataclass(eq=False)
class Source:
    """What a review is of.

    Parameters
    ----------
    title
        Shown at the top.
    items
        In the order in which they were chosen.
    verdicts
        The list that is kept.
    station
        The database in which verdicts are stored too; None if it is not one.
    model
        Name of the model that found the events; empty if unknown.
    """

    title: str
    items: list[Item]
    verdicts: VerdictFile
    station: History | None = None
    model: str = ""


def open_source(
    path: Path,
    *,
    output: Path | None = None,
    order: str = "doubt",
    limit: int | None = None,
    labels: Collection[str] = (),
) -> Source:
    """Open what is to be reviewed.

    Parameters
    ----------
    path
        Output or ledger of a labelling run, a review list, or a station's database.
    output
        The list with the verdicts; beside ``path`` if None.
    order, limit, labels
        Which events of each class, and how many of them.

    Raises
    ------
    DatasetError
        If there is no such thing.
    ArgumentError
        If no event has one of the labels.
    """
    if not path.exists():
        raise DatasetError(f"no such file or folder: {path}; check the name and the folder")
    if path.is_file() and is_database(path):
        return _of_station(path, output, order, limit, labels)
    if path.is_file() and is_list(path):
        return _of_list(path, output, order, limit, labels)
    run = open_run(path)
    verdicts = VerdictFile(output or Path(f"{path}.review.csv"))
    events = choose_events(run.events(), order=ORDERS[order], limit=limit, labels=labels)
    items = [_of_event(event, verdicts) for event in events]
    return Source(path.name, items, verdicts, model=run.settings().model if run.settings else "")


def is_database(path: Path) -> bool:
    """Whether a file is a station's database: SQLite, with a table of sessions."""
    with path.open("rb") as file:
        if file.read(len(SQLITE)) != SQLITE:
            return False
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('sessions', 'events')"
        return bool(connection.execute(query).fetchone()[0] == 2)


def is_list(path: Path) -> bool:
    """Whether a file is a review list: a CSV with a column of verdicts."""
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return {"verdict", "clip", "label"} <= set(file.readline().strip().split(","))


def _of_event(event: Event, verdicts: VerdictFile) -> Item:
    """Make an item of an event of a run."""
    end = event.start if event.end is None else event.end
    score = "" if event.score is None else f"{event.score:.6f}"
    row = {"clip": "", "path": event.source, "start": f"{event.start:.6f}", "end": f"{end:.6f}",
           "label": event.label, "score": score, "offset": "", "verdict": ""}  # fmt: skip
    begin = max(0.0, event.start - MARGIN)
    stop = min(end, event.start + LONGEST) + MARGIN
    file = Path(event.source) if event.source else None
    item = Item(event, file, begin, stop, event.start - begin, row)
    item.verdict = verdicts.verdict(item.key)
    return item


def _of_list(
    path: Path, output: Path | None, order: str, limit: int | None, labels: Collection[str]
) -> Source:
    verdicts = VerdictFile(path)
    if output is not None:
        verdicts.path = output
    items: dict[int, Item] = {}
    for row in verdicts.rows.values():
        score = float(row["score"]) if row.get("score") else None
        event = Event(row["label"], float(row["start"]), float(row["end"]), score, row["path"])
        clip = path.parent / row["clip"]
        if row.get("clip") and clip.is_file() and clip.suffix != DRAWN:
            offset = float(row["offset"]) if row.get("offset") else None
            item = Item(event, clip, None, None, offset, row, verdict=verdicts.verdict(
                key_of(row["path"], row["start"], row["end"], row["label"])
            ))  # fmt: skip
        else:
            item = _of_event(event, verdicts)
            item.row = row
        items[id(event)] = item
    chosen = choose_events(
        (item.event for item in items.values()), order=ORDERS[order], limit=limit, labels=labels
    )
    return Source(path.name, [items[id(event)] for event in chosen], verdicts)


def _of_station(
    path: Path, output: Path | None, order: str, limit: int | None, labels: Collection[str]
) -> Source:
    history = History(path, anywhere=True)
    verdicts = VerdictFile(output or Path(f"{path}.review.csv"))
    items: dict[int, Item] = {}
    cursor = ""
    while True:
        page, cursor = history.events(EventFilter(), PAGE, cursor)
        for found in page:
            if found["end"] is not None:
                item = _of_stored(found, history, verdicts)
                items[id(item.event)] = item
        if not cursor:
            break
    chosen = choose_events(
        (item.event for item in items.values()), order=ORDERS[order], limit=limit, labels=labels
    )
    return Source(path.name, [items[id(event)] for event in chosen], verdicts, history)


def _of_stored(found: dict[str, Any], history: History, verdicts: VerdictFile) -> Item:
    """Make an item of an event in a station's database, whose clips hold its sound."""
    start, end, score = found["start"], found["end"], found["score"]
    key, label = found["id"], found["label"]
    clip = history.clip(key)
    event = Event(label, start, end, score, found["source"])
    offset = None
    if clip is not None:
        details = clip_details(clip, start)
        offset = details["offset"] if details else None
    row = {"clip": str(clip or ""), "path": f"{found['source']}/{key}", "start": f"{start:.6f}",
           "end": f"{end:.6f}", "label": label, "score": "" if score is None else f"{score:.6f}",
           "offset": "" if offset is None else f"{offset:.6f}", "verdict": ""}  # fmt: skip
    item = Item(event, clip, None, None, offset, row, found["time"], key)
    if found["verdict"]:  # the page may have been used since the list was written
        item.verdict = Verdict(found["verdict"], found["verdict_label"] or "")
    else:
        item.verdict = verdicts.verdict(item.key)
    return item
