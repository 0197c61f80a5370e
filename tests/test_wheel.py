"""What is published: a wheel that labels, with its models in it, wherever it is installed."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_brings_the_models_and_no_torch(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        required = [line for line in content.read(metadata).decode().splitlines()
                    if line.startswith("Requires-Dist:") and "extra ==" not in line]  # fmt: skip
    for model in ("environment", "digits", "sounds"):
        for part in ("bundle.json", "weights.safetensors", "graph.onnx", "check.npz", "README.md"):
            assert f"audiocnn/pretrained/{model}/{part}" in names
    assert not [line for line in required if "torch" in line or "librosa" in line]
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "data/"))]


def test_it_is_small(wheel):
    assert wheel.stat().st_size < 8_000_000


def test_it_labels_from_where_it_is_installed(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "audiocnn", "label", str(ROOT / "data" / "demo.flac")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "clock_tick" in done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import audiocnn; print(audiocnn.__file__)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(tmp_path))
