"""AudioSet's classes and their hierarchy.

527 of its 632 classes are outputs of networks trained on it; the others are groups
("Domestic animals, pets") or were never rated. A class may have several parents. The
table, its sources and its licence (CC BY-SA 4.0) are in ``data/``.

References
----------
.. [1] J. F. Gemmeke et al., Audio Set: An ontology and human-labeled dataset for audio
   events, ICASSP 2017. https://research.google.com/audioset/ontology
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from pathlib import Path

from audiocnn.errors import ArgumentError

TABLE = Path(__file__).parent / "data" / "audioset.csv"


@functools.cache
def _rows() -> tuple[Mapping[str, str], ...]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def audioset_labels(network: str) -> tuple[str, ...]:
    """Give the labels of a network's outputs, in their order.

    Parameters
    ----------
    network
        ``"mn04"`` (527, as all that were trained on the whole of AudioSet) or ``"yamnet"``
        (521).

    Raises
    ------
    ArgumentError
        If there is no such network in the table.
    """
    rows = _rows()
    if network not in rows[0] or network in ("id", "name", "parents"):
        raise ArgumentError(f"no outputs of {network!r} are known; there are: mn04, yamnet")
    outputs = {int(row[network]): row["name"] for row in rows if row[network]}
    return tuple(outputs[index] for index in range(len(outputs)))


@functools.cache
def children() -> Mapping[str, tuple[str, ...]]:
    """Map the name of each class that has any to the names of its direct children."""
    name_of = {row["id"]: row["name"] for row in _rows()}
    found: dict[str, list[str]] = {}
    for row in _rows():
        for parent in filter(None, row["parents"].split("|")):
            found.setdefault(name_of[parent], []).append(row["name"])
    return {name: tuple(below) for name, below in found.items()}


@functools.cache
def parents() -> Mapping[str, tuple[str, ...]]:
    """Map the name of each class to the names of its direct parents; of a root, none."""
    name_of = {row["id"]: row["name"] for row in _rows()}
    return {
        row["name"]: tuple(name_of[parent] for parent in filter(None, row["parents"].split("|")))
        for row in _rows()
    }


def descendants(name: str) -> frozenset[str]:
    """Give the names of all classes below one; none for a class without children."""
    return _closure(name, children())


def ancestors(name: str) -> frozenset[str]:
    """Give the names of all classes above one; none for a root or an unknown class."""
    return _closure(name, parents())


def _closure(name: str, steps: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    found: set[str] = set()
    left = list(steps.get(name, ()))
    while left:
        nearest = left.pop()
        if nearest not in found:
            found.add(nearest)
            left.extend(steps.get(nearest, ()))
    return frozenset(found)
