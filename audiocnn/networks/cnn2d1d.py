"""A picture first, then a sequence: the trunk of the general model.

The first half is `cnn2d`'s: small kernels over frequency and time, pooled until four
bands and every eighth frame are left. The second half joins what is left of the bands
and goes on over time alone. There a column costs a hundredth of what the first layers
cost, so most of the parameters are in it: wide, separable layers, which gather about a
second of context before a column is given out.
"""

from __future__ import annotations

from audiocnn.errors import ArgumentError
from audiocnn.networks.cnn1d import Bands
from audiocnn.networks.cnn2d import residual2d
from audiocnn.networks.streaming_layers import Chain, Residual, Streamable, conv1d, conv2d, pool2d

SIZES = {"small": (16, 24, 32, 64, 192), "large": (16, 24, 40, 88, 288)}
BLOCKS = 2
FEWEST_BANDS = 16


def _separable(n: int) -> Residual:
    """Look along time channel by channel, then mix the channels."""
    branch = [conv1d(n, n, 3, groups=n, activation=None), conv1d(n, n, activation=None)]
    return Residual(Chain(branch))


def cnn2d1d(planes: int, n_bands: int, size: str = "small", pools: int = 3) -> Chain:
    """Build the trunk: (B, planes, n_bands, T) to embeddings (B, D, T').

    Parameters
    ----------
    planes
        Input planes P; 1 for sound.
    n_bands
        Bands M of the front end, at least 16; they are halved four times.
    size
        ``"small"`` or ``"large"``: channels of the four stages, and D.
    pools
        How often time is halved, 1 to 3: a stride of 2, 4 or 8 frames.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """
    if size not in SIZES:
        raise ArgumentError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
    if not 1 <= pools <= 3:
        raise ArgumentError(f"pools must lie between 1 and 3, got {pools}")
    if n_bands < FEWEST_BANDS:
        raise ArgumentError(
            f"cnn2d1d needs at least {FEWEST_BANDS} bands, got {n_bands}; cnn1d does with one"
        )
    a, b, c, d, e = SIZES[size]
    left = -(-n_bands // 2) // 2 // 2 // 2  # bands after the stem and three poolings
    layers: list[Streamable] = [
        conv2d(planes, a, (5, 5), (2, 2)),
        conv2d(a, b),
        pool2d(2, 2 if pools >= 2 else 1),
        residual2d(b, c),
        pool2d(2, 2 if pools >= 3 else 1),
        residual2d(c, d),
        pool2d(2, 1),
        Bands(),
        conv1d(d * left, e),
    ]
    return Chain([*layers, *(_separable(e) for _ in range(BLOCKS))])
