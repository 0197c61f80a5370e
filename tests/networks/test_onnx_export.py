"""The exported graph is the network, with its state explicit."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.inference.streaming_network import StreamingNetwork, open_streaming
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.networks.onnx_export import OPSET, export_graph
from tests.bundles import random_network

ALLOWED = 1e-5


def opened(model: Classifier) -> StreamingNetwork:
    spec = model.spec  # the tests give frames; samples never come

    def channels(n: int) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
        return tuple(map(str, range(n))), (0.0,) * n, (1.0,) * n

    front: FrontEnd = RawSpec(100.0, *channels(spec.n_bands))
    if spec.planes > 1:
        front = SpectrumSpec(100.0, 2 * spec.n_bands - 2, 8, *channels(spec.planes))
    return open_streaming(front, export_graph(model), model.receptive_field, model.stride)


def streamed(graph: StreamingNetwork, pieces, output: str = "columns") -> np.ndarray:
    state, found = graph.begin(graph.grid(1.0, 1.0), output), []
    for piece in pieces:
        values, state = graph.advance(state, piece)
        if values is not None:
            found.append(values)
    return np.concatenate(found, axis=-1)


def expected(model: Classifier, frames: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(frames)[None])[0].numpy()


def some_frames(n: int, planes: int = 1, bands: int = 16) -> np.ndarray:
    rng = np.random.default_rng(n)
    return (rng.standard_normal((planes, bands, n)) * 3 - 12).astype(np.float32)


@pytest.fixture(scope="module", params=["cnn1d", "cnn2d", "cnn2d1d"])
def network(request) -> tuple[Classifier, StreamingNetwork]:
    model = random_network(request.param, pools=3)
    return model, opened(model)


@settings(deadline=None, max_examples=15)
@given(more=st.integers(0, 60), data=st.data())
def test_in_any_pieces_the_graph_gives_what_torch_gives(network, more, data):
    model, graph = network
    frames = some_frames(model.receptive_field + more)
    n = frames.shape[-1]
    cuts = data.draw(st.lists(st.integers(0, n), max_size=15))
    single = data.draw(st.integers(0, n - 1))
    cuts += range(single, min(n, single + 2 * model.stride))
    found = streamed(graph, np.split(frames, sorted(cuts), -1))
    theirs = expected(model, frames)
    assert found.shape == theirs.shape
    np.testing.assert_allclose(found, theirs, atol=ALLOWED, rtol=ALLOWED)
    assert theirs[0].std() > 0.05  # evidence that moves


@pytest.mark.parametrize(
    "fields",
    [
        {"arch": "cnn1d", "planes": 3, "pools": 1},
        {"arch": "cnn2d", "planes": 2, "pools": 1},
        {"arch": "cnn2d", "n_bands": 37, "pools": 2},
        {"arch": "cnn1d", "size": "large", "pooling": "mean", "n_classes": 1},
        {"arch": "cnn1d", "n_bands": 6, "pools": 0, "kernel": 2},
        {"arch": "cnn1d", "n_bands": 1, "pools": 4, "kernel": 5},
        {"arch": "cnn2d", "planes": 6, "n_bands": 9, "pools": 0},
        {"arch": "cnn2d", "planes": 3, "n_bands": 33, "pools": 1},
    ],
)
def test_every_kind_of_network_can_be_exported(fields):
    good = {"size": "small", "planes": 1, "n_bands": 16, "n_classes": 4, "pools": 2}
    torch.manual_seed(1)
    model = Classifier(TrunkSpec(**(good | fields))).eval()
    n = model.receptive_field + 3 * model.stride
    frames = some_frames(n, model.spec.planes, model.spec.n_bands)
    found = streamed(opened(model), [frames[..., : n - 5], frames[..., n - 5 :]])
    np.testing.assert_allclose(found, expected(model, frames), atol=ALLOWED, rtol=ALLOWED)


def test_embeddings_are_the_trunks(network):
    model, graph = network
    frames = some_frames(150)
    with torch.no_grad():
        _, theirs, _ = model.stream(torch.from_numpy(frames)[None], model.empty_tails())
    found = streamed(graph, [frames], "embeddings")
    assert found.shape == (model.n_features, theirs.shape[-1])
    np.testing.assert_allclose(found, theirs[0].numpy(), atol=ALLOWED, rtol=1e-4)


def test_normalisation_is_inside(network):
    """What a caller hands over are bare log-mel frames."""
    model, graph = network
    frames = some_frames(150)
    moved = streamed(graph, [frames + 1.0])
    assert np.abs(moved - streamed(graph, [frames])).max() > 0.01
    model = random_network(model.spec.arch, pools=3)
    model.mean += 1
    np.testing.assert_allclose(
        streamed(opened(model), [frames + 1.0]), streamed(graph, [frames]), atol=1e-4
    )


def test_the_graph_names_its_state(network):
    model, _ = network
    graph = onnx.load_from_string(export_graph(model))
    onnx.checker.check_model(graph)
    tails = [f"tail_{i}" for i in range(model.n_tails)]
    assert [i.name for i in graph.graph.input] == ["frames", *tails]
    assert [o.name for o in graph.graph.output] == [
        "columns", "embeddings", *(f"new_{t}" for t in tails)
    ]  # fmt: skip
    assert [o.version for o in graph.opset_import if not o.domain] == [OPSET]
    for tensor in (*graph.graph.input, *graph.graph.output):
        dims = tensor.type.tensor_type.shape.dim
        assert dims[-1].dim_param, f"{tensor.name}: its length over time must be free"
    for tensor in graph.graph.input:
        assert all(d.dim_value for d in tensor.type.tensor_type.shape.dim[:-1]), tensor.name


def test_what_drops_out_in_training_stays_in_the_graph(network):
    """Exported in the middle of a training, the graph is that of the network at rest."""
    model, graph = network
    frames = some_frames(150)
    trained = random_network(model.spec.arch, pools=3).train()
    np.testing.assert_allclose(
        streamed(opened(trained), [frames]), streamed(graph, [frames]), atol=1e-6
    )
    assert trained.training
