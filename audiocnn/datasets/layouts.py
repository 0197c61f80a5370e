"""Layouts of labelled datasets, each read into clips.

    clips.csv                          a table that says it all
    metadata.csv, metadata.jsonl       Hugging Face's `audiofolder`, also in train/ test/ ...
    night.wav with night.txt beside    strong labels, see `strong_labels`
    rain/a.wav  owl/b.wav              a folder for each class, also in train/ test/ ...
    X_TRAIN.ts  gestures.npz           series of any signal, each with its label
    anna.csv  ben.csv                  signals with a label in every row, see `row_labels`

In class folders signals other than sound may lie, if there is no sound. Nothing is
opened here but tables (and, of annotated recordings, headers). What is wrong is collected
rather than raised where more can be said, so that `audiocnn check` names every fault at
once and `read_manifest` the first.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from audiocnn.datasets.annotation_files import Annotations, read_annotations
from audiocnn.datasets.clip import Clip
from audiocnn.datasets.row_labels import clips_of_rows
from audiocnn.datasets.strong_labels import clips_of, strong_labels
from audiocnn.errors import AudioError, DatasetError, did_you_mean
from audiocnn.io.audio.reader import AUDIO_SUFFIXES, find_recordings, search_folder
from audiocnn.io.files.near_paths import find_near
from audiocnn.io.files.tables import check_text, no_column, parse_seconds, read_lines, read_table
from audiocnn.io.recording import SERIES_SUFFIXES, SIGNAL_SUFFIXES, RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.io.signals.discovery import find_signals, lists_recordings
from audiocnn.io.signals.series import expand, series_in
from audiocnn.io.signals.tabular import column_names

LOG = logging.getLogger(__name__)
OWN_COLUMNS = ("path", "label", "start", "end")
METADATA = ("metadata.csv", "metadata.jsonl")
SPLITS = frozenset({"dev", "eval", "evaluation", "test", "train", "training", "val", "valid",
                    "validation"})  # fmt: skip
FEW = 5  # names in a message
Find = Callable[[Sequence[Path]], list[Path]]
Suffixes = Collection[str]
Note = Callable[[str], None]


def list_clips(
    path: Path,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    rate: float = 1.0,
    note: Note | None = None,
) -> tuple[list[Clip], list[str]]:
    """Read a dataset, whatever its layout.

    Parameters
    ----------
    path
        A CSV, a metadata.csv or metadata.jsonl, a file of series, or a folder.
    reading
        With ``labels``, ``path`` is a signal with a label in every row, or a folder of such.
    rate
        Of those, in samples per second, where nothing else says it.
    note
        Called with a sentence for text files and rows that are not taken as annotations;
        logged if left out.

    Returns
    -------
    clips
        All that could be understood. The files may be missing.
    faults
        What could not, a sentence each, that says where and what to do.

    Raises
    ------
    DatasetError
        If nothing can be understood.
    """
    if reading.labels is not None:
        return _from_rows(path, reading, rate)
    if path.is_dir():
        return _from_folder(path, note or LOG.warning)
    if path.suffix.lower() in SERIES_SUFFIXES and not RecordingRef(path).is_sound:
        return _from_series(path), []
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise DatasetError(
            f"{path} is a recording; what is wanted is a folder of class folders, or a CSV"
        )
    if path.name in METADATA or path.suffix.lower() == ".jsonl":
        clips = list(_from_metadata(path))
    else:
        clips = list(_from_table(path))
    if not clips:
        raise DatasetError(f"{path} has a header but no rows")
    return clips, []


def _from_folder(folder: Path, note: Note) -> tuple[list[Clip], list[str]]:
    if (folder / "clips.csv").exists():
        return list_clips(folder / "clips.csv")
    if tables := _metadata_in(folder):
        return [clip for table in tables for clip in _with_split(folder, table)], []
    if not search_folder(folder, AUDIO_SUFFIXES, on_error=lambda error: None):
        return _signals_in(folder)
    found = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    loose = [p for p in found if p.is_file() and p.suffix.lower() in AUDIO_SUFFIXES]
    folders = [p for p in found if p.is_dir() and _is_readable(p)]
    try:
        recordings = find_recordings([*folders, *loose]) if folders or loose else []
    except AudioError:
        recordings = []
    annotations = read_annotations(recordings)
    for sentence in annotations.notes:
        note(sentence)
    if annotations.events:
        bare = [recording for recording in recordings if recording not in annotations.events]
        return _annotated(annotations), _without_annotations(folder, bare)
    return _classes_in(folder, find_recordings, AUDIO_SUFFIXES)


def _signals_in(folder: Path) -> tuple[list[Clip], list[str]]:
    """Read a folder without sound: archives with labels, or class folders of signals."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    archives = [p for p in files if p.suffix.lower() in SERIES_SUFFIXES]
    if archives and not _folders_in(folder):
        return [clip for file in archives for clip in _from_series(file)], []
    return _classes_in(folder, find_signals, SIGNAL_SUFFIXES)


