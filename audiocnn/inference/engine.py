"""The exported graph under ONNX Runtime: samples to columns, in any cutting.

One call of the graph takes frames and tails and gives columns and tails. This module
keeps what the graph must not be bothered with: it buffers frames until the graph can be
called (one receptive field at first, whole multiples of the stride after that), starts
afresh at every gap, pads what is shorter than a window. It knows no labels or thresholds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, BundleError, DeviceError
from audiocnn.frontend.base import FrontEnd
from audiocnn.io.audio.reader import Block

Array = NDArray[np.float32]
PROVIDERS: dict[str, list[Any]] = {  # of ONNX Runtime, for each accelerator
    "cpu": ["CPUExecutionProvider"],
    # TF32 keeps 10 bits of a product: scores would be off by more than a bundle's check allows.
    "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"],
}
SAMPLES_AT_ONCE = 1 << 18  # a longer block is taken in pieces: memory stays bounded
FRAMES_AT_ONCE = 1 << 13  # likewise, where a sample is a frame


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
        Samples that one column sees.
    size
        Columns in a window.
    step
        Columns from one window to the next; may be more than ``size``.
    """

    rate: float
    period: int
    reach: int
    size: int
    step: int

    @property
    def window_samples(self) -> int:
        """Samples that a window's columns see together."""
        return self.reach + (self.size - 1) * self.period

    @property
    def window(self) -> float:
        """Length of a window in seconds, as rounded to columns."""
        return self.window_samples / self.rate

    @property
    def hop(self) -> float:
        """Seconds from one window to the next, as rounded to columns."""
        return self.step * self.period / self.rate


def make_grid(
    front: FrontEnd, receptive_field: int, stride: int, window: float, hop: float
) -> Grid:
    """Round a window and a hop, in seconds, to the nearest whole columns (at least one)."""
    period = stride * front.hop
    reach = (receptive_field - 1) * front.hop + front.n_samples
    size = max(1, 1 + round((window * front.rate - reach) / period))
    return Grid(front.rate, period, reach, size, max(1, round(hop * front.rate / period)))


