"""Samples to columns, for every kind of network: where windows lie, segments, padding.

A `Network` takes samples and its state and returns columns and the next state. This module
feeds it: a fresh state at every gap, pieces of bounded size, zeros after a segment that is
shorter than a window. It knows no labels or thresholds, and no runtime.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.frontend.base import FrontEnd
from audiocnn.io.audio.reader import Block

Array = NDArray[np.float32]
COLUMNS, EMBEDDINGS = "columns", "embeddings"  # the outputs of a network


@dataclass(frozen=True)
class Grid:
    """Where windows lie, in samples and columns: the one place that converts.

        samples   |----------------------------------------------------->
        column 0  |---------reach----------|
        column 1     |---------reach----------|          one period later
        window 0  |---reach + (size - 1) * period---|
        window 1        |-----------------------------------|   step periods later

    Parameters
    ----------
    rate
        Samples per second.
    period
        Samples from one column to the next.
    reach
        Samples that one column depends on.
    size
        Columns in a window.
    step
        Columns from one window to the next; may be more than ``size``.
    centred
        Whether a segment shorter than a window lies in its middle, with zeros on both
        sides, rather than at its start.
    """

    rate: float
    period: int
    reach: int
    size: int
    step: int
    centred: bool = False

    @property
    def window_samples(self) -> int:
        """Samples that a window's columns depend on together."""
        return self.reach + (self.size - 1) * self.period

    @property
    def hop_samples(self) -> int:
        """Samples from one window to the next."""
        return self.step * self.period

    @property
    def window(self) -> float:
        """Length of a window in seconds, as rounded to columns."""
        return self.window_samples / self.rate

    @property
    def hop(self) -> float:
        """Seconds from one window to the next, as rounded to columns."""
        return self.hop_samples / self.rate


def make_grid(
    front: FrontEnd, receptive_field: int, stride: int, window: float, hop: float
) -> Grid:
    """Round a window and a hop, in seconds, to the nearest whole columns (at least one).

    Parameters
    ----------
    front
        The front end.
    receptive_field, stride
        Frames that a column depends on, and from one column to the next.
    window, hop
        Seconds.
    """
    period = stride * front.hop
    reach = (receptive_field - 1) * front.hop + front.n_samples
    size = max(1, 1 + round((window * front.rate - reach) / period))
    return Grid(front.rate, period, reach, size, max(1, round(hop * front.rate / period)))


class Network(ABC):
    """A network behind its front end, ready to run; it holds no state of any stream.

    Attributes
    ----------
    front
        The front end, part of every step.
    n_scores, n_embeddings
        C and D of the outputs; 0 where there is no such output.
    samples_at_once
        Samples that one step should not exceed, so that memory stays bounded.

    Notes
    -----
    The outputs are ``"columns"`` (2, C, T): evidence, a logit, and the weight of each
    column; and ``"embeddings"`` (D, T). A column at ``t`` depends on the ``grid.reach``
    samples from ``t * grid.period`` on, and on no other.
    """

    front: FrontEnd
    n_scores: int
    n_embeddings: int
    samples_at_once: int

    @abstractmethod
    def grid(self, window: float, hop: float) -> Grid:
        """Return the windows nearest to a length and a hop in seconds."""

    @abstractmethod
    def begin(self, grid: Grid, output: str = COLUMNS) -> Any:
        """Return the state before the first sample of a segment.

        Raises
        ------
        ArgumentError
            If the network has no such output.
        """

    @abstractmethod
    def step(self, state: Any, samples: Array) -> tuple[Array | None, Any]:
        """Take new samples, any number of them.

        Returns
        -------
        columns
            The columns that the samples complete, time last; None if there is none yet.
        state
            For the next call.
        """

    @property
    def skip(self) -> NDArray[np.int64] | None:
        """(D,) columns at the beginning of a window that an embedding leaves out; None: none."""
        return None

    def end(self, state: Any, n_missing: int) -> tuple[Array | None, Any]:
        """End a segment that lacks ``n_missing`` samples of a window: by padding, here."""
        return self.step(state, self.front.padding(n_missing)) if n_missing else (None, state)

    def finish(self, state: Any) -> tuple[Array, int] | None:
        """Compute the last whole column where it does not lie on the grid.

        Returns
        -------
        column, start
            The column (..., 1), and the sample of the segment at which it begins; None if
            the grid's last column is the last whole one.
        """
        return None

    def computed(self, grid: Grid) -> float:
        """Return how often each sample is computed: 1, whatever the hop, if frames are shared."""
        return 1.0


