"""Ray: two nodes on this machine, one of them killed; tasks that kill their worker."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audiocnn.errors import AudiocnnError, DeviceError
from audiocnn.labeling.cluster import Lost, connected, run_on_cluster

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings


def test_no_cluster() -> None:  # before there is one
    message = r"no Ray cluster at 'auto' .*`ray start --head`"
    with pytest.raises(DeviceError, match=message), connected("auto"):
        pass


class TwoNodes:
    """A cluster whose second node can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        self._second = self._cluster.add_node(num_cpus=1)
        self.address = self._cluster.address

    def kill_one(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.shutdown()


def work(folder: str, task: int) -> int:
    """Leave a trace, take a while, and die of 13."""
    with Path(folder, "trace").open("a") as file:
        file.write(f"{task} {os.getppid()}\n")
    if task == 13:
        os._exit(1)
    if task == 666:
        raise ValueError("no such number")
    time.sleep(0.05)
    return task * task


def test_one_node_is_killed_and_nothing_is_lost(
    cluster: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.labeling.cluster.RETRIES", 1)  # each takes a second
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for n in range(60):
            taken += 1
            yield n

    found: dict[int, Any] = {}
    with connected(cluster.address) as ray:
        done = run_on_cluster(ray, work, str(tmp_path), tasks(), heavy=2.0)
        for task, result in done:
            assert task not in found, "each is done once"
            found[task] = result
            assert taken <= len(found) + 2 * (2 * 3 + 1), "only so many are away"
            if len(found) == 20:
                nodes = {line.split()[1] for line in (tmp_path / "trace").read_text().splitlines()}
                assert len(nodes) == 2, "both nodes work"
                cluster.kill_one()
    lost = found.pop(13)
    assert isinstance(lost, Lost)
    assert found == {n: n * n for n in range(60) if n != 13}


def test_what_a_task_raises_ends_the_run(cluster: TwoNodes, tmp_path: Path) -> None:
    with connected(cluster.address) as ray, pytest.raises(ValueError, match="no such number"):
        list(run_on_cluster(ray, work, str(tmp_path), [1, 666, 2]))


def test_versions_must_agree(
    cluster: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.labeling.cluster.__version__", "99")
    with connected(cluster.address) as ray, pytest.raises(AudiocnnError, match="begun with 99"):
        list(run_on_cluster(ray, work, str(tmp_path), [1]))
