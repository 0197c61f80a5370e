"""Networks: what they are made of, what they cost, and their exported graphs."""

import numpy as np
import pytest
import torch

from audiocnn.errors import ArgumentError
from audiocnn.inference.streaming_network import open_streaming
from audiocnn.networks.classifier import MIN_WEIGHT, Classifier, TrunkSpec, window_logits
from audiocnn.networks.cnn1d import cnn1d, shape_for
from audiocnn.networks.cost import macs_per_column, n_parameters
from audiocnn.networks.onnx_export import export_graph
from tests import bundles
from tests.bundles import random_network

SHIPPED_LIMITS = {"parameters": 250_000, "mmac_per_second": 16}


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
def test_the_exported_graph_agrees_with_torch_in_any_steps(arch):
    model = random_network(arch)
    graph = open_streaming(bundles.FRONT, export_graph(model), model.receptive_field, model.stride)
    x = (np.random.default_rng(0).standard_normal((1, 16, 200)) * 3 - 12).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)[None])[0].numpy()
    state = graph.begin(graph.grid(1.0, 1.0))
    parts, at = [], 0
    for size in [1, 0, 3, 60, 1, 1, 1, 1, 1, 40, 7, 84]:  # single frames and nothing, too
        columns, state = graph.advance(state, x[..., at : at + size])
        at += size
        if columns is not None:
            parts.append(columns)
    assert at == 200
    found = np.concatenate(parts, axis=-1)
    np.testing.assert_allclose(found, expected[..., : found.shape[-1]], atol=1e-5)
    assert found.shape == expected.shape


def test_export_leaves_the_model_as_it_was():
    model = random_network("cnn1d").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    export_graph(model)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_the_default_networks_keep_their_budget():
    big = Classifier(TrunkSpec("cnn2d", "small", 1, 64, 10))
    small = Classifier(TrunkSpec("cnn1d", "large", 1, 64, 10))
    rate = 80 / 8  # columns a second, frames of 12.5 ms
    cost = [macs_per_column(m) * rate / 1e6 for m in (big, small)]
    assert n_parameters(big) <= SHIPPED_LIMITS["parameters"]
    assert cost[0] <= SHIPPED_LIMITS["mmac_per_second"]
    assert cost[1] <= cost[0] / 3
    assert n_parameters(small) <= SHIPPED_LIMITS["parameters"]


def test_the_network_of_the_general_model_keeps_its_budget():
    model = Classifier(TrunkSpec("cnn2d1d", "large", 1, 64, 45))
    assert n_parameters(model) * 4 <= 2_000_000  # bytes
    assert macs_per_column(model) * 10 <= 25e6  # columns of 100 ms: in a second


def test_the_cost_is_that_of_a_network_counted_by_hand():
    model = Classifier(TrunkSpec("cnn1d", "small", 1, 16, 3, 1))
    stem = 16 * 5 * 64
    blocks = [2 * (n * 5 + n * n) for n in (64, 96, 128)]
    widen = 64 * 96 + 96 * 128
    assert macs_per_column(model) == stem + sum(blocks) + widen + 128 * 6


def test_window_logits_are_a_weighted_mean():
    columns = torch.tensor([[[[1.0, 3.0]], [[1.0, 3.0]]]])  # (B, 2, C, T): evidence, weight
    assert window_logits(columns).item() == pytest.approx((1 * 1 + 3 * 3) / 4)


