"""Self-check of a model: a stored input whose scores it must reproduce on this machine.

The input is generated from a seed, so only the scores are stored. Replaying it goes
the whole path, from samples to calibrated scores; of a network without classes, to the
embeddings of its windows.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from audiocnn.errors import BundleError
from audiocnn.inference.engine import Array
from audiocnn.inference.pipeline import Pipeline
from audiocnn.io.audio.blocks import Block
from audiocnn.io.files.numpy_files import UNREADABLE

TOLERANCE = 1e-4  # leaves room for other processors
SEED = 1


def make_check(pipeline: Pipeline, *, classes: bool = True) -> bytes:
    """Return the scores of the generated input as NPZ.

    Parameters
    ----------
    pipeline
        The model, with its own windows.
    classes
        Whether it gives scores; else its embeddings are stored.
    """
    written = io.BytesIO()
    values = {"scores" if classes else "embeddings": _replayed(pipeline, SEED, classes)}
    np.savez(written, seed=np.int64(SEED), **values)  # type: ignore[arg-type]
    return written.getvalue()


def replay(check: bytes, pipeline: Pipeline, folder: Path) -> None:
    """Run the model on the stored input again, and compare.

    Raises
    ------
    BundleError
        If the check cannot be read, or the scores differ by more than `TOLERANCE`
        (embeddings: of the largest of them, if that is above 1); names the bundle's folder.
    """
    try:
        with np.load(io.BytesIO(check), allow_pickle=False) as stored:
            classes = "embeddings" not in stored.files
            seed, expected = int(stored["seed"]), stored["scores" if classes else "embeddings"]
            unit = 1.0 if classes else max(1.0, float(np.abs(expected).max(initial=0.0)))
    except UNREADABLE as error:
        raise BundleError(
            f"{folder / 'check.npz'}: {type(error).__name__}: {error}; install the model again"
        ) from error
    found = _replayed(pipeline, seed, classes)
    same = found.shape == expected.shape
    worst = float(np.abs(found - expected).max()) / unit if same else float("inf")
    if not worst <= TOLERANCE:
        raise BundleError(
            f"{folder}: does not reproduce its own scores on this machine (off by {worst:.2g}, "
            f"allowed {TOLERANCE}): do not use it; install the model again or report this"
        )


def _replayed(pipeline: Pipeline, seed: int, classes: bool) -> Array:
    """Run two windows of noise with a slow swell."""
    grid = pipeline.grid
    n = grid.window_samples + grid.hop_samples
    samples = pipeline.network.front.example(n, np.random.default_rng(seed))
    blocks = [Block(samples, 0, grid.rate)]
    runs = pipeline.scores(blocks) if classes else pipeline.embeddings(blocks)
    return np.concatenate([run.values for run in runs], axis=1)
