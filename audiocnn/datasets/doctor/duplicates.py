"""Findings about duplicate sounds, and about sources that are in two folds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocnn.datasets.doctor.audio_checks import Examined
from audiocnn.datasets.doctor.findings import ERROR, WARNING, Finding, Place, span_of
from audiocnn.datasets.doctor.fingerprints import (
    ALIKE,
    PRINT_RATE,
    Proposal,
    correlate,
    propose_twins,
)
from audiocnn.datasets.groups import BY_NAME, suggest_groups
from audiocnn.datasets.manifest import Clip
from audiocnn.io.audio.reader import read_audio

FOLD_COLUMNS = ("fold", "split", "part", "partition", "set", "subset")
CANDIDATES = 20  # recordings that one is laid over at most, most votes first
LEAST = 0.25  # seconds that must agree


@dataclass(frozen=True)
class Twins:
    """Two recordings of one sound.

    Parameters
    ----------
    a, b
        The recordings.
    how
        In words: ``the same bytes``, ``correlation 0.98 over 4.2 s, 0.30 s later`` ...
    """

    a: Path
    b: Path
    how: str


def find_twins(found: Mapping[Path, Examined]) -> list[Twins]:
    """Find recordings that hold the same sound, or a piece of it.

    Returns
    -------
    list of Twins
        Each recording beside the first of its kind.
    """
    twins, alone = [], []
    seen: dict[str, Path] = {}
    for path, e in found.items():
        if e.error:
            continue
        first = seen.get(e.bytes_hash) or seen.get(e.samples_hash)
        if first is None:
            seen[e.bytes_hash] = seen[e.samples_hash] = path
            alone.append(path)
        else:
            same = found[first].bytes_hash == e.bytes_hash
            twins.append(Twins(first, path, "the same bytes" if same else "the same samples"))
    return twins + list(_near(alone, found))


def _near(paths: Sequence[Path], found: Mapping[Path, Examined]) -> Iterator[Twins]:
    tried: dict[int, int] = defaultdict(int)
    for p in propose_twins([(found[path].prints, found[path].frames) for path in paths]):
        tried[p.a] += 1
        tried[p.b] += 1
        if max(tried[p.a], tried[p.b]) > CANDIDATES:
            continue
        a, b = paths[p.a], paths[p.b]
        value, lag, seconds = _compare(a, b, found, p)
        shorter = min(found[a].duration, found[b].duration)
        if abs(value) >= ALIKE and seconds >= min(LEAST, 0.5 * shorter):
            later = f", {abs(lag):.2f} s {'later' if lag > 0 else 'earlier'}" if lag else ""
            yield Twins(a, b, f"correlation {abs(value):.2f} over {seconds:.2f} s{later}")


def _compare(
    a: Path, b: Path, found: Mapping[Path, Examined], p: Proposal
) -> tuple[float, float, float]:
    """Correlate two waveforms; of long recordings a minute around the overlap."""
    start = max(0.0, -p.lag), max(0.0, p.lag)
    ends = [s + 60.0 for s in start]
    x, y = (
        read_audio(
            path,
            PRINT_RATE,
            start=s,
            end=end if end < found[path].duration else None,
            note=lambda note: None,  # reported of the recording as a whole
        )
        for path, s, end in zip((a, b), start, ends, strict=True)
    )
    value, lag, seconds = correlate(x, y, 0.0)
    return value, lag + p.lag, seconds


def about_twins(clips: Sequence[Clip], twins: Sequence[Twins]) -> Iterator[Finding]:
    """Report recordings of the same sound, and whether labels or folds differ."""
    by_path: dict[Path, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_path[clip.path].append(clip)
    exact = [t for t in twins if t.how.startswith("the same")]
    for kind, some in (("same file", exact), ("same sound", [t for t in twins if t not in exact])):
        if some:
            yield Finding(
                kind, WARNING,
                f"{len(some)} pair{'s' * (len(some) != 1)} of recordings hold the same sound"
                + ("" if kind == "same file" else ": re-encoded, cut, or of another level"),
                "keep one of each, or name what belongs together in a column for --group",
                tuple(_pair(t) for t in some),
            )  # fmt: skip
    other = [t for t in twins if _labels(by_path[t.a]) != _labels(by_path[t.b])]
    if other:
        yield Finding(
            "two labels", ERROR, f"{len(other)} sounds are there twice, with different labels",
            "listen, and mend the wrong label; if both sounds are in it, write both: a|b",
            tuple(_pair(t, _labels(by_path[t.a]), _labels(by_path[t.b])) for t in other),
        )  # fmt: skip
    for column in fold_columns(clips):
        apart = [t for t in twins
                 if _values(by_path[t.a], column) != _values(by_path[t.b], column)]  # fmt: skip
        if apart:
            yield Finding(
                "sound in two folds", ERROR,
                f"{len(apart)} sounds are in two values of {column!r} at once",
                "put both into one: the network is measured on what it learnt by heart",
                tuple(_pair(t, _values(by_path[t.a], column), _values(by_path[t.b], column))
                      for t in apart),
            )  # fmt: skip


def about_groups(
    clips: Sequence[Clip], group: str | None, found: Mapping[Path, Examined]
) -> Iterator[Finding]:
    """Report sources that are in two folds, and groups that were not given."""
    columns = fold_columns(clips)
    if group is not None and group != BY_NAME:
        named: Sequence[str] | None = [clip.columns.get(group, "") for clip in clips]
        yield from _leaks(clips, named or (), group, columns, ERROR)
    elif suggestion := suggest_groups(clips):
        severity = ERROR if group else WARNING
        if columns:
            yield from _leaks(clips, suggestion.groups, suggestion.column, columns, severity)
        elif not group:
            yield Finding("groups", WARNING, str(suggestion), f"--group {suggestion.column}")
    for column in columns:
        yield from _leaks(clips, [str(clip.path) for clip in clips], "recording", [column], ERROR)
    yield from _overlaps(clips, found)


def fold_columns(clips: Sequence[Clip]) -> list[str]:
    """Return the columns that assign clips to parts of the data."""
    return [c for c in FOLD_COLUMNS if clips and all(c in clip.columns for clip in clips)]


def _leaks(
    clips: Sequence[Clip], groups: Sequence[str], name: str, columns: Sequence[str], severity: str
) -> Iterator[Finding]:
    for column in columns:
        parts: dict[str, dict[str, Path]] = defaultdict(dict)
        for clip, value in zip(clips, groups, strict=True):
            if value and clip.columns[column]:
                parts[value].setdefault(clip.columns[column], clip.path)
        places = [
            Place(str(path), f"{name} {value} in {column} {', '.join(sorted(of))}")
            for value, of in sorted(parts.items())
            if len(of) > 1
            for path in [of[max(of)]]
        ]
        if places:
            yield Finding(
                "source in two folds", severity,
                f"{len(places)} of {len(parts)} groups by {name!r} are in several values of"
                f" {column!r}",
                f"put each into one, or train with --group {name} and without"
                f" --folds {column}; fine if new sounds will come from the same {name}s",
                tuple(places),
            )  # fmt: skip


def _overlaps(clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Find clips of one recording that share a stretch and contradict each other."""
    by_path: dict[Path, list[tuple[float, float, Clip]]] = defaultdict(list)
    for clip in clips:
        if clip.path in found and not found[clip.path].error:
            by_path[clip.path].append((*span_of(clip, found[clip.path]), clip))
    places = []
    for path, spans in by_path.items():
        spans.sort(key=lambda span: span[:2])
        for (_, end, clip), (start, _, other) in itertools.pairwise(spans):
            if start < end - 1e-6 and set(clip.labels) != set(other.labels):
                detail = f"{'|'.join(clip.labels) or 'nothing'} until {end:g} s and"
                places.append(
                    Place(str(path), f"{detail} {'|'.join(other.labels)} from {start:g} s")
                )
    if places:
        yield Finding(
            "overlap", WARNING,
            f"{len(places)} pairs of rows share a part of a recording and label it differently",
            "write all labels of a part in its row: a|b", tuple(places),
        )  # fmt: skip


def _pair(t: Twins, *what: str) -> Place:
    said = f" ({' and '.join(what)})" if what else ""
    return Place(str(t.b), f"{t.how} as {t.a}{said}")


def _labels(clips: Sequence[Clip]) -> str:
    return ", ".join(sorted({"|".join(sorted(clip.labels)) or "none" for clip in clips}))


def _values(clips: Sequence[Clip], column: str) -> str:
    return ", ".join(sorted({clip.columns[column] for clip in clips}))
