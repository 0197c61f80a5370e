"""From a CSV of accelerometer data to live labels on stdin: what the README shows, run.

With fewer people and epochs than there, so figures are no matter here.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiocnn.cli.main import main
from audiocnn.datasets.manifest import labels_of, read_manifest
from audiocnn.io.signals.reader import SignalReadOptions, open_signal

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "scripts/make_demo_signals -o signals",
    "audiocnn check signals/people --labels activity",
    "audiocnn train signals/people --labels activity --window 2 --folds 1 -o activity",
    "audiocnn evaluate signals/new --labels activity --model activity",
    "audiocnn verify signals/new/mia.csv --model activity",
    "audiocnn label signals/new --model activity -o events.csv",
    "cat signals/new/mia.csv | audiocnn listen --input - --format csv --model activity",
)


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "signals"
    script = [sys.executable, ROOT / "scripts" / "make_demo_signals", "-o", folder]
    subprocess.run([*script, "--people", "4"], check=True, capture_output=True)
    return folder


def test_the_readme_runs(signals, monkeypatch, capfd):
    monkeypatch.chdir(signals.parent)
    for command in COMMANDS[1:-1]:
        words = shlex.split(command)[1:]
        if words[0] == "train":
            words += ["--epochs", "1", "--no-report"]
        assert main(words) == 0, (command, capfd.readouterr().err)
    table = Path("events.csv").read_text().splitlines()
    assert table[0] == "path,start,end,label,score"
    pipe, _, listen = COMMANDS[-1].partition(" | ")
    live = subprocess.run(
        [sys.executable, "-m", *shlex.split(listen), "--json"],
        input=Path(shlex.split(pipe)[1]).read_text(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in live.stdout.splitlines()]
    events = sorted(
        f"signals/new/mia.csv,{e['start']:.6f},{e['end']:.6f},{e['label']},{e['score']:.6f}"
        for e in found
        if e["type"] == "event"
    )
    labelled = sorted(row for row in table if "mia.csv" in row)
    assert [row.rpartition(",")[0] for row in events] == [
        row.rpartition(",")[0] for row in labelled
    ]


def test_the_signals_are_what_they_say(signals):
    reading = SignalReadOptions(("x", "y", "z"), labels="activity")
    clips = read_manifest(signals / "people", reading=reading)
    assert labels_of(clips) == ("falling", "running", "standing", "walking")
    still, loudest = {}, {}
    for path in sorted((signals / "people").iterdir()):
        with open_signal(path, reading) as signal:
            assert (signal.rate, signal.names) == (50, ("x", "y", "z"))
            force = np.linalg.norm(np.concatenate([*signal.pieces], axis=1), axis=0)
        for clip in clips:
            part = force[round(clip.start * 50) : round((clip.end or 0) * 50)]
            if clip.path == path and clip.labels:
                still.setdefault(clip.labels[0], []).append(part.min())
                loudest.setdefault(clip.labels[0], []).append(part.max())
    assert np.abs(np.median(still["standing"]) - 9.81) < 0.5  # gravity alone
    assert np.median(still["falling"]) < 3  # weightless
    assert np.median(still["running"]) < 3 < np.median(still["walking"])  # both feet in the air
    assert np.median(loudest["falling"]) > 20  # the blow


def test_the_same_command_makes_the_same_signals(signals, tmp_path):
    script = [sys.executable, ROOT / "scripts" / "make_demo_signals", "-o", tmp_path]
    subprocess.run([*script, "--people", "1"], check=True, capture_output=True)
    for name in ("people/anna.csv", "new/otto.csv"):
        assert (tmp_path / name).read_bytes() == (signals / name).read_bytes()
