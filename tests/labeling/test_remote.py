import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiocnn.errors import AudiocnnError, AudioError
from audiocnn.inference.bundle import load
from audiocnn.labeling.label import LabelResult, Observers, with_threshold
from audiocnn.labeling.remote import find_remote, is_url, local_copy
from audiocnn.labeling.tasks import LabelJob, label_task, task_of

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    """Give a file system in memory with recordings in it, and what is none."""
    system = fsspec.filesystem("memory")
    soundfile.write(tmp_path / "a.wav", np.zeros(800, np.float32), 8000)
    sound = (tmp_path / "a.wav").read_bytes()
    for name in ("b/2.FLAC", "b/a/1.wav", "b/a/.hidden.wav", "b/.trash/x.wav", "b/notes.txt"):
        system.pipe(f"/bucket/{name}", sound)
    yield system
    system.rm("/bucket", recursive=True)


def test_what_is_a_url() -> None:
    assert all(map(is_url, ["s3://b/x.wav", "file:///x", "MEMORY://x", "github+x://y"]))
    assert not any(map(is_url, ["C:\\x.wav", "c://x", "/x", "a:b.wav", "x.wav", "", "://x"]))


def test_recordings_below_a_url(memory: Any) -> None:
    found = find_remote("memory://bucket/b")
    assert [remote.url for remote in found] == [
        "memory:///bucket/b/2.FLAC", "memory:///bucket/b/a/1.wav",
    ]  # fmt: skip
    assert {remote.size for remote in found} == {memory.size("/bucket/b/2.FLAC")}
    (one,) = find_remote("memory://bucket/b/a/1.wav")
    assert one == found[1]
    memory.pipe("/bucket/b/a/1.wav", b"other")
    (changed,) = find_remote("memory://bucket/b/a/1.wav")
    assert changed.version != one.version
    assert changed.size == 5


def test_files_by_url(tmp_path: Path) -> None:
    (tmp_path / "a b.wav").write_bytes(b"x")
    (found,) = find_remote(f"file://{tmp_path}")
    assert found.url == f"file://{tmp_path}/a b.wav"
    with local_copy(found.url) as there:
        assert there.read_bytes() == b"x"
        assert there.suffix == ".wav"
        assert there != tmp_path / "a b.wav"
    assert not there.exists()


def test_paths_are_not_copied(tmp_path: Path) -> None:
    with local_copy(str(tmp_path / "x.wav")) as there:
        assert there == tmp_path / "x.wav"


def test_copies_are_there_for_as_long(memory: Any) -> None:
    with local_copy("memory://bucket/b/a/1.wav") as there:
        assert soundfile.info(there).frames == 800
    assert not there.parent.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nix", "no such file or folder: memory://nix"),
        ("memory://bucket/b/notes.txt/x", "no such file or folder"),
        ("nix://b/x.wav", r"nix://b/x\.wav cannot be fetched: Protocol not known: nix"),
    ],
)
def test_urls_that_lead_nowhere(memory: Any, url: str, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        find_remote(url)


def test_no_recordings(memory: Any) -> None:
    memory.pipe("/bucket/c/notes.txt", b"x")
    with pytest.raises(AudioError, match="no recordings in memory://bucket/c: none of its files"):
        find_remote("memory://bucket/c")


def test_recordings_that_are_gone(memory: Any) -> None:
    message = r"no such file or folder: memory://bucket/gone\.wav"
    with pytest.raises(AudioError, match=message), local_copy("memory://bucket/gone.wav"):
        pass


def test_a_connection_that_breaks(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(type(memory), "get_file", fail)
    url = "memory://bucket/b/a/1.wav"
    message = r"memory://bucket/b/a/1\.wav cannot be fetched: .*Connection reset by peer"
    with pytest.raises(AudioError, match=message), local_copy(url):
        pass


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(AudiocnnError, match=r"pip install 'audiocnn\[remote\]'"):
        find_remote("memory://bucket")


def test_without_the_package_of_a_bucket() -> None:
    if importlib.util.find_spec("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(AudiocnnError, match=r"s3://bucket/x: .*s3fs"):
        find_remote("s3://bucket/x")


def test_results_of_a_copy_name_its_url(memory: Any, bundle_folders: dict[str, Path]) -> None:
    bundle = load(bundle_folders["cnn1d"])
    job = LabelJob(None, with_threshold(bundle.rules, 0.001))
    heard: list[str] = []
    observers = Observers(progress=lambda name, *_: heard.append(name))
    url = "memory://bucket/b/a/1.wav"
    good = label_task(bundle, job, task_of(url), observers)
    assert isinstance(good, LabelResult)
    assert {good.path, *heard} == {url}
    assert {event.source for event in good.events} <= {url}
    memory.pipe("/bucket/b/bad.wav", b"this is no recording, and long enough to be seen as text")
    bad = label_task(bundle, job, task_of("memory://bucket/b/bad.wav"))
    assert isinstance(bad, LabelResult)
    assert bad.error.startswith("memory://bucket/b/bad.wav is text, not sound")
