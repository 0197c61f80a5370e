"""Embeddings: what the network computes before it names classes, a vector a window.

The same path as `audiocnn.inference.pipeline`, so the same windows, and the same vectors
however the sound is cut into blocks. For search, clustering, and classifiers on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError
from audiocnn.inference.bundle import Bundle
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
    """Return the length D of a bundle's vectors.

    Raises
    ------
    BundleError
        If its network has no embeddings.
    """
    size = bundle.opened.n_embeddings
    if not size:
        raise BundleError(
            f"{bundle.name}: its network gives no embeddings; export one of ours again from "
            "its weights with scripts/reexport, or use another model"
        )
    return size


def embed(
    bundle: Bundle, blocks: Iterable[Block], hop: float | None = None, pooling: str = "mean"
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
    pooling
        How the columns of a window make its vector: ``"mean"``, ``"mean+max"`` (2 D
        numbers) or ``"concat"`` (D numbers a column), see `audiocnn.inference.head`.

    Yields
    ------
    Embeddings
        W at least 1.

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
    return _embed(bundle, blocks, hop, pooling)


def _embed(
    bundle: Bundle, blocks: Iterable[Block], hop: float | None, pooling: str
) -> Iterator[Embeddings]:
    for run in bundle.pipeline(hop).embeddings(blocks, pooling):
        if run.values.shape[1]:
            begins, ends = run.times
            yield Embeddings(begins, ends, run.values)
