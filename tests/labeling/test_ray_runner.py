"""Ray: two nodes on this machine, one of them killed; tasks that kill their worker."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audiocnn.cli.main import main
from audiocnn.cli.progress import Progress
from audiocnn.errors import AudiocnnError, BundleError, DeviceError
from audiocnn.inference.bundle import load
from audiocnn.labeling.ray_runner import connected, label_on_cluster, run_on_cluster
from audiocnn.labeling.tasks import (
    LabelJob,
    NotVisible,
    WorkerJob,
    WorkerLost,
    model_files,
    task_of,
)

ROOT = Path(__file__).parents[2]

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings


def test_no_cluster() -> None:  # before there is one
    message = r"no Ray cluster at 'auto' .*`ray start --head --disable"
    with pytest.raises(DeviceError, match=message), connected("auto"):
        pass


class TwoNodes:
    """A cluster whose second node can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        self._second: Any = None
        self.address = self._cluster.address

    def be_two(self) -> None:
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=1)

    def kill_one(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def shutdown(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def machine() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.shutdown()


@pytest.fixture
def cluster(machine: TwoNodes) -> TwoNodes:
    machine.be_two()
    return machine


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
    monkeypatch.setattr("audiocnn.labeling.ray_runner.RETRIES", 1)  # each takes a second
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
    assert isinstance(lost, WorkerLost)
    assert found == {n: n * n for n in range(60) if n != 13}


def test_what_a_task_raises_ends_the_run(cluster: TwoNodes, tmp_path: Path) -> None:
    with connected(cluster.address) as ray, pytest.raises(ValueError, match="no such number"):
        list(run_on_cluster(ray, work, str(tmp_path), [1, 666, 2]))


def test_versions_must_agree(
    cluster: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.labeling.ray_runner.__version__", "99")
    with connected(cluster.address) as ray, pytest.raises(AudiocnnError, match="begun with 99"):
        list(run_on_cluster(ray, work, str(tmp_path), [1]))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of links to the demo, and one that is no recording."""
    folder = tmp_path_factory.mktemp("recordings")
    for n in range(24):
        (folder / f"{n:02d}.flac").symlink_to(ROOT / "data" / "demo.flac")
    (folder / "10.wav").write_text("this is no recording, and long enough to be seen as text")
    return folder


def test_the_table_is_that_of_one_machine(
    cluster: TwoNodes, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "audiocnn.labeling.ray_runner.BATCH_BYTES", (0, 1)
    )  # each alone: more to lose
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    paths = [str(recordings), f"file://{recordings}/10.flac"]
    assert main(["label", *paths, "-o", str(one)]) == 1
    seen = 0
    finished = Progress.finished

    def finish_and_kill(progress: Progress, seconds: float, error: str = "") -> None:
        nonlocal seen
        seen += 1
        if seen == 6:
            cluster.kill_one()
        finished(progress, seconds, error)

    monkeypatch.setattr(Progress, "finished", finish_and_kill)
    monkeypatch.chdir(recordings)  # the nodes are elsewhere, and yet find what is named so
    there = [os.path.relpath(paths[0]), paths[1]]
    assert main(["label", *there, "-o", str(many), "--cluster", cluster.address]) == 1
    assert seen == 26
    told = many.read_text().replace("path,", "").splitlines()
    expected = one.read_text().replace(f"\n{recordings}/", "\n").replace("path,", "").splitlines()
    assert told == expected
    assert len(told) > 100


def test_recordings_that_nodes_cannot_read(
    cluster: TwoNodes, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.csv")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    paths = [str(recordings / "10.wav"), "file:///nowhere/x.wav"]
    assert main(["label", *paths, "-o", out, "--cluster", cluster.address]) == 1
    err = capsys.readouterr().err
    assert f"{recordings}/10.wav is text, not sound" in err
    assert "no such file or folder: file:///nowhere/x.wav" in err
    assert main(["label", *paths, "--cluster", cluster.address, "--windows", "w.csv"]) == 2
    assert "written by one process as it goes: not with --cluster" in capsys.readouterr().err


def test_a_folder_that_nodes_do_not_share(
    cluster: TwoNodes, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocnn.labeling.tasks.os.path.abspath", lambda path: f"/nowhere/{path}")
    task = task_of(recordings / "01.flac")
    with connected(cluster.address) as ray:
        job = WorkerJob(LabelJob(None, load("environment").rules), model_files("environment"))
        ((_, result),) = label_on_cluster(ray, job, [task])
        assert isinstance(result, NotVisible), "it is not here either"
        exists = Path.exists
        monkeypatch.setattr(
            Path, "exists", lambda path: str(path).startswith("/nowhere/") or exists(path)
        )
        with pytest.raises(AudiocnnError, match=r"the node .* does not see /nowhere/.*: share"):
            list(label_on_cluster(ray, job, [task]))


def test_a_model_that_is_damaged_on_its_way(cluster: TwoNodes, recordings: Path) -> None:
    files = model_files("environment")
    files["graph.onnx"] = files["graph.onnx"][:-1]
    task = task_of(recordings / "01.flac")
    with connected(cluster.address) as ray, pytest.raises(BundleError, match=r"graph\.onnx"):
        list(
            label_on_cluster(
                ray, WorkerJob(LabelJob(None, load("environment").rules), files), [task]
            )
        )


@pytest.mark.parametrize("name", ["waveform", "frames-head"])
def test_networks_with_an_input_window_and_heads(
    cluster: TwoNodes, windowed_folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    args = ["label", str(ROOT / "data"), "--model", str(windowed_folders[name]), "--hop", "0.3"]
    assert main([*args, "-o", str(one)]) == 0
    assert main([*args, "-o", str(many), "--cluster", cluster.address]) == 0
    assert many.read_text() == one.read_text()
    assert len(one.read_text().splitlines()) > 2
