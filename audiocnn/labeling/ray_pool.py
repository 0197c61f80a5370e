"""Many machines: the same function over the same tasks, on Ray (``audiocnn[cluster]``).

Ray places the work, moves it, and does it again where a node was lost; there is no
scheduler here. What there is here: tasks go out a few at a time for each processor, so
that a million of them need not be in memory; small ones go together, for each trip costs
the driver about a millisecond; and what kills its worker again and again is given up
alone, not with those that shared its trip.

    driver   tasks -> trips of some tasks -> at most AHEAD for each processor
    nodes             function(shared, task) for each task of a trip, on one processor
    driver   <- (task, result) as trips come back, in any order

The driver alone writes anything. Nodes need the same audiocnn and the same Ray, and
see the recordings, in a folder that all share or by URL. Ray's usage reports are off
here, and where a cluster is started with ``ray start --disable-usage-stats``. Ray trusts
whoever reaches its ports: keep them within a network of your own. What a driver bears is
measured by scripts/bench_cluster.
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
from audiocnn.labeling.tasks import Lost

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

AHEAD = 3  # trips for each processor: one at work, the others on their way to it
RETRIES = 3  # of a trip whose worker or node was lost
TICK = 0.5  # seconds that nothing need come back
LOOK = 10.0  # seconds between two looks at how many processors there are


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a cluster; give Ray.

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
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Task, Result | Lost]]:
    """Run a function over tasks on all nodes.

    Parameters
    ----------
    ray
        As `connected` gives it.
    function
        At the top of a module that all nodes have. What it raises ends the run.
    shared
        Goes to each node once.
    tasks
        Taken as they are needed.
    weigh, heavy
        Tasks go together until their weights reach ``heavy``.
    tick
        Called about once a second; what it raises ends the run.

    Yields
    ------
    task, result
        As they are done. A task is done once; it may have been begun several times.

    Raises
    ------
    AudiocnnError
        If a node has another version of audiocnn.
    """
    remote = ray.remote(_work).options(num_cpus=1, max_retries=RETRIES)
    common = ray.put((__version__, function, shared))
    trips = _trips(tasks, weigh, heavy)
    away: dict[Any, tuple[Task, ...]] = {}
    room = _Room(ray)
    try:
        while True:
            for trip in itertools.islice(trips, max(0, room.now() - len(away))):
                away[remote.remote([common], trip)] = trip
            if not away:
                return
            tick()
            for reference in _ready(ray, list(away)):
                trip = away.pop(reference)
                results = _results(ray, reference)
                if not isinstance(results, Lost):
                    yield from zip(trip, results, strict=True)
                elif len(trip) == 1:
                    yield trip[0], results
                else:  # one of them is to blame: alone, each answers for itself
                    trips = itertools.chain([(task,) for task in trip], trips)
    finally:
        for reference in away:
            ray.cancel(reference)


def _work(common: list[Any], tasks: tuple[Task, ...]) -> list[Any]:
    """Do the tasks of a trip, on a node."""
    import ray

    version, function, shared = ray.get(common[0])
    if version != __version__:
        raise AudiocnnError(
            f"this node has audiocnn {__version__}, and the job was begun with {version}: install "
            "one version on all nodes"
        )
    return [function(shared, task) for task in tasks]


def _trips(
    tasks: Iterable[Task], weigh: Callable[[Task], float], heavy: float
) -> Iterator[tuple[Task, ...]]:
    trip: list[Task] = []
    weight = 0.0
    for task in tasks:
        trip.append(task)
        weight += weigh(task)
        if weight >= heavy:
            yield tuple(trip)
            trip, weight = [], 0.0
    if trip:
        yield tuple(trip)


def _ready(ray: Any, references: list[Any]) -> list[Any]:
    """Wait for one to come back, for a while; give all that have."""
    ready, others = ray.wait(references, num_returns=1, timeout=TICK)
    if ready and others:
        ready = ready + ray.wait(others, num_returns=len(others), timeout=0)[0]
    return list(ready)


def _results(ray: Any, reference: Any) -> list[Any] | Lost:
    try:
        found: list[Any] = ray.get(reference)
        return found
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except (ray.exceptions.TaskCancelledError, ray.exceptions.RuntimeEnvSetupError):
        raise
    except ray.exceptions.RayError as error:
        return Lost(" ".join(str(error).split("\n")[0].split()))


class _Room:
    """How many trips may be away; looks at the cluster now and then, for it grows and shrinks."""

    def __init__(self, ray: Any) -> None:
        self._ray, self._looked, self._limit = ray, -LOOK, 1

    def now(self) -> int:
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self._limit = AHEAD * processors(self._ray)
        return self._limit
