"""Any audio network in an ONNX or TFLite file as a model: `audiocnn models add`.

What the file says is not asked: kind of file, length and layout of the input, outputs,
number of classes; labels, where they are packed behind a TFLite file. Whether scores are
logits or probabilities is found by running it. What no file says must be given: the sample
rate, and the window where the input may have any length.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudiocnnError, BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.specs import front_of
from audiocnn.frontend.waveform import WaveformSpec
from audiocnn.inference.bundle import load
from audiocnn.inference.description import NetworkSpec, open_network
from audiocnn.inference.engine import COLUMNS
from audiocnn.zoo.install import place
from audiocnn.zoo.label_files import labels_within, read_labels
from audiocnn.zoo.network_bundle import write_bundle
from audiocnn.zoo.probe import PROBES, Found, activation_of, probe
from audiocnn.zoo.registry import UNKNOWN_LICENCE, Licence


@dataclass(frozen=True)
class Request:
    """What a user says of a network.

    Parameters
    ----------
    path
        The ONNX or TFLite file.
    name
        Of the model.
    sample_rate
        Hz; None if a front end is given.
    window, hop
        Seconds; None: the window that the file says, and half of it.
    labels
        File with labels; None if they are in the network's file, or there are none.
    scores, embeddings
        Outputs, or tensors inside a TFLite file; None: found, "": there is none.
    activation
        ``"none"``, ``"sigmoid"`` or ``"softmax"``; None: found by running it.
    gain
        Factor for samples whose full scale is 1.
    front
        For a network that takes frames: a JSON file with a front end, or the name of a
        model that has it.
    licence
        Of the weights.
    """

    path: Path
    name: str
    sample_rate: int | None = None
    window: float | None = None
    hop: float | None = None
    labels: Path | None = None
    scores: str | None = None
    embeddings: str | None = None
    activation: str | None = None
    gain: float = 1.0
    front: str | None = None
    licence: Licence = UNKNOWN_LICENCE


def add(request: Request, *, overwrite: bool = False) -> Path:
    """Make an installed model of a network's file.

    Returns
    -------
    pathlib.Path
        Its folder.

    Raises
    ------
    ArgumentError
        If something must be said that the file does not, or does not fit it.
    BundleError
        If the file cannot be run here.
    """
    try:
        content = request.path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{request.path}: cannot be read: {error.strerror}") from error
    front = _front(request)
    labels = read_labels(request.labels) if request.labels else labels_within(content)
    found = probe(
        content, n_bands=0 if isinstance(front, WaveformSpec) else front.n_bands,
        scores=request.scores, embeddings=request.embeddings, n_labels=len(labels),
    )  # fmt: skip
    _check_labels(request, found, labels)
    window = _window(request, front, found)
    spec = NetworkSpec(
        kind="windowed", runtime=found.runtime, length=found.length, layout=found.layout,
        scores=found.scores, embeddings=found.embeddings,
        activation=request.activation or "none", details={"arch": request.path.name},
    )  # fmt: skip
    if found.scores and request.activation is None:
        spec = replace(spec, activation=activation_of(_scores(spec, front, found.model, window)))
    card = {
        "title": request.path.name,
        "source": request.path.name,
        "sha256": {request.path.name: hashlib.sha256(content).hexdigest()},
    }

    def write(folder: Path) -> None:
        write_bundle(
            folder, front=front, network=spec, model=found.model,
            labels=labels if found.scores else (), window=window,
            hop=request.hop or window / 2, licence=request.licence, card=card,
        )  # fmt: skip

    return place(request.name, write, overwrite=overwrite)


def _front(request: Request) -> FrontEnd:
    if request.front is None:
        if request.sample_rate is None:
            raise ArgumentError(
                f"{request.path} does not say at which rate it was trained: give --sample-rate HZ"
            )
        return WaveformSpec(request.sample_rate, request.gain)
    file = Path(request.front)
    if file.suffix != ".json":
        return load(request.front, check=False).front
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        return front_of(described)
    except (OSError, ValueError, KeyError, TypeError, AudiocnnError) as error:
        raise ArgumentError(
            f"{file}: is no front end as `audiocnn info MODEL --json` writes it: {error}"
        ) from error


def _check_labels(request: Request, found: Found, labels: tuple[str, ...]) -> None:
    if not found.scores:
        return
    if not labels:
        raise ArgumentError(
            f"{request.path} has {found.n_scores:,} scores and no labels: give --labels FILE, or "
            "--scores '' to use its embeddings only"
        )
    if len(labels) != found.n_scores:
        where = request.labels or request.path
        raise ArgumentError(
            f"{where} has {len(labels):,} labels, and the network {found.n_scores:,} scores "
            f"({found.scores!r}): name another list, or another output with --scores"
        )


def _window(request: Request, front: FrontEnd, found: Found) -> float:
    """Seconds that the network takes at once."""
    if found.length is None:
        if request.window is None:
            raise ArgumentError(
                f"{request.path} takes an input of any length: give --window SECONDS"
            )
        return request.window
    window = ((found.length - 1) * front.hop + front.n_samples) / front.rate
    if request.window is not None and request.window < window - 1e-3:
        raise ArgumentError(
            f"{request.path} takes {found.length:,} samples or frames, {window:.4g} s at "
            f"{front.rate:g} Hz, and --window is {request.window:g} s: leave it out, or see that "
            "--sample-rate is right"
        )
    return request.window or window


def _scores(spec: NetworkSpec, front: FrontEnd, model: bytes, window: float) -> NDArray[np.float32]:
    """Run a network on generated sound from silence to full scale: scores (N, C) as they are."""
    network = open_network(spec, front, model, window)
    grid = network.grid(window, window)
    rows = []
    for number in range(PROBES):
        samples = front.example(grid.window_samples, np.random.default_rng(number))
        level = (0.0, 0.01, 0.3, 1.0)[number]
        columns, _ = network.step(network.begin(grid, COLUMNS), np.float32(level) * samples)
        if columns is None:
            raise BundleError("the network gives no scores for one window of its own length")
        rows.append(columns[0].T)
    return np.concatenate(rows)
