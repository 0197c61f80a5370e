"""The spectrogram as a picture: kernels over frequency and time.

A sound keeps its shape when it comes later, and nearly keeps it when it is a
little higher, so small kernels slide over both axes and pooling makes the maps
coarser. The first layers detect edges (onsets, partials), the middle ones textures
(rattling, glides), the last ones whole sounds.
"""

from __future__ import annotations

from torch import Tensor, nn

from audiocnn.errors import ArgumentError
from audiocnn.networks.streaming_layers import Chain, Residual, Streamable, Windowed, conv2d, pool2d

SIZES = {"small": (16, 24, 32, 56, 80), "large": (20, 32, 48, 80, 128)}


class Flatten(Streamable):
    """(B, C, M, T) with M = 1 to (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop the frequency axis."""
        return x.squeeze(2)

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Need nothing from before."""
        return self(x), []


def residual2d(n_in: int, n_out: int) -> Residual:
    """Two convolutions of 3 x 3 beside a shortcut, which fits the channels if they differ."""
    branch = Chain([conv2d(n_in, n_out), conv2d(n_out, n_out, activation=None)])
    shortcut = (
        None
        if n_in == n_out
        else nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
    )
    return Residual(branch, shortcut)


def cnn2d(planes: int, n_bands: int, size: str = "small", pools: int = 3) -> Chain:
    """Build the trunk: (B, planes, n_bands, T) to embeddings (B, D, T').

    Parameters
    ----------
    planes
        Input planes P; 1 for sound.
    n_bands
        Bands M of the front end, at least 2. They are halved four times, fewer than
        16 as often as there are bands to halve.
    size
        ``"small"`` or ``"large"``: channels of the five stages.
    pools
        How often time is halved, 0 to 3: a stride of 1, 2, 4 or 8 frames.
    """
    if size not in SIZES:
        raise ArgumentError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
    if not 0 <= pools <= 3:
        raise ArgumentError(f"pools must lie between 0 and 3, got {pools}")
    if n_bands < 2:
        raise ArgumentError(f"cnn2d needs at least 2 bands, got {n_bands}; cnn1d does with one")
    a, b, c, d, e = SIZES[size]
    first = 2 if n_bands >= 16 else 1
    left = -(-n_bands // first)  # bands after the stem
    over = []  # bands that each of three poolings takes together
    for _ in range(3):
        over.append(min(2, left))
        left //= over[-1]
    layers: list[Streamable] = [
        conv2d(planes, a, (5, 5), (first, 2 if pools >= 1 else 1)),
        conv2d(a, b),
        pool2d(over[0], 2 if pools >= 2 else 1),
        residual2d(b, c),
        pool2d(over[1], 2 if pools >= 3 else 1),
        residual2d(c, d),
        pool2d(over[2], 1),
    ]
    collapse = nn.Sequential(nn.Conv2d(d, e, (left, 3), bias=False), nn.BatchNorm2d(e), nn.ReLU())
    return Chain([*layers, Windowed(collapse, 3, 1), Flatten()])
