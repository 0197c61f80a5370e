"""Networks: what they are made of, what they cost, and their exported graphs."""

import numpy as np
import pytest
import torch

from audiocnn.engine import TrunkState, advance, open_graph
from audiocnn.errors import ArgumentError
from audiocnn.models.classifier import MIN_WEIGHT, Classifier, TrunkSpec, window_logits
from audiocnn.models.cost import macs_per_column, n_parameters
from audiocnn.models.export import export_graph
from tests.bundles import random_network

SHIPPED_LIMITS = {"parameters": 250_000, "mmac_per_second": 16}


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d"])
def test_the_exported_graph_agrees_with_torch_in_any_steps(arch):
    model = random_network(arch)
    graph = open_graph(export_graph(model), model.receptive_field, model.stride)
    x = (np.random.default_rng(0).standard_normal((1, 16, 200)) * 3 - 12).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)[None])[0].numpy()
    state = TrunkState(np.empty(0, np.float32), graph.empty_tails)
    parts, at = [], 0
    for size in [1, 0, 3, 60, 1, 1, 1, 1, 1, 40, 7, 84]:  # single frames and nothing, too
        columns, state = advance(graph, state, x[..., at : at + size])
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
        ({"arch": "cnn2"}, "no architecture 'cnn2'.*there are cnn1d, cnn2d"),
        (
            {"n_classes": 0},
            "planes, n_bands and n_classes must be at least 1, got .*'n_classes': 0",
        ),
        ({"planes": 0}, "planes, n_bands and n_classes must be at least 1, got .*'planes': 0"),
        ({"size": "huge", "arch": "cnn2d"}, "size must be one of small, large, got 'huge'"),
        ({"pools": 0, "arch": "cnn2d"}, "pools must lie between 1 and 3, got 0"),
        ({"size": "huge"}, "size must be one of small, large, got 'huge'"),
        ({"pools": 4}, "pools must lie between 1 and 3, got 4"),
        ({"n_bands": 8, "arch": "cnn2d"}, "at least 16 bands, got 8"),
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


@pytest.mark.parametrize("arch", ["cnn1d", "cnn2d"])
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