@dataclass(frozen=True)
class Columns:
    """A run of columns of one gap-free segment.

    Parameters
    ----------
    start
        Sample at which the first column begins.
    values
        (2, C, T) evidence and weight, or (D, T) embeddings; None if the run only marks
        the end of the segment.
    padded
        Zeros, in samples, that were put behind a segment shorter than a window.
    last
        Whether the segment ends here.
    rate
        Samples per second, as the blocks state it; None: the grid's.
    closing, closing_start
        The last whole column of the segment, where the grid leaves samples behind its
        last one, and the sample at which it begins.
    """

    start: int
    values: Array | None
    padded: int = 0
    last: bool = False
    rate: float | None = None
    closing: Array | None = None
    closing_start: int = 0


def run_network(
    network: Network, grid: Grid, blocks: Iterable[Block], output: str = COLUMNS
) -> Iterator[Columns]:
    """Turn blocks of samples into runs of columns.

    Parameters
    ----------
    network, grid
        The network, and where windows lie.
    blocks
        At the front end's rate, or nearly (see `FrontEnd.check_samples`). A block that does
        not begin where the last one ended begins a new segment, which behaves exactly like
        a new file.
    output
        ``"columns"`` or ``"embeddings"``.

    Yields
    ------
    Columns
        One run a block that completes any, and one with ``last`` a segment.
    """
    for segment in segments(blocks):
        run = SegmentRun(network, grid, output)
        for block in segment:
            yield from run.push(block)
        yield from run.close()


def segments(blocks: Iterable[Block]) -> Iterator[Iterator[Block]]:
    """Split a stream at its gaps; empty blocks are dropped.

    A jump ends a segment at once, also one to an empty block: then a segment may be
    empty. Each must be consumed before the next one is asked for.
    """
    expected: int | None = None
    number = 0

    def segment_of(block: Block) -> int:
        nonlocal expected, number
        number += expected is not None and block.start != expected
        expected = block.start + block.samples.shape[-1]
        return number

    for _, segment in itertools.groupby(blocks, segment_of):
        yield (block for block in segment if block.samples.size)


class SegmentRun:
    """One gap-free segment on its way through a network.

    Parameters
    ----------
    network, grid, output
        As for `run_network`.
    """

    def __init__(self, network: Network, grid: Grid, output: str = COLUMNS) -> None:
        self._network, self._grid = network, grid
        self._state = network.begin(grid, output)
        self._start = self._at = 0  # where the segment and its next column begin
        self._n_samples, self._rate = 0, grid.rate
        self._held: list[Array] | None = [] if grid.centred else None  # until a window is full

    def push(self, block: Block) -> Iterator[Columns]:
        """Take the next block; yield the columns that it completes."""
        if not self._n_samples:
            self._start = self._at = block.start
        self._rate = block.rate
        self._n_samples += block.samples.shape[-1]
        samples = block.samples
        if self._held is not None:
            self._held.append(samples)
            if self._n_samples < self._grid.window_samples:
                return
            samples, self._held = np.concatenate(self._held, axis=-1), None
        yield from self._step(samples)

    def _step(self, samples: Array) -> Iterator[Columns]:
        at_once = self._network.samples_at_once
        for cut in range(0, samples.shape[-1], at_once):
            columns, self._state = self._network.step(
                self._state, samples[..., cut : cut + at_once]
            )
            if columns is not None:
                yield Columns(self._at, columns, rate=self._rate)
                self._at += columns.shape[-1] * self._grid.period

    def close(self) -> Iterator[Columns]:
        """End the segment: zeros beside one shorter than a window, and the last column."""
        if not self._n_samples:
            return
        padded = max(0, self._grid.window_samples - self._n_samples)
        before = 0
        if self._held is not None:
            before = padded // 2
            zeros = self._network.front.padding(before)
            yield from self._step(np.concatenate((zeros, *self._held), axis=-1))
        rest, self._state = self._network.end(self._state, padded - before)
        closing = self._network.finish(self._state)
        end = Columns(self._at, rest, padded, True, self._rate)
        if closing is not None:
            end = replace(end, closing=closing[0], closing_start=self._start + closing[1])
        yield end