def _from_series(file: Path) -> list[Clip]:
    """Read a file of series; of X_TRAIN.ts, ``split`` says train."""
    try:
        found = series_in(file)
        if found is None or found[1] is None:
            what = "one signal" if found is None else f"{found[0]} series"
            raise DatasetError(
                f"{file}: {what} without labels: they are y in an .npz, and stand behind each "
                "series of a .ts with @classLabel true"
            )
        split = file.stem.rpartition("_")[2]
        columns = {"split": split.lower()} if split.lower() in SPLITS else {}
        return [
            Clip(ref.path, (label,) if label else (), columns=columns)
            for ref, label in zip(expand(file), found[1], strict=True)
        ]
    except AudioError as error:
        raise DatasetError(str(error)) from error


def _from_rows(path: Path, reading: SignalReadOptions, rate: float) -> tuple[list[Clip], list[str]]:
    """Read signals with a label in every row; of several files each gets its faults."""
    clips, faults = [], []
    try:
        files = list(dict.fromkeys(RecordingRef.of(found).file for found in find_signals([path])))
    except AudioError as error:
        raise DatasetError(str(error)) from error
    for file in files:
        try:
            clips += clips_of_rows(file, reading, rate)
        except AudioError as error:
            faults.append(str(error))
    if not clips:
        raise DatasetError(faults[0])
    return clips, faults


def _classes_in(folder: Path, find: Find, suffixes: Suffixes) -> tuple[list[Clip], list[str]]:
    """Read class folders, or folders train, test and so on of class folders."""
    folders = _folders_in(folder)
    loose = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in suffixes]
    if folders and all(f.name.lower() in SPLITS and _folders_in(f) for f in folders) and not loose:
        parts = [(f, *_class_folders(f, find, suffixes)) for f in sorted(folders)]
        clips = [
            Clip(clip.path, clip.labels, columns={"split": f.name}) for f, of, _ in parts
            for clip in of
        ]  # fmt: skip
        return clips, [fault for _, _, faults in parts for fault in faults]
    return _class_folders(folder, find, suffixes)


def _class_folders(folder: Path, find: Find, suffixes: Suffixes) -> tuple[list[Clip], list[str]]:
    visible = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in visible if entry.is_dir() and _is_readable(entry)]
    loose = [e for e in visible if e.is_file() and e.suffix.lower() in suffixes
             and not lists_recordings(e)]  # fmt: skip
    faults = [
        f"cannot look into {entry}: change its owner or rights, or move it away"
        for entry in visible
        if entry.is_dir() and entry not in folders
    ]
    if loose and (folders or find is find_recordings):
        faults.append(
            f"{folder}: {len(loose)} recordings lie in no class folder, the first is"
            f" {loose[0].name}: move each into a folder named after its class"
        )
    if not folders and not faults:
        tables = [e.name for e in visible if e.suffix.lower() in (".csv", ".jsonl")]
        hint = f"; did you mean {folder / tables[0]}?" if tables else ""
        hint += " If its signals have a label in every row, give --labels COLUMN" if loose else ""
        raise DatasetError(f"{folder}: no class folders and no clips.csv in it{hint}")
    if len(folders) == 1 and _folders_in(folders[0]):
        raise DatasetError(
            f"{folder}: only one folder in it ({folders[0].name}), with folders inside; if those"
            " are the class folders, name that folder"
        )
    clips = []
    for entry in folders:
        try:
            clips += [Clip(path, (entry.name,)) for path in find([entry])]
        except AudioError as error:
            faults.append(f"{error}; put recordings of the class there, or remove the folder")
    return clips, faults


def _annotated(annotations: Annotations) -> list[Clip]:
    return [
        clip
        for path, events in sorted(annotations.events.items())
        for clip in clips_of(path, strong_labels(events))
    ]


