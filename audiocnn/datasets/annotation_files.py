"""Which annotation files lie beside recordings, and to which recording each row belongs.

    night1.wav  night1.txt                       Audacity, by the name of the recording
    night1.wav  night1.Table.1.selections.txt    Raven; a recording may have several tables
    night1.wav  night2.wav  season.txt           one Raven table: Begin File names the recording
    night1.wav  night1.BirdNET.results.csv       BirdNET-Analyzer

What a file is, its content says, and only then its name. A row belongs to the recording that
it names; where it names none, to the one that the file is called after. Files that are not
taken are reported with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audiocnn.annotations.formats import content_of, iter_events
from audiocnn.errors import ArgumentError
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import read_lines

SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".jsonl", ".parquet"})
NAMING = frozenset({"raven", "birdnet", "kaleidoscope"})  # formats whose rows name recordings
TIMES = re.compile(r"\s*\d+(\.\d*)?\t\s*\d*(\.\d*)?(\t|$)")
EVENT_COLUMNS = frozenset({"start", "end", "label"})
FEW = 3  # names in a message


@dataclass
class Annotations:
    """The events that annotation files give to recordings.

    Parameters
    ----------
    events
        By recording; empty for one of which a file says that nothing is in it.
    notes
        Sentences on files and rows that were not taken, and why.
    """

    events: dict[Path, list[Event]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_annotations(recordings: Sequence[Path]) -> Annotations:
    """Read the annotation files beside recordings.

    Parameters
    ----------
    recordings
        All recordings of a dataset.

    Returns
    -------
    Annotations
        Events in the order of the files, each once; ``source`` is the recording. A file
        ``x.txt`` without a word in it says that nothing is in ``x.wav``, if other
        recordings have annotations.

    Raises
    ------
    DatasetError
        If an annotation file cannot be understood.
    """
    found, empty, left = Annotations(), [], []
    names = _Names(recordings)
    for file in _files_beside(recordings):
        owner = names.owner(file)
        kind, reason = _kind(file, owner)
        if kind == "empty" and owner is not None:
            empty.append(owner)
        elif kind in NAMING or (kind and owner is not None):
            _take(file, owner, names, found)
        elif owner is not None or kind:
            left.append((file, reason or "no recording beside it is called so"))
    if found.events:
        for recording in empty:
            found.events.setdefault(recording, [])
    found.notes += _not_taken(left)
    return found


def _files_beside(recordings: Sequence[Path]) -> Iterator[Path]:
    known = set(recordings)
    for folder in dict.fromkeys(recording.parent for recording in recordings):
        for entry in sorted(folder.iterdir()):
            is_text = entry.suffix.lower() in SUFFIXES and entry.name[0] != "."
            if is_text and entry not in known and entry.is_file():
                yield entry


def _take(file: Path, owner: Path | None, names: _Names, found: Annotations) -> None:
    """Return each row of a file to its recording."""
    strangers: Counter[str] = Counter()
    homeless = 0
    if owner is not None and content_of(file) not in NAMING:
        found.events.setdefault(owner, [])
    for event in iter_events(file):
        recording = owner
        if event.source and content_of(file) in NAMING:
            recording = names.named(event.source, file.parent)
            if recording is None:
                strangers[event.source] += 1
                continue
        if recording is None:
            homeless += 1
            continue
        events = found.events.setdefault(recording, [])
        if (own := replace(event, source=str(recording))) not in events:
            events.append(own)
    if owner is not None and not strangers:
        found.events.setdefault(owner, [])
    for name, n in strangers.most_common(FEW):
        found.notes.append(
            f"{file}: {n} rows are of {name}, which is not among the recordings: put it beside "
            "the table, or remove the rows"
        )
    if homeless:
        found.notes.append(
            f"{file}: {homeless} rows are not taken, for they name no recording (Begin File), and "
            "none beside the table is called as it is"
        )


def _kind(file: Path, owner: Path | None) -> tuple[str, str]:
    """Return the format of a file, "empty", or "" and the reason why it is no annotation."""
    if file.suffix.lower() == ".parquet":
        return ("parquet", "") if owner is not None else ("", "")
    first = next((line for _, line in read_lines(file) if line.strip()), None)
    if first is None:
        return "empty", "it is empty"
    try:
        kind = content_of(file)
    except ArgumentError:  # .tsv
        kind = ""
    shown = first.strip()[:40]
    if kind == "audacity" and not TIMES.match(first):
        return "", f"its first line {shown!r} is neither two times between tabs nor a Raven header"
    if kind == "csv" and not _columns(first) >= EVENT_COLUMNS:
        return "", f"its columns are not start, end and label, but {shown!r}"
    if kind == "csv" and owner is None:
        return "", ""  # a list of clips, or the events of a whole run
    return kind, "" if kind else f"its header {shown!r} is that of no known table"


def _columns(header: str) -> set[str]:
    return {cell.strip(' "').lower() for cell in re.split(r"[,;\t]", header.strip())}


def _not_taken(left: Sequence[tuple[Path, str]]) -> Iterator[str]:
    """Yield which files are not taken, those of one kind of reason together."""
    by_suffix: dict[str, list[tuple[Path, str]]] = {}
    for file, reason in left:
        by_suffix.setdefault(file.suffix.lower(), []).append((file, reason))
    for some in by_suffix.values():
        (file, reason), more = some[0], len(some) - 1
        others = f"; {more} more {some[0][0].suffix} files likewise" if more else ""
        yield f"{file} lies beside recordings and is not taken as annotations: {reason}{others}"


class _Names:
    """Recordings by the names that tables and files give them."""

    def __init__(self, recordings: Sequence[Path]) -> None:
        self._here: dict[tuple[Path, str], Path] = {}
        self._anywhere: dict[str, list[Path]] = {}
        for recording in recordings:
            self._here.setdefault((recording.parent, _folded(recording.name)), recording)
            self._here.setdefault((recording.parent, _folded(recording.stem)), recording)
            self._anywhere.setdefault(_folded(recording.name), []).append(recording)

    def owner(self, file: Path) -> Path | None:
        """Return the recording that a file is called after: the longest name it begins with."""
        name = _folded(file.name)
        while "." in name:
            name = name.rpartition(".")[0]
            if (recording := self._here.get((file.parent, name))) is not None:
                return recording
        return None

    def named(self, source: str, folder: Path) -> Path | None:
        """Return the recording that a row names by its file or path."""
        name = _folded(re.split(r"[/\\]", source)[-1])
        here = self._here.get((folder, name))
        if here is not None:
            return here
        anywhere = self._anywhere.get(name, [])
        return anywhere[0] if len(anywhere) == 1 else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
