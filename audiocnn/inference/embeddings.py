"""What the network makes of sound before it names it: a vector for every window.

The same path as `audiocnn.inference.pipeline`, so the same windows, and the same vectors however
the sound is cut into blocks. For search, clustering, and heads of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.engine import Columns, Grid, run_network
from audiocnn.inference.model_input import check_block
from audiocnn.inference.windows import score_windows
from audiocnn.io.audio.reader import Block


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of a run of windows of one gap-free segment.

    Parameters
    ----------
    begins, ends
        (W,) seconds since the stream began; the padding of a segment shorter than a
        window is left out.
    values
        (D, W) float32.
    """

    begins: NDArray[np.float64]
    ends: NDArray[np.float64]
    values: NDArray[np.float32]


def n_features(bundle: Bundle) -> int:
    """Give the length D of a bundle's vectors.

    Raises
    ------
    BundleError
        If its graph, exported long ago, does not give any.
    """
    for output in bundle.graph.session.get_outputs():
        if output.name == "embeddings":
            return int(output.shape[0])
    raise BundleError(
        f"{bundle.name}: its graph gives no embeddings (it was exported before there were any); "
        "export it anew from its weights with scripts/reexport, or train it anew"
    )


def embed(
    bundle: Bundle, blocks: Iterable[Block], hop: float | None = None
) -> Iterator[Embeddings]:
    """Turn a stream into a vector for each sliding window.

    Parameters
    ----------
    bundle
        The model.
    blocks
        At ``bundle.rate``. A jump in ``Block.start`` begins a new segment.
    hop
        Seconds between windows, rounded to whole columns; the bundle's if left out.

    Yields
    ------
    Embeddings
        The mean over the window's columns of what the trunk says; W at least 1.

    Raises
    ------
    ArgumentError
        If a block has another rate, or other channels, than the model.
    BundleError
        If the bundle gives no embeddings.

    Notes
    -----
    The weights by which columns make scores are of one class each, so all columns
    count alike here.

    Examples
    --------
    >>> import audiocnn
    >>> bundle = audiocnn.load("environment")
    >>> blocks = audiocnn.read_blocks("data/demo.flac", bundle.rate)
    >>> next(audiocnn.embed(bundle, blocks)).values.shape[0]
    80
    """
    n_features(bundle)
    return _embed(bundle, blocks, grid_of(bundle, hop))


def _embed(bundle: Bundle, blocks: Iterable[Block], grid: Grid) -> Iterator[Embeddings]:
    checked = (check_block(block, bundle.front) for block in blocks)
    columns = run_network(bundle.graph, bundle.front, grid, checked, "embeddings")
    for run in score_windows((_weighted(c) for c in columns), grid):
        if run.values.shape[1]:
            begins = run.start + run.hop * np.arange(run.values.shape[1], dtype=np.float64)
            yield Embeddings(begins, begins + run.window - run.padded, run.values)


def _weighted(run: Columns) -> Columns:
    """Give the features the shape of evidence with equal weights, which is pooled by its mean."""
    if run.values is None:
        return run
    return replace(run, values=np.stack((run.values, np.ones_like(run.values))))
