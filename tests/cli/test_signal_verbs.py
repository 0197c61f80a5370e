"""Every verb on signals that are not sound, with networks of random weights: the same path."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn.cli.main import main
from audiocnn.evaluation.stream_check import largest_difference, verify_recording
from audiocnn.io.audio.blocks import Block
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.label import label_recording
from tests.bundles import SIGNAL_FRONTS

KINDS = sorted(SIGNAL_FRONTS)


@pytest.fixture(params=KINDS)
def folder(request, signal_folders):
    return signal_folders[request.param]


@pytest.fixture
def bundle(folder):
    return audiocnn.load(folder)


def signal(front, seconds, seed=0):
    return front.example(round(seconds * front.rate), np.random.default_rng(seed))


def write(path, front, x, *, names="time,z,x,note,y"):
    rows = [f"{k / front.rate:.5f},{z:.7g},{x:.7g},ok,{y:.7g}" for k, (x, y, z) in enumerate(x.T)]
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def lines_of(path):
    return path.read_text().splitlines()


def scores(bundle, blocks):
    return list(audiocnn.listen(bundle, blocks))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_stream_gives_the_scores_of_the_whole(bundle, data):
    front = bundle.front
    n = round(data.draw(st.floats(0.1, 9)) * front.rate)
    x = front.example(n, np.random.default_rng(data.draw(st.integers(0, 9))))
    gaps = sorted(data.draw(st.lists(st.integers(0, n), max_size=2)))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=20)))
    whole, pieces = [], []
    for gap, (a, b) in enumerate(zip([0, *gaps], [*gaps, n], strict=True)):
        whole.append(Block(x[:, a:b], a + gap * 7, front.rate))
        for c, d in zip([a, *(k for k in cuts if a < k < b)], [*(k for k in cuts if a < k < b), b],
                        strict=True):  # fmt: skip
            pieces.append(Block(x[:, c:d], c + gap * 7, front.rate))
    assert largest_difference(scores(bundle, whole), scores(bundle, pieces)) <= 1e-5


def test_the_future_never_changes_the_past(bundle):
    front = bundle.front
    x, y = signal(front, 8), signal(front, 8, seed=1)
    y[:, : round(5 * front.rate)] = x[:, : round(5 * front.rate)]
    one, other = (
        np.concatenate([run.values for run in scores(bundle, [Block(z, 0, front.rate)])], axis=1)
        for z in (x, y)
    )
    n = int((5 - 2.1) / 0.5)
    np.testing.assert_array_equal(one[:, :n], other[:, :n])
    assert not np.array_equal(one, other)


def test_every_channel_counts(bundle):
    front, spread = bundle.front, np.array(bundle.front.scale)[:, None]
    x = signal(front, 4)
    (before, *_) = scores(bundle, [Block(x, 0, front.rate)])
    for k in range(3):
        y = x.copy()
        y[k] += (spread[k] * np.sin(np.arange(x.shape[1]))).astype(np.float32)
        (after, *_) = scores(bundle, [Block(y, 0, front.rate)])
        assert np.abs(before.values - after.values).max() > 1e-4


def test_verify_with_gaps(bundle, tmp_path):
    path = write(tmp_path / "a.csv", bundle.front, signal(bundle.front, 12))
    rows = lines_of(path)
    rows[300] = rows[300].replace("ok", "").replace(rows[300].split(",")[1], "", 1)
    del rows[500:520]
    path.write_text("\n".join(rows))
    found = verify_recording(bundle, path, seed=3, reading=SignalReadOptions(missing="gap"))
    assert found.good
    assert found.windows > 10
    assert verify_recording(bundle, path).error.endswith("to draw a line over it")


def test_all_files_of_a_signal_give_the_same_events(bundle, tmp_path):
    front = bundle.front
    x = signal(front, 6)
    write(tmp_path / "a.csv", front, x)
    np.save(tmp_path / "b.npy", x)
    np.savez(tmp_path / "c.npz", **dict(zip(front.names, x, strict=True)))
    np.savez(tmp_path / "d.npz", X=np.stack([0 * x, x]), names=front.names)
    soundfile.write(tmp_path / "e.wav", x.T, round(front.rate), "FLOAT")
    paths = ["a.csv", "b.npy", "c.npz", "d.npz#1", "e.wav"]
    first, *others = (label_recording(bundle, tmp_path / path) for path in paths)
    assert not first.error
    assert first.events
    assert first.coverage.seconds == pytest.approx(6)
    for other in others:
        assert other.error == ""
        assert [(e.label, e.start, e.end) for e in other.events] == [
            (e.label, e.start, e.end) for e in first.events
        ]
        scores = [e.score for e in other.events]
        assert scores == pytest.approx([e.score for e in first.events], abs=1e-5)


def test_times_are_told_by_a_recording_s_own_clock(folder, bundle, tmp_path, capsys):
    x, pace = signal(bundle.front, 60), 1 + 8e-4
    exact = label_recording(bundle, write(tmp_path / "a.csv", bundle.front, x))
    fast = dataclasses.replace(bundle.front, rate=bundle.front.rate * pace)
    path = write(tmp_path / "b.csv", fast, x)
    found = label_recording(bundle, path)
    assert found.coverage.seconds == pytest.approx(60 / pace, abs=1e-3)
    assert len(found.events) == len(exact.events) > 0
    for event, same in zip(found.events, exact.events, strict=True):
        assert [event.start, event.end] == pytest.approx([same.start / pace, same.end / pace])
    assert verify_recording(bundle, path).good
    assert main(["listen", "--json", "--model", str(folder), "--input", str(path)]) == 0
    live = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ends = sorted(e["end"] for e in live if e["type"] == "event")
    assert ends == pytest.approx(sorted(e.end for e in found.events), abs=1e-3)


def test_coverage_of_what_is_missing(bundle, tmp_path):
    front = bundle.front
    rows = lines_of(write(tmp_path / "a.csv", front, signal(front, 10)))
    lost = slice(round(4 * front.rate) + 1, round(5 * front.rate) + 1)
    del rows[lost]
    rows[-3:] = [",".join([*row.split(",")[:1], "", *row.split(",")[2:]]) for row in rows[-3:]]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    gap = label_recording(bundle, tmp_path / "a.csv", reading=SignalReadOptions(missing="gap"))
    c = gap.coverage
    missing = {s.reason: s for s in c.skipped}["missing"]
    assert c.seconds == pytest.approx(10)
    assert missing.first == pytest.approx(4)
    assert missing.seconds == pytest.approx(1 + 3 / front.rate)
    assert c.scored + sum(s.seconds for s in c.skipped) == pytest.approx(c.seconds)
    line = label_recording(
        bundle, tmp_path / "a.csv", reading=SignalReadOptions(missing="interpolate")
    )
    assert line.coverage.interpolated == pytest.approx(1 + 3 / front.rate)
    assert "missing" not in {s.reason for s in line.coverage.skipped}
    assert line.coverage.scored > 9.5
    refused = label_recording(bundle, tmp_path / "a.csv")
    assert "no value for" in refused.error
    assert 3.5 < refused.coverage.scored <= 4.01


def dataset(tmp_path, front):
    data = tmp_path / "data"
    data.mkdir()
    for k in range(4):
        write(data / f"{k}.csv", front, signal(front, 4, seed=k))
    x = np.stack([signal(front, 3, seed=9 + k) for k in range(3)])
    np.savez(data / "many.npz", X=x, y=["bell", "frog", "saw"])
    return data


def test_label_keeps_a_run(signal_folders, tmp_path, capsys):
    folder = signal_folders["raw"]
    bundle = audiocnn.load(folder)
    data, out = dataset(tmp_path, bundle.front), tmp_path / "events.csv"
    label = ["label", str(data), "--model", str(folder), "-o", str(out)]
    assert main([*label, "--workers", "2"]) == 0
    told = capsys.readouterr().err
    assert "7 recordings, 25.00 s" in told
    table = out.read_text()
    assert f"{data / 'many.npz'}#2," in table
    assert main(label) == 0
    assert "7 of 7 recordings were labelled before" in capsys.readouterr().err
    (tmp_path / "again.csv").unlink(missing_ok=True)
    assert main([*label[:-1], str(tmp_path / "again.csv"), "--by-content"]) == 0
    assert (tmp_path / "again.csv").read_text() == table
    assert main([*label, "--missing", "gap"]) == 1
    assert "missing 'refuse' there, 'gap' now" in capsys.readouterr().err
    assert main(["summary", str(out)]) == 0
    assert main(["clips", str(out), "-o", str(tmp_path / "clips"), "--limit", "2"]) == 0
    rows = lines_of(tmp_path / "clips" / "review.csv")[1:]
    drawn = [tmp_path / "clips" / row.split(",")[0] for row in rows if ".svg," in row]
    heard = [row for row in rows if ".flac," in row]  # of the WAV file
    assert len(drawn) + len(heard) == len(rows)
    assert drawn
    for path in drawn:  # whatever the file is, the three channels of the model
        assert path.read_text().count("<polyline") == 3


def test_series_of_one_file_are_told_apart_by_content(folder, bundle, tmp_path, capsys):
    x = np.stack([signal(bundle.front, 3, seed=k) for k in range(3)])
    np.savez(tmp_path / "a.npz", X=x)
    label = ["label", f"{tmp_path}/a.npz", "--model", str(folder), "--by-content", "--threshold",
             "0.01", "-o"]  # fmt: skip
    assert main([*label, str(tmp_path / "a.csv")]) == 0
    (tmp_path / "a.npz").touch()
    assert main([*label, str(tmp_path / "a.csv")]) == 0
    assert "3 of 3 recordings were labelled before" in capsys.readouterr().err
    events = list(audiocnn.read_events(tmp_path / "a.csv"))
    assert len({event.source for event in events}) == 3
    assert len({event.score for event in events if event.label == "bell"}) == 3


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-o", "a.txt"], 2, "a.txt: audacity labels are read beside sound, and"),
        (["-o", "a.selections.txt"], 2, "raven labels are read beside sound"),
        (["-o", "out", "--format", "kaleidoscope"], 2, "kaleidoscope labels are read beside sound"),
        (["--columns", "x,y"], 1, "2 channels (x, y), and the model takes 3 channels (x, y, z)"),
        (["--columns", "x,y,q"], 1, "has no column 'q': it has z, x, note, y"),
        (["--columns", "x,y,y"], 2, "each column is given once"),
        (["--rate", "7"], 1, "is at 7 Hz, and the model at"),
        (["--time", "when"], 1, "has no column 'when'"),
        (["--columns", "x,y,note"], 1, "0.csv:2: 'note' is 'ok', which is no number"),
    ],
)
def test_what_label_refuses(signal_folders, tmp_path, capsys, options, status, message):
    folder = signal_folders["raw"]
    bundle = audiocnn.load(folder)
    path = write(tmp_path / "0.csv", bundle.front, signal(bundle.front, 3))
    assert main(["label", str(path), "--model", str(folder), *options]) == status
    assert message in capsys.readouterr().err


def test_options_for_signals_are_not_for_sound(capsys):
    for option in (["--columns", "x"], ["--missing", "gap"], ["--rate", "5"], ["--time", "t"]):
        assert main(["label", "data/demo.flac", *option]) == 2
        assert f"{option[0]} is for signals other than sound" in capsys.readouterr().err
    assert main(["listen", "--input", "-", "--format", "csv"]) == 2
    assert "--format csv is for signals other than sound" in capsys.readouterr().err


def test_evaluate_tune_and_diff(folder, bundle, tmp_path, capsys):
    data, model = dataset(tmp_path, bundle.front), str(folder)
    assert main(["evaluate", f"{data}/many.npz", "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 3
    other = tmp_path / "other"
    other.mkdir()
    for k in range(6):
        write(other / f"n{k}.csv", bundle.front, signal(bundle.front, 20, seed=20 + k))
    many = tmp_path / "labelled.npz"
    x = np.stack([signal(bundle.front, 3, seed=k) for k in range(12)])
    np.savez(many, X=x, y=["bell", "frog", "saw"] * 4)
    tuned = str(tmp_path / "tuned")
    assert main(["tune", str(many), "--model", model, "-o", tuned, "--background", str(other),
                 "--false-alarms", "400"]) == 0  # fmt: skip
    assert audiocnn.load(tuned).front == bundle.front
    capsys.readouterr()
    assert main(["diff", model, tuned, str(many), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recordings"], set(found["right"])) == (
        12, {"both", "only_a", "only_b", "neither", "p_value"},
    )  # fmt: skip
    assert main(["diff", model, tuned, str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recordings"] == 6
    assert main(["diff", model, "environment", str(other)]) == 2
    assert "one is a model of sound, the other of another signal" in capsys.readouterr().err


def test_evaluate_a_label_in_every_row(folder, bundle, tmp_path, capsys):
    front = bundle.front
    rows = lines_of(write(tmp_path / "a.csv", front, signal(front, 9)))
    third = (len(rows) - 1) // 3
    names = ["bell"] * third + ["frog"] * third + ["saw"] * third
    rows[1:] = [row.replace("ok", name) for row, name in zip(rows[1:], names, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    evaluate = ["evaluate", f"{tmp_path}/a.csv", "--model", str(folder), "--labels", "note"]
    assert main([*evaluate, "--json", "--predictions", str(tmp_path / "p.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["clips"], sorted(found["per_class"])) == (3, ["bell", "frog", "saw"])
    assert len(lines_of(tmp_path / "p.csv")) == 4
    (tmp_path / "clips.csv").write_text("path,start,end,label\na.csv,0,3,bell\na.csv,6,9,saw\n")
    assert main(["evaluate", f"{tmp_path}/clips.csv", "--model", str(folder), "--events"]) == 0
    assert "1 recordings" in capsys.readouterr().out


def test_embed_info_and_bench(folder, bundle, tmp_path, capsys):
    data = dataset(tmp_path, bundle.front)
    vectors = tmp_path / "v.npy"
    assert main(["embed", str(data), "--model", str(folder), "-o", str(vectors)]) == 0
    assert len(np.load(vectors)) == len(lines_of(tmp_path / "v.csv")) - 1 > 20
    assert "many.npz#2" in lines_of(tmp_path / "v.csv")[-1]
    assert main(["info", str(folder)]) == 0
    assert "3 channels (x, y, z)" in capsys.readouterr().out
    assert main(["bench", "--model", str(folder), "--hop", "1", "--seconds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recordings_times_real_time"] > 1


def test_live_is_the_recording(signal_folders, tmp_path, capsys):
    model = signal_folders["raw"]
    bundle = audiocnn.load(model)
    path = write(tmp_path / "a.csv", bundle.front, signal(bundle.front, 6))
    expected = sorted((e.label, round(e.start, 6), round(e.end, 6))
                      for e in label_recording(bundle, path).events)  # fmt: skip
    listen = ["listen", "--json", "--model", str(model), "--input"]
    assert main([*listen, str(path)]) == 0
    command = [sys.executable, "-m", "audiocnn", *listen, "-"]
    text = path.read_text()
    live = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    for out in (capsys.readouterr().out, live.stdout):
        found = [json.loads(line) for line in out.splitlines()]
        ended = [(e["label"], e["start"], e["end"]) for e in found if e["type"] == "event"]
        assert sorted(ended) == expected != []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the model takes signals other than sound, and a microphone gives only sound"),
        (["--input", "a.csv", "--record", "b.wav"], "--record writes sound: put `tee FILE` into"),
        (["--input", "a.csv", "--device", "2"], "--device and --input: give one of them"),
        (["--input", "a.csv", "--channels", "3"], "--channels is for values on stdin"),
        (["--input", "a.csv", "--settings", "clips.toml"], "[clips] keeps sound, and raw is a mo"),
    ],
)
def test_what_listen_refuses(signal_folders, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips.toml").write_text('[clips]\nfolder = "clips"\n')
    assert main(["listen", "--model", str(signal_folders["raw"]), *options]) == 2
    assert message in capsys.readouterr().err


def test_signals_by_url(signal_folders, tmp_path, capsys):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    bundle = audiocnn.load(signal_folders["raw"])
    text = write(tmp_path / "a.csv", bundle.front, signal(bundle.front, 4)).read_bytes()
    memory = fsspec.filesystem("memory")
    for name in ("a.csv", "X.ts", "notes.txt"):
        memory.pipe(f"/signals/{name}", text)
    try:
        label = ["label", "--model", str(signal_folders["raw"]), "--threshold", "0.01"]
        assert main([*label, "memory://signals"]) == 0
        assert "memory:///signals/a.csv,0.000000," in capsys.readouterr().out
        assert main([*label, "memory://signals/X.ts"]) == 1
        assert "series in an archive are not read by URL; copy it here" in capsys.readouterr().err
    finally:
        memory.rm("/signals", recursive=True)
