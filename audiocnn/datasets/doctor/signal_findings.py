"""Findings about recordings of signals: other channels, rates or units, gaps, dead sensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from audiocnn.datasets.doctor.audio_checks import Examined
from audiocnn.datasets.doctor.findings import (
    ERROR,
    NOTE,
    WARNING,
    Finding,
    Place,
    about_lengths,
    about_unreadable,
)
from audiocnn.datasets.doctor.signal_checks import ExaminedSignal
from audiocnn.datasets.manifest import Clip
from audiocnn.inference.model_input import SAME_RATE

OTHER_UNIT = 100.0  # times as strong, or as weak, as its class: another unit, not another day
ENOUGH = 4  # recordings of a class, from which on one can be unlike the others

Good = Mapping[Path, ExaminedSignal]


def about_signals(clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Report findings on each recording, and compared with the others."""
    yield from about_unreadable(found)
    good = {path: e for path, e in found.items() if isinstance(e, ExaminedSignal) and not e.error}
    yield from _unlike(
        good, "channels", lambda e: e.names, lambda e: ", ".join(e.names),
        "give --columns for those that all have, or rename them in the files",
    )  # fmt: skip
    if good and all(e.hertz is None for e in good.values()):
        yield Finding(
            "no rate", NOTE, "no file says its rate: a sample counts for a second",
            "give --rate if you know it: times are seconds then",
        )  # fmt: skip
    rates = _rounded({e.hertz for e in good.values() if e.hertz is not None})
    yield from _unlike(
        good, "rate", lambda e: None if e.hertz is None else rates[e.hertz],
        lambda e: "no known rate" if e.hertz is None else f"{e.hertz:g} Hz",
        "bring all to one rate: signals are never resampled here",
    )  # fmt: skip
    yield from _missing(good)
    yield from _constant(good)
    yield from _units(clips, good)
    yield from about_lengths(clips, found)


def _rounded(rates: set[float]) -> dict[float, float]:
    """Map rates that differ by less than `SAME_RATE` to the first of them."""
    first: dict[float, float] = {}
    for rate in sorted(rates):
        before = max(first.values(), default=0.0)
        first[rate] = before if before and rate / before - 1 <= SAME_RATE else rate
    return first


def _unlike(
    good: Good, what: str, key: Callable[[ExaminedSignal], Hashable],
    describe: Callable[[ExaminedSignal], str], advice: str,
) -> Iterator[Finding]:  # fmt: skip
    counts = Counter(key(e) for e in good.values())
    if len(counts) < 2:
        return
    usual, n = counts.most_common(1)[0]
    example = next(e for e in good.values() if key(e) == usual)
    places = tuple(Place(str(path), describe(e)) for path, e in good.items() if key(e) != usual)
    yield Finding(
        what, ERROR,
        f"{len(places)} recordings have another {what} than the {n} with {describe(example)}",
        advice, places,
    )  # fmt: skip


def _missing(good: Good) -> Iterator[Finding]:
    places = tuple(
        Place(str(path), f"{e.missing} samples") for path, e in good.items() if e.missing
    )
    if places:
        yield Finding(
            "missing", WARNING, f"{len(places)} recordings lack values",
            "make sure that they are missing in all classes alike, or the network learns the gaps",
            places,
        )  # fmt: skip


def _constant(good: Good) -> Iterator[Finding]:
    dead = {path: e.constant for path, e in good.items() if e.constant}
    everywhere = [
        name
        for name in dict.fromkeys(name for names in dead.values() for name in names)
        if all(name in dead.get(path, ()) for path, e in good.items() if name in e.names)
    ]
    if everywhere and len(good) > 1:
        yield Finding(
            "constant", WARNING, f"{', '.join(everywhere)}: the same value in all recordings",
            "leave it out with --columns: nothing can be learnt from it",
        )  # fmt: skip
    places = tuple(
        Place(str(path), ", ".join(some))
        for path, names in dead.items()
        if (some := [name for name in names if name not in everywhere])
    )
    if places:
        yield Finding(
            "constant", WARNING,
            f"{len(places)} recordings have channels that never change, and do in others",
            "was the sensor connected? Take them out, or record them again", places,
        )  # fmt: skip


def _units(clips: Sequence[Clip], good: Good) -> Iterator[Finding]:
    """Find recordings whose swing is another order of magnitude than that of their class."""
    by_class: dict[tuple[str, ...], list[Path]] = {}
    for clip in clips:
        members = by_class.setdefault(clip.labels, [])
        if clip.path in good and clip.path not in members[-1:]:
            members.append(clip.path)
    odd: dict[Path, str] = {}
    for members in by_class.values():
        names = good[members[0]].names if members else ()
        same = [path for path in dict.fromkeys(members) if good[path].names == names]
        if len(same) < ENOUGH:
            continue
        swings = np.array([good[path].deviations for path in same])
        with np.errstate(divide="ignore", invalid="ignore"):
            times = swings / np.median(swings, axis=0)
        for path, row in zip(same, times, strict=True):
            for name, ratio in zip(names, row.tolist(), strict=True):
                if np.isfinite(ratio) and ratio > 0 and not 1 / OTHER_UNIT < ratio < OTHER_UNIT:
                    odd.setdefault(path, f"{name} swings {ratio:.2g} times as far as usual")
    if odd:
        yield Finding(
            "unit", WARNING, f"{len(odd)} recordings swing far more or less than others of their "
            "class", "are they in another unit (g and m/s2, mV and V), or of another gain?",
            tuple(Place(str(path), detail) for path, detail in odd.items()),
        )  # fmt: skip
