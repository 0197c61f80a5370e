"""Sounds that a person has judged, added to what a network learns from.

They are learnt from and never judged on: a model's own mistakes, picked by hand, are no
fair sample of anything. Where one comes from a recording of the dataset or of the
background it is held out with the clip in which it lies: nothing is judged by a network
that has heard a part of it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.datasets.reviews import WRONG, read_reviews
from audiocnn.training.data.splits import Split
from audiocnn.training.run_results import NEVER


def add_reviews(
    clips: Sequence[Clip], split: Split, reviews: Sequence[str | Path], labels: Sequence[str]
) -> tuple[list[Clip], Split]:
    """Add what lists of reviews have verdicts on.

    Parameters
    ----------
    clips, split
        The dataset, and who is held out when.
    reviews
        Lists, see `read_reviews`.
    labels
        The classes of the dataset; reviews bring no others.

    Returns
    -------
    clips, split
        With the reviewed ones at the end. Those of one recording belong together.

    Raises
    ------
    DatasetError
        If a list cannot be used; says where.
    """
    known: dict[Path, list[int]] = defaultdict(list)
    for k, clip in enumerate(clips):
        known[clip.path.resolve()].append(k)
    parts, groups, added = [], [], []
    strangers: dict[Path, int] = {}
    first = int(split.group.max(initial=-1)) + 1
    for clip in (clip for path in reviews for clip in read_reviews(path, labels)):
        recording = Path(clip.columns["recording"]).resolve()
        if of := known.get(recording):
            k = _nearest(clip, clips, of)
            clip = replace(clip, columns={**clips[k].columns, **clip.columns})
            parts.append(int(split.part[k]))
            groups.append(int(split.group[k]))
        else:
            parts.append(NEVER)
            groups.append(first + strangers.setdefault(recording, len(strangers)))
        added.append(clip)
    return [*clips, *added], replace(
        split,
        part=np.append(split.part, np.array(parts, split.part.dtype)),
        group=np.append(split.group, np.array(groups, split.group.dtype)),
        n_judged=len(clips),
    )


def held_with_background(
    clips: Sequence[Clip], split: Split, background: Sequence[Clip], part: NDArray[np.int64]
) -> Split:
    """Hold reviewed sounds out with the background in which they were found."""
    known: dict[Path, list[int]] = defaultdict(list)
    for k, clip in enumerate(background):
        known[clip.path.resolve()].append(k)
    parts = split.part.copy()
    for at in range(len(clips) if split.n_judged is None else split.n_judged, len(clips)):
        of = known.get(Path(clips[at].columns["recording"]).resolve())
        if of and parts[at] == NEVER:
            parts[at] = part[_nearest(clips[at], background, of)]
    return replace(split, part=parts)


def _nearest(event: Clip, clips: Sequence[Clip], of: Sequence[int]) -> int:
    """Find the clip of a recording that an event overlaps most, or is least far from."""
    start, end = float(event.columns["from"]), float(event.columns["to"])

    def overlap(k: int) -> float:
        until = math.inf if clips[k].end is None else clips[k].end
        assert until is not None
        return min(end, until) - max(start, clips[k].start)

    return max(of, key=overlap)


def reviewed_in_words(added: Sequence[Clip]) -> str:
    """Describe how many sounds were added, and with what verdicts."""
    wrong = sum(clip.columns["verdict"].lower() == WRONG for clip in added)
    return f"{len(added)} reviewed sounds beside them, {wrong} of which are none of the classes"
