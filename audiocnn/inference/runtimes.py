"""What runs the file of a network: ONNX Runtime, or LiteRT (`audiocnn.inference.litert`).

Fixed kernels need none: see `audiocnn.inference.rocket_network`.
A runtime takes named arrays and returns named arrays. It knows nothing of frames,
windows or labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, BundleError, DeviceError

Array = NDArray[np.float32]
NETWORK_FILES = {  # in a bundle, by runtime
    "onnx": "graph.onnx",
    "litert": "network.tflite",
    "numpy": "kernels.npz",
}
ACCELERATORS = ("cpu", "cuda")
PROVIDERS: dict[str, list[Any]] = {  # of ONNX Runtime, for each accelerator
    "cpu": ["CPUExecutionProvider"],
    # TF32 keeps 10 bits of a product: scores would be off by more than a bundle's check allows.
    "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"],
}


@dataclass(frozen=True)
class TensorInfo:
    """Name and shape of an input or output; None where a length is free."""

    name: str
    shape: tuple[int | None, ...]


class Runtime(ABC):
    """An opened network file.

    Attributes
    ----------
    inputs, outputs
        Its tensors, in the file's order.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    @abstractmethod
    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Compute the named outputs of the given inputs."""

    def output(self, name: str) -> TensorInfo | None:
        """Return what is known of an output; None if there is none of that name."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


class OnnxRuntime(Runtime):
    """An ``onnxruntime.InferenceSession``."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.inputs = tuple(TensorInfo(i.name, lengths_of(i.shape)) for i in session.get_inputs())
        self.outputs = tuple(TensorInfo(o.name, lengths_of(o.shape)) for o in session.get_outputs())

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Compute the named outputs of the given inputs."""
        try:
            return self.session.run(names, feeds)  # type: ignore[no-any-return]
        except Exception as error:  # ONNX Runtime raises many types, none of them public
            raise BundleError(f"ONNX Runtime cannot run the network: {error}") from error


def open_runtime(
    model: bytes, runtime: str = "onnx", *, threads: int = 1, accelerator: str = "cpu",
    wanted: Sequence[str] = (),
) -> Runtime:  # fmt: skip
    """Open the bytes of a network file.

    Parameters
    ----------
    model
        The file's bytes.
    runtime
        ``"onnx"`` or ``"litert"``.
    threads
        For one call of it.
    accelerator
        ``"cpu"`` or ``"cuda"``; LiteRT runs on the CPU.
    wanted
        Names of the outputs that are needed; LiteRT also gives tensors inside the graph.

    Raises
    ------
    BundleError
        If it cannot be read, or lacks a wanted output.
    DeviceError
        If the runtime is not installed, or there is no such accelerator here.
    """
    if accelerator not in ACCELERATORS:
        raise ArgumentError(f"accelerator must be {' or '.join(ACCELERATORS)}, got {accelerator!r}")
    if runtime == "litert":
        from audiocnn.inference.litert import LiteRuntime

        if accelerator != "cpu":
            raise DeviceError("a LiteRT network runs on the CPU: leave --accelerator out")
        opened: Runtime = LiteRuntime(model, threads, wanted)
    elif runtime == "onnx":
        opened = _open_onnx(model, threads, accelerator)
    else:
        raise BundleError(
            f"runtime {runtime!r} is not known here, but {', '.join(NETWORK_FILES)}; update "
            "audiocnn with: pip install -U audiocnn"
        )
    for name in wanted:
        if opened.output(name) is None:
            known = ", ".join(tensor.name for tensor in opened.outputs)
            raise BundleError(f"the network has no output {name!r}, but {known}")
    return opened


def _open_onnx(model: bytes, threads: int, accelerator: str) -> OnnxRuntime:
    import onnxruntime as ort

    providers = PROVIDERS[accelerator]
    wanted = "CPUExecutionProvider" if accelerator == "cpu" else providers[0][0]
    if wanted not in ort.get_available_providers():
        raise DeviceError(
            f"this ONNX Runtime has no {wanted}; for CUDA: pip uninstall onnxruntime, and then "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(model, options, providers=providers)
        opened = OnnxRuntime(session)
    except Exception as error:  # ONNX Runtime raises many types, none of them public
        raise BundleError(f"ONNX Runtime cannot open the graph: {error}") from error
    if session.get_providers()[0] != wanted:  # it falls back to the CPU, and only logs why
        raise DeviceError(
            f"ONNX Runtime has {wanted} and cannot start it: is there a GPU (nvidia-smi), and are "
            "its libraries (pip install 'onnxruntime-gpu[cuda,cudnn]')?"
        )
    return opened


def lengths_of(shape: Sequence[Any]) -> tuple[int | None, ...]:
    """Return lengths; names and values below 1 stand for free ones."""
    return tuple(n if isinstance(n, int) and n > 0 else None for n in shape)
