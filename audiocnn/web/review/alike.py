"""Which events sound alike: vectors, groups to be judged together, and an order of variety.

The vectors are a model's embeddings where it gives any. Without a model they describe the
spectrum: its mean and spread in 48 bands, which is enough to bring hum to hum and
clicks to clicks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.bundle import Bundle
from audiocnn.inference.embeddings import embed
from audiocnn.io.audio.reader import Block
from audiocnn.web.spectrum import spectrogram

TOGETHER = 12  # events of a group, about
MOST_COMPARED = 3000  # of one class: beyond, pairs take too much memory
N_BANDS = 48

Vectors = NDArray[np.float32]


def describe_spectrum(samples: NDArray[np.float32], rate: int) -> Vectors:
    """Describe a sound by the mean and the spread of its spectrum (96,)."""
    columns = max(4, min(200, round(len(samples) / rate / 0.05)))
    image = spectrogram(samples, rate, columns, N_BANDS)
    image -= image.max()  # loudness depends on the distance
    return np.concatenate([image.mean(axis=1), image.std(axis=1)]).astype(np.float32)


def embed_sound(bundle: Bundle, samples: NDArray[np.float32], rate: int) -> Vectors:
    """Describe a sound by the mean of a model's embeddings (D,)."""
    import soxr

    if rate != bundle.rate:
        samples = soxr.resample(samples, rate, bundle.rate)
    found = list(embed(bundle, [Block(np.asarray(samples, np.float32), 0, bundle.rate)]))
    columns = np.concatenate([run.values for run in found], axis=1)
    return np.asarray(columns.mean(axis=1), np.float32)


def standardized(vectors: Vectors) -> Vectors:
    """Bring vectors (N, D) to mean 0 and deviation 1 in each dimension, and then to length 1."""
    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.maximum(spread, 1e-6 + 1e-3 * spread.max())
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.maximum(norms, 1e-9), np.float32)


def groups(vectors: Vectors, labels: Sequence[str]) -> NDArray[np.intp]:
    """Give each event (N,) the number of its group: alike, and of one class.

    Parameters
    ----------
    vectors
        (N, D).
    labels
        N names.

    Notes
    -----
    Average linkage of cosine distances, cut so that a group has about `TOGETHER` members.
    """
    scaled, numbers, n_groups = standardized(vectors), np.zeros(len(labels), np.intp), 0
    for label in sorted(set(labels)):
        members = np.flatnonzero([name == label for name in labels])
        for first in range(0, len(members), MOST_COMPARED):
            part = members[first : first + MOST_COMPARED]
            found = _cluster(scaled[part])
            numbers[part] = n_groups + found
            n_groups += int(found.max()) + 1
    return numbers


def _cluster(vectors: Vectors) -> NDArray[np.intp]:
    if len(vectors) <= TOGETHER // 2:
        return np.zeros(len(vectors), np.intp)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    tree = linkage(np.maximum(0, pdist(vectors, "cosine")), "average")
    found = fcluster(tree, math.ceil(len(vectors) / TOGETHER), "maxclust") - 1
    return np.asarray(found, np.intp)


def by_variety(vectors: Vectors, first: int = 0) -> list[int]:
    """Order events so that each is as unlike those before it as possible.

    The farthest-point traversal: the first n events cover all of them as well as
    a greedy choice can.
    """
    scaled = standardized(vectors)
    order, nearest = [first], np.full(len(scaled), np.inf)
    for _ in range(len(scaled) - 1):
        distance = 1 - scaled @ scaled[order[-1]]
        nearest = np.minimum(nearest, distance)
        nearest[order[-1]] = -np.inf
        order.append(int(nearest.argmax()))
    return order
