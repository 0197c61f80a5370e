"""Many processors of one machine: the same function over the same tasks, in processes.

A process that dies (a decoder that crashes, the kernel short of memory, someone's kill)
costs the task that it was at, not the job: the task is tried again, and given up when it
has killed `TRIES` of them. A task that takes longer than it may is ended and given up.
When the job itself is killed, its workers end by themselves within a moment.

    driver   two tasks ahead for each worker: one at work, one waiting
    worker   result = function(shared, task)
    driver   (task, result) as they come back, in any order

The form is that of `cluster`, so that a job need not know on what it runs.
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

from audiocnn.labeling.tasks import Lost

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

TRIES = 3  # workers that a task may cost
AHEAD = 2  # tasks with a worker: one at work, one waiting
LOOK = 0.25  # seconds between two looks at the clock
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_on_workers(
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Iterable[Task],
    n_workers: int,
    *,
    limit: Callable[[Task], float] = lambda task: float("inf"),
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Task, Result | Lost]]:
    """Run a function over tasks in processes of this machine.

    Parameters
    ----------
    function
        At the top of a module. What it raises ends the run.
    shared
        Goes to each process once.
    tasks
        Taken as they are needed.
    n_workers
        Processes, of one thread each.
    limit
        Seconds that a task may take.
    stopped
        Asked often; once it says yes, nothing new is begun, and the run ends with
        what is at work.

    Yields
    ------
    task, result
        As they are done. A task is done once; it may have been begun several times.
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
                    yield task, Lost(result.reason)
                elif isinstance(result, _Died):
                    again.append((task, tried + result.blame))
                else:
                    yield task, result
    finally:
        pool.close()


_END: Any = object()


@dataclass(frozen=True)
class _Died:
    """A worker is gone; ``blame`` says whether it was at this task, which has so many tries."""

    reason: str
    blame: bool
    tries: int = TRIES


@dataclass(frozen=True)
class _Raised:
    """What a task raised; an error that it gives back is a result like any other."""

    error: Exception


@dataclass
class _Worker:
    process: Any
    pipe: Any
    tasks: collections.deque[tuple[Any, int]] = field(default_factory=collections.deque)
    since: float = 0.0  # when it began what it is at

    def give(self, task: Any, tried: int) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append((task, tried))
        with contextlib.suppress(OSError):  # it is gone; `collect` will see
            self.pipe.send(task)


class _Pool:
    """Processes, each with a pipe; begun when they are needed."""

    def __init__(self, function: Any, shared: Any, n: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.function, self.shared, self.n = function, shared, n
        self.workers: list[_Worker] = []

    def busy(self) -> bool:
        return any(worker.tasks for worker in self.workers)

    def free(self, room: int) -> _Worker | None:
        """Give the worker with least to do, if it has room; a new one while there may be more."""
        if len(self.workers) < self.n and all(worker.tasks for worker in self.workers):
            self.workers.append(self._begin())
        least = min(self.workers, key=lambda worker: len(worker.tasks))
        return least if len(least.tasks) < room else None

    def take_back(self) -> None:
        """Forget the tasks that are not at work; their results are not waited for."""
        for worker in self.workers:
            while len(worker.tasks) > 1:
                worker.tasks.pop()

    def collect(self, limit: Callable[[Any], float]) -> list[tuple[Any, Any, int]]:
        """Wait a little for results, deaths and overtime."""
        found: list[tuple[Any, Any, int]] = []
        ready = connection.wait([worker.pipe for worker in self.workers], LOOK)
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
        """End all processes at once; what they were at is of no use any more."""
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
        """Take a worker's tasks from it; the first is to blame, the others had not begun."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        died = (reason, 1) if reason else (_how_it_died(worker.process.exitcode), TRIES)
        tasks = [(task, _Died(died[0], at == 0, died[1]), tried)
                 for at, (task, tried) in enumerate(worker.tasks)]  # fmt: skip
        worker.tasks.clear()
        return tasks


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"its process was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"its process was ended by signal {-code}"
    return f"its process ended with status {code}"


def _serve(pipe: Any, function: Callable[[Any, Any], Any], shared: Any) -> None:
    """Do tasks until the pipe is closed; the life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver says when to end
    _die_with_parent()
    try:
        while True:
            task = pipe.recv()
            try:
                result = function(shared, task)
            except Exception as error:
                result = _Raised(error)
            pipe.send(result)
    except (EOFError, OSError):  # nobody is there any more
        return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
