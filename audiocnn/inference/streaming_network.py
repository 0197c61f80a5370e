"""Networks of ours: frames and tails in, columns and tails out, each frame computed once.

This module buffers frames until the graph can be called: one receptive field at first,
whole multiples of the stride after that (a shorter call raises in ONNX Runtime, or returns
wrong columns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.engine import COLUMNS, EMBEDDINGS, Array, Grid, Network, make_grid
from audiocnn.inference.runtimes import Runtime, open_runtime

SAMPLES_AT_ONCE = 1 << 18  # a longer block is taken in pieces: memory stays bounded
FRAMES_AT_ONCE = 1 << 13  # likewise, where a sample is a frame


@dataclass(frozen=True)
class StreamingState:
    """What a stream must remember between steps.

    Parameters
    ----------
    output
        Which output is computed.
    samples
        The front end's tail.
    frames
        (P, M, T) frames that wait for a call of the graph; (0,) if there is none.
    tails
        Of the graph's layers.
    begun
        Whether the graph was called.
    """

    output: str
    samples: Array
    frames: Array
    tails: tuple[Array, ...]
    begun: bool = False


class StreamingNetwork(Network):
    """An exported network of ours.

    Parameters
    ----------
    front
        Its front end.
    runtime
        The opened graph: inputs ``frames`` and ``tail_i``, outputs ``columns``,
        ``embeddings`` and ``new_tail_i``.
    receptive_field, stride
        Of the trunk, in frames.

    Raises
    ------
    BundleError
        If the graph takes other frames than the front end gives.
    """

    def __init__(
        self, front: FrontEnd, runtime: Runtime, receptive_field: int, stride: int
    ) -> None:
        self.front, self.runtime = front, runtime
        self.receptive_field, self.stride = receptive_field, stride
        shape = runtime.inputs[0].shape
        if shape[1:3] != (front.planes, front.n_bands):
            raise BundleError(
                f"the graph takes frames of shape {shape}, the front end gives {front.planes} "
                f"planes of {front.n_bands} bands; install the model again"
            )
        shapes = [tensor.shape for tensor in runtime.inputs[1:]]
        self.empty_tails = tuple(
            np.zeros((*(n or 0 for n in shape[:-1]), 0), np.float32) for shape in shapes
        )
        columns, embeddings = (runtime.output(name) for name in (COLUMNS, EMBEDDINGS))
        self.n_scores = columns.shape[1] or 0 if columns else 0
        self.n_embeddings = embeddings.shape[0] or 0 if embeddings else 0

    @property
    def samples_at_once(self) -> int:  # type: ignore[override]
        """Samples of one step, at most."""
        return min(SAMPLES_AT_ONCE, FRAMES_AT_ONCE * self.front.hop)

    def grid(self, window: float, hop: float) -> Grid:
        """Round a window and a hop to whole columns."""
        return make_grid(self.front, self.receptive_field, self.stride, window, hop)

    def begin(self, grid: Grid, output: str = COLUMNS) -> StreamingState:
        """Return the state before the first sample."""
        if self.runtime.output(output) is None:
            raise ArgumentError(
                f"the network has no output {output!r}: export it again with scripts/reexport"
            )
        return StreamingState(
            output, self.front.no_samples(), np.empty(0, np.float32), self.empty_tails
        )

    def step(self, state: StreamingState, samples: Array) -> tuple[Array | None, StreamingState]:
        """Take new samples; return the columns that they complete."""
        frames, tail = self.front.stream(state.samples, samples)
        return self._advance(state, tail, frames)

    def advance(self, state: StreamingState, new: Array) -> tuple[Array | None, StreamingState]:
        """Take new frames (P, M, T), any number of them; return the columns they complete."""
        return self._advance(state, state.samples, new)

    def _advance(
        self, state: StreamingState, samples: Array, new: Array
    ) -> tuple[Array | None, StreamingState]:
        frames = np.concatenate((state.frames, new), axis=-1) if state.frames.size else new
        first = self.stride if state.begun else self.receptive_field
        if frames.shape[-1] < first:
            return None, StreamingState(state.output, samples, frames, state.tails, state.begun)
        n_frames = first + (frames.shape[-1] - first) // self.stride * self.stride
        feeds: dict[str, Array] = {"frames": frames[None, ..., :n_frames]}
        feeds |= {f"tail_{i}": tail for i, tail in enumerate(state.tails)}
        names = [state.output, *(f"new_{name}" for name in list(feeds)[1:])]
        columns, *tails = self.runtime.run(names, feeds)
        rest = frames[..., n_frames:]
        return columns, StreamingState(state.output, samples, rest, tuple(tails), True)


def open_streaming(
    front: FrontEnd, model: bytes, receptive_field: int, stride: int, *, threads: int = 1,
    accelerator: str = "cpu",
) -> StreamingNetwork:  # fmt: skip
    """Open an exported network of ours; parameters and errors as for `open_runtime`."""
    runtime = open_runtime(model, threads=threads, accelerator=accelerator)
    return StreamingNetwork(front, runtime, receptive_field, stride)
