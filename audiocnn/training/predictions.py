"""What a network says of clips that it was not fitted on, by the path that users run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.engine import Graph, Grid, make_grid, open_graph, run_network
from audiocnn.inference.windows import score_windows
from audiocnn.io.audio.reader import Block
from audiocnn.io.files.atomic import replacing
from audiocnn.networks.classifier import Classifier
from audiocnn.networks.onnx_export import export_graph
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import Stored

Array = NDArray[np.float32]
BLOCK = 60  # seconds of a clip that are in memory at once


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
        """Give the windows of the clips (K,) that are chosen."""
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


def predict(
    model: Classifier, recipe: TrainingConfig, waveforms: Stored, members: Iterable[int],
    hop: float | None = None,
) -> Predictions:  # fmt: skip
    """Run the exported network over clips, as the runtime does.

    Parameters
    ----------
    model, recipe
        The network and how it was made.
    waveforms, members
        Clips, and which of them.
    hop
        Seconds between windows; the recipe's if None.
    """
    graph = open_graph(export_graph(model), model.receptive_field, model.stride)
    grid = make_grid(
        recipe.front, model.receptive_field, model.stride, recipe.window, hop or recipe.hop
    )
    rows = [_predict_clip(graph, recipe, grid, waveforms, int(k)) for k in members]
    return Predictions(*(np.concatenate(column, axis=-1) for column in zip(*rows, strict=True)))


def _predict_clip(
    graph: Graph, recipe: TrainingConfig, grid: Grid, waveforms: Stored, clip: int
) -> tuple[Array, NDArray[np.int64], Array, Array, Array]:
    length, at_once = waveforms.length(clip), max(1, round(BLOCK * grid.rate))
    blocks = (
        Block(waveforms.recorded(clip, at, min(at_once, length - at)), at, grid.rate)
        for at in range(0, length, at_once)
    )
    logits, begins = [], []
    for run in score_windows(run_network(graph, recipe.front, grid, blocks), grid):
        logits.append(run.values)
        begins.append(run.start + run.hop * np.arange(run.values.shape[1]))
    starts = np.concatenate(begins)
    first = np.rint(starts * grid.rate).astype(np.int64)
    ends = np.minimum(first + grid.window_samples, length)
    power = [
        waveforms.power(clip, a, b - a) for a, b in zip(first.tolist(), ends.tolist(), strict=True)
    ]
    return (
        np.concatenate(logits, axis=1),
        np.full(starts.size, clip),
        (np.array(power) / grid.window_samples).astype(np.float32),
        starts.astype(np.float32),
        (ends / grid.rate).astype(np.float32),
    )


def audible(predictions: Predictions, silence_db: float, faint_db: float) -> NDArray[np.bool_]:
    """Say which windows (W,) have enough energy to carry their clip's label."""
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
