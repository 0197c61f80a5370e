"""The one streaming rule: a window of ``size``, moved by ``step``.

Framing, convolution over time, pooling over time and score windows all follow
it. After ``n`` whole windows the samples before ``n * step`` are never needed
again, and the rest is the tail that the next call gets back:

    x = tail + new    |--------------------------------|
    window 0          |========|
    window 1              |========|                      step = 4, size = 8
    ...
    window n - 1                          |========|
    tail                                      |--------|  x[..., n * step:]

State is passed, never hidden: the caller keeps the tail.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError


def n_windows(length: int, size: int, step: int) -> int:
    """Count the whole windows of ``size``, moved by ``step``, in ``length``."""
    return 0 if length < size else (length - size) // step + 1


def slide(
    tail: NDArray[np.float32], new: NDArray[np.float32], size: int, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Join a tail and new samples, and split off what whole windows cover.

    Parameters
    ----------
    tail
        (..., K) returned by the last call; K = 0 at the beginning.
    new
        (..., N) new samples; N may be 0.
    size, step
        Window length and distance between windows, ``1 <= step <= size``.

    Returns
    -------
    ready
        (..., (n - 1) * step + size) the samples of ``n`` whole windows; empty
        if there is none yet.
    tail
        (..., L) for the next call.
    n
        Number of whole windows in ``ready``.

    Notes
    -----
    Cutting the input anywhere gives the same windows: the tail is a function
    of all samples so far, not of how they were cut.
    """
    if not 1 <= step <= size:
        raise ArgumentError(f"step must lie between 1 and size, got step={step}, size={size}")
    x = np.concatenate((tail, new), axis=-1) if tail.shape[-1] else new
    n = n_windows(x.shape[-1], size, step)
    return x[..., : (n - 1) * step + size if n else 0], x[..., n * step :], n
