"""Small models with random weights: enough to test everything but how well they hear."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.frontend.waveform import WaveformSpec
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import save
from audiocnn.inference.description import NetworkSpec
from audiocnn.inference.events import EventRule
from audiocnn.inference.head import Head
from audiocnn.inference.windows import Calibration
from audiocnn.io.audio.blocks import Block
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.training.config import TrainingConfig
from audiocnn.training.pack import pack

FRONT = MelSpec(8000, 256, 100, 16, 50.0, 4000.0)
LABELS = ("bell", "frog", "saw")
CHANNELS = ("x", "y", "z")
OF_CHANNELS = CHANNELS, (0.0, 9.81, 1000.0), (0.5, 2.0, 30.0)  # their means and deviations
SIGNAL_FRONTS: dict[str, FrontEnd] = {
    "raw": RawSpec(50.0, *OF_CHANNELS),
    "log-spectrum": SpectrumSpec(200.0, 32, 10, *OF_CHANNELS),
}


def random_network(
    arch: str, pools: int = 2, n_bands: int = 16, seed: int = 0, planes: int = 1, mean: float = -12
) -> Classifier:
    """Make a network whose every part matters: statistics of batch norms drawn, too."""
    torch.manual_seed(seed)
    model = Classifier(TrunkSpec(arch, "small", planes, n_bands, len(LABELS), pools))
    model.mean = torch.full_like(model.mean, mean)
    model.scale = torch.full_like(model.scale, 0.3)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.2)
            layer.momentum = None  # the mean of all that it sees here
    # Statistics as a training would leave them. Without them a signal fades from layer to
    # layer, and scores that hardly move would agree whatever was wrong.
    frames = 2 * torch.randn(16, planes, n_bands, 200) + mean
    frames += 3 * torch.randn(16, planes, 1, 20).repeat_interleave(10, dim=-1)  # swells
    with torch.no_grad():
        model.train()(frames)
    return model.eval()


def random_bundle(arch: str, folder: Path) -> Bundle:
    """Write a bundle with a random network."""
    config = TrainingConfig(FRONT, arch=arch, window=1.5, hop=0.25, pools=2)
    rules = {label: EventRule(0.51, 0.5, smooth=0.5) for label in LABELS}
    calibration = Calibration((3.0, 2.0, 4.0), (0.1, -0.2, 0.0))
    return pack(random_network(arch), config, LABELS, calibration, rules, {}, folder)


def random_signal_bundle(kind: str, folder: Path) -> Bundle:
    """Write a bundle for signals of three channels, with a random network."""
    front = SIGNAL_FRONTS[kind]
    arch, mean = ("cnn1d", 0.0) if kind == "raw" else ("cnn2d", -5.0)
    network = random_network(arch, 1, front.n_bands, planes=front.planes, mean=mean)
    config = TrainingConfig(front, arch=arch, window=2.0, hop=0.5, pools=1)
    rules = {label: EventRule(0.51, 0.5) for label in LABELS}
    calibration = Calibration((3.0, 2.0, 4.0), (0.1, -0.2, 0.0))
    return pack(network, config, LABELS, calibration, rules, {}, folder)


# Networks with an input window, as others train them --------------------------------------

WINDOW = 0.5  # seconds, of the random windowed networks
N_EMBEDDINGS = 12


def windowed_graph(kind: str, length: int | None, seed: int = 0) -> bytes:
    """Build a small random network: a window of frames or samples to logits and embeddings.

    Its embeddings are weighed by their mean over the whole window, so that every output
    depends on every input, as in networks with squeeze-and-excitation.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = rng.standard_normal(shape) * (2.0 / np.prod(shape[1:])) ** 0.5
        return numpy_helper.from_array(values.astype(np.float32), name)

    def balanced(name: str, *shape: int) -> onnx.TensorProto:
        values = rng.standard_normal(shape)
        values = 6 * (values - values.mean(axis=1, keepdims=True))
        return numpy_helper.from_array(values.astype(np.float32), name)

    def constant(name: str, values: list[int]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    if kind == "frames":
        shape: list[int | str] = ["n", 1, FRONT.n_mels, length or "time"]
        first = helper.make_node("Mul", ["input", "small"], ["x"])
        kernel, stride = (1, FRONT.n_mels, 3), (1, 2)
        small = numpy_helper.from_array(np.float32(0.04), "small")
        extra = []
    else:
        shape = ["n", length or "time"]
        extra = [helper.make_node("Mul", ["input", "small"], ["louder"])]
        first = helper.make_node("Unsqueeze", ["louder", "axes"], ["x"])
        kernel, stride = (1, 1, 64), (1, 32)
        small = numpy_helper.from_array(np.float32(0.5), "small")
    nodes = [
        *extra, first,
        helper.make_node("Conv", ["x", "w0"], ["c"], kernel_shape=kernel[1:], strides=stride),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Sigmoid", ["p"], ["gate"]),
        helper.make_node("Mul", ["r", "gate"], ["gated"]),
        helper.make_node("GlobalMaxPool", ["gated"], ["q"]),
        helper.make_node("Flatten", ["q"], ["embeddings"]),
        helper.make_node("Gemm", ["embeddings", "w1"], ["scores"], transB=1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "windowed",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(LABELS)]),
         helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", N_EMBEDDINGS])],
        [weights("w0", N_EMBEDDINGS, *kernel), balanced("w1", len(LABELS), N_EMBEDDINGS), small,
         constant("axes", [1, 2])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model.SerializeToString()


def windowed_bundle(kind: str, **changes: Any) -> Bundle:
    """Make a bundle with a random windowed network that takes frames or a waveform."""
    front = FRONT if kind == "frames" else WaveformSpec(FRONT.rate, gain=4.0)
    length = 1 + round((WINDOW * front.rate - front.n_samples) / front.hop)
    spec = NetworkSpec(
        kind="windowed", length=length, layout="NPMT" if kind == "frames" else "NT",
        scores="scores", embeddings="embeddings",
    )  # fmt: skip
    rules = {label: EventRule(0.6, 0.5) for label in LABELS}
    calibration = Calibration((1.0, 2.0, 1.5), (0.1, -0.2, 0.0))
    bundle = Bundle(
        LABELS, front, spec, WINDOW, 0.2, rules, calibration, "max", {"licence": "none"},
        windowed_graph(kind, length), kind,
    )  # fmt: skip
    return replace(bundle, **changes)


def random_head(bundle: Bundle, pooling: str, hidden: int = 0, seed: int = 3) -> Head:
    """Make a head with random weights for a bundle's embeddings, standardised on noise."""
    rng = np.random.default_rng(seed)
    n = round(20 * bundle.rate)
    noise = rng.standard_normal(n) * np.sin(np.linspace(0, 40, n)) / 10
    blocks = [Block(noise.astype(np.float32), 0, bundle.rate)]
    runs = bundle.pipeline().embeddings(blocks, pooling)
    features = np.concatenate([run.values for run in runs], axis=1)
    widths = [features.shape[0], *([hidden] if hidden else []), len(LABELS)]
    layers = tuple(
        (
            (1.5 * rng.standard_normal((b, a)) / a**0.5).astype(np.float32),
            rng.standard_normal(b).astype(np.float32) / 2,
        )
        for a, b in pairwise(widths)
    )
    offset, deviation = features.mean(axis=1), features.std(axis=1)
    scale = 1 / np.maximum(deviation, 0.1 * deviation.max())
    return Head(LABELS, pooling, offset, scale.astype(np.float32), layers)


def with_head(bundle: Bundle, pooling: str, hidden: int = 0) -> Bundle:
    """Put a random head on a bundle's network."""
    return replace(bundle, head=random_head(bundle, pooling, hidden))


def write(bundle: Bundle, folder: Path) -> Bundle:
    """Save a bundle without weights."""
    save(bundle, folder, None, "# A random model\n")
    return bundle
