"""Google's speech embedding as one ONNX graph, made of the two published ones.

The embedding [1]_ was trained to tell 5,000 spoken phrases apart. openWakeWord publishes
it as two files: a mel spectrogram in decibels (not lower than 80 dB under its maximum),
and a network that takes 76 of its frames, as x / 10 + 2.

    waveform (B, 12512), int16 scale -> mel (B, 76, 32) -> embedding (B, 96)
    12512 samples = 76 frames: 75 hops of 160 and one frame of 512, at 16 kHz

The published spectrogram takes its maximum over everything that it is given, so that a
file, a stream and a batch would have different ones. Here it is that of the window: an
embedding depends on its own window only. With one window in, the numbers are those of the
two files one after the other.

References
----------
.. [1] J. Lin, K. Kilgour, D. Roblek, M. Sharifi, Training Keyword Spotters with Limited and
   Synthesized Speech Data, ICASSP 2020.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audiocnn.errors import BundleError
from audiocnn.zoo.onnx_writer import OnnxWriter, import_onnx

RATE = 16_000
HOP, FRAME = 160, 512  # samples
N_FRAMES, N_BANDS = 76, 32
WINDOW_SAMPLES = (N_FRAMES - 1) * HOP + FRAME
N_FEATURES = 96
PERIOD = 8 * HOP  # samples from one embedding to the next
GAIN = 32768.0  # samples as 16-bit integers
LOWEST = 1e-10  # power below which the logarithm is cut off
DYNAMIC_RANGE = 80.0  # dB


def build_speech_embedding(mel: bytes, embedding: bytes) -> bytes:
    """Join the two graphs.

    Parameters
    ----------
    mel, embedding
        ``melspectrogram.onnx`` and ``embedding_model.onnx`` as published.

    Returns
    -------
    bytes
        Serialised ONNX: ``waveform`` (B, 12512) to ``embeddings`` (B, 96).

    Raises
    ------
    BundleError
        If the files are others.
    """
    onnx = import_onnx()
    second = onnx.load_model_from_string(embedding)
    if len(second.graph.input) != 1 or len(second.graph.output) != 1:
        raise BundleError("the embedding's graph has more than one input or output")
    opset = max((o.version for o in second.opset_import if o.domain in ("", "ai.onnx")), default=0)
    first = _spectrogram(_constants(onnx, mel), opset, second.ir_version)
    second = onnx.compose.add_prefix(second, "embedding/")
    joined = onnx.compose.merge_models(
        onnx.load_model_from_string(first),
        second,
        io_map=[("frames", second.graph.input[0].name)],
        producer_name="audiocnn",
    )
    _flatten_output(onnx, joined)
    onnx.checker.check_model(joined)
    return bytes(joined.SerializeToString())


def _constants(onnx: Any, mel: bytes) -> dict[str, Any]:
    graph = onnx.load_model_from_string(mel).graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    expected = {
        "0.stft.conv_real.weight": (FRAME // 2 + 1, 1, FRAME),
        "0.stft.conv_imag.weight": (FRAME // 2 + 1, 1, FRAME),
        "1.melW": (FRAME // 2 + 1, N_BANDS),
    }
    for name, shape in expected.items():
        found = constants.get(name)
        if found is None or found.shape != shape:
            raise BundleError(f"the spectrogram's graph has no {name!r} of shape {shape}")
    return constants


def _spectrogram(constants: dict[str, Any], opset: int, ir_version: int) -> bytes:
    """Build samples (B, N) to frames (B, 76, 32, 1), the maximum taken window by window."""
    out = OnnxWriter("spectrogram", opset, ir_version)
    samples = out.input("waveform", ["windows", WINDOW_SAMPLES])
    middle = out.array(np.array([1]), np.int64)
    x = out.node("Unsqueeze", [samples, middle])
    parts = []
    for name in ("0.stft.conv_real.weight", "0.stft.conv_imag.weight"):
        part = out.node("Conv", [x, out.array(constants[name])], strides=[HOP])
        parts.append(out.node("Mul", [part, part]))
    power = out.node("Transpose", [out.node("Add", parts)], perm=[0, 2, 1])  # (B, T, bins)
    bands = out.node("MatMul", [power, out.array(constants["1.melW"])])
    log = out.node("Log", [out.node("Max", [bands, out.array(np.array(LOWEST))])])
    level = out.node("Mul", [log, out.array(np.array(10 / math.log(10)))])
    highest = out.node("ReduceMax", [level], axes=[1, 2], keepdims=1)
    lowest = out.node("Sub", [highest, out.array(np.array(DYNAMIC_RANGE))])
    level = out.node("Max", [level, lowest])
    scaled = out.node("Mul", [level, out.array(np.array(0.1))])
    scaled = out.node("Add", [scaled, out.array(np.array(2.0))])
    last = out.array(np.array([3]), np.int64)
    frames = out.node("Unsqueeze", [scaled, last])
    out.output("frames", frames, ["windows", N_FRAMES, N_BANDS, 1])
    return out.serialize()


def _flatten_output(onnx: Any, model: Any) -> None:
    """Give (B, 1, 1, 96) out as ``embeddings`` (B, 96)."""
    given = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Flatten", [given], ["embeddings"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(
            "embeddings", onnx.TensorProto.FLOAT, ["windows", N_FEATURES]
        )
    )
