"""Networks with an input window, which others trained: one window of input is one column.

    frames     |------------------------------------------------>
    column 0   |----length----|
    column 1        |----length----|           one period later
    column 2             |----length----|
    the last                     |----length----|    ends with the segment

A column depends on the samples of its window alone, so a stream gives the scores of the
file. The price: what windows share is computed once for each of them. Windows that are
complete at the same time go to the network in batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.engine import COLUMNS, EMBEDDINGS, Array, Grid, Network
from audiocnn.inference.runtimes import Runtime

SAMPLES_AT_ONCE = 1 << 18  # a longer block is taken in pieces: memory stays bounded
BATCH = 8  # windows in a call, where the network takes any number
SMALLEST = 1e-7  # probabilities nearer to 0 or 1 are taken for this: float32 holds no more
# How an input is laid out: N windows, P planes, M bands, T frames, 1 a length of one.
LAYOUTS = (
    "NPMT", "NMT", "NTM", "N1MT", "N1TM", "NTM1", "NMT1", "NT", "N1T", "NT1", "T",
)  # fmt: skip
ACTIVATIONS = ("none", "sigmoid", "softmax")


@dataclass(frozen=True)
class WindowedState:
    """What a stream must remember between steps.

    Parameters
    ----------
    output
        Which output is computed.
    period, single
        Frames between columns; whether a window is one column.
    samples
        The front end's tail.
    frames
        (P, M, T) the frames that are still needed.
    first, next
        Index in the segment of the first of them, and of the next column's first frame.
    """

    output: str
    period: int
    single: bool
    samples: Array
    frames: Array
    first: int = 0
    next: int = 0


class WindowedNetwork(Network):
    """A network of others behind its front end.

    Parameters
    ----------
    front
        Its front end; `WaveformSpec` for a network that takes samples.
    runtime
        The opened file, with one input.
    length
        Frames of a window.
    period
        Frames between columns where a window is longer than the network's own.
    layout
        Axes of the input, one of `LAYOUTS`.
    scores, embeddings
        Names of the outputs; "" for none.
    activation
        What the scores have gone through: "none" (they are logits), "sigmoid" or
        "softmax" (they are probabilities, and become logits again).

    Raises
    ------
    BundleError
        If these do not fit the file.
    """

    samples_at_once = SAMPLES_AT_ONCE

    def __init__(
        self, front: FrontEnd, runtime: Runtime, length: int, *, period: int | None = None,
        layout: str = "NPMT", scores: str = "", embeddings: str = "", activation: str = "none",
    ) -> None:  # fmt: skip
        if len(runtime.inputs) != 1:
            raise BundleError(f"a windowed network has one input, this one {len(runtime.inputs)}")
        if layout not in LAYOUTS or activation not in ACTIVATIONS:
            raise BundleError(
                f"layout must be one of {', '.join(LAYOUTS)} and activation one of "
                f"{', '.join(ACTIVATIONS)}, got {layout!r} and {activation!r}"
            )
        shape = runtime.inputs[0].shape
        if len(shape) != len(layout):
            raise BundleError(f"layout {layout!r} does not fit an input of {len(shape)} axes")
        self.front, self.runtime = front, runtime
        self.length, self.period = length, period or max(1, length // 2)
        self.layout, self.activation = layout, activation
        self._outputs = {COLUMNS: scores, EMBEDDINGS: embeddings}
        self._check_input(shape)
        fixed = shape[layout.index("N")] if "N" in layout else 1
        self.batch = BATCH if fixed is None else fixed
        self._exact = fixed is not None
        self.n_scores, self.n_embeddings = self._width(scores), self._width(embeddings)

    def _check_input(self, shape: tuple[int | None, ...]) -> None:
        """Refuse an input that does not take the front end's frames."""
        lengths = {"P": self.front.planes, "M": self.front.n_bands, "T": self.length, "1": 1}
        wanted = [lengths.get(axis) for axis in self.layout]
        if any(
            a is not None and b is not None and a != b for a, b in zip(shape, wanted, strict=True)
        ):
            raise BundleError(
                f"the network takes {shape} ({self.layout}), and its front end gives windows of "
                f"{self.length} frames, {self.front.planes} planes of {self.front.n_bands} bands"
            )

    def _width(self, name: str) -> int:
        """Return the numbers a window of an output, by a run of zeros where no shape says."""
        if not name:
            return 0
        found = self.runtime.output(name)
        if found is None:
            raise BundleError(f"the network has no output {name!r}")
        lengths = found.shape[1:] if "N" in self.layout else found.shape
        if lengths and all(lengths):
            return math.prod(n or 0 for n in lengths)
        window = self.front.padding(self.length * self.front.hop + self.front.n_samples)
        cut = self.front.frames(window)[:, :, None, : self.length]
        return int(self._run(cut, name).shape[0])

    def grid(self, window: float, hop: float) -> Grid:
        """Round to whole frames: a window of the network's own, or of several columns."""
        front = self.front
        reach = (self.length - 1) * front.hop + front.n_samples
        period = self.period * front.hop
        size = max(1, 1 + round((window * front.rate - reach) / period))
        if size == 1:
            return Grid(front.rate, max(1, round(hop * front.rate / front.hop)) * front.hop,
                        reach, 1, 1)  # fmt: skip
        return Grid(front.rate, period, reach, size, max(1, round(hop * front.rate / period)))

    def begin(self, grid: Grid, output: str = COLUMNS) -> WindowedState:
        """Return the state before the first sample."""
        if not self._outputs.get(output):
            if output == COLUMNS:
                raise ArgumentError(
                    "the network gives no class scores, it is a backbone: train a model on it with "
                    "`audiocnn train DATA -o BUNDLE --backbone NAME`"
                )
            raise ArgumentError(f"the network gives no {output}")
        none = self.front.no_samples()
        period = grid.period // self.front.hop
        return WindowedState(output, period, grid.size == 1, none, self.front.frames(none))

    def step(self, state: WindowedState, samples: Array) -> tuple[Array | None, WindowedState]:
        """Take new samples; return the columns of the windows that they complete."""
        new, tail = self.front.stream(state.samples, samples)
        frames = np.concatenate((state.frames, new), axis=-1) if state.frames.size else new
        end, following, columns = state.first + frames.shape[-1], state.next, None
        n = max(0, (end - following - self.length) // state.period + 1)
        if n:
            ready = frames[..., following - state.first :]
            cut = np.lib.stride_tricks.sliding_window_view(ready, self.length, axis=-1)
            columns = self._columns(cut[:, :, :: state.period][:, :, :n], state.output)
            following += n * state.period
        # The last whole window is always kept: the segment may end here.
        first = max(state.first, min(following, end - self.length))
        kept = frames[..., first - state.first :]
        return columns, replace(state, samples=tail, frames=kept, first=first, next=following)

    def finish(self, state: WindowedState) -> tuple[Array, int] | None:
        """Compute the window that ends with the segment, if the grid has none there."""
        begin = state.first + state.frames.shape[-1] - self.length
        if not state.single or begin < 0 or begin == state.next - state.period:
            return None
        cut = state.frames[:, :, None, -self.length :]
        return self._columns(cut, state.output), begin * self.front.hop

    def _columns(self, windows: Array, output: str) -> Array:
        """Run windows (P, M, W, length): columns (2, C, W) or embeddings (D, W)."""
        values = self._run(windows, self._outputs[output])
        if output == EMBEDDINGS:
            return values
        evidence = values if self.activation == "none" else logits_of(values)
        return np.stack((evidence, np.ones_like(evidence)))

    def _run(self, windows: Array, name: str) -> Array:
        """Run windows (P, M, W, length) in batches; return (numbers, W)."""
        total, found = windows.shape[2], []
        for at in range(0, total, self.batch):
            part = windows[:, :, at : at + self.batch].transpose(2, 0, 1, 3)
            n = part.shape[0]
            if self._exact and n < self.batch:  # a file for batches of one size
                part = np.concatenate((part, np.repeat(part[-1:], self.batch - n, axis=0)))
            feed = np.ascontiguousarray(_arranged(part, self.layout), np.float32)
            (out,) = self.runtime.run([name], {self.runtime.inputs[0].name: feed})
            found.append(np.asarray(out, np.float32).reshape(part.shape[0], -1)[:n])
        return np.ascontiguousarray(np.concatenate(found).T)

    def computed(self, grid: Grid) -> float:
        """Return how often each sample is computed: once for every window that holds it."""
        return grid.reach / grid.period


def logits_of(probabilities: Array) -> Array:
    """Return ``log(p / (1 - p))``, p limited to [1e-7, 1 - 1e-7]."""
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(p) - np.log1p(-p), np.float32)


def _arranged(windows: Array, layout: str) -> Array:
    """Bring windows (N, P, M, T) to a layout."""
    return _ARRANGE[layout](windows)


_ARRANGE: dict[str, Callable[[Array], Array]] = {
    "NPMT": lambda x: x,
    "N1MT": lambda x: x,
    "NMT": lambda x: x[:, 0],
    "NTM": lambda x: x[:, 0].transpose(0, 2, 1),
    "N1TM": lambda x: x.transpose(0, 1, 3, 2),
    "NTM1": lambda x: x[:, 0].transpose(0, 2, 1)[..., None],
    "NMT1": lambda x: x[:, 0, ..., None],
    "NT": lambda x: x[:, 0, 0],
    "N1T": lambda x: x[:, 0],
    "NT1": lambda x: x[:, 0, 0, :, None],
    "T": lambda x: x[0, 0, 0],
}
