"""A bundle carries everything, checks itself, and refuses what is damaged or unsafe."""

import dataclasses
import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import audiocnn
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.bundle import CHECKED_FILES, checksum, grid_of
from audiocnn.inference.bundle_writer import save
from audiocnn.inference.installed import shipped_models
from audiocnn.inference.windows import Calibration
from audiocnn.io.audio.blocks import Block


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

    from audiocnn.training.pack import load_network
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
    with pytest.raises(
        BundleError, match=rf"{re.escape(str(path))}: {said}.*install the model again"
    ):
        audiocnn.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a bundle's description"),
        ("\x00\x01", "cannot be read"),
        ('{"format": 3}', "has format 3, this version of audiocnn reads up to 2.*pip install -U"),
        ('{"format": 1}', "missing required field `labels`"),
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
        ({"calibration": {"slope": [1, 1, 1]}}, r"`offset` - at `\$.calibration`"),
        ({"rules": {"bell": {"on": 2}, "frog": {}, "saw": {}}}, "a rule needs 0 < off"),
        ({"network": {"kind": "streaming"}}, "network must have receptive_field and stride"),
        ({"network": {"receptive_field": 2, "stride": 4}}, "install the model again|ONNX Runtime"),
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
    general = name == "sounds"  # that others are trained on: wider
    assert sum(f.stat().st_size for f in folder.iterdir()) < (4_000_000 if general else 2_000_000)
    assert bundle.network.details["parameters"] <= (500_000 if general else 250_000)
    assert bundle.network.details["mmac_per_second"] <= (25 if general else 16)
    assert "CC BY" in (folder / "README.md").read_text()


def test_the_general_model_gives_embeddings_for_others_to_be_trained_on():
    bundle = audiocnn.load("sounds")
    assert len(bundle.labels) >= 20
    assert {"speech", "music", "dog", "bird"} <= set(bundle.labels)
    samples = np.random.default_rng(0).standard_normal(96_000).astype("f4") / 10
    found = list(audiocnn.embed(bundle, [Block(samples, 0, bundle.rate)]))
    assert found[0].values.shape[0] == 288
    assert set(bundle.card["agreement"]) > set(bundle.labels)


def test_all_fields_come_back(bundle_folders):
    from tests.bundles import random_bundle

    for arch, folder in bundle_folders.items():
        loaded = audiocnn.load(folder)
        written = random_bundle(arch, folder.parent / f"{arch}-again")
        for field in dataclasses.fields(loaded):
            if field.name != "name":
                assert getattr(loaded, field.name) == getattr(written, field.name), field.name
        assert loaded.name == arch
        assert checksum(loaded) == checksum(written)


def test_a_loaded_bundle_can_be_saved_and_is_the_same(folder, tmp_path):
    bundle = audiocnn.load(folder)
    save(bundle, tmp_path / "new" / "copy", (folder / "weights.safetensors").read_bytes(), "# Card")
    copy = audiocnn.load(tmp_path / "new" / "copy")
    assert dataclasses.replace(copy, name=bundle.name) == bundle
    assert (tmp_path / "new" / "copy" / "README.md").read_text() == "# Card"
    assert not list(tmp_path.rglob("*.tmp"))


def test_saving_over_a_bundle_replaces_all_of_it(folder):
    bundle = audiocnn.load(folder)
    other = dataclasses.replace(bundle, hop=0.5, calibration=Calibration((1.0,) * 3, (0.5,) * 3))
    save(other, folder, (folder / "weights.safetensors").read_bytes(), "new")
    assert audiocnn.load(folder) == other


def test_an_interrupted_save_leaves_no_bundle_that_loads(folder, tmp_path, monkeypatch):
    """bundle.json comes last: what was written before the power went is no model."""
    bundle = audiocnn.load(folder)
    written, whole = [], Path.replace

    def fail(self: Path, target: Path) -> Path:
        written.append(target.name)
        if target.name == "README.md":
            raise OSError("no space left on device")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save(bundle, tmp_path / "half", b"", "")
    assert "bundle.json" not in written
    with pytest.raises(BundleError, match=r"no bundle\.json"):
        audiocnn.load(tmp_path / "half")


