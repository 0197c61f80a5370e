"""Manifests of labelled clips: reading, filtering, splitting by column, folds.

Clips that share a source (a speaker, a recording, a day) sound alike; if one is
learnt from and another measured on, the figures are too good. So folds keep groups
together, and parts of one file are a group of their own accord.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.layouts import list_clips
from audiocnn.errors import ArgumentError, DatasetError, did_you_mean
from audiocnn.io.files.near_paths import why_missing
from audiocnn.io.files.tables import no_column
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

SHOWN = 20  # values listed in a message, at most

__all__ = [
    "Clip",
    "assign_folds",
    "filter_clips",
    "labels_of",
    "parse_where",
    "read_manifest",
    "split_by",
]


def read_manifest(
    path: str | Path,
    where: Mapping[str, Collection[str]] | None = None,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    rate: float = 1.0,
) -> list[Clip]:
    """List labelled clips.

    Parameters
    ----------
    path
        A folder with a folder of recordings for each class, named after it; or a CSV
        file; or a folder with a ``clips.csv`` in it, which then says it all. The CSV has
        a ``path`` (relative to the CSV) and a ``label`` (several are separated by ``|``,
        none is background), and may have ``start`` and ``end`` in seconds; other columns
        are kept. Or a folder of recordings with annotations of Audacity or Raven beside
        them (see `strong_labels`), or with a ``metadata.csv`` or ``metadata.jsonl`` of
        Hugging Face's audiofolder. Folders train, test and so on become a column
        ``split``. Signals other than sound lie in class folders and tables as sound
        does, or are the series of a ``.ts`` or ``.npz`` with labels.
    where
        Values by column: only rows that have one of the values in each of these
        columns are taken.
    reading
        With ``labels``, the path is a signal with a label in every row (or a folder of
        such), and every run of one label is a clip.
    rate
        Of such signals, in samples per second, if nothing else says it.

    Returns
    -------
    list of Clip
        In the order of the table, or sorted. Every recording is there; of annotated
        ones the headers were read, of others nothing.

    Raises
    ------
    DatasetError
        If anything is missing, or makes no sense; says where.

    Examples
    --------
    >>> read_manifest("esc10", where={"fold": ["1", "2"]})  # doctest: +SKIP
    """
    path = Path(path)
    clips, faults = list_clips(path, reading, rate)
    if faults:
        raise DatasetError(faults[0])
    clips = filter_clips(path, clips, where or {})
    missing = [clip.path for clip in clips if not clip.recording.file.is_file()]
    if missing:
        shown = str(missing[0]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        raise DatasetError(
            f"{path}: {len(missing)} of {len(clips)} recordings are missing, the first is"
            f" {shown}{why_missing(missing[0])}; paths are relative to the folder of the table"
        )
    return clips


def parse_where(conditions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read conditions from the command line.

    Parameters
    ----------
    conditions
        Each ``COLUMN=VALUE,VALUE``; the values of a column named twice add up. A value
        with a comma stands in double quotes: ``label="Dog, barking",cat``.

    Returns
    -------
    dict
        Values by column, for `read_manifest`.

    Raises
    ------
    ArgumentError
        If there is no column or no ``=``.
    """
    found: dict[str, tuple[str, ...]] = {}
    for condition in conditions:
        column, equals, values = condition.partition("=")
        if not equals or not column.strip():
            raise ArgumentError(
                f"a condition is COLUMN=VALUE,VALUE (as in fold=1,2): {condition!r}"
            )
        new = tuple(_split_values(condition, values))
        found[column.strip()] = found.get(column.strip(), ()) + new
    return found


