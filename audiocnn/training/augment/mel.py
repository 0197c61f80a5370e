"""Variation in the training graph: on mel power (B, M, T), and on the log-mel.

All draws come from the generator that is passed in. Background was mixed into the
samples (`audiocnn.training.augment.waveform`), where waves really add; mixup adds
powers, as unrelated sounds do on average.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from audiocnn.training.config import Augmentation

SILENT = 1e-10  # mean mel power; far below the floor of the log


def draw_gain(power: Tensor, gain_db: tuple[float, float], rng: torch.Generator) -> Tensor:
    """Change the level of each window by a number of decibels drawn evenly."""
    low, high = gain_db
    db = low + (high - low) * torch.rand(power.shape[0], 1, 1, generator=rng)
    return power * 10 ** (db.to(power.device) / 10)


def draw_pairs(n: int, probability: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw what each of n windows is mixed with, and its own share (n,), at least a half.

    The share is 1 where a window stays as it is.
    """
    other = torch.randperm(n, generator=rng)
    share = torch.rand(n, generator=rng)
    share = torch.maximum(share, 1 - share)
    return other, torch.where(torch.rand(n, generator=rng) < probability, share, torch.ones(n))


def mixup(
    power: Tensor, targets: Tensor, probability: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix pairs of windows in the power domain, and their labels by the same shares.

    Notes
    -----
    The share is drawn from Beta(1, 1); both windows are brought to the same
    level first, so that the share is what is heard [1]_.

    References
    ----------
    .. [1] Y. Tokozume et al., Learning from between-class examples for deep
       sound recognition, ICLR 2018.
    """
    other, share = (x.to(power.device) for x in draw_pairs(power.shape[0], probability, rng))
    level = power.mean((1, 2), keepdim=True) + 1e-12
    silent = (level < SILENT) | (level[other] < SILENT)  # it would take a label, and not be heard
    share = torch.where(silent.flatten(), torch.ones_like(share), share)
    ratio = (level / level[other]).clamp(max=1e4)
    mixed = share[:, None, None] * power + (1 - share)[:, None, None] * power[other] * ratio
    mixed_targets = share[:, None] * targets + (1 - share)[:, None] * targets[other]
    return mixed, mixed_targets


def tilt(power: Tensor, tilt_db: float, rng: torch.Generator) -> Tensor:
    """Colour each window: a slope and a slow wave over the bands, as microphones do."""
    n, n_bands, _ = power.shape
    x = torch.linspace(-0.5, 0.5, n_bands)
    drawn = (torch.rand(n, 4, 1, generator=rng) * 2 - 1) * tilt_db
    waves = torch.stack([x, *(0.5 * torch.cos(math.pi * k * (x + 0.5)) for k in (1, 2, 3))])
    db = (drawn * waves).sum(1, keepdim=True).transpose(1, 2)
    return power * 10 ** (db.to(power.device) / 10)


def band_limit(power: Tensor, probability: float, rng: torch.Generator) -> Tensor:
    """Take away all above a drawn band, as a recording at a low rate did."""
    n, n_bands, _ = power.shape
    cut = (0.35 + 0.6 * torch.rand(n, 1, 1, generator=rng)) * n_bands
    cut = torch.where(torch.rand(n, 1, 1, generator=rng) < probability, cut, n_bands + 1.0)
    over = (torch.arange(n_bands)[None, :, None] - cut).clamp(min=0)
    return power * 10 ** (-2.0 * over.clamp(max=5)).to(power.device)


def lose_quiet(
    power: Tensor, probability: float, db: tuple[float, float], rng: torch.Generator
) -> Tensor:
    """Lose, frame by frame, what lies a drawn number of decibels under the loudest band.

    Codecs that save bits do so: what is masked by something louder is not sent.
    """
    n = power.shape[0]
    depth = db[0] + (db[1] - db[0]) * torch.rand(n, 1, 1, generator=rng)
    share = torch.where(torch.rand(n, 1, 1, generator=rng) < probability, 10 ** (-depth / 10), 0.0)
    return power * (power >= power.amax(1, keepdim=True) * share.to(power.device))


def warp(power: Tensor, largest: float, rng: torch.Generator) -> Tensor:
    """Stretch or shrink the band axis of half of the windows, as larger and smaller bodies do.

    Parameters
    ----------
    power
        (B, M, T).
    largest
        Ratio, above 1: from 1 / largest to largest is drawn. What was in band m is
        then near ``ratio * m``; what is above the last band keeps that band's power.
    rng
        For the draws.

    References
    ----------
    .. [1] N. Jaitly, G. Hinton, Vocal tract length perturbation improves speech
       recognition, ICML workshop on deep learning for audio, 2013.
    """
    n, n_bands, n_frames = power.shape
    ratio = largest ** (2 * torch.rand(n, 1, generator=rng) - 1)
    ratio = torch.where(torch.rand(n, 1, generator=rng) < 0.5, ratio, torch.ones(n, 1))
    at = (torch.arange(n_bands)[None] / ratio).clamp(max=n_bands - 1)
    low = at.floor().clamp(max=n_bands - 2).long()
    share = (at - low)[..., None].to(power.device)
    low = low[..., None].expand(n, n_bands, n_frames).to(power.device)
    return power.gather(1, low) * (1 - share) + power.gather(1, low + 1) * share


def mask(frames: Tensor, axis: int, count: int, share: float, rng: torch.Generator) -> Tensor:
    """Hide stretches of bands (axis 1) or frames (axis 2): SpecAugment, with 0 = the mean."""
    n, length = frames.shape[0], frames.shape[axis]
    for _ in range(count):
        width = (torch.rand(n, 1, generator=rng) * share * length).floor()
        start = (torch.rand(n, 1, generator=rng) * (length - width)).floor()
        at = torch.arange(length)[None]
        hidden = (at >= start) & (at < start + width)
        shape = (n, length, 1) if axis == 1 else (n, 1, length)
        frames = frames.masked_fill(hidden.view(shape).to(frames.device), 0.0)
    return frames


def vary_power(
    power: Tensor, targets: Tensor, a: Augmentation, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Apply everything that acts on mel power, in order."""
    if a.warp > 1:
        power = warp(power, a.warp, rng)
    power, targets = mixup(power, targets, a.mixup, rng)
    power = draw_gain(power, a.gain_db, rng)
    if a.tilt_db:
        power = tilt(power, a.tilt_db, rng)
    if a.band_limit:
        power = band_limit(power, a.band_limit, rng)
    if a.codec:
        power = lose_quiet(power, a.codec, a.codec_db, rng)
    return power, targets


def hide(frames: Tensor, a: Augmentation, rng: torch.Generator) -> Tensor:
    """Apply the masks to normalised log-mel frames (B, M, T)."""
    frames = mask(frames, 1, a.freq_masks, a.freq_mask, rng)
    return mask(frames, 2, a.time_masks, a.time_mask, rng)
