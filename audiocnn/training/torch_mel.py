"""The front end in the training graph: samples to mel power, on batches, CPU or GPU.

The same numbers as `audiocnn.frontend.log_mel` and as torchaudio's MelSpectrogram; tests hold the
three equal. It is written out here because theirs takes a root for every bin that is
squared again, and walks through memory several times: this takes a third of the time,
and training spends much of its own here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocnn.errors import ArgumentError
from audiocnn.frontend.log_mel import MelSpec, mel_filters

BLOCK = 4  # rows at a time on a CPU: what lies between the steps stays in its cache


class MelPower(nn.Module):
    """Samples (B, N) to mel power (B, M, T), a sine at full scale giving 1 in its bin."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        if not spec.is_plain:
            raise ArgumentError(
                "networks are trained on log-mel frames with the parameters rate, n_fft, hop, "
                f"n_mels, f_min, f_max and floor alone, got {spec.describe()}"
            )
        self.spec = spec
        self.window: Tensor
        self.filters: Tensor
        hann = torch.hann_window(spec.n_fft, dtype=torch.float64)
        self.register_buffer("window", (hann / (hann.sum() / 2)).float(), persistent=False)
        # Each bin is two numbers, real and imaginary: every filter row comes twice.
        rows = torch.from_numpy(mel_filters(spec)).repeat_interleave(2, dim=0)
        self.register_buffer("filters", rows, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Return the power in each band and frame."""
        n_rows = BLOCK if samples.device.type == "cpu" else max(1, samples.shape[0])
        with torch.autocast(samples.device.type, enabled=False):  # bfloat16 is too coarse here
            return torch.cat([self._power(part) for part in torch.split(samples, n_rows)])

    def _power(self, samples: Tensor) -> Tensor:
        frames = samples.unfold(-1, self.spec.n_fft, self.spec.hop) * self.window
        bins = torch.view_as_real(torch.fft.rfft(frames)).flatten(-2)
        return (bins.square() @ self.filters).transpose(1, 2)

    def log(self, power: Tensor) -> Tensor:
        """Return natural logarithms of power plus floor."""
        return torch.log(power + self.spec.floor)
