"""Kernels of the backbone `rocket`, fitted to a training set: dilations, channels, thresholds.

The kernels themselves are fixed. What is fitted needs no labels: at which dilations they
look, by the length of a window; which channels each adds up, at random; and the thresholds,
quantiles of the outputs on training clips drawn at random [1]_.

References
----------
.. [1] A. Dempster, D. F. Schmidt, G. I. Webb, MiniRocket, KDD 2021. Numbers of features,
   dilations and channels follow it; outputs are taken without padding, so the longest
   dilation leaves at least one column of positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.description import NetworkSpec
from audiocnn.inference.rocket_network import (
    N_KERNELS,
    REACH,
    RocketKernels,
    convolve,
    kernels_bytes,
)
from audiocnn.inference.windows import Calibration
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.training.data.signal_cache import cached_signals
from audiocnn.training.preparation import others
from audiocnn.training.signal_defaults import count_windows, signal_front, signal_window

Array = NDArray[np.float32]
ROCKET = "rocket"  # the name that --backbone takes
N_FEATURES = 10_000  # at most
MOST_NUMBERS = 100_000_000  # features of all windows together: 400 MB
MOST_CLIPS = 2000  # that thresholds are drawn from
MOST_DILATIONS = 32
COLUMNS = 32  # of a window
MOST_CHANNELS = 9  # that a kernel adds up
LENGTH_SHARE = 12  # features of kernels for each of the length, where that means something
N_CLIPS = 16  # drawn for the thresholds at each dilation
GOLDEN = (math.sqrt(5) + 1) / 2  # its multiples fill [0, 1) evenly, however many are taken


def rocket_backbone(
    clips: Sequence[Clip],
    reading: SignalReadOptions,
    folder: Path,
    seed: int,
    report: Callable[[str], None],
    window: float | None = None,
    *,
    use_length: bool = False,
) -> Bundle:
    """Make a backbone of fixed kernels for a training set of signals.

    Parameters
    ----------
    clips
        The training set: its lengths decide the window, its samples the thresholds.
    reading
        How they are read.
    folder
        Cache of their samples.
    seed
        Of channels and of the clips that thresholds come from.
    report
        Called with a line about what was chosen.
    window
        Seconds; None for the length of the clips, up to 4,096 samples.
    use_length
        Whether the length of a clip means something.

    Raises
    ------
    DatasetError
        If the clips are sound.
    AudioError
        If one cannot be read.
    """
    if not others(clips):
        raise DatasetError(
            "the backbone rocket is for signals other than sound; for sound give a trained one, "
            "such as --backbone environment"
        )
    stored = cached_signals(clips, reading, folder)
    front = signal_front(stored, "raw")
    window = window or signal_window(stored, front)
    n = count_windows(stored, window)
    n_features = int(np.clip(MOST_NUMBERS // max(1, n), 4 * N_KERNELS, N_FEATURES))
    rng = np.random.default_rng([seed, 3])
    seen = stored.torch_front_end(front, round(window * front.rate))
    some = rng.permutation(len(clips))[:MOST_CLIPS]
    parts = [seen.read(int(k), 0, seen.length(int(k))) for k in some]
    kernels = fit_kernels(parts, round(window * front.rate), rng, n_features, use_length=use_length)
    report(
        f"{len(front.names)} channels at {front.rate:g} Hz; fixed kernels at "
        f"{kernels.dilations.size} dilations, {kernels.n_features} features of windows of "
        f"{kernels.window} samples"
    )
    length = kernels.window / front.rate
    details = {"arch": "rocket", "features": kernels.n_features, "parameters": 0}
    return Bundle(
        labels=(), front=front, network=NetworkSpec("rocket", "numpy", details=details),
        window=length, hop=length / 4, rules={}, calibration=Calibration((), ()),
        clip_score="mean", card={}, model=kernels_bytes(kernels), name=ROCKET,
    )  # fmt: skip


def column_period(window: int) -> int:
    """Return the samples of a column, for windows of so many samples."""
    return max(1, window // COLUMNS)


def fit_kernels(
    clips: Sequence[Array], window: int, rng: np.random.Generator, n_features: int = N_FEATURES,
    *, use_length: bool = False,
) -> RocketKernels:  # fmt: skip
    """Choose dilations, channels and thresholds.

    Parameters
    ----------
    clips
        (K, N) each, normalised by channel, of any lengths.
    window
        Samples of a window, at least 9; rounded down to whole columns.
    rng
        Draws channels and the clips that thresholds come from.
    n_features
        About how many features; a multiple of 84 is taken.
    use_length
        Whether the length of a clip means something: adds a twelfth as many features that
        say how long it is.

    Raises
    ------
    ArgumentError
        If there are no clips, or the window is too short for a kernel.
    """
    period = column_period(window)
    window = window // period * period
    if not clips or window < REACH + period:
        raise ArgumentError(
            f"rocket needs clips and windows of at least {REACH + 1} samples, got "
            f"{len(clips)} clips and windows of {window}"
        )
    dilations, counts = _dilations((window - period) / REACH, n_features // N_KERNELS)
    n_channels = clips[0].shape[0]
    channels = np.stack([_draw_channels(n_channels, rng) for _ in dilations])
    quantiles = np.full((dilations.size, N_KERNELS, int(counts.max())), np.nan, np.float32)
    thresholds = np.zeros_like(quantiles)
    taken = 0
    for at, (dilation, n) in enumerate(zip(dilations.tolist(), counts.tolist(), strict=True)):
        levels = (GOLDEN * (taken + 1 + np.arange(N_KERNELS * n))) % 1
        taken += N_KERNELS * n
        quantiles[at, :, :n] = levels.reshape(N_KERNELS, n)
        drawn = [_cut(clips[i], window, rng) for i in rng.choice(len(clips), N_CLIPS)]
        of_kernel = rng.integers(0, N_CLIPS, N_KERNELS)
        thresholds[at, :, :n] = _thresholds(
            drawn, of_kernel, dilation, channels[at], quantiles[at, :, :n]
        )
    lengths = np.zeros(0, np.int64)
    if use_length:
        levels = (np.arange(n_features // LENGTH_SHARE) + 0.5) / (n_features // LENGTH_SHARE)
        each = [min(clip.shape[1], window) for clip in clips]
        lengths = np.quantile(each, levels, method="lower").astype(np.int64)
    return RocketKernels(window, period, dilations, channels, quantiles, thresholds, lengths)


def _dilations(longest: float, n_thresholds: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return dilations, evenly spread over octaves, and the thresholds a kernel has at each."""
    n = min(n_thresholds, MOST_DILATIONS)
    spread = np.logspace(0, math.log2(max(1.0, longest)), n, base=2).astype(np.int64)
    dilations, times = np.unique(np.minimum(spread, int(max(1.0, longest))), return_counts=True)
    counts = (times * (n_thresholds / n)).astype(np.int64)
    counts[: n_thresholds - int(counts.sum())] += 1  # what rounding down left over
    return dilations, counts


