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
        ({"n_classes": 0}, "at least 1"),
        ({"size": "huge"}, "size must be one of small, large, got 'huge'"),
        ({"pools": 4}, "pools must lie between 1 and 3, got 4"),
        ({"n_bands": 8, "arch": "cnn2d"}, "at least 16 bands, got 8"),
    ],
)
def test_what_is_no_network_is_refused(change, message):
    good = {"arch": "cnn1d", "size": "small", "planes": 1, "n_bands": 16, "n_classes": 2}
    with pytest.raises(ArgumentError, match=message):
        Classifier(TrunkSpec(**(good | change)))
