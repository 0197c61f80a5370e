"""LiteRT, which runs TensorFlow Lite files: the one module that imports it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiocnn.errors import BundleError, DeviceError
from audiocnn.inference.runtimes import Array, Runtime, TensorInfo, _lengths


class LiteRuntime(Runtime):
    """An interpreter of a ``.tflite`` file.

    Parameters
    ----------
    model
        The file's bytes.
    threads
        For one call.
    wanted
        Outputs, also tensors inside the graph: these are kept only where one is named.

    Raises
    ------
    DeviceError
        If LiteRT is not installed.
    BundleError
        If it cannot read the file.
    """

    def __init__(self, model: bytes, threads: int, wanted: Sequence[str]) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DeviceError(
                "this model is a TensorFlow Lite file, which LiteRT runs; install it with: "
                "pip install 'audiocnn[litert]'"
            ) from error

        def opened(everything: bool) -> Any:
            found = Interpreter(
                model_content=model, num_threads=threads,
                experimental_preserve_all_tensors=everything,
            )  # fmt: skip
            found.allocate_tensors()
            return found

        try:
            self._interpreter = opened(False)
            details = self._interpreter.get_output_details()
            inside = set(wanted) - {d["name"] for d in details}
            if inside:
                self._interpreter = opened(True)
                tensors = self._interpreter.get_tensor_details()
                details = self._interpreter.get_output_details()
                details += [d for d in tensors if d["name"] in inside]
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"LiteRT cannot open the network: {error}") from error
        self._inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
        self._outputs = {d["name"]: d for d in details}
        self.inputs = tuple(_info(d) for d in self._inputs.values())
        self.outputs = tuple(_info(d) for d in self._outputs.values())
        self._lock = threading.Lock()  # an interpreter runs one call at a time

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Compute the named outputs of the given inputs."""
        with self._lock:
            shapes = {name: list(value.shape) for name, value in feeds.items()}
            if any(list(self._inputs[n]["shape"]) != shape for n, shape in shapes.items()):
                for name, shape in shapes.items():
                    self._interpreter.resize_tensor_input(self._inputs[name]["index"], shape)
                self._interpreter.allocate_tensors()
                self._inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
            for name, value in feeds.items():
                found = self._inputs[name]
                self._interpreter.set_tensor(found["index"], value.astype(found["dtype"]))
            self._interpreter.invoke()
            return [
                np.asarray(self._interpreter.get_tensor(self._outputs[n]["index"]), np.float32)
                for n in names
            ]


def _info(details: Mapping[str, Any]) -> TensorInfo:
    signature = details.get("shape_signature")
    shape = details["shape"] if signature is None or not len(signature) else signature
    return TensorInfo(details["name"], _lengths([int(n) for n in shape]))
