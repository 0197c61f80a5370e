"""Which clips a network is judged on: parts that its fit leaves out, groups together.

    one part       ###########....        a fifth is held out; the network learnt the rest
    folds          ....###########        each part is held out once, by a network of its
                   ####....#######        own, and the network of the bundle learns all
                   ###########....

Folds say more where clips are few: every clip is judged. Their price is a fit each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip, assign_folds, labels_of, split_by
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.training.run_results import NEVER

FOLDS = 4  # of a cross-validation that nobody asked for
SMALL = 1000  # windows an epoch, up to which such a one is made: about half an hour in all
KEPT_APART = 5  # one in so many, where there is one part only


Length = Callable[[Path], float | None]  # of a recording, seconds; None if it does not say


@dataclass(frozen=True)
class Split:
    """Who is held out when.

    Parameters
    ----------
    part
        (K,) in which part a clip is held out; `NEVER` for none.
    crossed
        Whether each part has a fit of its own and the bundle learns all; else there
        is one part, and the bundle learns the rest.
    group
        (K,) clips of one number belong together.
    n_judged
        How many of the clips, the first ones, are judged; the others are learnt from
        alone, also where a part is theirs. None for all.
    named
        Whether a column of the data names the parts: speakers, rooms, days.
    """

    part: NDArray[np.int64]
    crossed: bool
    group: NDArray[np.int64]
    n_judged: int | None = None
    named: bool = False

    @property
    def alike(self) -> NDArray[np.int64]:
        """(K,) clips of one number show no more than one: of a named part, or of a group."""
        return self.part if self.named else self.group

    @property
    def parts(self) -> list[int]:
        """The parts, ascending."""
        return [int(p) for p in np.unique(self.part) if p != NEVER]

    def judged(self, part: int) -> NDArray[np.intp]:
        """Return the clips that are judged while a part is held out."""
        return np.flatnonzero(self.part[: self.n_judged] == part)

    @property
    def n_held(self) -> int:
        """How many clips are judged."""
        return int((self.part[: self.n_judged] != NEVER).sum())


def split_clips(
    clips: Sequence[Clip],
    *,
    windows: int,
    valid: Mapping[str, Collection[str]] | None = None,
    folds: int | str | None = None,
    group: str | None = None,
    seed: int = 0,
) -> Split:
    """Decide which clips are held out.

    Parameters
    ----------
    clips
        All of them.
    windows
        About how many an epoch has: decides where nobody did.
    valid
        Column and values that are held out.
    folds
        How many parts, each held out once; 1 for a fifth, held out without
        cross-validation; or the column that says a clip's part.
    group
        Column whose equal values stay together.
    seed
        Decides among equals.

    Raises
    ------
    ArgumentError, DatasetError
        If a class would have nothing to learn from, or the choices contradict.
    """
    if valid and folds is not None:
        raise ArgumentError("--valid and --folds both say what is held out: give one of them")
    names = _groups(clips, group)
    if valid:
        split = Split(_valid_part(clips, valid), False, names)
    elif isinstance(folds, str) and not folds.isdecimal():
        split = Split(_column_parts(clips, folds), True, names, named=True)
    else:
        split = _dealt(clips, names, windows, None if folds is None else int(folds), group, seed)
    _check_learnable(clips, split)
    return split


def judging_parts(
    clips: Sequence[Clip], split: Split, group: str | None, seed: int
) -> NDArray[np.int64]:
    """Say on which other parts a clip's calibration and rules are chosen: on all but its own.

    The parts of a cross-validation; where one part is held out, two halves of it, or
    itself where it is a single group.
    """
    held = np.flatnonzero(split.part[: split.n_judged] != NEVER).tolist()
    if len(split.parts) > 1 or len(set(split.group[held].tolist())) < 2:
        return split.part
    part = np.full(len(clips), NEVER)
    rng = np.random.default_rng([seed, 1])
    part[held] = assign_folds([clips[k] for k in held], 2, group, rng)
    return part


def split_background(
    clips: Sequence[Clip], split: Split, length: Length
) -> tuple[list[Clip], NDArray[np.int64]]:
    """Deal recordings of background to the parts, cut where there are too few of them.

    Parameters
    ----------
    clips
        Whole recordings.
    split
        How the clips with labels were dealt.
    length
        Seconds of a recording; None if it does not say.

    Returns
    -------
    clips, part
        As many clips or more; (K,) the part in which each is held out. Of one part, a
        fifth is held out, the others are learnt from.
    """
    n = len(split.parts) if split.crossed else KEPT_APART
    if len(clips) < n:
        clips = [piece for clip in clips for piece in _cut(clip, n, length(clip.path))]
    part = np.arange(len(clips)) % n
    return list(clips), part if split.crossed else np.where(part == n - 1, split.parts[0], NEVER)


def _cut(clip: Clip, n: int, duration: float | None) -> Iterator[Clip]:
    """Cut a recording into ``n`` stretches of equal length."""
    if not duration:  # a container that does not say: leave it whole
        yield clip
        return
    edges = np.linspace(0, duration, n + 1).round(3).tolist()
    for at, (start, end) in enumerate(itertools.pairwise(edges)):
        yield replace(clip, start=start, end=None if at == n - 1 else end)


def _groups(clips: Sequence[Clip], group: str | None) -> NDArray[np.int64]:
    names = [str(clip.path) for clip in clips]
    for value, members in split_by(clips, group).items() if group else ():
        for k in members.tolist() if value else ():
            names[k] = f"{group}={value}"
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _valid_part(clips: Sequence[Clip], valid: Mapping[str, Collection[str]]) -> NDArray[np.int64]:
    held = np.ones(len(clips), bool)
    for column, values in valid.items():
        held &= np.isin([clip.columns.get(column, "") for clip in clips], list(values))
    if not held.any() or held.all():
        named = " ".join(f"{c}={','.join(sorted(v))}" for c, v in valid.items())
        raise ArgumentError(
            f"--valid {named} keeps {int(held.sum())} of {len(clips)} clips apart; some must be, "
            "and some left to train on"
        )
    return np.where(held, 0, NEVER)


def _column_parts(clips: Sequence[Clip], column: str) -> NDArray[np.int64]:
    members = {value: rows for value, rows in split_by(clips, column).items() if value}
    if len(members) < 2:
        raise ArgumentError(
            f"--folds {column}: the column has {len(members)} value(s); folds need two or more"
        )
    part = np.full(len(clips), NEVER)
    for number, rows in enumerate(members.values()):
        part[rows] = number
    return part


def _dealt(
    clips: Sequence[Clip], names: NDArray[np.int64], windows: int, folds: int | None,
    group: str | None, seed: int,
) -> Split:  # fmt: skip
    if folds is not None and folds < 1:
        raise ArgumentError(f"--folds takes 1 or more, or a column, got {folds}")
    counts = {
        label: len({int(g) for g, c in zip(names, clips, strict=True) if label in c.labels})
        for label in labels_of(clips)
    }
    alone = [label for label, n in counts.items() if n < 2]
    if alone:
        what = f"one {group}" if group else "one recording"
        raise DatasetError(
            f"too few clips: {', '.join(alone[:10])} {'has' if len(alone) == 1 else 'have'} "
            f"{what} only, and it takes two or more: one to learn from and one to be judged by. "
            "Record more, leave the class out with --where, or say what is held out with --valid; "
            "by other moments of the same recording, which says little of a new one: --group moment"
        )
    if folds is None:
        folds = FOLDS if windows <= SMALL else 1
        folds = max(2, min(folds, *counts.values())) if folds > 1 and counts else folds
    n_groups = len(set(names.tolist()))
    n = min(KEPT_APART, n_groups) if folds == 1 else folds
    if n_groups < n or n < 2:
        raise ArgumentError(
            f"--folds {folds}: there are {n_groups} groups of clips only ({group or 'path'})"
        )
    dealt = assign_folds(clips, n, group, np.random.default_rng(seed)).astype(np.int64)
    if folds == 1:
        return Split(np.where(dealt == 0, 0, NEVER), False, names)
    return Split(dealt, True, names)


def _check_learnable(clips: Sequence[Clip], split: Split) -> None:
    """Refuse parts that hold all clips of a class."""
    for part in split.parts:
        left = labels_of(c for c, p in zip(clips, split.part, strict=True) if p != part)
        for label in labels_of(clips):
            if label not in left:
                raise DatasetError(
                    f"all clips of {label!r} would be held out at once, and nothing left to learn "
                    "it from: choose other rows with --valid or --folds, or record more of it"
                )