def test_weights_are_bounded_and_mean_pooling_weighs_all_alike():
    x = torch.randn(1, 1, 16, 200) * 50
    weight = random_network("cnn2d")(x)[:, 1]
    assert weight.min() >= MIN_WEIGHT
    assert weight.max() <= 1 + MIN_WEIGHT
    mean = Classifier(TrunkSpec("cnn1d", "small", 1, 16, 3, 2, "mean")).eval()
    assert (mean(x)[:, 1] == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "cnn3d"}, "no architecture 'cnn3d' .did you mean"),
        ({"pooling": "max"}, "pooling must be attention or mean, got 'max'"),
        ({"arch": "cnn2"}, "no architecture 'cnn2'.*there are cnn1d, cnn2d, cnn2d1d"),
        (
            {"n_classes": 0},
            "planes, n_bands and n_classes must be at least 1, got .*'n_classes': 0",
        ),
        ({"planes": 0}, "planes, n_bands and n_classes must be at least 1, got .*'planes': 0"),
        ({"size": "huge", "arch": "cnn2d"}, "size must be one of small, large, got 'huge'"),
        ({"pools": 4, "arch": "cnn2d"}, "pools must lie between 0 and 3, got 4"),
        ({"pools": 0}, "pools must lie between 1 and 3, got 0"),
        ({"pools": 9, "kernel": 5}, "pools must lie between 0 and 8, got 9"),
        ({"kernel": -1}, "kernel must be 0 .for spectra. or more, got -1"),
        ({"kernel": 5, "arch": "cnn2d"}, "kernel is for cnn1d, got 5 with cnn2d"),
        ({"size": "huge"}, "size must be one of small, large, got 'huge'"),
        ({"pools": 4}, "pools must lie between 1 and 3, got 4"),
        ({"n_bands": 1, "arch": "cnn2d"}, "at least 2 bands, got 1; cnn1d does with one"),
        ({"n_bands": 15, "arch": "cnn2d1d"}, "at least 16 bands, got 15"),
        ({"pools": 0, "arch": "cnn2d1d"}, "pools must lie between 1 and 3, got 0"),
        ({"size": "huge", "arch": "cnn2d1d"}, "size must be one of small, large, got 'huge'"),
    ],
)
def test_what_is_no_network_is_refused(change, message):
    good = {"arch": "cnn1d", "size": "small", "planes": 1, "n_bands": 16, "n_classes": 2}
    with pytest.raises(ArgumentError, match=message):
        Classifier(TrunkSpec(**(good | change)))


def test_a_network_without_bands_is_refused():
    with pytest.raises(ArgumentError, match="n_bands"):
        Classifier(TrunkSpec("cnn1d", "small", 1, 0, 2))


def test_the_cost_of_a_picture_counted_by_hand():
    """16 bands, time halved three times: 8 frames a column, so 4, 2 and 1 columns inside."""
    model = Classifier(TrunkSpec("cnn2d", "small", 1, 16, 3, 3))
    a, b, c, d, e = 16, 24, 32, 56, 80
    layers = [
        (4 * 8, 5 * 5 * a),  # the stem gives 4 columns of 8 bands
        (4 * 8, 9 * a * b),
        (2 * 4, 9 * b * c + 9 * c * c + b * c),  # with the shortcut
        (1 * 2, 9 * c * d + 9 * d * d + c * d),
        (1 * 1, 3 * d * e),
        (1, 6 * e),  # evidence and weight of three classes
    ]
    assert macs_per_column(model) == sum(places * each for places, each in layers)


def test_parameters_counted_by_hand():
    model = Classifier(TrunkSpec("cnn1d", "small", 1, 16, 3, 1, "mean"))
    stem = 16 * 5 * 64 + 2 * 64  # kernels, and two numbers a channel of batch normalisation
    blocks = [2 * (n * 5 + n * n + 4 * n) for n in (64, 96, 128)]
    widen = 64 * 96 + 2 * 96 + 96 * 128 + 2 * 128
    assert n_parameters(model) == stem + sum(blocks) + widen + 128 * 3 + 3


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d", "cnn2d1d"])
def test_asking_what_it_costs_or_how_it_begins_changes_nothing(arch):
    model = random_network(arch).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = macs_per_column(model)
    tails = model.empty_tails()
    assert macs_per_column(model) == first > 0
    assert len(tails) == model.n_tails
    assert all(tail.shape[-1] == 0 and tail.shape[0] == 1 for tail in tails)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_normalisation_comes_before_the_trunk():
    model = random_network("cnn1d")
    x = torch.randn(1, 1, 16, 120)
    with torch.no_grad():
        expected = model.columns(model.trunk((x - model.mean) * model.scale))
        torch.testing.assert_close(model(x), expected)
        assert (model(x) - model(x + 1)).abs().max() > 1e-3


