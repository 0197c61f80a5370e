"""A stored input and its scores: whether a model gives here what it gave where it was made.

The input is generated from a seed, so only the scores are stored. Replaying it goes
the whole path, from samples to calibrated scores.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from audiocnn.errors import BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.engine import Array, Graph, Grid, run_network
from audiocnn.inference.windows import Calibration, score_windows
from audiocnn.io.audio.blocks import Block
from audiocnn.io.files.numpy_files import UNREADABLE

TOLERANCE = 1e-4  # leaves room for other processors; see DESIGN.md
SEED = 1


def make_check(graph: Graph, front: FrontEnd, grid: Grid, calibration: Calibration) -> bytes:
    """Store what a model makes of the generated input, as NPZ."""
    written = io.BytesIO()
    scores = _scores(graph, front, grid, calibration, SEED)
    np.savez(written, seed=np.int64(SEED), scores=scores)
    return written.getvalue()


def replay(
    check: bytes, graph: Graph, front: FrontEnd, grid: Grid, calibration: Calibration, folder: Path
) -> None:
    """Give the input to the model again, and compare.

    Raises
    ------
    BundleError
        If the check cannot be read, or the scores differ by more than `TOLERANCE`;
        names the bundle's folder.
    """
    try:
        with np.load(io.BytesIO(check), allow_pickle=False) as stored:
            seed, expected = int(stored["seed"]), stored["scores"]
    except UNREADABLE as error:
        raise BundleError(
            f"{folder / 'check.npz'}: {type(error).__name__}: {error}; get the model anew"
        ) from error
    found = _scores(graph, front, grid, calibration, seed)
    same = found.shape == expected.shape
    worst = float(np.abs(found - expected).max()) if same else float("inf")
    if not worst <= TOLERANCE:
        raise BundleError(
            f"{folder}: does not reproduce its own scores on this machine (off by {worst:.2g}, "
            f"allowed {TOLERANCE}): do not use it; get the model anew or report this"
        )


def _scores(
    graph: Graph, front: FrontEnd, grid: Grid, calibration: Calibration, seed: int
) -> Array:
    """Score two windows of noise with a slow swell."""
    n = grid.window_samples + grid.step * grid.period
    samples = front.example(n, np.random.default_rng(seed))
    block = Block(samples, 0, grid.rate)
    runs = score_windows(run_network(graph, front, grid, [block]), grid, calibration)
    return np.concatenate([run.values for run in runs], axis=1)
