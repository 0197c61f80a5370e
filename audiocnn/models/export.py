"""The network as an ONNX graph with its state explicit.

Inputs: ``frames (1, P, M, T)`` and one ``tail_i`` per layer over time. Outputs:
``columns (2, C, T')``, ``embeddings (D, T')`` and the new tails. All lengths
over time are free; a caller hands over at least one receptive field of frames
at first and whole multiples of the stride after that.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import torch
from torch import Tensor, nn

from audiocnn.models.classifier import Classifier

OPSET = 18


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
    model.eval()
    n_frames = model.receptive_field + 7 * model.stride
    frames = torch.zeros(1, model.spec.planes, model.spec.n_bands, n_frames)
    # An example in mid-stream: the exporter takes lengths of 0 and 1 for constants.
    with torch.no_grad():
        tails = model.stream(frames, model.empty_tails())[2]
    lengths = [{frames.ndim - 1: torch.export.Dim.DYNAMIC}]
    lengths += [{t.ndim - 1: torch.export.Dim.DYNAMIC} for t in tails]
    names = [f"tail_{i}" for i in range(len(tails))]
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Step(model),
                (frames, *tails),
                input_names=["frames", *names],
                output_names=["columns", "embeddings", *(f"new_{name}" for name in names)],
                dynamic_shapes={"frames": lengths[0], "tails": tuple(lengths[1:])},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
    finally:
        log.setLevel(level)
        model.train(was_training)
    assert program is not None
    return program.model_proto.SerializeToString()