def test_the_checksum_tells_models_apart_that_compute_other_things(folder):
    bundle = audiocnn.load(folder)
    told = {
        checksum(dataclasses.replace(bundle, **change))
        for change in (
            {},
            {"window": 2.0},
            {"labels": ("bell", "frog", "owl"), "rules": dict.fromkeys(("bell", "frog", "owl"))},
            {"calibration": Calibration((1.0,) * 3, (0.0,) * 3)},
            {"front": dataclasses.replace(bundle.front, floor=1e-6)},
            {"model": bundle.model + b" "},
        )
    }
    assert len(told) == 6
    # What does not change a score is no other model.
    assert checksum(dataclasses.replace(bundle, card={}, name="x")) == checksum(bundle)


@pytest.mark.parametrize("off", [2e-4, np.nan])
def test_other_scores_than_stored_are_refused(folder, off):
    with np.load(folder / "check.npz") as stored:
        seed, scores = stored["seed"], stored["scores"]
    assert np.ptp(scores) > 0.01  # a check of something
    for by, good in ((5e-5, True), (off, False)):
        wrong, content = scores.copy(), io.BytesIO()
        wrong[1, -1] += by
        np.savez(content, seed=seed, scores=wrong)
        replace(folder, "check.npz", content.getvalue())
        if good:
            audiocnn.load(folder)
        else:
            with pytest.raises(BundleError, match=r"does not reproduce .*allowed 0\.0001"):
                audiocnn.load(folder)


