"""A process pool for this machine: the same function over many tasks.

A worker process that dies (a crash in a decoder, the kernel short of memory, a kill from
outside) costs the task it was working on, not the run: the task is tried again, and given
up when it has cost `TRIES` workers. A task that exceeds its time limit is ended and given
up. When the driver is killed, its workers end by themselves within a moment.

    driver   two tasks ahead for each worker: one at work, one waiting
    worker   result = function(shared, task)
    driver   (task, result) as they come back, in any order

`run_on_workers` has the form of `audiocnn.labeling.ray_runner.run_on_cluster`.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, TypeVar

from audiocnn.labeling.tasks import WorkerLost

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

TRIES = 3  # workers that a task may cost
AHEAD = 2  # tasks sent to a worker: one running, one waiting
POLL = 0.25  # seconds between two checks of time limits
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_on_workers(
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Iterable[Task],
    n_workers: int,
    *,
    limit: Callable[[Task], float] = lambda task: float("inf"),
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Task, Result | WorkerLost]]:
    """Run a function over tasks in processes of this machine.

    Parameters
    ----------
    function
        At the top level of a module. An exception ends the run.
    shared
        Its first argument; sent to each process once.
    tasks
        Its second arguments, taken as they are needed.
    n_workers
        Number of processes, of one thread each.
    limit
        Seconds that a task may take.
    stopped
        Called often; once it returns True no task is started, and the run ends when
        the running ones have finished.

    Yields
    ------
    task, result
        In order of completion. A task is completed once; it may be started several times.
    """
    pool = _Pool(function, shared, n_workers)
    waiting: Iterator[Task] = iter(tasks)
    again: collections.deque[tuple[Task, int]] = collections.deque()
    at_end = False
    try:
        while True:
            if stopped():
                at_end = True
                again.clear()
                pool.take_back()
            while not at_end or again:
                worker = pool.free(AHEAD if not again else 1)
                if worker is None:
                    break
                if again:
                    worker.give(*again.popleft())
                    continue
                task = next(waiting, _END)
                if task is _END:
                    at_end = True
                else:
                    worker.give(task, 0)
            if not pool.busy() and at_end and not again:
                return
            for task, result, tried in pool.collect(limit):
                if isinstance(result, _Died) and result.blame and tried + 1 >= result.tries:
                    yield task, WorkerLost(result.reason)
                elif isinstance(result, _Died):
                    again.append((task, tried + result.blame))
                else:
                    yield task, result
    finally:
        pool.close()


_END: Any = object()


@dataclass(frozen=True)
class _Died:
    """A worker died; ``blame``: whether it was running this task, which has so many tries."""

    reason: str
    blame: bool
    tries: int = TRIES


@dataclass(frozen=True)
class _Raised:
    """An exception of a task; an error that it returns is a result like any other."""

    error: Exception


@dataclass
class _Worker:
    process: Any
    pipe: Any
    tasks: collections.deque[tuple[Any, int]] = field(default_factory=collections.deque)
    since: float = 0.0  # when its current task started

    def give(self, task: Any, tried: int) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append((task, tried))
        with contextlib.suppress(OSError):  # it died; `collect` notices
            self.pipe.send(task)


class _Pool:
    """Processes, each with a pipe; started when they are needed."""

    def __init__(self, function: Any, shared: Any, n: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.function, self.shared, self.n = function, shared, n
        self.workers: list[_Worker] = []

    def busy(self) -> bool:
        return any(worker.tasks for worker in self.workers)

    def free(self, room: int) -> _Worker | None:
        """Return the worker with the fewest tasks, if it has room; start one while allowed."""
        if len(self.workers) < self.n and all(worker.tasks for worker in self.workers):
            self.workers.append(self._begin())
        least = min(self.workers, key=lambda worker: len(worker.tasks))
        return least if len(least.tasks) < room else None

    def take_back(self) -> None:
        """Drop the tasks that are not running; their results are not waited for."""
        for worker in self.workers:
            while len(worker.tasks) > 1:
                worker.tasks.pop()

    def collect(self, limit: Callable[[Any], float]) -> list[tuple[Any, Any, int]]:
        """Wait a little for results, deaths and overtime."""
        found: list[tuple[Any, Any, int]] = []
        ready = connection.wait([worker.pipe for worker in self.workers], POLL)
        for worker in list(self.workers):
            if worker.pipe in ready:
                try:
                    result = worker.pipe.recv()
                except (EOFError, OSError):
                    found += self._bury(worker)
                    continue
                if not worker.tasks:  # of a task that was taken back
                    continue
                task, tried = worker.tasks.popleft()
                worker.since = time.monotonic()
                if isinstance(result, _Raised):
                    raise result.error
                found.append((task, result, tried))
            elif worker.tasks and time.monotonic() - worker.since > limit(worker.tasks[0][0]):
                allowed = limit(worker.tasks[0][0])
                found += self._bury(worker, f"took longer than the {allowed:.0f} s it may")
        return found

    def close(self) -> None:
        """Kill all processes; their running tasks are dropped."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def _begin(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
        try:
            process = self.context.Process(
                target=_serve, args=(theirs, self.function, self.shared), daemon=True
            )
            process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()
        return _Worker(process, ours)

    def _bury(self, worker: _Worker, reason: str = "") -> list[tuple[Any, Any, int]]:
        """Remove a worker and return its tasks; only the first had been started."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        died = (reason, 1) if reason else (_exit_reason(worker.process.exitcode), TRIES)
        tasks = [(task, _Died(died[0], at == 0, died[1]), tried)
                 for at, (task, tried) in enumerate(worker.tasks)]  # fmt: skip
        worker.tasks.clear()
        return tasks


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"its process was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"its process was ended by signal {-code}"
    return f"its process ended with status {code}"


def _serve(pipe: Any, function: Callable[[Any, Any], Any], shared: Any) -> None:
    """Run tasks until the pipe is closed: the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when to end
    _die_with_parent()
    try:
        while True:
            task = pipe.recv()
            try:
                result = function(shared, task)
            except Exception as error:
                result = _Raised(error)
            pipe.send(result)
    except (EOFError, OSError):  # the driver is gone
        return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
