"""Fixed dilated kernels with the share of positive values, streamed: the backbone `rocket`.

MiniRocket [1]_ convolves a series with 84 fixed kernels of nine taps at many dilations and
takes, of each output, the share of positions that lie above some thresholds. Here these
shares are taken over columns of `period` samples, so that a window is a mean over columns
and every value is computed once:

    samples    |----------------------------------------------->
    window     |------------------ window ------------------|
    column     |period|period|period| ...                   |
    dilation d  ....8d....|== positions that count ==========|

A kernel of dilation d reaches 8d samples back. In a window, the first columns of such a
feature reach back beyond its beginning and do not count (`RocketKernels.skip`), so a
window's features depend on its own samples alone. A segment shorter than a window gives
shares over its own length (`segment_shares`): nothing is padded to the length of a window,
which would give away how long the segment is. Where its length means something, features
say so (`RocketKernels.lengths`).

References
----------
.. [1] A. Dempster, D. F. Schmidt, G. I. Webb, MiniRocket: a very fast (almost)
   deterministic transform for time series classification, KDD 2021.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.engine import EMBEDDINGS, Array, Grid, Network
from audiocnn.io.files.numpy_files import UNREADABLE

TAPS = 9
REACH = TAPS - 1  # samples that a kernel of dilation 1 reaches back
TRIPLES = np.array(list(itertools.combinations(range(TAPS), 3)))  # the taps of weight 2
N_KERNELS = len(TRIPLES)  # 84
FORMAT = 1


@dataclass(frozen=True, eq=False)
class RocketKernels:
    """The kernels' dilations, channels and thresholds.

    Parameters
    ----------
    window, period
        Samples of a window, and of a column; ``window`` is a multiple of ``period``.
    dilations
        (N,) each at most ``(window - period) // 8``.
    channels
        (N, 84, K) bool: the channels that a kernel adds up.
    quantiles, thresholds
        (N, 84, Q): the level of each threshold among a kernel's outputs, and its value. NaN
        levels fill up dilations with fewer thresholds.
    lengths
        (L,) thresholds, in samples, for features that are 1 for a segment longer than that;
        empty where the length of a segment means nothing.

    Raises
    ------
    BundleError
        If shapes or numbers do not fit.
    """

    window: int
    period: int
    dilations: NDArray[np.int64]
    channels: NDArray[np.bool_]
    quantiles: Array
    thresholds: Array
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        n = self.dilations.size
        shape = (n, N_KERNELS)
        fits = (
            n > 0
            and self.dilations.ndim == 1
            and self.channels.shape[:2] == self.thresholds.shape[:2] == shape
            and self.channels.ndim == self.thresholds.ndim == 3
            and self.quantiles.shape == self.thresholds.shape
            and self.period >= 1
            and self.window >= self.period
            and self.window % self.period == 0
            and int(self.dilations.min()) >= 1
            and int(self.dilations.max()) * REACH <= self.window - self.period
            and bool(np.isfinite(self.thresholds[self.used]).all())
        )
        if not fits:
            raise BundleError(
                "rocket kernels: shapes or ranges do not fit; install the model again"
            )

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """(N, 84, Q) which thresholds there are."""
        return np.isfinite(self.quantiles)

    @property
    def reach(self) -> int:
        """Samples that the longest kernel reaches back."""
        return REACH * int(self.dilations.max())

    @property
    def n_features(self) -> int:
        """Number of features D."""
        return int(self.used.sum()) + self.lengths.size

    @cached_property
    def skip(self) -> NDArray[np.int64]:
        """(D,) columns at the beginning of a window that do not count for a feature."""
        each = -(-REACH * self.dilations // self.period)
        of_kernels = np.broadcast_to(each[:, None, None], self.used.shape)[self.used]
        return np.concatenate((of_kernels, np.zeros(self.lengths.size, np.int64)))


@dataclass(frozen=True)
class RocketState:
    """What a stream must remember between steps.

    Parameters
    ----------
    samples
        (K, N) normalised: what kernels still reach back to, and the incomplete column.
        Before a segment's first window is complete: all of the segment.
    size, step
        Columns of a window, and from one window to the next.
    done
        Columns that were returned.
    """

    samples: Array
    size: int
    step: int
    done: int = 0


class RocketNetwork(Network):
    """Fixed kernels behind the front end `raw`; the only output is embeddings.

    Parameters
    ----------
    front
        Samples, normalised by channel: the front end ``raw``.
    kernels
        As fitted in training.

    Raises
    ------
    BundleError
        If the front end has other channels than the kernels.
    """

    samples_at_once = 1 << 13
    n_scores = 0

    def __init__(self, front: FrontEnd, kernels: RocketKernels) -> None:
        n_channels = kernels.channels.shape[2]
        if front.kind != "raw" or front.n_bands != n_channels:
            raise BundleError(
                f"rocket kernels need the front end 'raw' with {n_channels} channels, got "
                f"{front.kind!r} with {front.n_bands}"
            )
        self.front, self.kernels = front, kernels
        self.n_embeddings = kernels.n_features

    def grid(self, window: float, hop: float) -> Grid:
        """Return the windows that the kernels were fitted for, at a hop of whole columns."""
        k, rate = self.kernels, self.front.rate
        if abs(window * rate - k.window) > k.period / 2:
            raise ArgumentError(
                f"the kernels were fitted for windows of {k.window / rate:g} s, got "
                f"{window:g} s: train again with that window"
            )
        step = max(1, round(hop * rate / k.period))
        return Grid(rate, k.period, k.period, k.window // k.period, step)

    @property
    def skip(self) -> NDArray[np.int64]:
        """(D,) columns at the beginning of a window that a feature leaves out."""
        return self.kernels.skip

    def begin(self, grid: Grid, output: str = EMBEDDINGS) -> RocketState:
        """Return the state before the first sample of a segment."""
        if output != EMBEDDINGS:
            raise ArgumentError("rocket kernels give no class scores without a head")
        nothing = np.zeros((self.kernels.channels.shape[2], 0), np.float32)
        return RocketState(nothing, grid.size, grid.step)

    def step(self, state: RocketState, samples: Array) -> tuple[Array | None, RocketState]:
        """Take new samples; return columns once they complete a window, a hop at a time."""
        x = np.concatenate((state.samples, self.front.frames(samples)[0]), axis=1)
        if not state.done:
            n_columns = x.shape[1] // self.kernels.period
        else:
            n_columns = state.done + (x.shape[1] - self.kernels.reach) // self.kernels.period
        if n_columns < state.size:
            return None, replace(state, samples=x)
        n_columns = state.size + (n_columns - state.size) // state.step * state.step
        return self._compute(replace(state, samples=x), n_columns)

    def end(self, state: RocketState, n_missing: int) -> tuple[Array | None, RocketState]:
        """End a segment: its last columns; if it is shorter than a window, the mean over it."""
        k = self.kernels
        if n_missing:
            shares = segment_shares(state.samples, k)
            return np.repeat(shares[:, None], state.size, axis=1), state
        return self._compute(state, state.done + (state.samples.shape[1] - k.reach) // k.period)

    def _compute(self, state: RocketState, n_columns: int) -> tuple[Array | None, RocketState]:
        """Compute the columns up to a number of them."""
        k, x, n = self.kernels, state.samples, n_columns - state.done
        if n <= 0:
            return None, state
        if not state.done:  # what lies before the segment does not count (`RocketKernels.skip`)
            x = np.pad(x, ((0, 0), (k.reach, 0)))
        columns = column_shares(x[:, : k.reach + n * k.period], k)
        return columns, replace(state, samples=x[:, n * k.period :], done=n_columns)


def convolve(x: Array, dilation: int, channels: NDArray[np.bool_]) -> Array:
    """Convolve with the 84 kernels, without padding.

    Parameters
    ----------
    x
        (K, N) samples.
    dilation
        Samples between taps.
    channels
        (84, K) the channels that each kernel adds up.

    Returns
    -------
    array (84, N - 8 dilation)
        Empty if ``x`` is shorter than a kernel.

    Notes
    -----
    Additions alone, one value after the other: a product of matrices would round
    differently for blocks of other lengths, and a threshold would turn that into another
    feature.
    """
    n = max(0, x.shape[1] - REACH * dilation)
    taps = np.stack([x[:, j * dilation : j * dilation + n] for j in range(TAPS)])
    total = taps[0].copy()
    for tap in taps[1:]:
        total += tap
    taps *= np.float32(3)
    each: Array = taps[TRIPLES[:, 0]]  # (84, K, n)
    each += taps[TRIPLES[:, 1]]
    each += taps[TRIPLES[:, 2]]
    each -= total
    if x.shape[0] == 1:
        return each[:, 0]
    each *= channels[:, :, None]
    out: Array = each[:, 0].copy()
    for channel in range(1, x.shape[0]):
        out += each[:, channel]
    return out


def column_shares(x: Array, kernels: RocketKernels) -> Array:
    """Return the share of positions above each threshold (D, T), column by column.

    Parameters
    ----------
    x
        (K, reach + T * period) samples: what the longest kernel reaches back to, then T
        columns.
    kernels
        The kernels.
    """
    period, n = kernels.period, (x.shape[1] - kernels.reach) // kernels.period
    shares = np.empty((kernels.n_features, n), np.float32)
    at = 0
    for number, dilation in enumerate(kernels.dilations.tolist()):
        out = convolve(x[:, kernels.reach - REACH * dilation :], dilation, kernels.channels[number])
        used = kernels.used[number]
        above = np.empty((*used.shape, n), np.float32)
        for level, thresholds in enumerate(kernels.thresholds[number].T):
            over = (out > thresholds[:, None]).view(np.uint8).reshape(N_KERNELS, n, period)
            above[:, level] = over.sum(axis=2, dtype=np.int32)
        found = above[used]
        shares[at : at + found.shape[0]] = found
        at += found.shape[0]
    shares /= np.float32(period)
    shares[at:] = (kernels.window > kernels.lengths)[:, None]
    return shares


def segment_shares(x: Array, kernels: RocketKernels) -> Array:
    """Return the share of positions above each threshold (D,) over a short segment.

    Kernels reach over both ends of the segment, as far as to their middle, where every
    channel is taken to be at its mean: otherwise long ones would have no position at all.
    """
    shares = np.empty(kernels.n_features, np.float32)
    at = 0
    for number, dilation in enumerate(kernels.dilations.tolist()):
        used, over = kernels.used[number], dilation * REACH // 2
        around = np.pad(x, ((0, 0), (over, over)))
        out = convolve(around, dilation, kernels.channels[number])
        above = out[:, None, :] > kernels.thresholds[number][:, :, None]
        n = int(used.sum())
        shares[at : at + n] = above.mean(axis=2)[used]
        at += n
    shares[at:] = x.shape[1] > kernels.lengths
    return shares


def kernels_bytes(kernels: RocketKernels) -> bytes:
    """Serialise kernels as NPZ, without pickle."""
    written = io.BytesIO()
    np.savez(
        written, format=np.array(FORMAT), window=np.array(kernels.window),
        period=np.array(kernels.period), dilations=kernels.dilations, channels=kernels.channels,
        quantiles=kernels.quantiles, thresholds=kernels.thresholds, lengths=kernels.lengths,
    )  # fmt: skip
    return written.getvalue()


def kernels_from(content: bytes) -> RocketKernels:
    """Read what `kernels_bytes` returned.

    Raises
    ------
    BundleError
        If it is no such file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            if int(stored["format"]) != FORMAT:
                raise BundleError(f"rocket kernels have format {stored['format']}, not {FORMAT}")
            return RocketKernels(
                int(stored["window"]), int(stored["period"]), stored["dilations"].astype(np.int64),
                stored["channels"].astype(bool), stored["quantiles"].astype(np.float32),
                stored["thresholds"].astype(np.float32), stored["lengths"].astype(np.int64),
            )  # fmt: skip
    except UNREADABLE as error:
        raise BundleError(
            f"rocket kernels cannot be read: {error}; install the model again"
        ) from error
