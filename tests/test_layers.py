"""Layers over time: streamed equals whole, the future never changes the past."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from audiocnn.errors import ArgumentError
from audiocnn.models.layers import Chain, Residual, conv1d, conv2d, pool1d, pool2d
from tests.bundles import random_network

MAKERS = {
    "conv1d": lambda: conv1d(4, 6, 5),
    "conv1d strided": lambda: conv1d(4, 6, 5, 3),
    "conv1d depthwise": lambda: conv1d(4, 4, 7, groups=4, activation=None),
    "pointwise": lambda: conv1d(4, 6),
    "pool1d": lambda: pool1d(3),
    "mean pool1d": lambda: pool1d(2, nn.AvgPool1d),
    "residual": lambda: Residual(Chain([conv1d(4, 4, 3), conv1d(4, 4, 5)])),
    "chain": lambda: Chain(
        [conv1d(4, 4, 4, 2), Residual(conv1d(4, 4, 3)), pool1d(2), conv1d(4, 5, 2)]
    ),
    "conv2d": lambda: conv2d(4, 5, (3, 3)),
    "conv2d strided": lambda: conv2d(4, 5, (5, 5), (2, 2)),
    "pool2d": lambda: pool2d(2, 2),
    "pool2d bands alone": lambda: pool2d(2, 1),
    "residual2d": lambda: Residual(conv2d(4, 4, activation=None)),
}


def layer_and_input(name: str, length: int) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    shape = (2, 4, 8, length) if "2d" in name else (2, 4, length)
    return MAKERS[name]().eval(), torch.randn(shape)


def stream(layer: nn.Module, x: torch.Tensor, cuts: list[int], tails: list[torch.Tensor]):
    parts = []
    for piece in torch.tensor_split(x, cuts, dim=-1):
        y, tails = layer.stream(piece, tails)
        parts.append(y)
    return torch.cat(parts, dim=-1)


@pytest.mark.parametrize("name", MAKERS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_streamed_equals_whole(name, data):
    layer, x = layer_and_input(name, 60)
    s, r = layer.stride, layer.receptive_field
    # As the engine calls it: a receptive field at first, whole strides after that.
    places = list(range(r + s * data.draw(st.integers(0, 3)), 60 - s, s))
    cuts = sorted(data.draw(st.sets(st.sampled_from(places))) | {places[0]})
    x = x[..., : r + (60 - r) // s * s]
    with torch.no_grad():
        tails = _empty_tails(layer, x)
        torch.testing.assert_close(stream(layer, x, cuts, tails), layer(x), atol=1e-5, rtol=1e-5)


def _empty_tails(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    from audiocnn.models.layers import Windowed

    tails: list[torch.Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda _, inputs: tails.append(inputs[0][..., :0]))
        for m in layer.modules()
        if isinstance(m, Windowed) and m.n_tails
    ]
    layer(x)
    for hook in hooks:
        hook.remove()
    assert len(tails) == layer.n_tails
    return tails


@pytest.mark.parametrize("name", MAKERS)
def test_each_output_sees_its_receptive_field_and_no_more(name):
    layer, x = layer_and_input(name, 50)
    with torch.no_grad():
        y = layer(x)
        assert y.shape[-1] == (50 - layer.receptive_field) // layer.stride + 1
        for at in (0, 17, 33, 49):
            changed = x.clone()
            changed[..., at] += 3 * torch.randn_like(changed[..., at]).abs() + 1
            moved = (layer(changed) - y).abs().flatten(0, -2).amax(0) > 1e-7
            for t in moved.nonzero().flatten().tolist():
                assert t * layer.stride <= at < t * layer.stride + layer.receptive_field


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d"])
@pytest.mark.parametrize("pools", [1, 2, 3])
def test_whole_networks_stream(arch, pools):
    model = random_network(arch, pools)
    n = model.receptive_field + 9 * model.stride
    x = torch.randn(1, 1, 16, n) * 3 - 12
    parts, tails, at = [], model.empty_tails(), 0
    with torch.no_grad():
        whole = model(x)
        for size in (model.receptive_field, model.stride, 3 * model.stride, 5 * model.stride):
            y, _, tails = model.stream(x[..., at : at + size], tails)
            parts.append(y)
            at += size
    assert at == n
    torch.testing.assert_close(torch.cat(parts, -1), whole, atol=1e-5, rtol=1e-5)
    assert whole.std() > 1e-3  # the comparison is of something


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv1d(2, 2, 2, 3), "1 <= step <= size"),
        (lambda: conv2d(2, 2, (3, 1), (1, 2)), "1 <= step <= size"),
        (lambda: Residual(conv1d(2, 2, 3, 2)), "must not stride over time, got stride=2"),
        (lambda: Residual(Chain([conv1d(2, 2, 3), pool1d(2)])), "got stride=2"),
    ],
)
def test_what_cannot_stream_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
