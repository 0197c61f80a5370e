"""Frames to columns of class evidence: normalisation, trunk and head.

A column has, per class, evidence (a logit) and a weight by which it counts (between
``MIN_WEIGHT`` and 1 + MIN_WEIGHT). The logit of a window is the weighted mean of its
columns: a sum over a sum, so it streams. With mean pooling all weights are 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from audiocnn.errors import ArgumentError, did_you_mean
from audiocnn.networks.cnn1d import cnn1d
from audiocnn.networks.cnn2d import cnn2d
from audiocnn.networks.cnn2d1d import cnn2d1d
from audiocnn.networks.streaming_layers import Chain, Windowed

ARCHITECTURES = {"cnn1d": cnn1d, "cnn2d": cnn2d, "cnn2d1d": cnn2d1d}
POOLINGS = ("attention", "mean")
MIN_WEIGHT = 0.05


@dataclass(frozen=True)
class TrunkSpec:
    """What is needed to build a network, besides its weights.

    Parameters
    ----------
    arch
        Name of the architecture, see ``ARCHITECTURES``.
    size
        ``"small"`` or ``"large"``.
    planes, n_bands
        Shape of a frame.
    n_classes
        Number of labels.
    pools
        How often time is halved.
    pooling
        ``"attention"`` or ``"mean"``: how columns become a window's logit.
    kernel
        Frames that ``cnn1d``'s full convolutions cover, for raw samples; 0 for the
        architecture's own small ones, for spectra.
    """

    arch: str
    size: str
    planes: int
    n_bands: int
    n_classes: int
    pools: int = 3
    pooling: str = "attention"
    kernel: int = 0

    def __post_init__(self) -> None:
        """Check the names and counts."""
        if self.arch not in ARCHITECTURES:
            raise ArgumentError(
                f"no architecture {self.arch!r}{did_you_mean(self.arch, ARCHITECTURES)}; "
                f"there are {', '.join(sorted(ARCHITECTURES))}"
            )
        if self.pooling not in POOLINGS:
            raise ArgumentError(f"pooling must be attention or mean, got {self.pooling!r}")
        if min(self.n_classes, self.planes, self.n_bands) < 1:
            raise ArgumentError(
                f"planes, n_bands and n_classes must be at least 1, got {asdict(self)}"
            )
        if self.kernel and self.arch != "cnn1d":
            raise ArgumentError(f"kernel is for cnn1d, got {self.kernel} with {self.arch}")


class Classifier(nn.Module):
    """The whole network: (B, P, M, T) log-mel frames to columns.

    Attributes
    ----------
    receptive_field, stride
        Of the trunk, in frames.
    """

    def __init__(self, spec: TrunkSpec, dropout: float = 0.2) -> None:
        super().__init__()
        self.spec = spec
        kernel = {"kernel": spec.kernel} if spec.kernel else {}
        self.trunk: Chain = ARCHITECTURES[spec.arch](
            spec.planes, spec.n_bands, spec.size, spec.pools, **kernel
        )
        self.receptive_field, self.stride = self.trunk.receptive_field, self.trunk.stride
        self.n_tails = self.trunk.n_tails
        self.dropout = nn.Dropout(dropout)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(1, spec.planes, spec.n_bands, 1))
        self.register_buffer("scale", torch.ones(1, spec.planes, spec.n_bands, 1))
        n_rows = spec.n_classes * (2 if spec.pooling == "attention" else 1)
        with torch.no_grad():
            n_features = self.trunk.eval()(
                torch.zeros(1, spec.planes, spec.n_bands, self.receptive_field)
            ).shape[1]
        self.trunk.train()
        self.n_features = n_features
        self.head = nn.Conv1d(n_features, n_rows, 1)

    def columns(self, features: Tensor) -> Tensor:
        """Turn embeddings (B, D, T') into evidence and weight (B, 2, C, T')."""
        rows = self.head(self.dropout(features))
        n = self.spec.n_classes
        if self.spec.pooling == "mean":
            return torch.stack((rows, torch.ones_like(rows)), dim=1)
        return torch.stack((rows[:, :n], torch.sigmoid(rows[:, n:]) + MIN_WEIGHT), dim=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Compute the columns (B, 2, C, T') of whole signals."""
        return self.columns(self.trunk((frames - self.mean) * self.scale))

    def stream(self, frames: Tensor, tails: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Compute columns, embeddings and tails of new frames."""
        features, tails = self.trunk.stream((frames - self.mean) * self.scale, tails)
        return self.columns(features), features, tails

    def empty_tails(self, n_batch: int = 1) -> list[Tensor]:
        """Return the tails with which a stream begins: of the right shape, without frames."""
        tails: list[Tensor] = []

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            tails.append(inputs[0][..., :0].detach())

        layers = [m for m in self.trunk.modules() if isinstance(m, Windowed) and m.n_tails]
        hooks = [layer.register_forward_pre_hook(note) for layer in layers]
        was_training = self.training
        shape = (n_batch, self.spec.planes, self.spec.n_bands, self.receptive_field)
        with torch.no_grad():
            self.eval().trunk(self.mean.new_zeros(shape))
        self.train(was_training)
        for hook in hooks:
            hook.remove()
        return tails


def window_logits(columns: Tensor) -> Tensor:
    """Pool the columns (B, 2, C, T') of one window each into logits (B, C)."""
    evidence, weight = columns.unbind(1)
    return (evidence * weight).sum(-1) / weight.sum(-1)
