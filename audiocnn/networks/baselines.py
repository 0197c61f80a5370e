"""Baselines for convolutions: a recurrent trunk, and dense layers of the same reach.

For comparison only. Nothing here is offered by `audiocnn train` or shipped: a recurrent
network depends on all earlier frames, so its scores depend on where a stream began, and
a file could not be split between workers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audiocnn.networks.classifier import Classifier
from audiocnn.networks.cnn1d import Bands
from audiocnn.networks.cost import macs_per_column
from audiocnn.networks.streaming_layers import Chain, Streamable, conv1d, pool1d

GRU_SIZES = {"small": (80, 96, 112), "large": (96, 128, 160)}


class Recurrent(Streamable):
    """A gated recurrent unit [1]_ over time: (B, C, T) to (B, H, T).

    Its one tail is its state (1, B, H), not frames: an output depends on every frame since the
    stream began, so ``receptive_field`` counts only the frames of the shortest input.

    References
    ----------
    .. [1] K. Cho et al., Learning phrase representations using RNN encoder-decoder,
       EMNLP 2014.
    """

    n_tails = 1

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_in, n_out, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Begin with an empty state."""
        return self.stream(x, [])[0]

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Go on from a state; from an empty one if there is none."""
        y, state = self.gru(x.transpose(1, 2), *tails)
        return y.transpose(1, 2), [state]


def gru(planes: int, n_bands: int, size: str = "small", pools: int = 3) -> Chain:
    """Build a recurrent trunk: (B, planes, n_bands, T) to embeddings (B, D, T').

    Short convolutions bring the frames to the columns' rate, as in `cnn1d`; what is
    longer than a quarter of a second is left to the recurrent unit.

    Parameters
    ----------
    planes, n_bands, size, pools
        As in `cnn1d`.
    """
    a, b, c = GRU_SIZES[size]
    layers: list[Streamable] = [Bands(), conv1d(planes * n_bands, a, 5, 2), conv1d(a, b, 3)]
    for _ in range(pools - 1):
        layers.append(pool1d(2))
    return Chain([*layers, Recurrent(b, c)])


@dataclass(frozen=True)
class DenseLayer:
    """A convolution, and the dense layer that maps between the same values.

    Parameters
    ----------
    name
        Kernel and channels, for people.
    n_in, n_out
        Values that go in and come out, over the reach of one column.
    parameters
        Of the convolution.
    dense
        Of a dense layer between as many values: a weight for each pair.
    """

    name: str
    n_in: int
    n_out: int
    parameters: int
    dense: int


def dense_layers(model: Classifier) -> list[DenseLayer]:
    """List the convolutions of a trunk beside dense layers of the same reach.

    Notes
    -----
    Counted over one receptive field, that is for a single column: a dense layer has a
    weight from each value to each value, a convolution shares a few over all places.
    Biases are left out; the convolutions have none.
    """
    found: list[DenseLayer] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        assert isinstance(layer, nn.Conv1d | nn.Conv2d)
        n_in, n_out = inputs[0][0].numel(), y[0].numel()
        kernel = " x ".join(map(str, layer.kernel_size))
        name = f"{kernel}, {layer.in_channels} to {layer.out_channels}"
        found.append(DenseLayer(name, n_in, n_out, layer.weight.numel(), n_in * n_out))

    convs = [m for m in model.trunk.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    hooks = [conv.register_forward_hook(note) for conv in convs]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        shape = (1, model.spec.planes, model.spec.n_bands, model.receptive_field)
        model.trunk(model.mean.new_zeros(shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return found


def macs_with_recurrence(model: Classifier) -> int:
    """Count what one more column costs where a trunk may have recurrent units."""
    units = [m.gru for m in model.modules() if isinstance(m, Recurrent)]
    recurrent = sum(p.numel() for unit in units for p in unit.parameters() if p.ndim == 2)
    return macs_per_column(model) + recurrent
