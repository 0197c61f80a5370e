"""Some of a network's classes: the others are computed and dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from audiocnn.inference.engine import COLUMNS, Array, Grid, Network


class SelectedNetwork(Network):
    """A network of whose class scores some are given.

    Parameters
    ----------
    network
        The whole one.
    classes
        Indices of its scores, in the order in which they are given.
    """

    def __init__(self, network: Network, classes: Sequence[int]) -> None:
        self.network = network
        self.front, self.samples_at_once = network.front, network.samples_at_once
        self.n_scores, self.n_embeddings = len(classes), network.n_embeddings
        self._classes = np.asarray(classes, np.intp)

    def grid(self, window: float, hop: float) -> Grid:
        """Return the windows nearest to a length and a hop in seconds."""
        return self.network.grid(window, hop)

    def begin(self, grid: Grid, output: str = COLUMNS) -> Any:
        """Return the state before the first sample of a segment."""
        return self.network.begin(grid, output), output

    def step(self, state: Any, samples: Array) -> tuple[Array | None, Any]:
        """Take new samples; return the columns of the chosen classes."""
        inner, output = state
        columns, inner = self.network.step(inner, samples)
        return self._chosen(columns, output), (inner, output)

    def finish(self, state: Any) -> tuple[Array, int] | None:
        """Compute the last whole column where it does not lie on the grid."""
        inner, output = state
        found = self.network.finish(inner)
        if found is None:
            return None
        column = self._chosen(found[0], output)
        assert column is not None
        return column, found[1]

    def computed(self, grid: Grid) -> float:
        """Return how often each sample is computed."""
        return self.network.computed(grid)

    def _chosen(self, columns: Array | None, output: str) -> Array | None:
        if columns is None or output != COLUMNS:
            return columns
        return np.ascontiguousarray(columns[:, self._classes])
