"""Labelling on a Ray cluster (``audiocnn[cluster]``): the same function over many tasks.

Ray places the tasks, moves them, and repeats those of a lost node; this module has no
scheduler. It sends out a few batches per processor at a time, so that a million tasks
need not be in memory; puts small tasks together, because each batch costs the driver
about a millisecond; and retries the tasks of a batch whose worker died alone, so that
only the one at fault is given up.

    driver   tasks -> batches -> at most AHEAD per processor
    nodes             function(shared, task) for each task of a batch, on one processor
    driver   <- (task, result) as batches return, in any order

Only the driver writes anything. Nodes need the same versions of audiocnn and Ray, and
access to the recordings, in a shared folder or by URL. Ray's usage reports are disabled
here, and where a cluster is started with ``ray start --disable-usage-stats``. Ray trusts
anyone who reaches its ports: keep them within a private network. scripts/bench_cluster
measures the load on a driver.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from audiocnn import __version__
from audiocnn.errors import AudiocnnError, DeviceError
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.tasks import (
    LabelTask,
    NotVisible,
    Outcome,
    WorkerJob,
    WorkerLost,
    label_task_in_worker,
)

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

AHEAD = 3  # batches for each processor: one at work, the others on their way to it
RETRIES = 3  # of a batch whose worker or node was lost
TICK = 0.5  # seconds that nothing need come back
RECOUNT = 10.0  # seconds between two looks at how many processors there are
OVERHEAD = 1 << 20  # bytes that a recording weighs beside its own: opening costs as much
BATCH_BYTES = (1 << 22, 1 << 26)  # bytes that go together: at least, at most
BATCHES = 8  # for each processor, if there is enough


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a cluster for the length of the context, which gives the module `ray`.

    Parameters
    ----------
    address
        ``auto`` for the cluster that this machine belongs to, or its address.

    Raises
    ------
    AudiocnnError
        If Ray is not installed.
    DeviceError
        If there is no cluster.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns
    try:
        import ray
    except ImportError as error:
        raise AudiocnnError(
            "a cluster needs Ray, which is not installed; run: pip install 'audiocnn[cluster]'"
        ) from error
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        yield ray
    except ConnectionError as error:
        raise DeviceError(
            f"no Ray cluster at {address!r} ({error}); start one with `ray start --head "
            "--disable-usage-stats` here and `ray start --address HOST:6379` on each other machine"
        ) from error
    finally:
        if ours:
            ray.shutdown()


def processors(ray: Any) -> int:
    """Count the processors of a cluster, as it is now; at least one."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def run_on_cluster(
    ray: Any,
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Iterable[Task],
    *,
    weigh: Callable[[Task], float] = lambda task: 1.0,
    heavy: float = 1.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Task, Result | WorkerLost]]:
    """Run a function over tasks on all nodes.

    Parameters
    ----------
    ray
        From `connected`.
    function
        At the top level of a module that all nodes have. An exception ends the run.
    shared
        Its first argument; sent to each node once.
    tasks
        Its second arguments, taken as they are needed.
    weigh, heavy
        Tasks go together until their weights reach ``heavy``.
    stopped
        Called about once a second; once it returns True the run ends, and tasks that
        are not finished are cancelled.

    Yields
    ------
    task, result
        In order of completion. A task is completed once; it may be started several times.

    Raises
    ------
    AudiocnnError
        If a node has another version of audiocnn.
    """
    remote = ray.remote(_work).options(num_cpus=1, max_retries=RETRIES)
    common = ray.put((__version__, function, shared))
    batches = _batches(tasks, weigh, heavy)
    away: dict[Any, tuple[Task, ...]] = {}
    capacity = _Capacity(ray)
    try:
        while True:
            for batch in itertools.islice(batches, max(0, capacity.now() - len(away))):
                away[remote.remote([common], batch)] = batch
            if not away:
                return
            if stopped():
                return
            for reference in _ready(ray, list(away)):
                batch = away.pop(reference)
                results = _results(ray, reference)
                if not isinstance(results, WorkerLost):
                    yield from zip(batch, results, strict=True)
                elif len(batch) == 1:
                    yield batch[0], results
                else:  # one of them is at fault: retry each alone
                    batches = itertools.chain([(task,) for task in batch], batches)
    finally:
        for reference in away:
            ray.cancel(reference)


def label_on_cluster(
    ray: Any,
    shared: WorkerJob,
    tasks: Iterable[LabelTask],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[LabelTask, Outcome]]:
    """Run tasks on all nodes of a cluster.

    Parameters
    ----------
    ray
        From `connected`.
    shared
        The job and its model.
    tasks
        All of them are listed before the first one starts.
    stopped
        As for `run_on_cluster`.

    Yields
    ------
    task, result
        In order of completion; see `label_task_in_worker`.

    Raises
    ------
    AudiocnnError
        If a node does not see a recording that this machine sees, or has another
        version of audiocnn.
    BundleError
        If the model computes other scores on a node than it should.
    """
    tasks = list(tasks)
    least, most = BATCH_BYTES
    total = sum(map(_weight, tasks))
    heavy = min(max(total / (BATCHES * processors(ray)), least), most)
    done = run_on_cluster(
        ray, label_task_in_worker, shared, tasks, weigh=_weight, heavy=heavy, stopped=stopped
    )
    for task, result in done:
        if isinstance(result, NotVisible) and RecordingRef.of(task.location).file.exists():
            raise AudiocnnError(
                f"the node {result.machine} does not see {task.location}, and this machine does: "
                "share the folder with all nodes under one name, or take that node away"
            )
        yield task, result


def _weight(task: LabelTask) -> float:
    return max(0, task.fingerprint.size) + OVERHEAD


def _work(common: list[Any], tasks: tuple[Task, ...]) -> list[Any]:
    """Do the tasks of a batch, on a node."""
    import ray

    version, function, shared = ray.get(common[0])
    if version != __version__:
        raise AudiocnnError(
            f"this node has audiocnn {__version__}, and the job was begun with {version}: install "
            "one version on all nodes"
        )
    return [function(shared, task) for task in tasks]


def _batches(
    tasks: Iterable[Task], weigh: Callable[[Task], float], heavy: float
) -> Iterator[tuple[Task, ...]]:
    batch: list[Task] = []
    weight = 0.0
    for task in tasks:
        batch.append(task)
        weight += weigh(task)
        if weight >= heavy:
            yield tuple(batch)
            batch, weight = [], 0.0
    if batch:
        yield tuple(batch)


def _ready(ray: Any, references: list[Any]) -> list[Any]:
    """Wait at most `TICK` for a batch to return; give all that have."""
    ready, others = ray.wait(references, num_returns=1, timeout=TICK)
    if ready and others:
        ready = ready + ray.wait(others, num_returns=len(others), timeout=0)[0]
    return list(ready)


def _results(ray: Any, reference: Any) -> list[Any] | WorkerLost:
    try:
        found: list[Any] = ray.get(reference)
        return found
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except (ray.exceptions.TaskCancelledError, ray.exceptions.RuntimeEnvSetupError):
        raise
    except ray.exceptions.RayError as error:
        return WorkerLost(" ".join(str(error).split("\n")[0].split()))


class _Capacity:
    """How many batches may be out; counts processors repeatedly, as clusters grow and shrink."""

    def __init__(self, ray: Any) -> None:
        self._ray, self._counted_at, self._limit = ray, -RECOUNT, 1

    def now(self) -> int:
        if time.monotonic() - self._counted_at >= RECOUNT:
            self._counted_at = time.monotonic()
            self._limit = AHEAD * processors(self._ray)
        return self._limit
