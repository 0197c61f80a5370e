"""What a network costs: parameters, and multiplications per second of signal."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocnn.networks.classifier import Classifier


def n_parameters(model: nn.Module) -> int:
    """Count the trained parameters."""
    return sum(p.numel() for p in model.parameters())


def macs_per_column(model: Classifier) -> int:
    """Count multiply-accumulates that one more column costs, in a stream.

    Notes
    -----
    The difference between a signal of ``receptive_field + stride`` frames and
    one of ``receptive_field``, counted in convolutions only (normalisation and
    activations are a few per cent): what a stream spends, with no share of the
    first window's.
    """
    counts: list[int] = []

    def count(layer: nn.Module, _: object, y: Tensor) -> None:
        assert isinstance(layer, nn.Conv1d | nn.Conv2d)
        counts.append(layer.weight[0].numel() * y.numel())

    convs = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    hooks = [m.register_forward_hook(count) for m in convs]
    was_training = model.training
    model.eval()
    totals = []
    for length in (model.receptive_field + model.stride, model.receptive_field):
        counts.clear()
        with torch.no_grad():
            model(model.mean.new_zeros(1, model.spec.planes, model.spec.n_bands, length))
        totals.append(sum(counts))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return totals[0] - totals[1]