def test_the_heavier_column_counts_more():
    evidence = torch.tensor([[2.0, -2.0]])
    for weight, expected in (([1.0, 1.0], 0.0), ([1.05, 0.05], 2 * 1.0 / 1.1)):
        columns = torch.stack((evidence, torch.tensor([weight])))[None]
        assert window_logits(columns).item() == pytest.approx(expected, abs=1e-6)


def test_parameters_for_samples_counted_by_hand():
    model = Classifier(TrunkSpec("cnn1d", "small", 1, 3, 2, 1, "mean", 5))

    def counted(n_in: int, n_out: int, size: int) -> int:
        return n_in * n_out * size + 2 * n_out

    blocks = sum(counted(i, o, 5) + counted(o, o, 5) for i, o in ((32, 32), (32, 48), (48, 64)))
    shortcuts = counted(32, 48, 1) + counted(48, 64, 1)
    assert n_parameters(model) == counted(3, 32, 5) + blocks + shortcuts + 64 * 2 + 2


@pytest.mark.parametrize("n", [*range(1, 70), 100, 199, 200, 427, 799, 800, 1460, 5000, 100_000])
def test_the_network_for_samples_fits_into_its_series(n):
    pools, kernel = shape_for(n)
    trunk = cnn1d(1, 2, "small", pools, kernel)
    assert trunk.receptive_field <= max(1, n / 2)
    if n >= 58:
        assert kernel == 5
        assert trunk.receptive_field >= n / 10 or pools == 8
    assert n / trunk.stride < 142 or pools == 8  # columns, that a window is the mean of


# planes, bands, pools, kernel; receptive field, stride
NETWORKS_FOR_SIGNALS = [
    ("cnn1d", 1, 6, 0, 1, 1, 1),
    ("cnn1d", 1, 3, 0, 2, 8, 1),
    ("cnn1d", 1, 1, 0, 3, 15, 1),
    ("cnn1d", 1, 2, 2, 5, 64, 4),
    ("cnn1d", 1, 1, 4, 5, 244, 16),
    ("cnn2d", 6, 2, 0, 0, 17, 1),
    ("cnn2d", 1, 9, 1, 0, 29, 2),
    ("cnn2d", 3, 17, 2, 0, 51, 4),
    ("cnn2d", 3, 33, 3, 0, 79, 8),
    ("cnn2d1d", 1, 64, 3, 0, 95, 8),
    ("cnn2d1d", 2, 33, 2, 0, 59, 4),
]


@pytest.mark.parametrize(
    ("arch", "planes", "bands", "pools", "kernel", "reach", "stride"), NETWORKS_FOR_SIGNALS
)
def test_networks_for_signals_stream_and_see_what_they_say(
    arch, planes, bands, pools, kernel, reach, stride
):
    torch.manual_seed(4)
    model = Classifier(TrunkSpec(arch, "small", planes, bands, 3, pools, kernel=kernel)).eval()
    assert (model.receptive_field, model.stride) == (reach, stride)
    x = torch.randn(1, planes, bands, reach + 6 * stride)
    with torch.no_grad():
        whole, parts, tails = model(x), [], model.empty_tails()
        for piece in torch.tensor_split(x, [reach, reach + stride, reach + 4 * stride], dim=-1):
            columns, _, tails = model.stream(piece, tails)
            parts.append(columns)
        assert whole.shape == (1, 2, 3, 7)
        torch.testing.assert_close(torch.cat(parts, -1), whole, atol=1e-5, rtol=1e-5)
        moved = model(torch.cat((x[..., :-1], x[..., -1:] + 100), -1))[0, 0]
    assert torch.equal(moved[:, :-1], whole[0, 0, :, :-1])
    assert not torch.equal(moved[:, -1], whole[0, 0, :, -1])


def test_a_window_without_samples_has_no_network():
    with pytest.raises(ArgumentError, match="at least 1 sample, got 0"):
        shape_for(0)


def test_what_older_bundles_say_of_their_network_still_makes_it():
    told = {"arch": "cnn1d", "size": "small", "planes": 1, "n_bands": 16, "n_classes": 3}
    model = Classifier(TrunkSpec(**told, pools=2, pooling="attention"))
    assert model.spec.kernel == 0
    assert (model.receptive_field, model.stride) == (87, 4)
