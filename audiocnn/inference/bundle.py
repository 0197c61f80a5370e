"""A model that carries everything that it needs, and checks itself.

A bundle is a folder:

    bundle.json          version, labels, front end, network, window, rules, checksums ...
    graph.onnx           the network: of ours, frames and tails in, columns and tails out,
    (network.tflite)     normalisation inside; of others, with an input window;
    (kernels.npz)        or the fixed kernels of the backbone `rocket`
    head.npz             optional: a classifier on the network's embeddings
    weights.safetensors  optional: the weights, for further training
    embeddings.npz       optional: of the training clips, for adding classes
    check.npz            the seed of a generated input, and its scores
    README.md            the model card

Loading compares checksums, refuses a graph that reads other files, and replays
the check: a model that does not reproduce its scores here is not used. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from audiocnn.errors import ArgumentError, AudiocnnError, BundleError, DeviceError, did_you_mean
from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.specs import front_of
from audiocnn.inference.description import NetworkSpec, open_network, spec_of, spec_of_trunk
from audiocnn.inference.engine import Grid, Network
from audiocnn.inference.events import Event, EventRule, find_events
from audiocnn.inference.head import Head, head_bytes, head_from
from audiocnn.inference.installed import folder_of
from audiocnn.inference.model_input import read_for
from audiocnn.inference.onnx_safety import outside_data
from audiocnn.inference.pipeline import Pipeline
from audiocnn.inference.selection import SelectedNetwork
from audiocnn.inference.selfcheck import replay
from audiocnn.inference.stream import Stream
from audiocnn.inference.windows import Calibration
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

FORMAT = 2
CHECK, HEAD, WEIGHTS, CLIPS = "check.npz", "head.npz", "weights.safetensors", "embeddings.npz"
CHECKED_FILES = ("graph.onnx", WEIGHTS, CHECK)  # of every bundle of format 1
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
    network
        Kind, runtime and shape of the network; ``network.details`` has its architecture
        and costs.
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
        The bytes of the network's file.
    name
        Of its folder.
    accelerator
        What runs the network: ``"cpu"`` or ``"cuda"``; no part of the model.
    head
        Classifier on the network's embeddings, which replaces its own scores; or None.

    Notes
    -----
    A network without scores and without a head is a backbone: it has no labels, gives
    embeddings, and serves to train on.
    """

    labels: tuple[str, ...]
    front: FrontEnd
    network: NetworkSpec
    window: float
    hop: float
    rules: Mapping[str, EventRule]
    calibration: Calibration
    clip_score: str
    card: Mapping[str, Any]
    model: bytes = field(repr=False)
    name: str = ""
    accelerator: str = "cpu"
    head: Head | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        faults = {
            "labels must be different and not empty": bool(self.labels or self.is_backbone)
            and len(set(self.labels)) == len(self.labels)
            and all(self.labels),
            "rules must be for the labels, in their order": tuple(self.rules) == self.labels,
            "calibration must have one number per label": len(self.calibration.slope)
            == len(self.labels),
            "window and hop must be above 0 seconds, and finite": 0 < self.window < float("inf")
            and 0 < self.hop < float("inf"),
            "the head must be for the labels": not self.head or self.head.labels == self.labels,
            "clip_score must be max or mean": self.clip_score in ("max", "mean"),
        }
        for message, good in faults.items():
            if not good:
                raise BundleError(f"{self.name or 'bundle'}: {message}")

    @property
    def rate(self) -> float:
        """Samples per second that the model takes."""
        return self.front.rate

    @property
    def is_backbone(self) -> bool:
        """Whether it gives embeddings only, and has no classes."""
        gives_scores = self.network.kind == "streaming" or bool(self.network.scores)
        return not gives_scores and self.head is None

    @cached_property
    def opened(self) -> Network:
        """The network, opened at first use, on one thread."""
        found = open_network(
            self.network, self.front, self.model, self.window, accelerator=self.accelerator
        )
        n = len(self.labels)
        if self.network.classes is not None and self.head is None:
            if max(self.network.classes) >= found.n_scores:
                raise BundleError(
                    f"{self.name}: class {max(self.network.classes)} is chosen of a network with "
                    f"{found.n_scores} scores; get the model anew"
                )
            found = SelectedNetwork(found, self.network.classes)
        if self.head is None and found.n_scores and n and found.n_scores != n:
            raise BundleError(
                f"{self.name}: the network gives {found.n_scores} scores for {n} labels; "
                "install the model again"
            )
        return found

    def select(self, labels: Sequence[str]) -> Bundle:
        """Return the same model with some of its classes.

        The scores of those do not change; the others are not given any more.

        Parameters
        ----------
        labels
            Some of the bundle's, each once.

        Raises
        ------
        ArgumentError
            If one is none of the bundle's, or none are named.
        """
        if tuple(labels) == self.labels:
            return self
        if not labels or len(set(labels)) < len(labels):
            raise ArgumentError(f"{self.name}: name classes, each once, got {list(labels)}")
        for label in labels:
            if label not in self.rules:
                raise ArgumentError(
                    f"{self.name} has no class {label!r}{did_you_mean(label, self.labels)}"
                )
        place = {label: index for index, label in enumerate(self.labels)}
        kept = [place[label] for label in labels]
        network, head = self.network, self.head
        if head is None:
            before = network.classes or range(len(self.labels))
            network = replace(network, classes=tuple(before[index] for index in kept))
        else:
            head = head.select(kept)
        slope, offset = self.calibration.slope, self.calibration.offset
        return replace(
            self,
            labels=tuple(labels),
            rules={label: self.rules[label] for label in labels},
            calibration=Calibration(
                tuple(slope[index] for index in kept), tuple(offset[index] for index in kept)
            ),
            network=network,
            head=head,
        )

    def pipeline(self, hop: float | None = None) -> Pipeline:
        """Return the path from samples to scores.

        Parameters
        ----------
        hop
            Seconds from one window to the next, rounded to whole columns; the bundle's
            own if None.

        Raises
        ------
        ArgumentError
            If ``hop`` is out of range.
        """
        calibration = self.calibration if self.labels else None
        return Pipeline(self.opened, grid_of(self, hop), self.head, calibration)

    def detect(
        self, path: str | Path, *, hop: float | None = None,
        reading: SignalReadOptions = DEFAULT_OPTIONS,
    ) -> list[Event]:  # fmt: skip
        """Find the events of a recording, in the order in which they begin.

        Parameters
        ----------
        path
            Any recording that the model takes, see `read_for`.
        hop
            Seconds between windows; the bundle's if None.
        reading
            How a signal other than sound is read.

        Raises
        ------
        AudioError
            If it cannot be read (to its end).
        ArgumentError
            If the model has no classes.

        Examples
        --------
        >>> import audiocnn
        >>> events = audiocnn.load("environment").detect("data/demo.flac")
        >>> events[0].label in audiocnn.load("environment").labels
        True
        """
        require_labels(self)
        scores = self.pipeline(hop).scores(read_for(path, self.front, reading))
        found = find_events(scores, self.rules, source=str(path))
        return sorted(found, key=lambda event: (event.start, event.label))

    def stream(
        self, *, hop: float | None = None, rate: float | None = None, onsets: bool = False,
        source: str = "",
    ) -> Stream:  # fmt: skip
        """Return what takes samples piece by piece and returns events, see `Stream`.

        Parameters
        ----------
        hop
            Seconds between windows; the bundle's if None.
        rate, onsets, source
            As for `Stream`.
        """
        require_labels(self)
        return Stream(self.pipeline(hop), self.rules, rate=rate, onsets=onsets, source=source)