def test_the_check_is_of_more_than_one_window(folder):
    """Else the tails, which a stream lives by, would not be checked."""
    with np.load(folder / "check.npz") as stored:
        assert stored["scores"].shape[1] >= 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"front": {"kind": "wavelet"}}, "front end 'wavelet' is not known here"),
        ({"front": "raw"}, r"Expected `object`, got `str` - at `\$.front`; install"),
        ({"checksums": []}, r"Expected `object`, got `array` - at `\$.checksums`"),
        ({"checksums": {}}, r"graph\.onnx: is damaged"),
        ({"format": "1"}, "is not a bundle's description"),
        ({"format": 99}, r"has format 99, this version of audiocnn reads up to 2; update it with"),
        ({"labels": []}, "labels must be different and not empty"),
        ({"labels": None}, r"got `null` - at `\$.labels`; install the model again"),
        ({"rules": []}, r"got `array` - at `\$.rules`; install the model again"),
        ({"hop": float("nan")}, "window and hop must be above 0"),
        ({"hop": float("inf")}, "hop must be above 0"),
        ({"calibration": {"slope": [1, 1, float("nan")], "offset": [0, 0, 0]}}, "must be finite"),
        ({"network": {"receptive_field": 9, "stride": 4}}, "does not reproduce its own scores"),
    ],
)
def test_more_descriptions_that_make_no_sense(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(BundleError, match=message):
        audiocnn.load(folder)


def front(**fields) -> dict:
    whole = {"kind": "log-mel", "rate": 8000, "n_fft": 256, "hop": 100, "n_mels": 16,
             "f_min": 50.0, "f_max": 4000.0, "floor": 1e-8}  # fmt: skip
    return {"front": whole | fields}


def test_the_front_end_is_checked_like_any_other(folder):
    change(folder, **front(hop=300))
    with pytest.raises(
        BundleError, match=r"hop must lie between 1 and n_fft.*install the model again"
    ):
        audiocnn.load(folder)
    change(folder, **front(overlap=3))
    with pytest.raises(BundleError, match="unexpected keyword argument 'overlap'"):
        audiocnn.load(folder)
    change(folder, **front())
    audiocnn.load(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"front": None},  # AttributeError
        {"front": [1]},
        {"window": float("inf")},  # OverflowError
        {"network": {"receptive_field": 109, "stride": 0}},  # ZeroDivisionError
        front(n_mels=17),  # ONNX Runtime's InvalidArgument
        {"format": 0},  # loads
        {"format": True},
        front(rate=8000.0),  # loads; soxr and Block want a whole number
    ],
)
def test_whatever_stands_in_a_description_is_refused_as_a_bundle(folder, fields):
    change(folder, **fields)
    with pytest.raises(BundleError):
        audiocnn.load(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive"])
def test_a_check_that_is_no_archive_is_said(folder, content):
    replace(folder, "check.npz", content)
    with pytest.raises(BundleError, match=r"check\.npz"):
        audiocnn.load(folder)


@pytest.mark.parametrize("content", [b"hello", b"\x80\x04\x95pickle"])
def test_a_check_of_another_kind_is_said(folder, content):
    replace(folder, "check.npz", content)
    with pytest.raises(BundleError, match="install the model again"):
        audiocnn.load(folder)


def test_a_check_without_scores_is_said(folder):
    content = io.BytesIO()
    np.savez(content, seed=np.int64(1))
    replace(folder, "check.npz", content.getvalue())
    with pytest.raises(BundleError, match="KeyError: 'scores is not a file in the archive'"):
        audiocnn.load(folder)


def test_weights_of_another_network_are_refused(folder, bundle_folders):
    from audiocnn.training.pack import load_network

    bundle = audiocnn.load(folder)
    with pytest.raises(BundleError, match="the weights do not fit the trunk"):
        load_network(bundle, bundle_folders["cnn2d"])


def test_weights_that_are_none_are_refused(folder):
    from audiocnn.training.pack import load_network

    bundle = audiocnn.load(folder)
    (folder / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(BundleError, match="weights"):
        load_network(bundle, folder)


@pytest.mark.parametrize("name", ["nowhere/to/be/found", "../elsewhere", "bundle.json"])
def test_what_is_neither_a_name_nor_a_folder_is_said(name):
    with pytest.raises(BundleError, match=rf"no model '{re.escape(name)}': give a bundle's folder"):
        audiocnn.load(name)


def test_a_hop_is_checked_and_rounded_to_columns(folder):
    bundle = audiocnn.load(folder)
    assert grid_of(bundle).hop == pytest.approx(0.25)
    assert grid_of(bundle, 0.12).hop == pytest.approx(0.1)  # columns come every 50 ms
    for hop in (-1, 0, float("inf"), float("nan")):
        with pytest.raises(ArgumentError, match=f"hop must be above 0 seconds, got {hop}"):
            grid_of(bundle, hop)


@pytest.mark.parametrize("name", shipped_models() or ["none"])
def test_checksums_are_those_of_earlier_versions(name):
    """Else the ledger of an earlier run would label everything again."""
    from audiocnn.inference.installed import SHIPPED

    described = json.loads((SHIPPED / name / "bundle.json").read_text())
    if described.get("network", {}).get("kind", "streaming") != "streaming":
        pytest.skip("models of other kinds are new")
    fields = ("front", "window", "labels", "calibration")
    what = json.dumps({field: described[field] for field in fields}, sort_keys=True)
    content = what.encode() + (SHIPPED / name / "graph.onnx").read_bytes()
    if not (SHIPPED / name / "head.npz").exists():
        assert checksum(audiocnn.load(name)) == hashlib.sha256(content).hexdigest()


def test_a_bundle_of_format_1_gives_the_scores_of_format_2(folder):
    described = json.loads((folder / "bundle.json").read_text())
    network = described.pop("network")
    spec = {name: network[name] for name in ("receptive_field", "stride")}
    old = described | {"format": 1, "trunk": network["details"] | spec}
    expected = audiocnn.load(folder)
    (folder / "bundle.json").write_text(json.dumps(old))
    found = audiocnn.load(folder)
    assert checksum(found) == checksum(expected)
    assert found.network == expected.network
