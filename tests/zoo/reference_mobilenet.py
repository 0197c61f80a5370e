"""MobileNetV3 for log-mel pictures in PyTorch: what the converted graph must agree with.

Written from the published tables (Howard et al., 2019, table 1; Schmid et al., 2023) with
the widths that the scale gives, independently of `audiocnn.zoo.mobilenet`, which reads
them off the weights. Names of parameters are those of the published state dict.
"""

import torch
from torch import Tensor, nn

# kernel, expanded, out, squeeze-and-excitation, hardswish, stride: MobileNetV3-Large
LARGE = (
    (3, 16, 16, False, False, 1), (3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2), (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2), (3, 200, 80, False, True, 1), (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1), (3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1),
)  # fmt: skip


def to_eights(channels: float) -> int:
    """Round to a multiple of 8 that is at least nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def conv(n_in: int, n_out: int, kernel: int, stride: int, groups: int, last: nn.Module | None):
    layers = [
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([last] if last else []))


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = nn.Module()
        inner.fc1 = nn.Linear(channels, to_eights(channels // 4))
        inner.fc2 = nn.Linear(to_eights(channels // 4), channels)
        self.conc_se_layers = nn.ModuleList([inner])

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conc_se_layers[0]
        scale = torch.sigmoid(inner.fc2(torch.relu(inner.fc1(x.mean((2, 3))))))
        return x * scale[:, :, None, None]


class Block(nn.Module):
    def __init__(self, n_in, kernel, expanded, out, squeeze, hardswish, stride) -> None:
        super().__init__()
        activation = nn.Hardswish if hardswish else nn.ReLU
        layers = [conv(n_in, expanded, 1, 1, 1, activation())] if expanded != n_in else []
        layers.append(conv(expanded, expanded, kernel, stride, expanded, activation()))
        layers += [Squeeze(expanded)] if squeeze else []
        self.block = nn.Sequential(*layers, conv(expanded, out, 1, 1, 1, None))
        self.residual = stride == 1 and n_in == out

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x if self.residual else self.block(x)


class MobileNet(nn.Module):
    """Frames (B, 1, M, T) to logits (B, C) and embeddings (B, D)."""

    def __init__(self, width: float, n_classes: int) -> None:
        super().__init__()
        n = to_eights(16 * width)
        layers: list[nn.Module] = [conv(1, n, 3, 2, 1, nn.Hardswish())]
        for kernel, expanded, out, squeeze, hardswish, stride in LARGE:
            wide, last = to_eights(expanded * width), to_eights(out * width)
            layers.append(Block(n, kernel, wide, last, squeeze, hardswish, stride))
            n = last
        layers.append(conv(n, 6 * n, 1, 1, 1, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        hidden = to_eights(1280 * width)
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Flatten(), nn.Linear(6 * n, hidden), nn.Hardswish(), nn.Identity(),
            nn.Linear(hidden, n_classes),
        )  # fmt: skip

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.features(frames).mean((2, 3))
        hidden = self.classifier[3](self.classifier[2](mean))
        return self.classifier[5](hidden), torch.cat((mean, hidden), 1)


def reference_frames(samples: Tensor) -> Tensor:
    """Give mn04's input for samples (N,) at 32 kHz: (1, 128, T), frames wholly inside."""
    import torchaudio.compliance.kaldi as kaldi

    emphasised = samples[1:] - 0.97 * samples[:-1]
    window = nn.functional.pad(torch.hann_window(800, periodic=False), (112, 112))
    # Frames of the 800 samples that the window covers, none beyond the ends.
    padded = nn.functional.pad(emphasised, (112, 112))
    spectrum = torch.stft(padded, 1024, 320, 1024, window, center=False, return_complex=True)
    banks, _ = kaldi.get_mel_banks(128, 1024, 32000.0, 0.0, 15000.0, 100.0, -500.0, 1.0)
    mel = nn.functional.pad(banks, (0, 1)) @ spectrum.abs().square()
    return (((mel + 1e-5).log() + 4.5) / 5)[None]
