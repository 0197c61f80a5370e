"""Writer of ONNX graphs: named nodes and weights, checked and serialised.

A thin layer over the package ``onnx`` (extra ``zoo``), which is imported when a graph is
built and never to run one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError

OPSET = 17  # has HardSwish; every ONNX Runtime that this package takes runs it
IR_VERSION = 8  # the one of that opset


def import_onnx() -> Any:
    """Import the package ``onnx``.

    Raises
    ------
    BundleError
        If it is not installed; names the command that installs it.
    """
    try:
        import onnx
    except ImportError:
        raise BundleError(
            "converting this network needs the package onnx: pip install 'audiocnn[zoo]'"
        ) from None
    return onnx


class OnnxWriter:
    """A graph under construction; tensors are known by their names.

    Parameters
    ----------
    name
        Of the graph.
    opset, ir_version
        Versions of the operators and of the format.
    """

    def __init__(self, name: str, opset: int = OPSET, ir_version: int = IR_VERSION) -> None:
        self.onnx = import_onnx()
        self.name, self.opset, self.ir_version = name, opset, ir_version
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare a float32 input; a name in the shape is a free size."""
        self.inputs.append(self._value(name, shape))
        return name

    def output(self, name: str, value: str, shape: Sequence[int | str]) -> None:
        """Give a tensor out under a name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self._value(name, shape))

    def array(self, values: NDArray[Any], dtype: type = np.float32) -> str:
        """Add constants; float32 unless another type is named."""
        name = f"w{len(self.arrays)}"
        self.arrays.append(self.onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add an operation; gives the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def serialize(self) -> bytes:
        """Check the graph and give its bytes."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs, self.outputs, initializer=self.arrays
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=self.ir_version,
            producer_name="audiocnn",
        )
        self.onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _value(self, name: str, shape: Sequence[int | str]) -> Any:
        return self.onnx.helper.make_tensor_value_info(
            name, self.onnx.TensorProto.FLOAT, list(shape)
        )
