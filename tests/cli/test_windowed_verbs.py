"""Every verb with networks that have an input window, and with heads."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.inference.bundle import CLIPS
from audiocnn.labeling.tasks import model_files
from tests.bundles import LABELS, N_EMBEDDINGS

RATE = 8000
NAMES = ("frames", "waveform", "frames-head", "several-head")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Make a folder of class folders with swelling noise of several levels."""
    root = tmp_path_factory.mktemp("clips")
    for number, label in enumerate(LABELS):
        (root / label).mkdir()
        for k in range(4):
            rng = np.random.default_rng(10 * number + k)
            n = 3 * RATE + 1000 * k
            swell = np.sin(np.linspace(0, 3 + number, n)) * 10 ** -(number * 0.7)
            soundfile.write(root / label / f"{k}.wav", swell * rng.uniform(-1, 1, n) / 2, RATE)
    return root


@pytest.fixture(params=NAMES)
def model(request, windowed_folders) -> str:
    return str(windowed_folders[request.param])


def run(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> str:
    assert main([str(arg) for arg in args]) == code
    return capsys.readouterr().out


def test_verify(recordings, model, capsys):
    out = run(capsys, "verify", recordings, "--model", model)
    assert "good: largest difference" in out


def test_label_with_a_ledger_is_label_without(recordings, model, tmp_path, capsys):
    out = run(capsys, "label", recordings, "--model", model, "--hop", 0.3)
    run(capsys, "label", recordings, "--model", model, "--hop", 0.3, "-o", tmp_path / "e.csv",
        "--workers", 2)  # fmt: skip
    kept = (tmp_path / "e.csv").read_text()
    assert len(out.splitlines()) > 3
    assert sorted(kept.splitlines()) == sorted(out.splitlines())


def test_windows_and_frames(recordings, model, tmp_path, capsys):
    path = recordings / "bell" / "0.wav"
    run(capsys, "label", path, "--model", model, "-o", tmp_path / "e.csv",
        "--windows", tmp_path / "w.csv", "--frames", tmp_path / "f.csv")  # fmt: skip
    bundle = audiocnn.load(model)
    runs = list(audiocnn.listen(bundle, audiocnn.read_blocks(path, RATE)))
    expected = np.concatenate([r.values for r in runs], axis=1)
    with (tmp_path / "w.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = np.array([[float(row[label]) for row in rows] for label in LABELS])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    pooled_together = bundle.head is not None and bundle.head.pooling == "concat"
    with (tmp_path / "f.csv").open() as file:
        assert bool(list(csv.DictReader(file))) is not pooled_together


def test_listen_gives_the_events_of_label(recordings, model, capsys):
    path = recordings / "frog" / "3.wav"
    out = run(capsys, "listen", "--input", path, "--model", model, "--json")
    live = [json.loads(line) for line in out.splitlines()]
    events = sorted((m["label"], round(m["start"], 3)) for m in live if m["type"] == "event")
    found = audiocnn.load(model).detect(path)
    assert events == sorted((e.label, round(e.start, 3)) for e in found)


def test_embed(recordings, model, tmp_path, capsys):
    run(capsys, "embed", recordings, "--model", model, "-o", tmp_path / "e.npy")
    assert np.load(tmp_path / "e.npy").shape[1] == N_EMBEDDINGS


def test_evaluate_and_tune(recordings, model, tmp_path, capsys):
    found = json.loads(run(capsys, "evaluate", recordings, "--model", model, "--json"))
    assert found["clips"] == 12
    background = tmp_path / "background"
    background.mkdir()
    rng = np.random.default_rng(9)
    for k in range(4):
        soundfile.write(background / f"{k}.wav", rng.uniform(-0.1, 0.1, 20 * RATE), RATE)
    run(capsys, "tune", recordings, "--model", model, "-o", tmp_path / "tuned",
        "--background", background, "--false-alarms", 60)  # fmt: skip
    tuned, before = audiocnn.load(tmp_path / "tuned"), audiocnn.load(model)
    assert tuned.network == before.network
    assert (tuned.head is None) == (before.head is None)
    assert "tuned" in tuned.card


def test_diff(recordings, model, windowed_folders, capsys):
    out = run(capsys, "diff", model, windowed_folders["frames"], recordings, "--json")
    assert json.loads(out)["recordings"] == 12


def test_info_and_bench(model, capsys):
    told = json.loads(run(capsys, "info", model, "--json"))
    assert told["network"]["kind"] == "windowed"
    run(capsys, "info", model)
    assert main(["bench", "--model", model, "--seconds", "2", "--json"]) in (0, 1)  # 1: loaded
    found = json.loads(capsys.readouterr().out)
    bundle = audiocnn.load(model)
    for row in found["live"]:
        grid = bundle.pipeline(row["hop"]).grid
        assert row["computed"] == pytest.approx(grid.reach / grid.period)
    main(["bench", "--model", model, "--seconds", "2", "--hop", "0.25", "--live"])
    assert "whose windows share nothing" in capsys.readouterr().out


def test_a_model_goes_to_workers_without_the_clips_it_learnt_from(windowed_folders, tmp_path):
    folder = Path(shutil.copytree(windowed_folders["frames-head"], tmp_path / "m"))
    (folder / CLIPS).write_bytes(b"large")
    files = model_files(folder)
    assert {"bundle.json", "graph.onnx", "head.npz", "check.npz"} <= set(files)
    assert CLIPS not in files
