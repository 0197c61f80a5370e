"""Window logits of clips, as a table: saved, joined, and reduced to scores of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiocnn.io.files.atomic import replacing

Array = NDArray[np.float32]


class HasPower(Protocol):
    """Windows of clips: ``clip`` (W,) of which each is, and its mean ``power`` (W,)."""

    @property
    def clip(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def power(self) -> Array: ...  # noqa: D102


@dataclass(frozen=True)
class Predictions:
    """Window logits of many clips.

    Parameters
    ----------
    logits
        (C, W) of all windows of all clips, not calibrated.
    clip
        (W,) which clip each window is of, as numbered in the waveforms.
    power
        (W,) mean power of each window.
    begins, ends
        (W,) seconds from the beginning of the clip.
    """

    logits: Array
    clip: NDArray[np.int64]
    power: Array
    begins: Array
    ends: Array

    def save(self, path: Path) -> None:
        """Write as NPZ, whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **self.__dict__)

    def of(self, chosen: NDArray[np.bool_]) -> Predictions:
        """Return the windows of the clips (K,) that are chosen."""
        here = chosen[self.clip]
        return Predictions(
            self.logits[:, here], self.clip[here], self.power[here], self.begins[here],
            self.ends[here],
        )  # fmt: skip


def join(parts: Sequence[Predictions], first: Sequence[int] | None = None) -> Predictions:
    """Put predictions one after the other; ``first`` is added to the clips of each."""
    added = first or [0] * len(parts)
    return Predictions(
        np.concatenate([p.logits for p in parts], axis=1),
        np.concatenate([p.clip + n for p, n in zip(parts, added, strict=True)]),
        *(np.concatenate([getattr(p, n) for p in parts]) for n in ("power", "begins", "ends")),
    )


def load_predictions(path: Path) -> Predictions:
    """Read what `Predictions.save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Predictions(**{name: stored[name] for name in stored.files})


def audible(predictions: HasPower, silence_db: float, faint_db: float) -> NDArray[np.bool_]:
    """Return which windows (W,) have enough energy to carry their clip's label."""
    loudest = np.zeros(int(predictions.clip.max()) + 1)
    np.maximum.at(loudest, predictions.clip, predictions.power)
    limit = np.maximum(10 ** (silence_db / 10), loudest * 10 ** (faint_db / 10))
    return predictions.power >= limit[predictions.clip]


def clip_scores(
    values: Array, clip: NDArray[np.int64], how: str
) -> tuple[NDArray[np.int64], Array]:
    """Gather window values (C, W) to clips.

    Returns
    -------
    clips (K,), scores (K, C)
        The clips that have windows, ascending, and their maximum or mean.
    """
    clips, index = np.unique(clip, return_inverse=True)
    if how == "max":
        out = np.full((clips.size, values.shape[0]), -np.inf)
        np.maximum.at(out, index, values.T)
    else:
        out = np.zeros((clips.size, values.shape[0]))
        np.add.at(out, index, values.T)
        out /= np.bincount(index)[:, None]
    return clips, out.astype(np.float32)
