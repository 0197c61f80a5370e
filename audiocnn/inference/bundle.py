"""A model that carries everything that it needs, and checks itself.

A bundle is a folder:

    bundle.json          version, labels, front end, trunk, window, rules, checksums ...
    graph.onnx           frames and tails in, columns and tails out; normalisation inside
    weights.safetensors  the same weights for training on
    check.npz            the seed of a generated input, and its scores
    README.md            the model card

Loading compares checksums, refuses a graph that reads other files, and replays
the check: a model that does not reproduce its scores here is not used. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, AudiocnnError, BundleError, DeviceError, did_you_mean
from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.specs import front_of
from audiocnn.inference.engine import Graph, Grid, make_grid, open_graph
from audiocnn.inference.events import EventRule
from audiocnn.inference.onnx_safety import outside_data
from audiocnn.inference.selfcheck import replay
from audiocnn.inference.windows import Calibration

FORMAT = 1
CHECKED_FILES = ("graph.onnx", "weights.safetensors", "check.npz")
SHIPPED = Path(__file__).parents[1] / "pretrained"
DEFAULT_MODEL = "environment"


@dataclass(frozen=True)
class Bundle:
    """A trained model with all that belongs to it.

    Parameters
    ----------
    labels
        The classes, in the order of the scores.
    front
        The front end.
    trunk
        What the network is: ``arch``, ``size``, ``receptive_field``, ``stride``
        (frames) and so on.
    window, hop
        Seconds; the default sliding window.
    rules
        An `EventRule` per label.
    calibration
        Window logits to probabilities.
    clip_score
        ``"max"`` or ``"mean"``: how windows make the score of a clip.
    card
        What it was trained on, how, licences, figures: for people.
    model
        The serialised ONNX graph.
    name
        Where it came from.
    accelerator
        What runs the graph: ``"cpu"`` or ``"cuda"``; no part of the model.
    """

    labels: tuple[str, ...]
    front: FrontEnd
    trunk: Mapping[str, Any]
    window: float
    hop: float
    rules: Mapping[str, EventRule]
    calibration: Calibration
    clip_score: str
    card: Mapping[str, Any]
    model: bytes = field(repr=False)
    name: str = ""
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        faults = {
            "labels must be different and not empty": bool(self.labels)
            and len(set(self.labels)) == len(self.labels)
            and all(self.labels),
            "rules must be for the labels, in their order": tuple(self.rules) == self.labels,
            "calibration must have one number per label": len(self.calibration.slope)
            == len(self.labels),
            "window and hop must be above 0 seconds, and finite": 0 < self.window < float("inf")
            and 0 < self.hop < float("inf"),
            "trunk must have receptive_field and stride, whole numbers above 0": all(
                isinstance(self.trunk.get(name), int) and self.trunk[name] >= 1
                for name in ("receptive_field", "stride")
            ),
            "clip_score must be max or mean": self.clip_score in ("max", "mean"),
        }
        for message, good in faults.items():
            if not good:
                raise BundleError(f"{self.name or 'bundle'}: {message}")

    @property
    def rate(self) -> float:
        """Samples per second that the model hears."""
        return self.front.rate

    @cached_property
    def graph(self) -> Graph:
        """The network, opened at first use, on one thread."""
        reach, stride = self.trunk["receptive_field"], self.trunk["stride"]
        graph = open_graph(self.model, reach, stride, accelerator=self.accelerator)
        shape = graph.session.get_inputs()[0].shape
        if list(shape[1:3]) != [self.front.planes, self.front.n_bands]:
            raise BundleError(
                f"{self.name}: the graph takes frames of shape {shape}, the front end gives "
                f"{self.front.planes} planes of {self.front.n_bands} bands; get the model anew"
            )
        return graph


def grid_of(bundle: Bundle, hop: float | None = None) -> Grid:
    """Say where the windows of a bundle lie; ``hop`` in seconds, its own if None."""
    hop = bundle.hop if hop is None else hop
    if not 0 < hop < float("inf"):
        raise ArgumentError(f"hop must be above 0 seconds, got {hop}")
    return make_grid(
        bundle.front, bundle.trunk["receptive_field"], bundle.trunk["stride"], bundle.window, hop
    )


def checksum(bundle: Bundle) -> str:
    """Identify what a model computes: graph, front end, calibration and windows."""
    what = {"front": bundle.front.describe(), "window": bundle.window, "labels": bundle.labels}
    what |= {"calibration": asdict(bundle.calibration)}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode() + bundle.model).hexdigest()


def shipped_models() -> list[str]:
    """Name the models that come with the package."""
    return sorted(p.parent.name for p in SHIPPED.glob("*/bundle.json"))


def folder_of(model: str | Path) -> Path:
    """Give the folder of a model: of a shipped name, or the path of a bundle.

    Raises
    ------
    BundleError
        If there is no such model.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if str(model) not in shipped_models():
        raise BundleError(
            f"no model {str(model)!r}{did_you_mean(str(model), shipped_models())}: give a "
            f"bundle's folder or one of {', '.join(shipped_models()) or '(none shipped)'}"
        )
    return SHIPPED / str(model)


