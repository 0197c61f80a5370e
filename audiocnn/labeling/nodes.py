"""Labelling on a cluster: what the driver sends out, and what a node makes of it.

The model travels with the job, as the files of its bundle, and is loaded with all its
checks on each node: a processor on which it gives other scores refuses it. A recording
is named to the nodes by its absolute path or its URL, and its result as the user named
it, so that the output is that of one machine.
"""

from __future__ import annotations

import functools
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiocnn.bundle import SHIPPED, Bundle, load
from audiocnn.errors import AudiocnnError
from audiocnn.events import EventRule
from audiocnn.labeling.cluster import Lost, processors, run_on_cluster
from audiocnn.labeling.recordings import Labeled
from audiocnn.labeling.remote import is_url, label_anywhere, renamed

EACH = 1 << 20  # bytes that a recording weighs beside its own: opening it costs as much
TRIP = (1 << 22, 1 << 26)  # bytes that go together: at least, at most
SPREAD = 8  # trips for each processor, if there is enough


@dataclass(frozen=True)
class Job:
    """What is the same for all recordings.

    Parameters
    ----------
    model
        The files of the bundle, by name.
    hop, rules
        As for `label_recording`.
    """

    model: Mapping[str, bytes] = field(repr=False)
    hop: float | None = None
    rules: Mapping[str, EventRule] | None = None


@dataclass(frozen=True)
class Errand:
    """A recording that is to be labelled.

    Parameters
    ----------
    name
        As the user named it.
    where
        Its absolute path, or its URL.
    size
        Bytes; 0 if that is not known.
    """

    name: str
    where: str
    size: int


@dataclass(frozen=True)
class Unseen:
    """A node does not see a recording.

    Parameters
    ----------
    node
        Its name.
    """

    node: str


def model_files(model: str | Path) -> dict[str, bytes]:
    """Read the files of a bundle, to be sent out.

    Parameters
    ----------
    model
        A shipped name or a folder, which `load` has accepted.
    """
    folder = Path(model) if Path(model).is_dir() else SHIPPED / str(model)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def errand_of(path: str | Path) -> Errand:
    """Say how nodes find a recording."""
    name = str(path)
    if is_url(name):
        return Errand(name, name, 0)
    try:
        size = os.stat(name).st_size
    except OSError:  # the node that looks for it says what is wrong
        size = 0
    return Errand(name, os.path.abspath(name), size)


def label_on_cluster(
    ray: Any, job: Job, errands: Iterable[Errand], *, tick: Callable[[], None] = lambda: None
) -> Iterator[Labeled]:
    """Label recordings on all nodes of a cluster.

    Parameters
    ----------
    ray
        As `connected` gives it.
    job
        What is the same for all.
    errands
        The recordings.
    tick
        Called about once a second; what it raises ends the work.

    Yields
    ------
    Labeled
        One a recording, as they are done, in any order.

    Raises
    ------
    AudiocnnError
        If a node does not see a recording that this machine sees, or has another
        version of audiocnn.
    BundleError
        If the model gives other scores on a node than it should.
    """
    errands = list(errands)
    least, most = TRIP
    total = sum(map(_weight, errands))
    heavy = min(max(total / (SPREAD * processors(ray)), least), most)
    done = run_on_cluster(ray, label_errand, job, errands, weigh=_weight, heavy=heavy, tick=tick)
    for errand, result in done:
        if isinstance(result, Lost):
            reason = f"{errand.name} killed the workers that took it up: {result.reason}"
            yield Labeled(errand.name, error=reason)
        elif isinstance(result, Unseen):
            if os.path.exists(errand.where):
                raise AudiocnnError(
                    f"the node {result.node} does not see {errand.where}, and this machine does: "
                    "share the folder with all nodes under one name, or take that node away"
                )
            yield Labeled(errand.name, error=f"no such file: {errand.name}")
        else:
            yield result


def label_errand(job: Job, errand: Errand) -> Labeled | Unseen:
    """Label a recording, on a node."""
    bundle = _bundle_of(_Model(job.model))
    if not is_url(errand.where) and not os.path.exists(errand.where):
        return Unseen(socket.gethostname())
    result = label_anywhere(bundle, errand.where, hop=job.hop, rules=job.rules)
    return renamed(result, Path(errand.where), errand.name)


class _Model:
    """A bundle's files as a key: equal where the files are."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._checksums = files["bundle.json"]  # has those of the others in it

    def __hash__(self) -> int:
        return hash(self._checksums)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Model) and self._checksums == other._checksums


@functools.lru_cache(maxsize=1)
def _bundle_of(model: _Model) -> Bundle:
    """Load a model, once in the life of a worker."""
    with tempfile.TemporaryDirectory(prefix="audiocnn-") as folder:
        for name, data in model.files.items():
            Path(folder, name).write_bytes(data)
        return load(folder)


def _weight(errand: Errand) -> float:
    return errand.size + EACH
