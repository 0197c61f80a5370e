"""A bundle carries everything, checks itself, and refuses what is damaged or unsafe."""

import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import audiocnn
from audiocnn.bundle import CHECKED_FILES, checksum, shipped_models
from audiocnn.errors import BundleError


@pytest.fixture
def folder(bundle_folders, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folders["cnn1d"], tmp_path / "model"))


def change(folder: Path, **fields) -> None:
    """Edit bundle.json; with a file's name as key and bytes, the file and its checksum."""
    described = json.loads((folder / "bundle.json").read_text())
    described |= fields
    (folder / "bundle.json").write_text(json.dumps(described))


def replace(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    sums = json.loads((folder / "bundle.json").read_text())["checksums"]
    change(folder, checksums=sums | {name: hashlib.sha256(content).hexdigest()})


def test_what_was_saved_is_loaded(folder):
    bundle = audiocnn.load(folder)
    assert bundle.labels == ("bell", "frog", "saw")
    assert bundle.rate == 8000
    assert bundle.rules["frog"] == audiocnn.EventRule(0.51, 0.5, smooth=0.5)
    assert bundle.calibration.slope == (3.0, 2.0, 4.0)
    assert bundle.card["recipe"]["arch"] == "cnn1d"
    assert len(checksum(bundle)) == 64


def test_the_weights_make_the_same_network(folder):
    import torch

    from audiocnn.training.packing import load_network
    from tests.bundles import random_network

    x = torch.randn(1, 1, 16, 200) - 12
    theirs, ours = load_network(audiocnn.load(folder), folder), random_network("cnn1d")
    torch.testing.assert_close(theirs(x), ours(x))


@pytest.mark.parametrize("name", CHECKED_FILES)
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_each_damaged_file_is_named(folder, name, how):
    path = folder / name
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content[: len(content) // 2] if how == "cut" else content)
    said = "cannot be read" if how == "gone" else "is damaged"
    with pytest.raises(BundleError, match=rf"{re.escape(str(path))}: {said}.*get the model anew"):
        audiocnn.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a bundle's description"),
        ("\x00\x01", "cannot be read"),
        ('{"format": 2}', "has format 2, this version of audiocnn reads up to 1.*pip install -U"),
        ('{"format": 1}', "front end .* is not known here"),
    ],
)
def test_a_bad_description_is_said(folder, text, message):
    (folder / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        audiocnn.load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": ["bell", "frog"]}, "rules must be for the labels"),
        ({"labels": ["bell", "bell", "saw"]}, "labels must be different"),
        ({"window": -1}, "window and hop must be above 0"),
        ({"clip_score": "best"}, "clip_score must be max or mean"),
        ({"calibration": {"slope": [1], "offset": [0]}}, "calibration must have one number per"),
        ({"calibration": {"slope": [1, 1, 1]}}, "TypeError|KeyError"),
        ({"rules": {"bell": {"on": 2}, "frog": {}, "saw": {}}}, "a rule needs 0 < off"),
        ({"trunk": {}}, "KeyError: 'receptive_field'"),
        ({"trunk": {"receptive_field": 2, "stride": 4}}, "get the model anew|ONNX Runtime"),
    ],
)
def test_a_description_that_makes_no_sense_is_said(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(BundleError, match=message):
        audiocnn.load(folder)


def test_a_model_that_gives_other_scores_is_refused(folder):
    change(folder, calibration={"slope": [3.0, 2.0, 4.0], "offset": [0.1, -0.2, 0.01]})
    with pytest.raises(BundleError, match="does not reproduce its own scores on this machine"):
        audiocnn.load(folder)
    assert audiocnn.load(folder, check=False).labels[0] == "bell"


def test_pickles_are_never_opened(folder):
    content = io.BytesIO()
    np.savez(content, seed=np.int64(1), scores=np.array([{"a": 1}], dtype=object))
    replace(folder, "check.npz", content.getvalue())
    with pytest.raises(BundleError, match="allow_pickle"):
        audiocnn.load(folder)


def test_a_graph_with_outside_data_is_refused_before_it_is_opened(folder, monkeypatch):
    onnx = pytest.importorskip("onnx")
    import onnxruntime

    model = onnx.load_from_string((folder / "graph.onnx").read_bytes())
    onnx.save_model(
        model, folder / "outside.onnx", save_as_external_data=True, location="passwords.bin",
        size_threshold=0,
    )  # fmt: skip
    replace(folder, "graph.onnx", (folder / "outside.onnx").read_bytes())
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    with pytest.raises(BundleError, match=r"reads another file .*passwords.bin.* is refused"):
        audiocnn.load(folder)


def test_a_graph_that_is_none_is_said(folder):
    replace(folder, "graph.onnx", b"\x0a\x05hello")
    with pytest.raises(BundleError, match="ONNX Runtime cannot open the graph"):
        audiocnn.load(folder)
    replace(folder, "graph.onnx", b"\x0f" * 50)
    with pytest.raises(BundleError, match="unknown type"):
        audiocnn.load(folder)


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(BundleError, match=r"no model 'enviroment' .did you mean 'environment'"):
        audiocnn.load("enviroment")


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(BundleError, match=r"no bundle\.json, so this is no model's folder"):
        audiocnn.load(tmp_path)


@pytest.mark.parametrize("name", shipped_models() or ["none"])
def test_the_shipped_models_load_and_are_small(name):
    bundle = audiocnn.load(name)
    folder = Path(audiocnn.__file__).parent / "pretrained" / name
    assert sum(f.stat().st_size for f in folder.iterdir()) < 2_000_000
    assert bundle.trunk["parameters"] <= 250_000
    assert "CC BY" in (folder / "README.md").read_text()
