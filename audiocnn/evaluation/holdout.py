"""Split clips into two halves without a common source: one to tune on, one to report on.

Figures on the data that thresholds were tuned on are optimistic, and parts of one
recording are nearly the same sound. So whole groups go to one half.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.groups import group_names
from audiocnn.datasets.manifest import Clip, read_manifest
from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.model_input import find_for
from audiocnn.io.audio.reader import find_recordings


def chosen_half(
    clips: Sequence[Clip],
    seconds: NDArray[np.float64],
    split: Mapping[str, Collection[str]],
    group: str | None,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Select the half of the clips (K,) to tune on; the other half is for reporting.

    Parameters
    ----------
    clips
        All clips.
    seconds
        (K,) length of each.
    split
        Values by column: clips with one of these values are selected. If the clips have
        none of the columns, groups are distributed by length and class.
    group
        Column of the groups, see `group_names`.
    rng
        Determines the order of groups of similar length.

    Raises
    ------
    ArgumentError
        If one half would be empty.

    Notes
    -----
    The longest groups come first (by powers of two), and each goes to the half that has less of
    its class (for backgrounds: of its ``kind``, if there is such a column).
    """
    for column, values in split.items():
        if all(column in clip.columns for clip in clips):
            mask = np.array([clip.columns[column] in values for clip in clips])
            if mask.all() or not mask.any():
                raise ArgumentError(
                    f"--split {column}={','.join(values)} takes {int(mask.sum())} of {len(clips)} "
                    "clips to choose on; some must be, and some left to report on"
                )
            return mask
    names, group_of = np.unique(np.array(group_names(clips, group)), return_inverse=True)
    if len(names) < 2:
        raise ArgumentError(
            f"all {len(clips)} clips are of one group ({names[0]}): none can be kept to report "
            "on; name another column with --group, or the half with --split COLUMN=VALUE"
        )
    classes = ["|".join(clip.labels) or clip.columns.get("kind", "") for clip in clips]
    class_names, class_of = np.unique(np.array(classes), return_inverse=True)
    held = np.zeros((len(names), len(class_names)))
    np.add.at(held, (group_of, class_of), seconds)
    held /= np.maximum(1e-9, held.sum(axis=0))
    order = rng.permutation(len(names))
    size = np.floor(np.log2(np.maximum(1e-9, held.sum(axis=1))))  # so that the order is random
    order = order[np.argsort(-size[order], kind="stable")]
    have, half = np.zeros((2, len(class_names))), np.zeros(len(names), bool)
    for g in order.tolist():
        half[g] = have[0] @ held[g] <= have[1] @ held[g]
        have[0 if half[g] else 1] += held[g]
    return np.asarray(half[group_of])


def background_clips(
    folder: str | Path,
    where: Mapping[str, Collection[str]] | None = None,
    front: FrontEnd | None = None,
) -> list[Clip]:
    """List background clips: sounds that are none of the classes.

    Parameters
    ----------
    folder
        If it has a ``clips.csv``: its rows without a label; else every recording in it.
    where
        Values by column: only rows of the ``clips.csv`` that have them.
    front
        The model's front end, if its signals are not sound.

    Raises
    ------
    ArgumentError, AudioError, DatasetError
        If there are none.
    """
    folder = Path(folder)
    if not (folder.suffix.lower() == ".csv" or (folder / "clips.csv").exists()):
        if where:
            raise ArgumentError(f"{folder} has no clips.csv, so its sounds have no {list(where)}")
        found = find_recordings([folder]) if front is None else find_for([folder], front)
        return [Clip(path, ()) for path in found]
    clips = [clip for clip in read_manifest(folder, where=where or {}) if not clip.labels]
    if not clips:
        raise ArgumentError(
            f"{folder}: every row of its table has a label; background clips are rows without one"
        )
    return clips
