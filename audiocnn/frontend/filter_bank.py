"""A bank of narrow filters applied to spectra, in blocks that one thread computes.

Each band's filter covers a few neighbouring bins, so a product with the whole matrix is
mostly a product with zeros. Neighbouring bands are put together in blocks:

    bins     0 . . . . . . . . . . . 512        block 0: bands 0 to 12, bins 1 to 40
    block 0  [====]                             block 1: bands 13 to 22, bins 36 to 75
    block 1      [====]                         ...
    block 2         [========]

A sixth of the multiplications are left. And each block is small enough that OpenBLAS
computes it on the calling thread (it takes more than one above 2**18 multiplications
[1]_): threads that wait for each other made the log-mel 10 times slower as soon as another
program ran (`scripts/bench_load`).

References
----------
.. [1] OpenBLAS, interface/gemm.c: ``SMP_THRESHOLD_MIN * GEMM_MULTITHREAD_THRESHOLD``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
AT_ONCE = 128  # spectra: what stays in a core's cache, and in memory that malloc keeps
MOST = (1 << 18) // AT_ONCE // 2  # bins times bands of a block: half of what one thread takes


class Block(NamedTuple):
    """Filters of neighbouring bands.

    Attributes
    ----------
    bins, bands
        Which rows and columns of the matrix they are.
    filters
        (bands, bins), the part of the matrix.
    """

    bins: slice
    bands: slice
    filters: Array


def split_bank(filters: Array, most: int = MOST) -> tuple[Block, ...]:
    """Cut a matrix of filters into blocks around what is not zero.

    Parameters
    ----------
    filters
        (bins, bands).
    most
        Bins times bands of a block, at most; a single band may have more.

    Returns
    -------
    tuple of Block
        Each band in one of them, in order.
    """
    n_bins, n_bands = filters.shape
    used = filters != 0
    first = np.where(used.any(0), used.argmax(0), 0)
    last = np.where(used.any(0), n_bins - used[::-1].argmax(0), 1)
    blocks, at = [], 0
    while at < n_bands:
        low, high, end = first[at], last[at], at + 1
        while end < n_bands:
            wider = min(low, first[end]), max(high, last[end])
            if (wider[1] - wider[0]) * (end + 1 - at) > most:
                break
            (low, high), end = wider, end + 1
        part = np.ascontiguousarray(filters[low:high, at:end].T)
        blocks.append(Block(slice(int(low), int(high)), slice(at, end), part))
        at = end
    return tuple(blocks)


def apply_bank(blocks: tuple[Block, ...], power: Array, out: Array) -> None:
    """Sum the power of spectra into bands.

    Parameters
    ----------
    blocks
        Of `split_bank`.
    power
        (frames, bins), at most `AT_ONCE` frames.
    out
        (bands, frames), written.
    """
    for bins, bands, filters in blocks:
        np.matmul(filters, power[:, bins].T, out=out[bands])