def require_labels(bundle: Bundle) -> Bundle:
    """Refuse a model that has no classes.

    Raises
    ------
    ArgumentError
        If it is a backbone.
    """
    if not bundle.labels:
        raise ArgumentError(
            f"{bundle.name} has no classes of its own: it is a backbone; train a model on it with "
            f"`audiocnn train DATA -o BUNDLE --backbone {bundle.name}`"
        )
    return bundle


def grid_of(bundle: Bundle, hop: float | None = None) -> Grid:
    """Return where the windows of a bundle lie; ``hop`` in seconds, its own if None."""
    hop = bundle.hop if hop is None else hop
    if not 0 < hop < float("inf"):
        raise ArgumentError(f"hop must be above 0 seconds, got {hop}")
    grid = bundle.opened.grid(bundle.window, hop)
    return replace(grid, centred=True) if bundle.network.short == "centre" else grid


def checksum(bundle: Bundle) -> str:
    """Identify what a model computes: network, front end, head, calibration and windows."""
    what: dict[str, Any] = {
        "front": bundle.front.describe(), "window": bundle.window, "labels": bundle.labels,
        "calibration": asdict(bundle.calibration),
    }  # fmt: skip
    content = bundle.model
    if bundle.network.kind != "streaming":  # so that models of format 1 keep their checksum
        what["network"] = bundle.network.described() | {"details": {}}
    elif bundle.network.classes is not None:
        what["classes"] = bundle.network.classes
    if bundle.head is not None:
        content += head_bytes(bundle.head)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode() + content).hexdigest()


