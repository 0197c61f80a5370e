"""The network as an ONNX graph with its state explicit.

Inputs: ``frames (1, P, M, T)`` and one ``tail_i`` per layer over time. Outputs:
``columns (2, C, T')``, ``embeddings (D, T')`` and the new tails. All lengths
over time are free; a caller hands over at least one receptive field of frames
at first and whole multiples of the stride after that.

The exporter that traces is used, not the one that reasons about symbolic lengths
(``dynamo=True``): with every layer's tail a length of its own, the latter took 12
to 150 s for a small network (torch 2.13), this one less than one.
"""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

from audiocnn.networks.classifier import Classifier

OPSET = 17


class _Step(nn.Module):
    """One call of the stream, as the exporter wants it: tensors in, tensors out."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, *tails: Tensor) -> tuple[Tensor, ...]:
        columns, features, kept = self.model.stream(frames, list(tails))
        return (columns.squeeze(0), features.squeeze(0), *kept)


def export_graph(model: Classifier) -> bytes:
    """Write the network as an ONNX model.

    Parameters
    ----------
    model
        On the CPU; not changed.

    Returns
    -------
    bytes
        The serialised model, with its weights inside.
    """
    was_training = model.training
    step = _Step(model).eval()
    n_frames = model.receptive_field + 7 * model.stride
    frames = torch.zeros(1, model.spec.planes, model.spec.n_bands, n_frames)
    # An example in mid-stream: tails of the lengths that they keep.
    with torch.no_grad():
        tails = model.stream(frames, model.empty_tails())[2]
    names = [f"tail_{i}" for i in range(len(tails))]
    lengths = {"frames": {3: "frames"}, "columns": {2: "columns"}, "embeddings": {1: "columns"}}
    for name, tail in zip(names, tails, strict=True):
        lengths[name] = {tail.ndim - 1: f"length_{name}"}
        lengths[f"new_{name}"] = {tail.ndim - 1: f"new_length_{name}"}
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one
        torch.onnx.export(
            step,
            (frames, *tails),
            written,  # type: ignore[arg-type]
            input_names=["frames", *names],
            output_names=["columns", "embeddings", *(f"new_{name}" for name in names)],
            dynamic_axes=lengths,
            opset_version=OPSET,
            dynamo=False,
        )
    model.train(was_training)
    return written.getvalue()
