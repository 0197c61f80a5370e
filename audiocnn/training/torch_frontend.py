"""What a network sees in training: samples to frames, plain or varied, on CPU or GPU.

A module for each kind of front end of `audiocnn.frontend.specs`, with the same numbers as
there (tests hold them equal):

    plain    samples -> frames (B, P, M, T)
    varied   samples, what lies under them, targets -> frames and targets, augmented

Samples of sound are (B, N). Those of other signals are (B, K, N), with the front end's
offset taken away and divided by its scale already, as training reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.training.augment.mel import draw_gain, hide, mixup, vary_power
from audiocnn.training.augment.signal import draw_amplitude, mix_signals, vary_signals
from audiocnn.training.augment.waveform import vary_samples
from audiocnn.training.config import Augmentation
from audiocnn.training.torch_mel import BLOCK, MelPower


class TorchFrontEnd(nn.Module):
    """Samples to frames in PyTorch; made by `torch_front_end`."""

    def plain(self, samples: Tensor) -> Tensor:
        """Return the frames (B, P, M, T)."""
        raise NotImplementedError  # pragma: no cover

    def varied(
        self, samples: Tensor, under: Tensor, targets: Tensor, a: Augmentation,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return the frames of varied samples, and targets (B, C) that say what is in them."""
        raise NotImplementedError  # pragma: no cover


class SeeingSound(TorchFrontEnd):
    """Samples (B, N) to log-mel frames (B, 1, M, T)."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.mel = MelPower(spec)

    def plain(self, samples: Tensor) -> Tensor:
        """Return the logarithm of mel power."""
        return self.mel.log(self.mel(samples))[:, None]

    def varied(
        self, samples: Tensor, under: Tensor, targets: Tensor, a: Augmentation,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Vary the samples, then mel power."""
        power = self.mel(vary_samples(samples, under, a, self.mel.spec.rate, rng))
        power, targets = vary_power(power, targets, a, rng)
        return self.mel.log(power)[:, None], targets


class SeeingRaw(TorchFrontEnd):
    """Samples (B, K, N), every one a frame, to (B, 1, K, N)."""

    def __init__(self, spec: RawSpec) -> None:
        super().__init__()
        self.spec = spec

    def plain(self, samples: Tensor) -> Tensor:
        """Return the samples."""
        return samples[:, None]

    def varied(
        self, samples: Tensor, under: Tensor, targets: Tensor, a: Augmentation,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Vary the samples; mixup adds them."""
        x = vary_signals(samples, under, a, rng)
        x, targets = mix_signals(x, targets, a.mixup, rng)
        return draw_amplitude(x, a.gain_db, rng)[:, None], targets


class SeeingSpectrum(TorchFrontEnd):
    """Samples (B, K, N) to log spectra (B, K, n_fft // 2 + 1, T)."""

    def __init__(self, spec: SpectrumSpec) -> None:
        super().__init__()
        self.spec = spec
        self.window: Tensor
        hann = torch.hann_window(spec.n_fft, dtype=torch.float64)
        self.register_buffer("window", (hann / (hann.sum() / 2)).float(), persistent=False)

    def power(self, samples: Tensor) -> Tensor:
        """Return the power in each channel, band and frame."""
        n_rows = BLOCK if samples.device.type == "cpu" else max(1, samples.shape[0])
        with torch.autocast(samples.device.type, enabled=False):  # bfloat16 is too coarse here
            return torch.cat([self._power(part) for part in torch.split(samples, n_rows)])

    def _power(self, samples: Tensor) -> Tensor:
        frames = samples.unfold(-1, self.spec.n_fft, self.spec.hop) * self.window
        bins = torch.view_as_real(torch.fft.rfft(frames))
        return bins.square().sum(-1).transpose(-1, -2)

    def plain(self, samples: Tensor) -> Tensor:
        """Return the logarithm of the power."""
        return torch.log(self.power(samples) + self.spec.floor)

    def varied(
        self, samples: Tensor, under: Tensor, targets: Tensor, a: Augmentation,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Vary the samples, then the power of all channels alike; mixup adds powers."""
        power = self.power(vary_signals(samples, under, a, rng))
        flat, targets = mixup(power.flatten(1, 2), targets, a.mixup, rng)
        flat = draw_gain(flat, a.gain_db, rng)
        return torch.log(flat.view_as(power) + self.spec.floor), targets


MODULES: dict[str, Callable[[Any], TorchFrontEnd]] = {
    MelSpec.kind: SeeingSound, RawSpec.kind: SeeingRaw, SpectrumSpec.kind: SeeingSpectrum,
}  # fmt: skip


def torch_front_end(front: FrontEnd) -> TorchFrontEnd:
    """Make the module of a front end.

    Raises
    ------
    ArgumentError
        If networks are not trained on this kind of front end.
    """
    if front.kind not in MODULES:
        raise ArgumentError(
            f"no network is trained on frames of {front.kind!r}; there are {', '.join(MODULES)}"
        )
    return MODULES[front.kind](front)


def hide_frames(frames: Tensor, a: Augmentation, rng: torch.Generator) -> Tensor:
    """Apply the masks to normalised frames (B, P, M, T): bands of every plane, and times."""
    return hide(frames.flatten(1, 2), a, rng).view_as(frames)