def _split_values(condition: str, values: str) -> list[str]:
    try:
        (cells,) = csv.reader([values], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ArgumentError(f'{condition!r}: {error}; quote a value as in label="a, b"') from error
    except ValueError:
        cells = [values]
    return [cell.strip() for cell in cells] or [""]


def labels_of(clips: Iterable[Clip]) -> tuple[str, ...]:
    """List the classes that occur, sorted."""
    return tuple(sorted({label for clip in clips for label in clip.labels}))


def split_by(clips: Sequence[Clip], column: str) -> dict[str, NDArray[np.intp]]:
    """Sort clips by the value of a column.

    Returns
    -------
    dict
        Indices of the clips by value, values sorted.

    Raises
    ------
    DatasetError
        If the clips have no such column.
    """
    places: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        if column not in clip.columns:
            raise no_column(str(clip.path), column, clip.columns)
        places.setdefault(clip.columns[column], []).append(index)
    return {value: np.array(places[value], np.intp) for value in sorted(places)}


def assign_folds(
    clips: Sequence[Clip], n_folds: int, group: str | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Deal clips to folds: groups stay together, classes spread evenly.

    Parameters
    ----------
    clips
        What to deal.
    n_folds
        Number of folds, at least 2.
    group
        Column whose equal values stay together; where it is empty, and for None,
        the parts of one recording do.
    rng
        Decides among equals: the same generator state gives the same folds.

    Returns
    -------
    array (len(clips),)
        The fold of each clip, 0 to ``n_folds - 1``.

    Raises
    ------
    ArgumentError
        If there are fewer groups than folds.
    DatasetError
        If there is no such column.

    Notes
    -----
    Largest groups first, each to the fold where it adds least to the sum over
    folds and classes of ``(clips of the class in the fold / clips of the class)**2``.
    All clips count as one more class, so that folds are of about one size.
    """
    if n_folds < 2:
        raise ArgumentError(f"n_folds must be at least 2, got {n_folds}")
    names = [str(clip.path) for clip in clips]
    if group is not None:
        for value, members in split_by(clips, group).items():
            for index in members.tolist() if value else ():
                names[index] = f"{group}={value}"
    groups, group_of = np.unique(np.array(names), return_inverse=True)
    if len(groups) < n_folds:
        raise ArgumentError(
            f"{len(groups)} groups ({group or 'path'}) do not make {n_folds} folds:"
            " take fewer folds, or another column"
        )
    counts = _count_classes(clips, group_of, len(groups))
    weights = 1 / np.maximum(counts.sum(axis=0), 1) ** 2
    held, fold_of = np.zeros((n_folds, counts.shape[1])), np.zeros(len(groups), np.intp)
    order = rng.permutation(len(groups))
    for g in order[np.argsort(-counts[order, 0], kind="stable")].tolist():
        fold_of[g] = np.argmin(held @ (weights * counts[g]))
        held[fold_of[g]] += counts[g]
    return fold_of[group_of]


def _count_classes(
    clips: Sequence[Clip], group_of: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Count, by group: all clips, background clips, and the clips of each class."""
    columns = {label: column for column, label in enumerate(labels_of(clips), start=2)}
    counts = np.zeros((n_groups, len(columns) + 2))
    for g, clip in zip(group_of.tolist(), clips, strict=True):
        counts[g, 0] += 1
        for column in [columns[label] for label in clip.labels] or [1]:
            counts[g, column] += 1
    return counts


def filter_clips(path: Path, clips: list[Clip], where: Mapping[str, Collection[str]]) -> list[Clip]:
    """Keep the clips that have one of the values in each column; see `read_manifest`.

    Raises
    ------
    DatasetError, ArgumentError
        If a column or a value is nowhere, or no clip has all of them.
    """
    if isinstance(where, str) or any(isinstance(values, str) for values in where.values()):
        raise ArgumentError(f"where takes a list of values by column, got {where!r}")
    kept = clips
    for column, values in where.items():
        wanted = {str(value) for value in values}
        there = {_cell(path, clip, column) for clip in clips}
        for value in sorted(wanted - there):
            known = sorted(there)
            more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
            quoted = next((f'{column}="{k}"' for k in known if "," in k and value in k), "")
            hint = f" (with the comma in quotes: {quoted})" if quoted else ""
            raise DatasetError(
                f"{path}: no row has {column}={value}{did_you_mean(value, known)}{hint};"
                f" there are: {', '.join(known[:SHOWN])}{more}"
            )
        kept = [clip for clip in kept if _cell(path, clip, column) in wanted]
    if not kept:
        conditions = " and ".join(f"{name}={','.join(map(str, v))}" for name, v in where.items())
        raise DatasetError(f"{path}: no row has {conditions} at once")
    return kept


def _cell(path: Path, clip: Clip, column: str) -> str:
    if column == "label":
        return "|".join(clip.labels)
    if column not in clip.columns:
        raise no_column(str(path), column, ["label", *clip.columns])
    return clip.columns[column]
