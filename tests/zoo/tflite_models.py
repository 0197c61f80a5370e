"""A small TFLite network made by the tests: samples -> hidden layer -> sigmoid scores."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray


class _Writer:
    """A model under construction."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, "made by the tests"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []

    def tensor(
        self, name: str, shape: tuple[int, ...], values: NDArray[np.float32] | None = None
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), schema.TensorType.FLOAT32
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, builtin: int, inputs: list[int], output: int) -> schema.OperatorT:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        self.model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        self.graph.operators.append(made)
        return made

    def dense(self, x: int, weight: NDArray[np.float32], y: int, activation: int) -> None:
        name = f"net/w{len(self.model.buffers)}"
        made = self.operator(
            schema.BuiltinOperator.FULLY_CONNECTED,
            [x, self.tensor(name, weight.shape, weight), -1],
            y,
        )
        made.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        made.builtinOptions = schema.FullyConnectedOptionsT()
        made.builtinOptions.fusedActivationFunction = activation

    def pack(self, inputs: list[int], outputs: list[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def write_tflite(hidden: NDArray[np.float32], classes: NDArray[np.float32]) -> bytes:
    """Make ``sigmoid(classes @ relu(hidden @ samples))``.

    Parameters
    ----------
    hidden
        (H, N) weights.
    classes
        (C, H) weights.

    Returns
    -------
    bytes
        A file with input ``samples`` (1, N), the inner tensors ``net/hidden`` (1, H) and
        ``net/logits`` (1, C), and the output ``net/scores`` (1, C).
    """
    out = _Writer()
    x = out.tensor("samples", (1, hidden.shape[1]))
    inner = out.tensor("net/hidden", (1, len(hidden)))
    logits = out.tensor("net/logits", (1, len(classes)))
    scores = out.tensor("net/scores", (1, len(classes)))
    out.dense(x, hidden, inner, schema.ActivationFunctionType.RELU)
    out.dense(inner, classes, logits, schema.ActivationFunctionType.NONE)
    out.operator(schema.BuiltinOperator.LOGISTIC, [logits], scores)
    return out.pack([x], [scores])
