"""MobileNetV3 as a graph: agreement with PyTorch, on random weights and on the published ones."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from audiocnn import read_audio
from audiocnn.errors import BundleError
from audiocnn.training.torchaudio_import import import_torchaudio
from audiocnn.zoo.mobilenet import build_mobilenet
from audiocnn.zoo.torch_file import read_state_dict
from tests.zoo.reference_mobilenet import MobileNet, reference_frames

TOLERANCE = 1e-4  # float32 sums of some hundred products, in another order


def random_reference(width: float = 0.2, n_classes: int = 7) -> MobileNet:
    """Make a network whose every weight matters, normalised as training would leave it."""
    torch.manual_seed(0)
    network = MobileNet(width, n_classes)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.3)
            layer.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(8, 1, 64, 100))
    return network.eval()


def weights_of(network: MobileNet) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def worst(graph: bytes, network: MobileNet, frames: torch.Tensor) -> tuple[float, ...]:
    """Largest difference of each output."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(["logits", "embeddings"], {"frames": frames.numpy()})
    with torch.no_grad():
        expected = network(frames)
    assert [v.shape for v in found] == [tuple(v.shape) for v in expected]
    assert float(expected[0].std()) > 0.01
    return tuple(
        float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1, 64, 100), (3, 1, 64, 33), (2, 1, 64, 1)])
def test_graph_agrees_with_pytorch_at_any_length_and_batch(shape: tuple[int, ...]) -> None:
    network = random_reference()
    graph = build_mobilenet(weights_of(network), n_bands=64)
    assert max(worst(graph, network, torch.randn(shape))) < TOLERANCE


def test_weights_of_another_network_are_refused() -> None:
    weights = weights_of(random_reference())
    with pytest.raises(BundleError, match=r"no place for, the first is 'more'"):
        build_mobilenet({**weights, "more": np.zeros(1)}, 64)
    with pytest.raises(BundleError, match=r"have no 'classifier\.5\.bias'"):
        build_mobilenet({k: v for k, v in weights.items() if k != "classifier.5.bias"}, 64)
    with pytest.raises(BundleError, match=r"have no 'features\.7'"):
        build_mobilenet({k: v for k, v in weights.items() if "features.7." not in k}, 64)
    with pytest.raises(BundleError, match=r"has shape \(7,\), expected 2 axes"):
        build_mobilenet({**weights, "classifier.5.weight": np.zeros(7)}, 64)


def test_published_network_agrees_on_real_clips(real_models: Path, real_data: Path) -> None:
    import_torchaudio()
    path = real_models / "mn04_as_mAP_432.pt"
    network = MobileNet(0.4, 527).eval()
    network.load_state_dict(torch.load(path, weights_only=True))
    graph = build_mobilenet(read_state_dict(path), n_bands=128)
    clips = sorted((real_data / "esc10").glob("*/1-*A.ogg"))[::4]
    assert len(clips) >= 5
    for clip in clips:
        samples = torch.from_numpy(read_audio(clip, 32000))
        for seconds in (1, 5):
            frames = reference_frames(samples[: seconds * 32000])[None]
            assert max(worst(graph, network, frames)) < TOLERANCE, clip
