"""Layers over time: streamed equals whole, the future never changes the past."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from audiocnn.errors import ArgumentError
from audiocnn.networks.streaming_layers import Chain, Residual, conv1d, conv2d, pool1d, pool2d
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
    "residual2d wider": lambda: Residual(conv2d(4, 6), nn.Conv2d(4, 6, 1)),
    "conv2d over bands": lambda: conv2d(4, 5, (5, 1), (2, 1)),
    "mean pool2d": lambda: pool2d(4, 3, nn.AvgPool2d),
    "chain2d": lambda: Chain(
        [conv2d(4, 4, (3, 4), (2, 2)), pool2d(2, 1), Residual(conv2d(4, 4)), pool2d(1, 3)]
    ),
    "chain of chains": lambda: Chain([Chain([conv1d(4, 4, 3, 2), pool1d(2)]), Residual(Chain([]))]),
}


def layer_and_input(name: str, length: int) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    shape = (2, 4, 8, length) if "2d" in name else (2, 4, length)
    layer = MAKERS[name]()
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.3, 1)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.normal_(module.bias, 0.3, 0.3)
    return layer.eval(), torch.randn(shape)


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
    from audiocnn.networks.streaming_layers import Windowed

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


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
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


# What a layer says of itself ----------------------------------------------------------------


def seen_by(layer: nn.Module, x: torch.Tensor, at: int) -> list[int]:
    """Measure which outputs change with one input frame; in float64, so that all do."""
    with torch.no_grad():
        whole = layer(x)
        moved = torch.zeros(whole.shape[-1], dtype=torch.bool)
        for _ in range(40):  # a ReLU or a maximum may hide a change; not forty of them
            changed = x.clone()
            changed[..., at] = 10 * torch.randn_like(changed[..., at])
            moved |= (layer(changed) != whole).flatten(0, -2).any(0)
    return moved.nonzero().flatten().tolist()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("at", [0, 5, 17, 49])
def test_an_input_frame_is_seen_by_exactly_the_outputs_that_say_so(name, at):
    layer, x = layer_and_input(name, 50)
    s, r = layer.stride, layer.receptive_field
    n = (50 - r) // s + 1
    assert seen_by(layer.double(), x.double(), at) == [
        t for t in range(n) if t * s <= at < t * s + r
    ]


@pytest.mark.parametrize("name", MAKERS)
def test_the_future_never_changes_the_past(name):
    layer, x = layer_and_input(name, 50)
    y = x.clone()
    y[..., 30:] += 7
    n = (30 - layer.receptive_field) // layer.stride + 1
    with torch.no_grad():
        a, b = layer(x), layer(y)
    assert torch.equal(a[..., :n], b[..., :n])
    assert not torch.equal(a[..., n:], b[..., n:])


@pytest.mark.parametrize("name", MAKERS)
def test_as_many_tails_come_out_as_go_in_and_they_hold_what_is_needed(name):
    layer, x = layer_and_input(name, 50)
    r, s = layer.receptive_field, layer.stride
    with torch.no_grad():
        tails = _empty_tails(layer, x)
        assert len(tails) == layer.n_tails
        _, kept = layer.stream(x[..., :r], tails)
        _, after = layer.stream(x[..., r : r + 2 * s], kept)
    assert [t.shape for t in after] == [t.shape for t in kept]  # nothing grows
    assert all(t.shape[-1] < r for t in kept)
    assert all(t.numel() == 0 for t in tails)  # and what was handed in is left alone


def network_and_frames(arch: str, pools: int, n: int) -> tuple[nn.Module, torch.Tensor]:
    model = random_network(arch, pools)
    generator = torch.Generator().manual_seed(3)
    return model, torch.randn(1, 1, 16, n, generator=generator) * 3 - 12


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_whole_networks_stream_in_any_cutting(arch, data):
    pools = data.draw(st.integers(1, 3))
    model = random_network(arch, pools)
    r, s = model.receptive_field, model.stride
    model, x = network_and_frames(arch, pools, r + 12 * s)
    places = sorted(data.draw(st.sets(st.integers(1, 12))))
    with torch.no_grad():
        whole, parts, features, tails = model(x), [], [], model.empty_tails()
        for piece in torch.tensor_split(x, [r + s * at for at in [0, *places]], dim=-1):
            if piece.shape[-1]:
                columns, embeddings, tails = model.stream(piece, tails)
                parts.append(columns)
                features.append(embeddings)
    torch.testing.assert_close(torch.cat(parts, -1), whole, atol=1e-5, rtol=1e-5)
    assert torch.cat(features, -1).shape == (1, model.n_features, 13)
    assert whole[:, 0].std() > 1e-2


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
@pytest.mark.parametrize("pools", [1, 2, 3])
def test_a_network_sees_exactly_its_receptive_field(arch, pools):
    model = random_network(arch, pools)
    r, s = model.receptive_field, model.stride
    model, x = network_and_frames(arch, pools, r + 3 * s)
    for at in (0, s, r - 1, r, r + 3 * s - 1):
        expected = [t for t in range(4) if t * s <= at < t * s + r]
        assert seen_by(model.double(), x.double(), at) == expected
    with pytest.raises(RuntimeError):  # one frame fewer is no column
        model.float()(x[..., : r - 1])


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
def test_rows_of_a_batch_do_not_meddle(arch):
    model, x = network_and_frames(arch, 2, 150)
    with torch.no_grad():
        both = model(torch.cat((x, x.flip(-1))))
        torch.testing.assert_close(both[:1], model(x), atol=1e-5, rtol=1e-5)
        tails = model.empty_tails(n_batch=2)
        assert {t.shape[0] for t in tails} == {2}
        streamed, _, _ = model.stream(torch.cat((x, x.flip(-1))), tails)
    torch.testing.assert_close(streamed, both, atol=1e-5, rtol=1e-5)