def _without_annotations(folder: Path, bare: list[Path]) -> list[str]:
    if not bare:
        return []
    shown = ", ".join(str(path.relative_to(folder)) for path in bare[:FEW])
    more = f" and {len(bare) - FEW} more" if len(bare) > FEW else ""
    return [
        f"{folder}: {len(bare)} recordings have no annotations beside them, though others have:"
        f" {shown}{more}; annotate them, {_empty_file(bare)}or move them away"
    ]


def _empty_file(bare: Sequence[Path]) -> str:
    """Advise an empty file for a recording without events, where no file has that name."""
    free = next((p for p in bare if not p.with_suffix(".txt").exists()), None)
    if free is None:
        return ""
    return f"put an empty {free.stem}.txt beside one in which none of the classes occurs, "


def _folders_in(folder: Path) -> list[Path]:
    return [
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name[0] != "." and _is_readable(entry)
    ]


def _is_readable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _metadata_in(folder: Path) -> list[Path]:
    """Find the metadata: of the folder, or else of those in it; one file for each."""
    for places in ([folder], sorted(_folders_in(folder))):
        tables = [[p / name for name in METADATA if (p / name).is_file()] for p in places]
        if any(tables):
            return [found[0] for found in tables if found]
    return []


def _with_split(folder: Path, table: Path) -> Iterator[Clip]:
    """Read metadata; what lies in a split's folder gets that as a column, unless it has one."""
    clips = list(_from_metadata(table))
    if not clips:
        raise DatasetError(f"{table} has no rows")
    for clip in clips:
        columns = dict(clip.columns)
        if split := _split_of(clip.path, folder):
            columns.setdefault("split", split)
        yield Clip(clip.path, clip.labels, clip.start, clip.end, columns)


def _split_of(path: Path, folder: Path) -> str:
    """Return the first folder below ``folder`` that is called as a split is; "" if none is."""
    parts = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    return next((part for part in parts if part.lower() in SPLITS), "")


def _from_table(table: Path) -> Iterator[Clip]:
    names = column_names(table)
    if (
        names
        and not {n.lower() for n in names} & {"path", "label"}
        and not did_you_mean("path", names)
    ):
        raise DatasetError(
            f"{table}: no column 'path', so it lists no recordings; there are: "
            f"{', '.join(sorted(names))}. If its rows are samples, say which column has their "
            "labels: --labels COLUMN"
        )
    for place, row in read_table(table, ("path", "label"), optional=("start", "end")):
        yield _clip(table, place, row, "path")


def _from_metadata(table: Path) -> Iterator[Clip]:
    """Read Hugging Face's metadata: file_name, and a label or several."""
    rows = (
        _json_rows(table)
        if table.suffix.lower() == ".jsonl"
        else read_table(table, optional=("file_name", "label", "start", "end"))
    )
    for place, row in rows:
        if "file_name" not in row:
            raise no_column(place, "file_name", row)
        name = next((name for name in ("label", "labels") if name in row), None)
        if name is None:
            raise no_column(place, "label", row)
        rest = {column: text for column, text in row.items() if column != name}
        yield _clip(table, place, {**rest, "label": row[name]}, "file_name")


def _json_rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for place, line in read_lines(table):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{place}: not JSON ({error}), found {line.strip()!r}") from error
        if not isinstance(row, dict):
            raise DatasetError(f"{place}: not an object with keys, found {line.strip()!r}")
        yield place, {str(name): _cell_text(value) for name, value in row.items()}


def _cell_text(value: object) -> str:
    if isinstance(value, list):
        return "|".join(map(str, value))
    return "" if value is None else str(value)


def _clip(table: Path, place: str, row: dict[str, str], path: str) -> Clip:
    for name, text in row.items():
        if name != path:
            check_text(place, name, text)
    if not row[path]:
        raise DatasetError(f"{place}: no {path}")
    texts = [row.get(name, "").strip() for name in ("start", "end")]
    start = parse_seconds(place, "start", texts[0]) if texts[0] else 0.0
    end = parse_seconds(place, "end", texts[1]) if texts[1] else None
    if end is not None and end <= start:
        raise DatasetError(f"{place}: end must lie after start, found {start:g} to {end:g}")
    names = (name.strip() for name in row["label"].split("|"))
    labels = tuple(dict.fromkeys(name for name in names if name))
    own = {*OWN_COLUMNS, path}
    columns = {name: text.strip() for name, text in row.items() if name not in own}
    written = table.parent / row[path]
    found = find_near(RecordingRef.of(written).file)
    if found is not None and RecordingRef.of(written).member is None:
        written = found
    return Clip(written, labels, start, end, columns)
