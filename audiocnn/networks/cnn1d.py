"""Bands as channels: kernels over time alone. Two networks of one outline.

Of spectra (``kernel=0``): every layer mixes all bands of a frame, so nothing is
shared across frequency, and in return a kernel over time costs little. Depthwise
kernels look along time; pointwise ones mix; residuals keep it trainable. The cheap
network, for small boards.

Of samples (``kernel`` 1 or more), whose bands are a few channels and whose shapes lie
in time: full convolutions of ``kernel`` frames, as in the residual networks that do
well on archives of time series [1]_, but without their padding. The first stage uses
every sample; time is halved between stages, and after the first layer where the
window has thousands of samples.

References
----------
.. [1] Z. Wang, W. Yan, T. Oates, Time series classification from scratch with deep
   neural networks: a strong baseline, IJCNN 2017.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from audiocnn.errors import ArgumentError
from audiocnn.networks.streaming_layers import Chain, Residual, Streamable, conv1d, pool1d

SIZES = {"small": (64, 96, 128), "large": (96, 128, 192)}
SAMPLE_SIZES = {"small": (32, 48, 64), "large": (64, 96, 128)}
COLUMNS = 100  # about so many in a window of samples, or as many as it has samples


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


def _full(n_in: int, n_out: int, size: int) -> Residual:
    """Look along time at all channels together, twice."""
    branch = Chain([conv1d(n_in, n_out, size), conv1d(n_out, n_out, size, activation=None)])
    shortcut = (
        None
        if n_in == n_out
        else nn.Sequential(nn.Conv1d(n_in, n_out, 1, bias=False), nn.BatchNorm1d(n_out))
    )
    return Residual(branch, shortcut)


def cnn1d(planes: int, n_bands: int, size: str = "small", pools: int = 3, kernel: int = 0) -> Chain:
    """Build the trunk: (B, planes, n_bands, T) to embeddings (B, D, T').

    Parameters
    ----------
    planes, n_bands
        Shape of a frame; together the input channels.
    size
        ``"small"`` or ``"large"``: channels of the three stages.
    pools
        How often time is halved: 1 to 3 for spectra, 0 to 8 for samples.
    kernel
        0 for spectra; for samples, the frames that a full convolution covers.
    """
    if size not in SIZES:
        raise ArgumentError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
    if kernel < 0:
        raise ArgumentError(f"kernel must be 0 (for spectra) or more, got {kernel}")
    fewest, most = (0, 8) if kernel else (1, 3)
    if not fewest <= pools <= most:
        raise ArgumentError(f"pools must lie between {fewest} and {most}, got {pools}")
    n_in = planes * n_bands
    if kernel:
        return Chain([Bands(), *_of_samples(n_in, SAMPLE_SIZES[size], pools, kernel)])
    return Chain([Bands(), *_of_spectra(n_in, SIZES[size], pools)])


def _of_spectra(n_in: int, widths: tuple[int, int, int], pools: int) -> list[Streamable]:
    a, b, c = widths
    layers: list[Streamable] = [conv1d(n_in, a, 5, 2), _separable(a, 5)]
    for at, (n, n_out) in enumerate(((a, b), (b, c))):
        layers += [conv1d(n, n_out), *([pool1d(2)] if pools >= 2 + at else [])]
        layers += [_separable(n_out, 5)]
    return layers


def _of_samples(
    n_in: int, widths: tuple[int, int, int], pools: int, kernel: int
) -> list[Streamable]:
    """Halve time between the stages first, and what is left of ``pools`` after the stem."""
    a, b, c = widths
    layers: list[Streamable] = [conv1d(n_in, a, kernel)]
    if pools > 2:
        layers += [pool1d(2 ** (pools - 2))]
    layers += [_full(a, a, kernel)]
    for at, (n, n_out) in enumerate(((a, b), (b, c))):
        layers += [*([pool1d(2)] if pools > at else []), _full(n, n_out, kernel)]
    return layers


def shape_for(n_frames: int) -> tuple[int, int]:
    """Propose ``pools`` and ``kernel`` for series of a number of samples.

    Parameters
    ----------
    n_frames
        Samples in a typical series (not the longest: a column that reaches beyond a
        whole series covers padding), or in a window of long ones.

    Returns
    -------
    pools, kernel
        Of a trunk whose receptive field is at most half of ``n_frames``, and which
        has about `COLUMNS` columns, or as many as there are samples.

    Raises
    ------
    ArgumentError
        If there is no sample.

    Notes
    -----
    Chosen by cross-validation inside training sets. Half is enough: on series of 7 to
    26 samples (JapaneseVowels) kernels of 1, 2 and 3 gave 98.5, 95.6 and 94.8 %.
    """
    if n_frames < 1:
        raise ArgumentError(f"a network needs series of at least 1 sample, got {n_frames}")
    pools = min(8, max(0, round(math.log2(n_frames / COLUMNS))))
    reach_of_a_step = 7  # that a kernel longer by a frame adds, without pools: its convolutions
    return pools, min(5, 1 + max(0, n_frames // 2 - 1) // reach_of_a_step)
