"""The `.ts` files of the time-series archives: many short series, each with its label.

    # comment
    @problemName Gestures
    @timeStamps false
    @dimensions 2
    @classLabel true wave point
    @data
    0.1,0.2,0.1:5,6,?:wave          dimensions between colons, ? for a missing value
    0.3,0.1:7,8:point

With ``@timeStamps true`` a value is ``(time,value)``. Where each series stands is found
once; one is read without the others. What a series is used for is not known here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.signals.columns import seconds_of, value_of

Numbers = NDArray[np.float64]
COLON = re.compile(r":(?![^(]*\))")  # between dimensions, not in the time of a pair
PAIR = re.compile(r"\s*\(([^,()]*),([^()]*)\)\s*(?:,|$)")
COMMENTS = ("#", "%")
SHOWN = 8  # classes named in a message


@dataclass(frozen=True)
class Archive:
    """The positions of the series in a file.

    Parameters
    ----------
    path
        The file.
    timed
        Whether every value has its time.
    dimensions
        Channels of each series; None if the header does not say.
    labelled
        Whether a class, or a target that is a number, stands behind each series.
    labels
        The classes of the series; None if they have none.
    places
        Line (from 1) and byte at which each begins.
    """

    path: Path
    timed: bool
    dimensions: int | None
    labelled: bool
    labels: tuple[str, ...] | None
    places: tuple[tuple[int, int], ...]


def read_archive(path: Path) -> Archive:
    """Index a `.ts` file.

    Raises
    ------
    AudioError
        If it is none, or its header makes no sense; says where.
    """
    try:
        found = path.stat()
        return _read_archive(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from error


def read_from_archive(archive: Archive, number: int) -> dict[str, Numbers]:
    """Read one series.

    Returns
    -------
    dict
        A column (N,) for each dimension, called 0, 1 and so on; of values with times,
        those first, as ``time``.

    Raises
    ------
    AudioError
        If there is none of that number, or a value is no number, or dimensions differ in
        length or number.
    """
    line, byte = archive.places[number]
    with archive.path.open("rb") as file:
        file.seek(byte)
        text = _decoded(archive.path, line, file.readline())
    place = f"{archive.path}:{line}"
    parts = COLON.split(text.strip()) if archive.timed else text.strip().split(":")
    if archive.labelled:
        parts.pop()
    if archive.dimensions is not None and len(parts) != archive.dimensions:
        raise AudioError(
            f"{place}: has {len(parts)} dimensions, and the header says {archive.dimensions}"
        )
    columns: dict[str, Numbers] = {}
    for at, part in enumerate(parts):
        times, values = _pairs(place, part) if archive.timed else (None, _values(place, at, part))
        if times is not None and not np.array_equal(columns.setdefault("time", times), times):
            raise AudioError(f"{place}: dimension {at} has other times than the first")
        columns[str(at)] = values
    lengths = {name: len(values) for name, values in columns.items() if name != "time"}
    for name, n in lengths.items():
        if n != lengths["0"]:
            raise AudioError(
                f"{place}: dimension {name} has {n} values, the first has {lengths['0']}"
            )
    return columns


@functools.lru_cache(maxsize=4)
def _read_archive(path: Path, size: int, mtime_ns: int) -> Archive:
    header: dict[str, str] = {}
    places: list[tuple[int, int]] = []
    labels: list[str] = []
    with path.open("rb") as file:
        line = 0
        for line, byte, text in _lines(path, file.readlines()):
            if "data" not in header:
                _take_header(f"{path}:{line}", text, header)
                continue
            places.append((line, byte))
            labels.append(text.rpartition(":")[2].strip())
    if "data" not in header:
        raise AudioError(f"{path}: no line @data: is it a .ts file of the time-series archives?")
    if not places:
        raise AudioError(f"{path}:{line}: no series behind @data")
    classes = _classes(path, header)
    for label, (line, _) in zip(labels, places, strict=True):
        if classes is not None and label not in classes:
            shown = ", ".join(classes[:SHOWN]) + (" ..." if len(classes) > SHOWN else "")
            raise AudioError(
                f"{path}:{line}: ends in {label!r}, which is none of the classes of its header: "
                f"{shown}"
            )
    target = _flag(path, header, "targetlabel")
    return Archive(
        path, _flag(path, header, "timestamps"), _dimensions(path, header),
        classes is not None or target, None if classes is None else tuple(labels), tuple(places),
    )  # fmt: skip


def _lines(path: Path, raw: Sequence[bytes]) -> Iterator[tuple[int, int, str]]:
    """Yield line number, byte and text of what is neither empty nor a comment."""
    byte = 0
    for number, line in enumerate(raw, start=1):
        text = _decoded(path, number, line).strip()
        if text and not text.startswith(COMMENTS):
            yield number, byte, text
        byte += len(line)


def _decoded(path: Path, line: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AudioError(f"{path}:{line}: is not UTF-8 text ({error.reason})") from error


def _take_header(place: str, text: str, header: dict[str, str]) -> None:
    if not text.startswith("@"):
        raise AudioError(
            f"{place}: {text[:40]!r} stands before @data, where lines begin with @ or #: is it a "
            ".ts file of the time-series archives?"
        )
    name, _, value = text[1:].partition(" ")
    name = {"dimension": "dimensions"}.get(name.lower(), name.lower())
    if header.setdefault(name, value.strip()) != value.strip() and name != "problemname":
        raise AudioError(f"{place}: @{name} is there twice, with other values")


def _flag(path: Path, header: dict[str, str], name: str) -> bool:
    word = header.get(name, "false").split()[:1]
    if [w.lower() for w in word] not in (["true"], ["false"]):
        raise AudioError(f"{path}: @{name} must be true or false, found {header[name]!r}")
    return word[0].lower() == "true"


def _dimensions(path: Path, header: dict[str, str]) -> int | None:
    if "dimensions" not in header:
        return 1 if _flag(path, header, "univariate") else None
    text = header["dimensions"]
    if not text.isdecimal() or int(text) < 1:
        raise AudioError(f"{path}: @dimensions must be a whole number above 0, found {text!r}")
    return int(text)


def _classes(path: Path, header: dict[str, str]) -> tuple[str, ...] | None:
    if not _flag(path, header, "classlabel"):
        return None
    classes = tuple(header["classlabel"].split()[1:])
    if not classes:
        raise AudioError(f"{path}: @classLabel is true and names no class")
    return classes


def _values(place: str, dimension: int, text: str) -> Numbers:
    cells = text.split(",")
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return np.array([value_of(place, f"dimension {dimension}", cell) for cell in cells])


def _pairs(place: str, text: str) -> tuple[Numbers, Numbers]:
    found, at = [], 0
    while at < len(text):
        pair = PAIR.match(text, at)
        if pair is None:
            raise AudioError(f"{place}: {text[at : at + 20]!r} is no (time,value)")
        found.append((seconds_of(place, pair[1]), value_of(place, "value", pair[2])))
        at = pair.end()
    times, values = np.array(found, np.float64).reshape(-1, 2).T
    return times, values
