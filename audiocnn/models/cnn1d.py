"""Mel bands as channels: kernels over time alone.

Every layer mixes all bands of a frame, so nothing is shared across frequency,
and in return a kernel over time costs little. Depthwise kernels, long ones, look
along time; pointwise ones mix; residuals keep it trainable. The cheap network,
for small boards.
"""

from __future__ import annotations

from torch import Tensor

from audiocnn.errors import ArgumentError
from audiocnn.models.layers import Chain, Residual, Streamable, conv1d, pool1d

SIZES = {"small": (64, 96, 128), "large": (96, 128, 192)}


class Bands(Streamable):
    """Planes and bands to channels: (B, P, M, T) to (B, P * M, T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Join the two axes."""
        return x.flatten(1, 2)

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Need nothing from before."""
        return self(x), []


def _separable(n: int, size: int) -> Residual:
    """Look along time band by band, then mix, twice."""
    return Residual(
        Chain(
            [
                conv1d(n, n, size, groups=n, activation=None),
                conv1d(n, n),
                conv1d(n, n, size, groups=n, activation=None),
                conv1d(n, n, activation=None),
            ]
        )
    )


def cnn1d(planes: int, n_bands: int, size: str = "small", pools: int = 3) -> Chain:
    """Build the trunk: (B, planes, n_bands, T) to embeddings (B, D, T').

    Parameters
    ----------
    planes, n_bands
        Shape of a frame; together the input channels.
    size
        ``"small"`` or ``"large"``: channels of the three stages.
    pools
        How often time is halved, 1 to 3: a stride of 2, 4 or 8 frames.
    """
    if size not in SIZES:
        raise ArgumentError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
    if not 1 <= pools <= 3:
        raise ArgumentError(f"pools must lie between 1 and 3, got {pools}")
    a, b, c = SIZES[size]
    layers: list[Streamable] = [Bands(), conv1d(planes * n_bands, a, 5, 2), _separable(a, 5)]
    for at, (n_in, n_out) in enumerate(((a, b), (b, c))):
        layers += [conv1d(n_in, n_out), *([pool1d(2)] if pools >= 2 + at else [])]
        layers += [_separable(n_out, 5)]
    return Chain(layers)
