"""Window logits of clips by a network that is being trained: exported, then run as users do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.pipeline import Pipeline
from audiocnn.inference.streaming_network import open_streaming
from audiocnn.io.audio.reader import Block
from audiocnn.networks.classifier import Classifier
from audiocnn.networks.onnx_export import export_graph
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import Stored
from audiocnn.training.predictions import Array, Predictions

BLOCK = 60  # seconds of a clip that are in memory at once


def predict(
    model: Classifier, config: TrainingConfig, waveforms: Stored, members: Iterable[int],
    hop: float | None = None,
) -> Predictions:  # fmt: skip
    """Run the exported network over clips, as the runtime does.

    Parameters
    ----------
    model, config
        The network and how it was made.
    waveforms, members
        Clips, and which of them.
    hop
        Seconds between windows; the config's if None.
    """
    network = open_streaming(config.front, export_graph(model), model.receptive_field, model.stride)
    pipeline = Pipeline(network, network.grid(config.window, hop or config.hop))
    rows = [_predict_clip(pipeline, waveforms, int(k)) for k in members]
    return Predictions(*(np.concatenate(column, axis=-1) for column in zip(*rows, strict=True)))


def _predict_clip(
    pipeline: Pipeline, waveforms: Stored, clip: int
) -> tuple[Array, NDArray[np.int64], Array, Array, Array]:
    grid = pipeline.grid
    length, at_once = waveforms.length(clip), max(1, round(BLOCK * grid.rate))
    blocks = (
        Block(waveforms.recorded(clip, at, min(at_once, length - at)), at, grid.rate)
        for at in range(0, length, at_once)
    )
    logits, begins = [], []
    for run in pipeline.scores(blocks):
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
