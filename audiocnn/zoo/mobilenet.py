"""EfficientAT's MobileNetV3 as an ONNX graph, built from its published weights.

The networks of Schmid, Koutini and Widmer [1]_ are MobileNetV3-Large [2]_ over a log-mel
picture with one channel, with squeeze-and-excitation over the whole picture. Widths are
read off the weights; what weights do not show (strides, activations) is the published
configuration. Batch normalisation is folded into the convolutions.

    frames (B, 1, M, T) -> stem, stride 2 -> 15 blocks, four of stride 2 -> 1 x 1 convolution
      -> mean over bands and time (B, 384) -> hidden layer, hardswish (B, 512) -> logits (B, C)

Both means and hidden layer are given as ``embeddings``, one behind the other. The number
of frames is free; convolutions are padded in time and squeeze-and-excitation averages
over it, so that a score belongs to the whole window that went in: a windowed network.

References
----------
.. [1] F. Schmid, K. Koutini, G. Widmer, Efficient Large-Scale Audio Tagging via
   Transformer-to-CNN Knowledge Distillation, ICASSP 2023.
.. [2] A. Howard et al., Searching for MobileNetV3, ICCV 2019, table 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError
from audiocnn.zoo.onnx_writer import OnnxWriter

# Stride and activation of the 15 blocks: MobileNetV3-Large.
BLOCKS = (
    (1, "Relu"), (2, "Relu"), (1, "Relu"), (2, "Relu"), (1, "Relu"), (1, "Relu"),
    (2, "HardSwish"), (1, "HardSwish"), (1, "HardSwish"), (1, "HardSwish"), (1, "HardSwish"),
    (1, "HardSwish"), (2, "HardSwish"), (1, "HardSwish"), (1, "HardSwish"),
)  # fmt: skip
EPSILON = 1e-3  # of the batch normalisation

Weights = Mapping[str, NDArray[Any]]


def build_mobilenet(weights: Weights, n_bands: int) -> bytes:
    """Build the graph.

    Parameters
    ----------
    weights
        The state dict: tensors by their PyTorch names.
    n_bands
        M, mel bands of the input.

    Returns
    -------
    bytes
        Serialised ONNX: input ``frames`` (B, 1, M, T), outputs ``logits`` (B, C) and
        ``embeddings`` (B, D).

    Raises
    ------
    BundleError
        If a tensor is missing or has another shape than the architecture needs.
    """
    used: set[str] = set()
    graph = _Builder(weights, used)
    frames = graph.out.input("frames", ["windows", 1, n_bands, "frames"])
    x = graph.convolution(frames, "features.0", stride=2, activation="HardSwish")
    for number, (stride, activation) in enumerate(BLOCKS, start=1):
        x = graph.block(x, f"features.{number}", stride, activation)
    x = graph.convolution(x, f"features.{len(BLOCKS) + 1}", activation="HardSwish")
    mean = graph.out.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
    hidden = graph.out.node("HardSwish", [graph.linear(mean, "classifier.2")])
    graph.out.output("logits", graph.linear(hidden, "classifier.5"), ["windows", "classes"])
    joined = graph.out.node("Concat", [mean, hidden], axis=1)
    graph.out.output("embeddings", joined, ["windows", "features"])
    counters = {name for name in weights if name.endswith("num_batches_tracked")}
    if left := sorted(set(weights) - used - counters):
        raise BundleError(
            f"the weights have {len(left)} tensors that this architecture has no place for, the "
            f"first is {left[0]!r}: they are of another network"
        )
    return graph.out.serialize()


class _Builder:
    """Puts layers of the network into a graph."""

    def __init__(self, weights: Weights, used: set[str]) -> None:
        self.weights, self.used = weights, used
        self.out = OnnxWriter("mobilenet_v3")

    def take(self, name: str, n_axes: int) -> NDArray[np.float64]:
        if name not in self.weights:
            raise BundleError(f"the weights have no {name!r}: they are of another network")
        tensor = self.weights[name]
        if tensor.ndim != n_axes:
            raise BundleError(f"{name!r} has shape {tensor.shape}, expected {n_axes} axes")
        self.used.add(name)
        return np.asarray(tensor, np.float64)

    def convolution(self, x: str, name: str, stride: int = 1, activation: str | None = None) -> str:
        """Convolution and batch normalisation, in one; padded to keep the size."""
        kernel = self.take(f"{name}.0.weight", 4)
        scale, offset, mean, variance = (
            self.take(f"{name}.1.{part}", 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / np.sqrt(variance + EPSILON)
        pad = [(size - 1) // 2 for size in kernel.shape[2:]]
        x = self.out.node(
            "Conv",
            [x, self.out.array(kernel * scale[:, None, None, None]),
             self.out.array(offset - mean * scale)],
            strides=[stride, stride],
            pads=[*pad, *pad],
            # Weights (outputs, inputs / groups, ...): depthwise ones have one input a group.
            group=kernel.shape[0] if kernel.shape[1] == 1 and name != "features.0" else 1,
        )  # fmt: skip
        return x if activation is None else self.out.node(activation, [x])

    def linear(self, x: str, name: str) -> str:
        weight, bias = self.take(f"{name}.weight", 2), self.take(f"{name}.bias", 1)
        return self.out.node("Gemm", [x, self.out.array(weight), self.out.array(bias)], transB=1)

    def squeeze_excitation(self, x: str, name: str) -> str:
        """Scale channels by what a small network makes of their means over the picture."""
        scale = self.out.node("GlobalAveragePool", [x])
        for layer, activation in (("fc1", "Relu"), ("fc2", "Sigmoid")):
            weight = self.take(f"{name}.{layer}.weight", 2)[:, :, None, None]
            bias = self.take(f"{name}.{layer}.bias", 1)
            scale = self.out.node("Conv", [scale, self.out.array(weight), self.out.array(bias)])
            scale = self.out.node(activation, [scale])
        return self.out.node("Mul", [scale, x])

    def block(self, x: str, name: str, stride: int, activation: str) -> str:
        """Add an inverted residual: expansion, depthwise, squeeze-and-excitation, projection."""
        parts = sorted({int(key.split(".")[3]) for key in self.weights
                        if key.startswith(f"{name}.block.")})  # fmt: skip
        y = x
        for part in parts:
            inner = f"{name}.block.{part}"
            if f"{inner}.conc_se_layers.0.fc1.weight" in self.weights:
                y = self.squeeze_excitation(y, f"{inner}.conc_se_layers.0")
                continue
            kernel = self.take(f"{inner}.0.weight", 4)
            depthwise = kernel.shape[1] == 1 and part != parts[-1]
            y = self.convolution(
                y, inner, stride if depthwise else 1, None if part == parts[-1] else activation
            )
        first = self.weights.get(f"{name}.block.0.0.weight")
        last = self.weights.get(f"{name}.block.{parts[-1]}.0.weight") if parts else None
        if first is None or last is None:
            raise BundleError(f"the weights have no {name!r}: they are of another network")
        # A first layer that expands has as many inputs as the block; a depthwise one has one.
        n_inputs = first.shape[1] if first.shape[1] > 1 else first.shape[0]
        if stride == 1 and n_inputs == last.shape[0]:
            y = self.out.node("Add", [y, x])
        return y
