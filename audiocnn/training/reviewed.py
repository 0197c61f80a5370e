"""Sounds that a person has judged, added to what a network learns from.

They are learnt from and never judged on: a model's own mistakes, picked by hand, are no
fair sample of anything. Only where one comes from a recording that is in the dataset too
does it go where that goes, held out with it: nothing is judged by a network that has
heard a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiocnn.manifest import Clip
from audiocnn.reviews import WRONG, read_reviews
from audiocnn.training.results import NEVER
from audiocnn.training.splits import Split


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
    known = {clip.path.resolve(): k for k, clip in reversed(list(enumerate(clips)))}
    parts, groups, added = [], [], []
    strangers: dict[Path, int] = {}
    first = int(split.group.max(initial=-1)) + 1
    for clip in (clip for path in reviews for clip in read_reviews(path, labels)):
        recording = Path(clip.columns["recording"]).resolve()
        if (k := known.get(recording)) is None:
            parts.append(NEVER)
            groups.append(first + strangers.setdefault(recording, len(strangers)))
        else:
            clip = replace(clip, columns={**clips[k].columns, **clip.columns})
            parts.append(int(split.part[k]))
            groups.append(int(split.group[k]))
        added.append(clip)
    return [*clips, *added], replace(
        split,
        part=np.append(split.part, np.array(parts, split.part.dtype)),
        group=np.append(split.group, np.array(groups, split.group.dtype)),
    )


def reviewed_in_words(added: Sequence[Clip]) -> str:
    """Say how many sounds were added, and with what verdicts."""
    wrong = sum(clip.columns["verdict"].lower() == WRONG for clip in added)
    return f"{len(added)} reviewed sounds beside them, {wrong} of which are none of the classes"
