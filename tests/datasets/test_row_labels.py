"""Signals with a label in every row: clips of runs, where they are, and what else the rows say."""

import numpy as np
import pytest

from audiocnn.datasets.manifest import assign_folds, read_manifest
from audiocnn.datasets.row_labels import clips_of_rows
from audiocnn.errors import AudioError, DatasetError
from audiocnn.io.signals.channels import SignalReadOptions

STATES = ["rest"] * 5 + [""] * 3 + ["walk | talk"] * 4 + ["rest"] * 2


def write(path, rate=10, people="a"):
    rows = [
        f"{k / rate:.3f},{k},{2 * k},{state},{people if k < 13 else 'b'}"
        for k, state in enumerate(STATES)
    ]
    path.write_text("\n".join(["time,x,y,state,person", *rows]) + "\n")
    return path


def test_runs_are_clips(tmp_path):
    clips = clips_of_rows(
        write(tmp_path / "a.csv"), SignalReadOptions(("x", "y"), labels="state"), 1.0
    )
    assert [(c.labels, c.start, c.end, dict(c.columns)) for c in clips] == [
        (("rest",), 0.0, 0.5, {"person": "a"}),
        ((), 0.5, 0.8, {"person": "a"}),
        (("walk", "talk"), 0.8, 1.2, {"person": "a"}),
        (("rest",), 1.2, 1.3, {"person": "a"}),
        (("rest",), 1.3, 1.4, {"person": "b"}),
    ]
    clips = clips_of_rows(tmp_path / "a.csv", SignalReadOptions(labels="state"), 1.0)
    assert [c.end for c in clips] == [0.5, 0.8, 1.2, 1.4]  # all columns are channels, so to say


def test_a_clip_ends_where_rows_are_missing(tmp_path):
    lines = write(tmp_path / "a.csv").read_text().splitlines()
    del lines[3:5]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    clips = clips_of_rows(tmp_path / "a.csv", SignalReadOptions(labels="state"), 1.0)
    assert [(c.start, c.end) for c in clips[:2]] == [(0.0, 0.2), (0.4, 0.5)]


def test_the_rate_is_the_files_or_the_callers(tmp_path):
    (tmp_path / "a.csv").write_text("x,state\n" + "1,up\n" * 10)
    for reading, rate, end in (
        (SignalReadOptions(labels="state"), 5.0, 2.0),
        (SignalReadOptions(labels="state", rate=20.0), 5.0, 0.5),
    ):
        (clip,) = clips_of_rows(tmp_path / "a.csv", reading, rate)
        assert clip.end == end
    np.savez(tmp_path / "a.npz", x=np.zeros(4), state=np.array([1, 1, 2, 2]), rate=2)
    clips = clips_of_rows(tmp_path / "a.npz", SignalReadOptions(labels="state"), 1.0)
    assert [(c.labels, c.end) for c in clips] == [(("1",), 1.0), (("2",), 2.0)]


def test_a_column_that_is_not_there(tmp_path):
    write(tmp_path / "a.csv")
    with pytest.raises(AudioError, match=r"no column 'stat' \(did you mean 'state'\?\)"):
        clips_of_rows(tmp_path / "a.csv", SignalReadOptions(labels="stat"), 1.0)
    with pytest.raises(DatasetError, match="no column 'stat'"):
        read_manifest(tmp_path / "a.csv", reading=SignalReadOptions(labels="stat"))


def test_files_of_a_folder_are_groups(tmp_path):
    for name in "abcd":
        write(tmp_path / f"{name}.csv", people=name)
    reading = SignalReadOptions(("x", "y"), labels="state")
    clips = read_manifest(tmp_path, {"person": ["a", "c"]}, reading)
    assert {clip.path.name for clip in clips} == {"a.csv", "c.csv"}
    clips = read_manifest(tmp_path, reading=reading)
    folds = assign_folds(clips, 2, None, np.random.default_rng(0))
    for name in "abcd":
        assert len({f for f, c in zip(folds, clips, strict=True) if c.path.stem == name}) == 1


def test_all_files_must_be_understood(tmp_path):
    write(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DatasetError, match=r"b\.csv has no column 'state': it has x, y"):
        read_manifest(tmp_path, reading=SignalReadOptions(labels="state"))