def load(
    model: str | Path = DEFAULT_MODEL, *, check: bool = True, accelerator: str = "cpu"
) -> Bundle:
    """Read a model: a shipped or installed name, or a folder.

    Parameters
    ----------
    model
        A name from `audiocnn.shipped_models` or `audiocnn.installed_models`, or the path of
        a bundle.
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
    try:
        bundle = _read_bundle(folder, described, accelerator)
        if check:
            replay(_read_checked(folder, CHECK, described.checksums), bundle.pipeline(), folder)
    except (BundleError, DeviceError):
        raise
    except (AudiocnnError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / 'bundle.json'}: {error}; install the model again") from error
    return bundle


class BundleFile(msgspec.Struct):
    """Types of ``bundle.json``; ``trunk`` is that of format 1, ``network`` of format 2."""

    labels: tuple[str, ...]
    front: dict[str, Any]
    window: float
    hop: float
    clip_score: str
    rules: dict[str, dict[str, float]]
    calibration: Calibration
    card: dict[str, Any]
    checksums: dict[str, str]
    network: dict[str, Any] | None = None
    trunk: dict[str, Any] | None = None

    def spec(self) -> NetworkSpec:
        """Return the network's description, of either format."""
        if self.network is not None:
            return spec_of(self.network)
        if self.trunk is None:
            raise BundleError("there is no description of a network; install the model again")
        return spec_of_trunk(self.trunk)


def _read_bundle(folder: Path, described: BundleFile, accelerator: str) -> Bundle:
    spec = described.spec()
    optional = (WEIGHTS,) if described.network is None else (HEAD, WEIGHTS)
    first = described.network is None  # format 1 always has weights
    names = [spec.file, *(name for name in optional if first or name in described.checksums)]
    files = {name: _read_checked(folder, name, described.checksums) for name in names}
    if spec.runtime == "onnx" and (location := outside_data(files[spec.file])):
        where = f"{folder / spec.file}: reads another file ({location!r})"
        raise BundleError(f"{where}; a graph must hold its weights itself, so this one is refused")
    return Bundle(
        labels=described.labels,
        front=front_of(described.front),
        network=spec,
        window=described.window,
        hop=described.hop,
        rules={label: EventRule(**rule) for label, rule in described.rules.items()},
        calibration=described.calibration,
        clip_score=described.clip_score,
        card=described.card,
        model=files[spec.file],
        name=folder.name,
        accelerator=accelerator,
        head=head_from(files[HEAD]) if HEAD in files else None,
    )


def _read_description(folder: Path) -> BundleFile:
    path = folder / "bundle.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))  # cards may hold NaN
    except FileNotFoundError:
        raise BundleError(f"{folder}: no bundle.json, so this is no model's folder") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}; install the model again") from error
    version = described.get("format") if isinstance(described, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(f"{path}: is not a bundle's description; install the model again")
    if version > FORMAT:
        raise BundleError(
            f"{path}: has format {version}, this version of audiocnn reads up to {FORMAT}; "
            "update it with: pip install -U audiocnn"
        )
    try:
        return msgspec.convert(described, BundleFile)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {error}; install the model again") from error


def _read_checked(folder: Path, name: str, checksums: Mapping[str, str]) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); install the model again"
        ) from error
    if hashlib.sha256(content).hexdigest() != checksums.get(name):
        raise BundleError(f"{path}: is damaged (its checksum differs); install the model again")
    return content
