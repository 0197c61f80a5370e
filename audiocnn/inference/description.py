"""Description of a bundle's network, and the network opened from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.frontend.base import FrontEnd, is_whole
from audiocnn.inference.engine import Network
from audiocnn.inference.rocket_network import RocketNetwork, kernels_from
from audiocnn.inference.runtimes import NETWORK_FILES, open_runtime
from audiocnn.inference.streaming_network import open_streaming
from audiocnn.inference.windowed_network import WindowedNetwork

KINDS = ("streaming", "windowed", "rocket")
PLACES = ("start", "centre")


@dataclass(frozen=True)
class NetworkSpec:
    """Kind, runtime and shape of a bundle's network.

    Parameters
    ----------
    kind
        ``"streaming"`` (ours: frames and tails in, columns and tails out) or
        ``"windowed"`` (any network with an input window) or ``"rocket"`` (fixed kernels).
    runtime
        ``"onnx"`` or ``"litert"``; ``"numpy"`` for fixed kernels.
    receptive_field, stride
        Of a streaming network, in frames.
    length
        Frames of a windowed network's input (samples, with the front end ``waveform``);
        None if it takes any number, so that the bundle's window decides.
    period
        Frames between the columns of a windowed network where a window of the bundle is
        longer than the network's own; None for half of that.
    layout
        Axes of a windowed network's input, see `windowed_network.LAYOUTS`.
    scores, embeddings
        Names of a windowed network's outputs; "" for none.
    activation
        What a windowed network's scores have gone through: "none", "sigmoid", "softmax".
    classes
        Indices of the scores that are given, in their order; None for all.
    short
        Where in a window a recording lies that is shorter: at its "start", with zeros
        behind it, or in its "centre", with zeros on both sides.
    details
        Further facts, for people and for training: architecture, parameters, costs.
    """

    kind: str = "streaming"
    runtime: str = "onnx"
    receptive_field: int | None = None
    stride: int | None = None
    length: int | None = None
    period: int | None = None
    layout: str = "NPMT"
    scores: str = ""
    embeddings: str = ""
    activation: str = "none"
    classes: tuple[int, ...] | None = None
    short: str = "start"
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if self.kind not in KINDS:
            raise BundleError(
                f"network kind {self.kind!r} is not known here, but {', '.join(KINDS)}; update "
                "audiocnn with: pip install -U audiocnn"
            )
        if self.short not in PLACES:
            raise BundleError(f"network: short must be {' or '.join(PLACES)}, got {self.short!r}")
        counts = {"length": self.length, "period": self.period}
        if self.kind == "streaming":
            counts = {"receptive_field": self.receptive_field or 0, "stride": self.stride or 0}
        for name, value in counts.items():
            if value is not None and not (is_whole(value) and value >= 1):
                raise BundleError(
                    f"network must have {' and '.join(counts)}, whole numbers above 0; "
                    f"{name} is {getattr(self, name)!r}"
                )
        if self.classes is not None and not all(is_whole(n) and n >= 0 for n in self.classes):
            raise BundleError("network: classes must be whole numbers, 0 or more")
        if (self.kind == "rocket") != (self.runtime == "numpy"):
            raise BundleError(f"a network of kind {self.kind} does not run by {self.runtime}")
        if self.kind == "windowed" and not (self.scores or self.embeddings):
            raise BundleError("a windowed network names its output of scores, or of embeddings")

    @property
    def file(self) -> str:
        """Name of the network's file in a bundle."""
        return NETWORK_FILES.get(self.runtime, "graph.onnx")

    def described(self) -> dict[str, Any]:
        """Return what differs from the defaults, for JSON."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "details"}
        usual = {f.name: f.default for f in fields(self) if f.default is not MISSING}
        always = ("kind", "runtime")
        kept = {k: v for k, v in found.items() if k in always or v != usual[k]}
        return kept | {"details": dict(self.details)}


def spec_of(described: Mapping[str, Any]) -> NetworkSpec:
    """Make a `NetworkSpec` of what its ``described`` returned.

    Raises
    ------
    BundleError
        If a field is unknown or out of range.
    """
    known = {f.name for f in fields(NetworkSpec)}
    if unknown := sorted(set(described) - known):
        raise BundleError(f"network: {', '.join(unknown)} is not known here")
    classes = described.get("classes")
    return NetworkSpec(**{**described, "classes": tuple(classes) if classes else None})


def spec_of_trunk(trunk: Mapping[str, Any]) -> NetworkSpec:
    """Make the `NetworkSpec` of a bundle of format 1, which has a ``trunk`` instead."""
    return NetworkSpec(
        receptive_field=trunk.get("receptive_field"), stride=trunk.get("stride"), details=trunk
    )


def open_network(
    spec: NetworkSpec, front: FrontEnd, model: bytes, window: float, *, threads: int = 1,
    accelerator: str = "cpu",
) -> Network:  # fmt: skip
    """Open a network.

    Parameters
    ----------
    spec, front
        What it is, and its front end.
    model
        The bytes of its file.
    window
        Seconds of the bundle's window: the input of a network that takes any length.
    threads, accelerator
        As for `open_runtime`.

    Raises
    ------
    BundleError, DeviceError, ArgumentError
        As `open_runtime`, and if the file is not what the description says.
    """
    if spec.kind == "streaming":
        return open_streaming(
            front, model, spec.receptive_field or 1, spec.stride or 1, threads=threads,
            accelerator=accelerator,
        )  # fmt: skip
    if spec.kind == "rocket":
        return RocketNetwork(front, kernels_from(model))
    wanted = [name for name in (spec.scores, spec.embeddings) if name]
    runtime = open_runtime(
        model, spec.runtime, threads=threads, accelerator=accelerator, wanted=wanted
    )
    length = spec.length
    if length is None:
        length = 1 + round((window * front.rate - front.n_samples) / front.hop)
        if length < 1:
            raise ArgumentError(f"a window of {window:g} s holds no frame of the front end")
    return WindowedNetwork(
        front, runtime, length, period=spec.period, layout=spec.layout, scores=spec.scores,
        embeddings=spec.embeddings, activation=spec.activation,
    )  # fmt: skip
