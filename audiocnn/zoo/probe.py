"""What a network's file tells about itself: input length, layout, outputs, kind of scores.

Names and shapes are in the file. Whether scores are logits or probabilities is not; that
is found by running it on generated sound of several kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.onnx_safety import outside_data
from audiocnn.inference.runtimes import Runtime, TensorInfo, open_runtime
from audiocnn.zoo.tflite_file import find_tensor, is_tflite, list_tensors, with_outputs

LAYOUTS = {1: ("T",), 2: ("NT",), 3: ("N1T", "NT1")}  # of samples, by the number of axes
PROBES = 4  # generated inputs on which scores are looked at
NEAR = 1e-3  # by which a sum of probabilities may differ from 1


@dataclass(frozen=True)
class Found:
    """What was found out about a network.

    Parameters
    ----------
    runtime
        ``"onnx"`` or ``"litert"``.
    model
        The file's bytes; of a TFLite file with inner tensors as outputs, where named.
    layout
        Of its input.
    length
        Frames or samples that it takes; None for any number.
    scores, embeddings
        Names of the outputs; ``""`` for none.
    n_scores
        Classes; 0 for none.
    """

    runtime: str
    model: bytes
    layout: str
    length: int | None
    scores: str
    embeddings: str
    n_scores: int


def probe(
    content: bytes, *, n_bands: int = 0, scores: str | None = None, embeddings: str | None = None,
    n_labels: int = 0,
) -> Found:  # fmt: skip
    """Read off a network's file what it is.

    Parameters
    ----------
    content
        The file's bytes.
    n_bands
        Bands of its input if it takes frames; 0 if it takes samples.
    scores, embeddings
        Names of outputs, or of tensors inside a TFLite file; None: found by their widths,
        ``""``: there is none.
    n_labels
        Classes that the user named; 0 if unknown.

    Raises
    ------
    BundleError
        If the file cannot be run here, or reads other files.
    ArgumentError
        If what is asked for is not in it, or cannot be decided.
    """
    runtime = "litert" if is_tflite(content) else "onnx"
    if runtime == "onnx" and (location := outside_data(content)):
        raise BundleError(
            f"the ONNX file reads another file ({location!r}); export it with its weights inside"
        )
    if runtime == "litert":
        content, scores, embeddings = _with_inner(content, scores, embeddings)
    opened = open_runtime(content, runtime)
    if len(opened.inputs) != 1:
        names = ", ".join(tensor.name for tensor in opened.inputs)
        raise BundleError(f"the network has {len(opened.inputs)} inputs ({names}), expected one")
    layout, length = _layout(opened.inputs[0], n_bands)
    scores, embeddings = _outputs(opened, scores, embeddings, n_labels)
    width = _width(opened.output(scores), layout) if scores else 0
    return Found(runtime, content, layout, length, scores, embeddings, width)


def _with_inner(
    content: bytes, scores: str | None, embeddings: str | None
) -> tuple[bytes, str | None, str | None]:
    """Make named tensors outputs, and give their whole names."""
    tensors = list_tensors(content)
    whole = [find_tensor(tensors, name).name if name else name for name in (scores, embeddings)]
    content = with_outputs(content, [name for name in whole if name])
    return content, whole[0], whole[1]


def _layout(tensor: TensorInfo, n_bands: int) -> tuple[str, int | None]:
    """Choose the layout that fits an input, and give the length of its time axis."""
    shape = tensor.shape
    if not n_bands:
        fitting = [layout for layout in LAYOUTS.get(len(shape), ())
                   if all(n in (None, 1) for n, axis in zip(shape, layout, strict=True)
                          if axis == "1")]  # fmt: skip
        if not fitting:
            raise ArgumentError(
                f"the input {tensor.name!r} has shape {_shown(shape)}, which is none of samples; "
                "for a network that takes frames, name their front end with --front"
            )
        return fitting[0], shape[fitting[0].index("T")]
    frames = {3: ("NMT", "NTM"), 4: ("N1MT", "N1TM", "NTM1", "NMT1")}.get(len(shape), ())
    fitting = [layout for layout in frames if shape[layout.index("M")] == n_bands
               and ("1" not in layout or shape[layout.index("1")] in (None, 1))]  # fmt: skip
    if not fitting:
        raise ArgumentError(
            f"the input {tensor.name!r} has shape {_shown(shape)}, which has no axis of {n_bands} "
            "bands; compare the front end with what the network was trained on"
        )
    return fitting[0], shape[fitting[0].index("T")]


def _outputs(
    opened: Runtime, scores: str | None, embeddings: str | None, n_labels: int
) -> tuple[str, str]:
    """Decide which outputs are scores and embeddings, as far as the user did not."""
    for name in (scores, embeddings):
        if name and opened.output(name) is None:
            raise ArgumentError(f"the network has no output {name!r}; {_listed(opened.outputs)}")
    taken = {scores, embeddings}
    left = [tensor for tensor in opened.outputs if tensor.name not in taken]
    if scores is None:
        fitting = [t for t in left if n_labels and _numbers(t) == n_labels]
        if not n_labels and len(left) == 1:
            fitting = left
        if len(fitting) != 1:
            wanted = f" of {n_labels} numbers" if n_labels else ""
            raise ArgumentError(
                f"which output{wanted} is the scores: name it with --scores; "
                f"{_listed(opened.outputs)}"
            )
        scores = fitting[0].name
    if embeddings is None:
        left = [tensor for tensor in left if tensor.name != scores]
        embeddings = left[0].name if len(left) == 1 else ""
    if not scores and not embeddings:
        raise ArgumentError("a network without scores needs embeddings: name them; "
                            f"{_listed(opened.outputs)}")  # fmt: skip
    return scores, embeddings


def _numbers(tensor: TensorInfo) -> int | None:
    """Numbers a window, where the shape says; a first axis of 1 or of a free length is windows."""
    shape = tensor.shape[1:] if len(tensor.shape) > 1 else tensor.shape
    return math.prod(n for n in shape if n) if shape and all(shape) else None


def _width(tensor: TensorInfo | None, layout: str) -> int:
    found = _numbers(tensor) if tensor else None
    if not found:
        raise ArgumentError("the number of scores is not in the file: fix it when you export")
    return found


def _listed(tensors: Sequence[TensorInfo]) -> str:
    return "outputs: " + ", ".join(f"{t.name!r} {_shown(t.shape)}" for t in tensors)


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def activation_of(scores: NDArray[np.float32]) -> str:
    """Tell from scores (N, C) of varied inputs what they have gone through.

    Returns
    -------
    str
        ``"softmax"`` if all lie in [0, 1] and every row sums to 1, ``"sigmoid"`` if all lie
        in [0, 1], else ``"none"``.
    """
    if not np.isfinite(scores).all():
        raise BundleError("the network gives scores that are no numbers")
    if scores.min() < 0 or scores.max() > 1:
        return "none"
    sums = scores.sum(axis=1)
    return "softmax" if scores.shape[1] > 1 and np.abs(sums - 1).max() < NEAR else "sigmoid"