def load(
    model: str | Path = DEFAULT_MODEL, *, check: bool = True, accelerator: str = "cpu"
) -> Bundle:
    """Read a model: a shipped name, or a folder.

    Parameters
    ----------
    model
        A name from `shipped_models`, or the path of a bundle.
    check
        Replay the stored input, a few milliseconds. Leave it on.
    accelerator
        What runs it: ``"cpu"``, or ``"cuda"`` where onnxruntime-gpu is installed.

    Raises
    ------
    BundleError
        If there is no such model, or it is damaged, unsafe, from a later
        version, or gives other scores than it should.
    DeviceError
        If there is no such accelerator here.
    """
    folder = folder_of(model)
    described = _read_description(folder)
    files = {name: _read_checked(folder, name, described["checksums"]) for name in CHECKED_FILES}
    if location := outside_data(files["graph.onnx"]):
        where = f"{folder / 'graph.onnx'}: reads another file ({location!r})"
        raise BundleError(f"{where}; a graph must hold its weights itself, so this one is refused")
    try:
        bundle = Bundle(
            labels=tuple(described["labels"]),
            front=front_of(described["front"]),
            trunk=described["trunk"],
            window=float(described["window"]),
            hop=float(described["hop"]),
            rules={label: EventRule(**rule) for label, rule in described["rules"].items()},
            calibration=Calibration(**{k: tuple(v) for k, v in described["calibration"].items()}),
            clip_score=described["clip_score"],
            card=described["card"],
            model=files["graph.onnx"],
            name=folder.name,
            accelerator=accelerator,
        )
        if check:
            grid = grid_of(bundle)
            replay(files["check.npz"], bundle.graph, bundle.front, grid, bundle.calibration, folder)
    except (BundleError, DeviceError):
        raise
    except (AudiocnnError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{folder / 'bundle.json'}: {type(error).__name__}: {error}; get the model anew"
        ) from error
    return bundle


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "bundle.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder}: no bundle.json, so this is no model's folder") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}; get the model anew") from error
    version = described.get("format") if isinstance(described, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(f"{path}: is not a bundle's description; get the model anew")
    if described["format"] > FORMAT:
        raise BundleError(
            f"{path}: has format {described['format']}, this version of audiocnn reads up to "
            f"{FORMAT}; update it with: pip install -U audiocnn"
        )
    front = described.get("front")
    if not isinstance(front, dict):
        raise BundleError(f"{path}: front end {front!r} is not known here; get the model anew")
    if not isinstance(described.get("checksums"), dict):
        raise BundleError(f"{path}: has no checksums; get the model anew")
    return dict(described)


def _read_checked(folder: Path, name: str, checksums: Mapping[str, str]) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); get the model anew"
        ) from error
    if hashlib.sha256(content).hexdigest() != checksums.get(name):
        raise BundleError(f"{path}: is damaged (its checksum differs); get the model anew")
    return content
