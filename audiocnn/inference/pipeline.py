"""The one path from samples to window scores to events.

    blocks -> network (front end inside) -> columns -> windows -> scores -> events

Labelling, live streams, evaluation, training and a bundle's self-check all take it; no
other module composes these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from audiocnn.inference.engine import (
    COLUMNS,
    EMBEDDINGS,
    Array,
    Columns,
    Grid,
    Network,
    run_network,
)
from audiocnn.inference.head import Head, pool_embeddings
from audiocnn.inference.windows import (
    Calibration,
    Pool,
    Scores,
    calibrate,
    cut_windows,
    pool_windows,
    score_windows,
)
from audiocnn.io.audio.blocks import Block

Observe = Callable[[Columns], None]


@dataclass(frozen=True)
class Pipeline:
    """Samples to window scores.

    Parameters
    ----------
    network, grid
        The network, and where windows lie.
    head
        Classifier on embeddings; None if the network gives class evidence itself.
    calibration
        Window logits to probabilities; None to get the logits.
    """

    network: Network
    grid: Grid
    head: Head | None = None
    calibration: Calibration | None = None

    @property
    def output(self) -> str:
        """Which output of the network makes the scores."""
        return COLUMNS if self.head is None else EMBEDDINGS

    @cached_property
    def pool(self) -> Pool:
        """What makes logits (C, W) of columns."""
        head = self.head
        if head is None:
            return pool_windows
        skip = self.network.skip
        return lambda columns, size, step: head.logits(
            head.features(cut_windows(columns, size, step), skip)
        )

    @property
    def uncalibrated(self) -> Pipeline:
        """The same, giving logits."""
        return replace(self, calibration=None)

    def scores(self, blocks: Iterable[Block], observe: Observe | None = None) -> Iterator[Scores]:
        """Score a stream in sliding windows.

        Parameters
        ----------
        blocks
            At the front end's rate; a jump in ``Block.start`` begins a new segment.
        observe
            Called with each run of columns, before its windows are scored.

        Yields
        ------
        Scores
            Probabilities, or logits without a calibration.

        Raises
        ------
        ArgumentError
            If a block has another rate or shape than the front end takes.
        """
        runs = run_network(self.network, self.grid, self._checked(blocks), self.output)
        if observe:
            runs = _observed(runs, observe)
        return score_windows(runs, self.grid, self.calibration, self.pool)

    def column_scores(self, run: Columns) -> Array | None:
        """Score every column alone (C, T): where in a window a sound is.

        The calibration was fitted on windows; for single columns it is a guide. None for a
        run without columns, and for a head that needs the columns of a window together.
        """
        together = self.network.skip is not None
        if run.values is None or together or (self.head and self.head.pooling == "concat"):
            return None
        logits = self.pool(run.values, 1, 1)
        return logits if self.calibration is None else calibrate(logits, self.calibration)

    def embeddings(self, blocks: Iterable[Block], pooling: str = "mean") -> Iterator[Scores]:
        """Pool the embeddings of each window; the values (F, W) take the place of scores.

        Parameters
        ----------
        blocks
            As for `scores`.
        pooling
            One of `audiocnn.inference.head.POOLINGS`.
        """
        runs = run_network(self.network, self.grid, self._checked(blocks), EMBEDDINGS)

        def pool(columns: Array, size: int, step: int) -> Array:
            return pool_embeddings(cut_windows(columns, size, step), pooling, self.network.skip)

        return score_windows(runs, self.grid, None, pool)

    def _checked(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            self.network.front.check_samples(block.samples, block.rate)
            yield block


class HasPipeline(Protocol):
    """A model that scores samples: `audiocnn.inference.bundle.Bundle`."""

    def pipeline(self, hop: float | None = None) -> Pipeline:
        """Return the path from samples to scores."""


def listen(
    bundle: HasPipeline, blocks: Iterable[Block], hop: float | None = None
) -> Iterator[Scores]:
    """Score a stream in sliding windows.

    However the stream is cut into blocks, the scores are the same.

    Parameters
    ----------
    bundle
        The model.
    blocks
        At ``bundle.rate``. A jump in `Block.start` begins a new segment.
    hop
        Seconds from one window to the next, rounded to whole columns; the
        bundle's own if left out. May be longer than a window.

    Yields
    ------
    Scores
        Calibrated probabilities, classes in the order of ``bundle.labels``.

    Raises
    ------
    ArgumentError
        If a block has another rate, or other channels, than the model.

    Notes
    -----
    With a streaming network each frame and each column is computed once, and the cost does
    not depend on the hop. A windowed network is computed once a window.

    Examples
    --------
    >>> import audiocnn
    >>> bundle = audiocnn.load("environment")
    >>> blocks = audiocnn.read_blocks("data/demo.flac", bundle.rate)
    >>> next(audiocnn.listen(bundle, blocks)).values.shape[0] == len(bundle.labels)
    True
    """
    return bundle.pipeline(hop).scores(blocks)


def _observed(runs: Iterable[Columns], observe: Observe) -> Iterator[Columns]:
    for run in runs:
        observe(run)
        yield run
