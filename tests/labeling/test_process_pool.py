"""Processes that do tasks: results in any order, deaths that cost no other task."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audiocnn.errors import BundleError
from audiocnn.labeling.process_pool import run_on_workers
from audiocnn.labeling.tasks import WorkerLost

ROOT = Path(__file__).parents[2]


def work(shared: str, task: int | str) -> str:
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "exit":
        os._exit(3)
    if task == "hang":
        with open(shared, "a") as log:
            log.write("begun\n")
        time.sleep(1000)
    if task == "give":
        return BundleError("a result")  # type: ignore[return-value]
    if task == "raise":
        raise BundleError("no such model")
    if isinstance(task, str) and task.startswith("once:"):  # dies the first time
        mark = Path(task.removeprefix("once:"))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return f"{shared} {task} by {os.getpid()}"


def test_every_task_is_done_once_by_several():
    found = list(run_on_workers(work, "hello", range(40), 2))
    assert sorted(task for task, _ in found) == list(range(40))
    assert all(result.startswith(f"hello {task} by ") for task, result in found)
    assert 1 <= len({result.split()[-1] for _, result in found}) <= 2
    assert str(os.getpid()) not in {result.split()[-1] for _, result in found}


def test_what_kills_its_workers_is_given_up_and_costs_nothing_else():
    found = dict(run_on_workers(work, "x", [1, "die", 2, 3, "exit", 4], 2))
    assert isinstance(found["die"], WorkerLost)
    assert found["die"].reason == "its process was ended by SIGKILL"
    assert found["exit"] == WorkerLost("its process ended with status 3")
    assert [type(found[k]) for k in (1, 2, 3, 4)] == [str] * 4


def test_what_died_once_is_done_again(tmp_path):
    task = f"once:{tmp_path / 'mark'}"
    ((_, result),) = run_on_workers(work, "x", [task], 1)
    assert result.startswith("x once:")


def test_what_hangs_is_ended_and_not_tried_again(tmp_path):
    log = str(tmp_path / "log")
    begin = time.monotonic()
    Path(log).touch()
    limits = {"hang": 3, 1: 300}  # seconds, the start of the process included
    found = dict(run_on_workers(work, log, ["hang", 1], 2, limit=limits.__getitem__))
    assert found["hang"] == WorkerLost("took longer than the 3 s it may")
    assert found[1].startswith(f"{log} 1")
    assert Path(log).read_text() in ("begun\n", "")
    assert time.monotonic() - begin < 60


def test_what_is_raised_ends_it():
    with pytest.raises(BundleError, match="no such model"):
        list(run_on_workers(work, "x", ["raise"], 1))


def test_an_error_that_is_given_back_is_a_result():
    found = dict(run_on_workers(work, "x", [1, "give", 2], 2))
    assert set(found) == {1, 2, "give"}
    assert isinstance(found["give"], BundleError)


def test_once_stopped_nothing_new_is_begun():
    begun = []

    def tasks():
        for k in range(1000):
            begun.append(k)
            yield k

    found = []
    for task, _ in run_on_workers(work, "x", tasks(), 2, stopped=lambda: len(found) >= 3):
        found.append(task)
    assert 3 <= len(found) <= 8
    assert len(begun) <= 12


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into /proc")
def test_workers_end_with_their_parent():
    script = (
        "from audiocnn.labeling.process_pool import run_on_workers\n"
        "from tests.labeling.test_process_pool import work\n"
        "if __name__ == '__main__':\n"
        "    for _, r in run_on_workers(work, '/dev/null', [1, 'hang', 'hang'], 2):\n"
        "        print(r.split()[-1], flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}").exists()
