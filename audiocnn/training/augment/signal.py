"""Variation of signals other than sound: (B, K, N), in units of each channel's deviation.

What sensors do: they are mounted the other way round, noisy, and of another gain. As in
`audiocnn.training.augment.mel`, draws come from the generator that is passed in, on the
CPU. All channels of a window are varied alike, but for noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocnn.training.augment.mel import draw_pairs
from audiocnn.training.config import Augmentation


def vary_signals(samples: Tensor, under: Tensor, a: Augmentation, rng: torch.Generator) -> Tensor:
    """Turn some windows upside down, lay the background under them, and add noise.

    Parameters
    ----------
    samples, under
        (B, K, N) windows, and what lies under them, already at its level.
    a
        ``polarity``, ``noise`` and ``noise_snr_db`` are used.
    rng
        For all draws; on the CPU.

    Returns
    -------
    Tensor (B, K, N)
        New samples; what came in is left as it was.
    """
    x = samples.clone()
    n = x.shape[0]
    if a.polarity:
        turned = torch.rand(n, 1, 1, generator=rng) < a.polarity
        x = torch.where(turned.to(x.device), -x, x)
    x += under
    if a.noise:
        x = add_jitter(x, a.noise, a.noise_snr_db, rng)
    return x


def add_jitter(
    samples: Tensor, probability: float, snr_db: tuple[float, float], rng: torch.Generator
) -> Tensor:
    """Add white noise to some windows, a drawn number of decibels under a deviation of 1."""
    n = samples.shape[0]
    low, high = snr_db
    level = 10 ** (-(low + (high - low) * torch.rand(n, 1, 1, generator=rng)) / 20)
    level = torch.where(torch.rand(n, 1, 1, generator=rng) < probability, level, 0.0)
    noise = torch.randn(samples.shape, generator=rng)
    return samples + (noise * level).to(samples.device)


def draw_amplitude(samples: Tensor, gain_db: tuple[float, float], rng: torch.Generator) -> Tensor:
    """Change how far each window's channels swing about their means, by decibels drawn evenly."""
    low, high = gain_db
    db = low + (high - low) * torch.rand(samples.shape[0], 1, 1, generator=rng)
    return samples * 10 ** (db.to(samples.device) / 20)


def mix_signals(
    samples: Tensor, targets: Tensor, probability: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix pairs of windows sample by sample, and their labels by the same shares [1]_.

    References
    ----------
    .. [1] H. Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018.
    """
    drawn = draw_pairs(samples.shape[0], probability, rng)
    other, share = (x.to(samples.device) for x in drawn)
    x = share[:, None, None] * samples + (1 - share)[:, None, None] * samples[other]
    return x, share[:, None] * targets + (1 - share)[:, None] * targets[other]
