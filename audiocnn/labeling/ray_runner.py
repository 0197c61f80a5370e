"""Labelling on a cluster: errands go out to its nodes, and what came of them comes back.

How many go together, and what is the matter when a node does not see a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.chunking import PartScores
from audiocnn.labeling.ray_pool import processors, run_on_cluster
from audiocnn.labeling.tasks import Errand, Job, Lost, Result, Unseen, label_errand

EACH = 1 << 20  # bytes that a recording weighs beside its own: opening it costs as much
TRIP = (1 << 22, 1 << 26)  # bytes that go together: at least, at most
SPREAD = 8  # trips for each processor, if there is enough


def label_on_cluster(
    ray: Any, job: Job, errands: Iterable[Errand], *, tick: Callable[[], None] = lambda: None
) -> Iterator[tuple[Errand, Result | PartScores | AudioError | Unseen | Lost]]:
    """Run errands on all nodes of a cluster.

    Parameters
    ----------
    ray
        As `connected` gives it.
    job
        What is the same for all.
    errands
        What is to be done; gone through before the first of it is.
    tick
        Called about once a second; what it raises ends the work.

    Yields
    ------
    errand, result
        As they are done, in any order; see `label_errand`.

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
        if isinstance(result, Unseen) and RecordingRef.of(errand.where).file.exists():
            raise AudiocnnError(
                f"the node {result.machine} does not see {errand.where}, and this machine does: "
                "share the folder with all nodes under one name, or take that node away"
            )
        yield errand, result


def _weight(errand: Errand) -> float:
    return max(0, errand.stamp.size) + EACH
