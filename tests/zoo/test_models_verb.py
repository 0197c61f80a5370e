"""`audiocnn models` and `info` on networks of others, as a user calls them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiocnn.cli.main import main
from audiocnn.inference.bundle import load
from audiocnn.zoo import catalogue, cost
from tests.zoo.test_add import LABELS, network


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Add a small network as `net`."""
    path = network(tmp_path / "Net 1.onnx")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS))
    how = ["--sample-rate", "8000", "--labels", str(labels), "--licence", "CC BY-NC 4.0"]
    assert main(["models", "add", str(path), *how, "--non-commercial"]) == 0
    out, err = capsys.readouterr()
    assert out.strip().endswith("cache/models/net-1")
    assert "net-1: 3 classes, about" in err
    assert "audiocnn label RECORDING --model net-1" in err
    assert "not calibrated" in err
    assert "--backbone net-1" in err
    return "net-1"


def test_list_has_shipped_installed_and_available(
    added: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    states = {line.split()[0]: line.split()[1] for line in out.splitlines() if "MB" in line}
    shipped = dict.fromkeys(("digits", "environment", "sounds"), "shipped")
    assert states == {**shipped, added: "installed",
                      "mn04": "available", "speech-embedding": "available",
                      "yamnet": "available"}  # fmt: skip
    assert "CC BY-NC 4.0 (!)" in out
    assert "(!) this licence forbids commercial use" in out
    assert "audiocnn models get NAME" in out


def test_list_for_a_program(added: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[added]["labels"] == list(LABELS)
    assert listed[added]["commercial_use"] is False
    assert listed[added]["calibrated"] is False
    assert listed[added]["features"] == 5
    assert listed[added]["times_real_time"] > 0  # measured when it was added
    assert listed["mn04"]["times_real_time"] is None
    assert listed["mn04"]["size"] == 4_066_513
    assert listed["yamnet"]["licence"] == "Apache-2.0"


def test_cost_is_measured_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["models", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["environment"]["times_real_time"] > 1
    monkeypatch.setattr(catalogue, "measure_cost", lambda bundle: 7.5)
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main(["models", "--measure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["environment"]["times_real_time"] == 7.5


def test_damaged_list_of_costs_is_none(cache: Path) -> None:
    cache.mkdir()
    bundle = load("digits", check=False)
    for content in ("{", "[]", '{"a": null}'):
        (cache / "costs.json").write_text(content)
        assert cost.known_cost(bundle) is None


def test_info_states_terms_and_calibration(added: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", added]) == 0
    out = capsys.readouterr().out
    assert "a windowed network, run by ONNX Runtime" in out
    assert "overlapping windows share nothing" in out
    assert "CC BY-NC 4.0" in out
    assert "commercial use is forbidden" in out
    assert "not calibrated until `audiocnn tune`" in out
    assert main(["info", added, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibrated"] is False


def test_added_model_labels_and_verifies(
    added: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = 0.3 * np.random.default_rng(0).standard_normal(16000)
    sf.write(tmp_path / "sound.wav", samples, 8000)
    recording = str(tmp_path / "sound.wav")
    assert main(["label", recording, "--model", added]) == 0
    assert capsys.readouterr().out.startswith("path,start,end,label,score")
    assert main(["verify", recording, "--model", added, "--hop", "0.013"]) == 0


def test_removed_model_is_no_longer_listed(added: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "remove", added]) == 0
    assert main(["models", "--json"]) == 0
    assert added not in json.loads(capsys.readouterr().out)
    assert main(["models", "remove", added]) == 2
    assert "no model 'net-1' is installed" in capsys.readouterr().err


def status_of(arguments: list[str]) -> object:
    """Run the command line; give its exit status, also where argparse ends it."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["get", "mn40"], 2, "no network 'mn40' is known (did you mean 'mn04'?)"),
        (["get", "mn04", "--file", "nowhere"], 1, "nowhere: no such file or folder"),
        (["get"], 2, "the following arguments are required: NAME"),
        (["ged", "mn04"], 2, "did you mean 'get'?"),
        (["add", "nowhere.onnx"], 2, "nowhere.onnx: cannot be read"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["models", *arguments]) == status
    assert message in capsys.readouterr().err


def test_backbone_is_no_model_to_label_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = network(tmp_path / "net.onnx")
    how = ["--sample-rate", "8000", "--scores", "", "--embeddings", "features"]
    assert main(["models", "add", str(path), *how]) == 0
    sf.write(tmp_path / "sound.wav", np.zeros(8000), 8000)
    assert main(["label", str(tmp_path / "sound.wav"), "--model", "net"]) == 2
    assert "net has no classes of its own: it is a backbone" in capsys.readouterr().err
    assert main(["info", "net"]) == 0
    assert "none: a backbone, to train on" in capsys.readouterr().out
