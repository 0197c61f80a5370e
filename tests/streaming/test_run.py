"""Live listening over a long time, under load, and killed: run as its user runs it."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import audiocnn
from audiocnn.streaming.benchmark import material, measure_hop

HERE = Path(__file__).parents[2]
DEMO = HERE / "data" / "demo.flac"


def run(*command: Any) -> subprocess.CompletedProcess:
    line = [sys.executable, *map(str, command)]
    return subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)


def test_an_hour_wears_nothing_out():
    done = run(HERE / "scripts" / "soak", "--hours", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "172,800,000 samples" in done.stdout


def test_keeping_up_is_measured(bundle_folders):
    cost = measure_hop(audiocnn.load(bundle_folders["cnn1d"]), 0.5, seconds=2.0)
    assert cost.load > 0
    assert cost.worst > 0
    done = run("-m", "audiocnn", "bench", "--live", "--hop", 0.5, "--seconds", 2, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["live"][0]["sustained"] else 1)
    assert told["live"][0]["hop"] == 0.5
    assert told["recordings_times_real_time"] is None


def test_what_is_heard_comes_from_its_seed(bundle_folders):
    bundle = audiocnn.load(bundle_folders["cnn1d"])
    once, again, other = (material(bundle, 1, 8000, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_a_killed_session_leaves_a_good_database(tmp_path):
    (tmp_path / "s.toml").write_text("[listen]\nheartbeat = 0.2\n[sqlite]\npath = 'a.db'\n")
    tool = [sys.executable, "-m", "audiocnn", "listen", "--settings", str(tmp_path / "s.toml")]
    samples, rate = soundfile.read(DEMO, dtype="float32")
    feed = [*tool, "--input", "-", "--rate", str(rate), "--format", "f32", "--json"]
    process = subprocess.Popen(feed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin
    assert process.stdout
    process.stdin.write(samples[: 30 * rate].tobytes())  # no end: the stream goes on
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    lines += [json.loads(line) for line in rest.splitlines() if line.endswith(b"}")]
    with sqlite3.connect(tmp_path / "a.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = dict(database.execute("SELECT id, label FROM events"))
        ((ended,),) = database.execute("SELECT ended FROM sessions")
    assert kept == {m["id"]: m["label"] for m in lines if m["type"] in ("onset", "event")}
    assert ended is None  # the next one to look knows that it was killed
