"""LiteRT, which runs TensorFlow Lite files: the one module that imports it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError, DeviceError
from audiocnn.inference.runtimes import Array, Runtime, TensorInfo, lengths_of


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's notes ("Created TensorFlow Lite XNNPACK delegate") off stderr.

    It writes them to the descriptor itself and has no switch. What goes wrong it raises.
    """
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
        except OSError:  # no stderr, no descriptors
            yield
            return
        stack.callback(os.close, kept)
        stack.callback(os.close, nowhere)
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)


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
            with _quiet():
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
                self._interpreter.set_tensor(found["index"], _as_stored(value, found))
            self._interpreter.invoke()
            return [
                _as_numbers(self._interpreter.get_tensor(found["index"]), found)
                for found in map(self._outputs.__getitem__, names)
            ]


def _as_numbers(values: NDArray[Any], details: Mapping[str, Any]) -> Array:
    """Return the numbers that a tensor of integers stands for, where it is quantised."""
    scale, zero = details["quantization"]
    numbers = np.asarray(values, np.float32)
    return (numbers - np.float32(zero)) * np.float32(scale) if scale else numbers


def _as_stored(values: Array, details: Mapping[str, Any]) -> NDArray[Any]:
    """Return numbers in the form of a tensor: the inverse of `_as_numbers`, rounded."""
    scale, zero = details["quantization"]
    dtype = np.dtype(details["dtype"])
    if not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    rounded = np.clip(np.round(values / scale + zero), limits.min, limits.max)
    return np.asarray(rounded, dtype)


def _info(details: Mapping[str, Any]) -> TensorInfo:
    signature = details.get("shape_signature")
    shape = details["shape"] if signature is None or not len(signature) else signature
    return TensorInfo(details["name"], lengths_of([int(n) for n in shape]))