def _draw_channels(n_channels: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw (84, K) the channels of each kernel: few more often than many."""
    chosen = np.zeros((N_KERNELS, n_channels), bool)
    most = math.log2(min(n_channels, MOST_CHANNELS) + 1)
    for row in chosen:
        size = max(1, int(2 ** rng.uniform(0, most)))
        row[rng.choice(n_channels, size, replace=False)] = True
    return chosen


def _cut(clip: Array, window: int, rng: np.random.Generator) -> Array:
    """Draw a window's length of a clip; a shorter clip is taken whole."""
    start = int(rng.integers(0, max(1, clip.shape[1] - window + 1)))
    return clip[:, start : start + window]


def _thresholds(
    drawn: Sequence[Array], of_kernel: NDArray[np.int64], dilation: int,
    channels: NDArray[np.bool_], levels: Array,
) -> Array:  # fmt: skip
    """Return quantiles (84, Q) of each kernel's outputs on the clip drawn for it.

    Where a kernel does not fit into its clip, the outputs on all of them that it fits into.
    """
    found = np.zeros_like(levels)
    outputs = [convolve(clip, dilation, channels) for clip in drawn]
    every = np.concatenate(outputs, axis=1)
    if not every.shape[1]:
        return found
    for kernel, clip in enumerate(of_kernel.tolist()):
        own = outputs[clip][kernel]
        found[kernel] = np.quantile(own if own.size else every[kernel], levels[kernel])
    return found
