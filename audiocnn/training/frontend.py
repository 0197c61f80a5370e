"""The front end in the training graph: torchaudio's MelSpectrogram.

The same numbers as `audiocnn.mel`, on batches, on the CPU or a GPU; a test holds
the two equal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocnn.mel import MelSpec, mel_filters
from audiocnn.training.torchaudio_import import import_torchaudio


class MelPower(nn.Module):
    """Samples (B, N) to mel power (B, M, T), a sine at full scale giving 1 in its bin."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.mel = import_torchaudio().transforms.MelSpectrogram(
            sample_rate=spec.rate,
            n_fft=spec.n_fft,
            hop_length=spec.hop,
            n_mels=spec.n_mels,
            f_min=spec.f_min,
            f_max=spec.f_max,
            center=False,
            power=2.0,
        )
        # Theirs end at rate // 2, which for an odd rate is not half of it.
        self.mel.mel_scale.fb = torch.from_numpy(mel_filters(spec))
        self.scale = 1 / (torch.hann_window(spec.n_fft).double().sum().item() / 2) ** 2

    def forward(self, samples: Tensor) -> Tensor:
        """Give the power in each band and frame."""
        return self.mel(samples) * self.scale  # type: ignore[no-any-return]

    def log(self, power: Tensor) -> Tensor:
        """Give natural logarithms of power plus floor."""
        return torch.log(power + self.spec.floor)
