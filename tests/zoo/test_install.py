"""From published files to an installed model: whole, checked, or not at all."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import audiocnn
from audiocnn.errors import ArgumentError, AudiocnnError, BundleError
from audiocnn.inference.installed import installed_models
from audiocnn.io.files.locks import alone
from audiocnn.zoo import convert, install, registry
from audiocnn.zoo.fetch import FetchError
from audiocnn.zoo.onnx_writer import OnnxWriter
from audiocnn.zoo.registry import Content, Described, Licence, Source
from tests.zoo.reference_mobilenet import MobileNet

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep this test's models apart from the user's."""
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Describe a network with random weights as `random`; gives its published file."""
    torch.manual_seed(0)
    path = tmp_path / "published" / "random.pt"
    path.parent.mkdir()
    torch.save(MobileNet(0.4, 527).state_dict(), path)
    content = Content(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    described = Described(
        "random", "random weights", (Source("random.pt", "http://127.0.0.1:9/random.pt", content),),
        Licence("MIT", True, "nobody"), 527, 896, "none", {"zoo": "onnx"},
    )  # fmt: skip
    monkeypatch.setitem(registry.NETWORKS, "random", described)  # type: ignore[arg-type]
    monkeypatch.setitem(convert.CONVERTERS, "random", convert.convert_mn04)  # type: ignore[arg-type]
    return path


def left_over(cache: Path) -> list[str]:
    """List the files in the cache that belong to no installed model."""
    if not cache.exists():
        return []
    models = cache / "models"
    return sorted(
        str(p.relative_to(cache)) for p in cache.rglob("*")
        if p.is_file() and models not in p.parents
    )  # fmt: skip


def test_installed_network_is_found_by_its_name(published: Path, cache: Path) -> None:
    found = install.install("random", [published.parent])
    assert (found.name, found.new) == ("random", True)
    assert found.folder == cache / "models" / "random"
    assert installed_models() == ["random"]
    bundle = audiocnn.load("random")
    assert len(bundle.labels) == 527
    assert bundle.card["licence"] == "MIT"
    assert bundle.card["calibrated"] is False
    assert (found.folder / "README.md").read_text().startswith("# random weights")
    assert left_over(cache) == []


def test_installed_network_stays_until_it_may_be_replaced(published: Path) -> None:
    first = install.install("random", [published])
    marker = first.folder / "README.md"
    marker.write_text("mine")
    assert not install.install("random", [published]).new
    assert marker.read_text() == "mine"
    assert install.install("random", [published], overwrite=True).new
    assert marker.read_text() != "mine"
    assert len(list(first.folder.parent.iterdir())) == 1


@pytest.mark.parametrize("step", ["gather_files", "convert", "load"])
def test_whatever_fails_leaves_what_was_there(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    install.install("random", [published])
    before = {p: p.read_bytes() for p in (cache / "models").rglob("*") if p.is_file()}

    def fail(*args: object, **how: object) -> None:
        raise BundleError("not today")

    monkeypatch.setattr(install, step, fail)
    with pytest.raises(BundleError, match="not today"):
        install.install("random", [published], overwrite=True)
    assert {p: p.read_bytes() for p in (cache / "models").rglob("*") if p.is_file()} == before
    assert left_over(cache) == []


def test_offline_leaves_nothing(published: Path, cache: Path) -> None:
    with pytest.raises(FetchError, match=r"cannot be reached .*--file"):
        install.install("random")
    assert installed_models() == []
    assert left_over(cache) == []


def test_file_with_another_checksum_is_not_opened(published: Path, cache: Path) -> None:
    content = bytearray(published.read_bytes())
    content[-1000] ^= 1
    published.write_bytes(content)
    with pytest.raises(FetchError, match=r"no file there is random\.pt"):
        install.install("random", [published])
    assert installed_models() == []


def test_network_that_gives_other_scores_than_stored_is_not_installed(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(described: Described, files: convert.Files, folder: Path) -> None:
        convert.convert_mn04(described, files, folder)
        with np.load(folder / "check.npz") as stored:
            np.savez(folder / "check.npz", **{k: stored[k] + 1 for k in stored.files})

    monkeypatch.setitem(convert.CONVERTERS, "random", spoiled)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="damaged"):
        install.install("random", [published])
    assert installed_models() == []


def test_two_processes_do_not_install_the_same(published: Path, cache: Path) -> None:
    (cache / "models").mkdir(parents=True)
    with (
        alone(cache / "models" / "random", "busy"),
        pytest.raises(AudiocnnError, match="another process is installing it"),
    ):
        install.install("random", [published])


def test_what_a_killed_process_left_is_cleared(published: Path, cache: Path) -> None:
    part = cache / "partial" / "random.0000"
    part.mkdir(parents=True)
    (part / "bundle.json").write_text("{}")
    assert installed_models() == []
    install.install("random", [published])
    assert left_over(cache) == []


def test_cache_that_cannot_be_written(published: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "models").write_text("a file")
    with pytest.raises(FetchError, match=r"models: .*AUDIOCNN_CACHE; nothing was installed"):
        install.install("random", [published])


def test_missing_package_is_named_before_anything_is_fetched(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name)
    )
    with pytest.raises(BundleError, match=r"needs the package onnx: pip install 'audiocnn\[zoo\]'"):
        install.install("random", [published])
    assert not cache.exists()


def test_graph_cannot_be_built_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BundleError, match=r"pip install 'audiocnn\[zoo\]'"):
        OnnxWriter("none")


def test_unknown_network() -> None:
    with pytest.raises(
        ArgumentError, match=r"no network 'yamnett' is known \(did you mean 'yamnet'"
    ):
        install.install("yamnett")


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", ".hidden", "x" * 61, "con fig"])
def test_names_that_are_no_folders(name: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be the name of a model"):
        install.check_name(name)


def test_name_of_a_shipped_model_is_taken() -> None:
    with pytest.raises(ArgumentError, match="'digits' is the name of a model that ships"):
        install.check_name("digits")


def test_removed_model_is_gone(published: Path, cache: Path) -> None:
    install.install("random", [published])
    install.remove("random")
    assert installed_models() == []
    assert left_over(cache) == []
    with pytest.raises(ArgumentError, match="no model 'random' is installed: installed are: none"):
        install.remove("random")
    with pytest.raises(ArgumentError, match="it ships with the package and stays"):
        install.remove("digits")


def test_state_dict_is_converted_without_torch(real_models: Path, cache: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from audiocnn.zoo.torch_file import read_state_dict\n"
        "from audiocnn.zoo.mobilenet import build_mobilenet\n"
        f"path = {str(real_models / 'mn04_as_mAP_432.pt')!r}\n"
        "print(len(build_mobilenet(read_state_dict(path), 128)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 3_000_000