@dataclass(frozen=True)
class Graph:
    """An exported network, ready to run; holds no state of any stream.

    Parameters
    ----------
    session
        The ``onnxruntime.InferenceSession``.
    receptive_field, stride
        Of the trunk, in frames.
    """

    session: Any
    receptive_field: int
    stride: int
    empty_tails: tuple[Array, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read off the shapes of the tails."""
        shapes = [i.shape for i in self.session.get_inputs()[1:]]
        empty = tuple(np.zeros((*shape[:-1], 0), np.float32) for shape in shapes)
        object.__setattr__(self, "empty_tails", empty)


def open_graph(
    model: bytes, receptive_field: int, stride: int, threads: int = 1, accelerator: str = "cpu"
) -> Graph:
    """Open a serialised ONNX model.

    Parameters
    ----------
    model
        Its bytes.
    receptive_field, stride
        Of the trunk, in frames.
    threads
        For one call of it.
    accelerator
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot read it.
    DeviceError
        If there is no such accelerator here.
    """
    import onnxruntime as ort

    if accelerator not in PROVIDERS:
        raise ArgumentError(f"accelerator must be {' or '.join(PROVIDERS)}, got {accelerator!r}")
    providers = PROVIDERS[accelerator]
    wanted = "CPUExecutionProvider" if accelerator == "cpu" else providers[0][0]
    if wanted not in ort.get_available_providers():
        raise DeviceError(
            f"this ONNX Runtime has no {wanted}; for CUDA: pip uninstall onnxruntime, and then "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(model, options, providers=providers)
        graph = Graph(session, receptive_field, stride)
    except Exception as error:  # ONNX Runtime raises many types, none of them public
        raise BundleError(f"ONNX Runtime cannot open the graph: {error}") from error
    if session.get_providers()[0] != wanted:  # it goes on without, and only logs why
        raise DeviceError(
            f"ONNX Runtime has {wanted} and cannot start it: is there a GPU (nvidia-smi), and are "
            "its libraries (pip install 'onnxruntime-gpu[cuda,cudnn]')?"
        )
    return graph


@dataclass(frozen=True)
class TrunkState:
    """What a stream must remember between calls of the graph."""

    frames: Array
    tails: tuple[Array, ...]
    begun: bool = False


def advance(
    graph: Graph, state: TrunkState, new: Array, output: str = "columns"
) -> tuple[Array | None, TrunkState]:
    """Feed new frames; give the columns that they complete.

    Parameters
    ----------
    graph, state
        The network, and where the stream stands.
    new
        (P, M, T) frames, any number of them.
    output
        ``"columns"`` (2, C, T'), or ``"embeddings"`` (D, T').

    Returns
    -------
    columns
        None if there is none yet.
    state
        For the next call.
    """
    frames = np.concatenate((state.frames, new), axis=-1) if state.frames.size else new
    first = graph.stride if state.begun else graph.receptive_field
    if frames.shape[-1] < first:
        return None, TrunkState(frames, state.tails, state.begun)
    n_frames = first + (frames.shape[-1] - first) // graph.stride * graph.stride
    feeds: dict[str, Array] = {"frames": frames[None, ..., :n_frames]}
    feeds |= {f"tail_{i}": tail for i, tail in enumerate(state.tails)}
    names = [output, *(f"new_{name}" for name in list(feeds)[1:])]
    columns, *tails = graph.session.run(names, feeds)
    return columns, TrunkState(frames[..., n_frames:], tuple(tails), True)


@dataclass(frozen=True)
class Columns:
    """A run of columns of one gap-free segment.

    Parameters
    ----------
    start
        Sample at which the first column begins to see.
    values
        (2, C, T) evidence and weight; None if the run only says that the
        segment ends.
    padded
        Zeros, in samples, that were put behind a segment shorter than a window.
    last
        Whether the segment ends here.
    rate
        Samples per second, as the blocks tell it; None: the grid's.
    """

    start: int
    values: Array | None
    padded: int = 0
    last: bool = False
    rate: float | None = None


def run_network(
    graph: Graph, front: FrontEnd, grid: Grid, blocks: Iterable[Block], output: str = "columns"
) -> Iterator[Columns]:
    """Turn blocks of samples into runs of columns.

    Parameters
    ----------
    graph, front, grid
        The network, its front end, and where windows lie.
    blocks
        At the front end's rate, or nearly (see `check_block`). A block that does not begin
        where the last one ended begins a new segment, which behaves exactly like a new file.
    output
        What to give, see `advance`.

    Yields
    ------
    Columns
        One run a block that completes any, and one with ``last`` a segment.
    """
    for segment in segments(blocks):
        yield from _hear_segment(graph, front, grid, segment, output)


def segments(blocks: Iterable[Block]) -> Iterator[Iterator[Block]]:
    """Part a stream at its gaps; empty blocks are dropped.

    A jump ends a segment at once, also one to an empty block: then a segment may come
    to nothing. Each must be used up before the next one is asked for.
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


def _hear_segment(
    graph: Graph, front: FrontEnd, grid: Grid, blocks: Iterator[Block], output: str
) -> Iterator[Columns]:
    tail = front.no_samples()
    at_once = min(SAMPLES_AT_ONCE, FRAMES_AT_ONCE * front.hop)
    state = TrunkState(np.empty(0, np.float32), graph.empty_tails)
    at: int | None = None  # where the next column begins
    heard, rate = 0, grid.rate

    def feed(samples: Array) -> Array | None:
        nonlocal tail, state
        frames, tail = front.stream(tail, samples)
        columns, state = advance(graph, state, frames, output)
        return columns

    for block in blocks:
        at, rate = block.start if at is None else at, block.rate
        heard += block.samples.shape[-1]
        for cut in range(0, block.samples.shape[-1], at_once):
            columns = feed(block.samples[..., cut : cut + at_once])
            if columns is not None:
                yield Columns(at, columns, rate=rate)
                at += columns.shape[-1] * grid.period
    if at is None:
        return
    padded = max(0, grid.window_samples - heard)
    rest = feed(front.padding(padded)) if padded else None
    yield Columns(at, rest, padded, last=True, rate=rate)
