"""What convolutions are compared with: a recurrent trunk, and dense layers of the same reach."""

import pytest
import torch

from audiocnn.networks.baselines import Recurrent, dense_layers, gru, macs_with_recurrence
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.networks.cost import n_parameters


def test_the_recurrent_trunk_streams_what_the_file_gives():
    torch.manual_seed(0)
    trunk = gru(1, 16, pools=2).eval()
    frames = torch.randn(1, 1, 16, 120)
    with torch.no_grad():
        whole = trunk(frames)
        # As a stream begins: no frames yet, and a state of zeros.
        tails = [torch.zeros(1, n, 0) for n in (16, 80, 96)] + [torch.zeros(1, 1, 112)]
        parts, at = [], 0
        for cut in (40, 44, 80, 120):
            y, tails = trunk.stream(frames[..., at:cut], tails)
            parts.append(y)
            at = cut
    assert torch.allclose(torch.cat(parts, -1), whole, atol=1e-5)


def test_a_recurrent_column_depends_on_all_that_came_before():
    torch.manual_seed(0)
    layer = Recurrent(4, 5).eval()
    x = torch.randn(1, 4, 8)
    other = x.clone()
    other[..., 0] += 5
    with torch.no_grad():
        assert not torch.equal(layer(x)[..., -1], layer(other)[..., -1])


def test_the_networks_compared_are_of_one_size(monkeypatch: pytest.MonkeyPatch):
    from audiocnn.networks.classifier import ARCHITECTURES

    monkeypatch.setitem(ARCHITECTURES, "gru", gru)
    sizes = {a: n_parameters(Classifier(TrunkSpec(a, "small", 1, 64, 10))) for a in ARCHITECTURES}
    assert 0.8 < sizes["gru"] / sizes["cnn2d"] < 1.25
    assert 0.8 < sizes["gru"] / sizes["cnn1d"] < 1.25


def test_recurrent_multiplications_are_counted(monkeypatch: pytest.MonkeyPatch):
    from audiocnn.networks.classifier import ARCHITECTURES
    from audiocnn.networks.cost import macs_per_column

    monkeypatch.setitem(ARCHITECTURES, "gru", gru)
    model = Classifier(TrunkSpec("gru", "small", 1, 64, 10)).eval()
    assert macs_with_recurrence(model) - macs_per_column(model) == 3 * 112 * (96 + 112)


def test_a_dense_layer_has_a_weight_for_each_pair_of_values():
    model = Classifier(TrunkSpec("cnn2d", "small", 1, 64, 10))
    layers = dense_layers(model)
    first = layers[0]
    assert first.n_in == 64 * model.receptive_field
    assert first.n_out == 16 * 32 * ((model.receptive_field - 5) // 2 + 1)
    assert (first.parameters, first.dense) == (5 * 5 * 16, first.n_in * first.n_out)
    # The last one collapses all bands and frames that are left: it shares nothing.
    assert layers[-1].parameters == layers[-1].dense
    assert sum(x.parameters for x in layers) < n_parameters(model)
    assert model.training  # as it was
