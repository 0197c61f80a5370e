"""What somebody means by a path: signals are found, and tables about them are not."""

import numpy as np
import pytest

from audiocnn.datasets.manifest import read_manifest
from audiocnn.errors import AudioError, DatasetError
from audiocnn.inference.model_input import find_for
from audiocnn.io.signals.discovery import find_signals
from tests.bundles import FRONT, SIGNAL_FRONTS


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "data"
    for name, text in {
        "a.csv": "x,y\n1,2\n", "b/c.tsv": "x\ty\n1\t2\n", "clips.csv": "path,label\na.csv,up\n",
        "events.csv": "path,start,end,label,score\n", "a.marks.csv": "start,end,label\n0,1,up\n",
        "metadata.csv": "file_name,label\na.csv,up\n", "notes.txt": "x", ".hidden.csv": "x\n1\n",
        "X.ts": "@classLabel true up down\n@data\n1,2:up\n3,4:down\n", "w.wav": "no sound",
    }.items():  # fmt: skip
        (inner / name).parent.mkdir(parents=True, exist_ok=True)
        (inner / name).write_text(text)
    np.save(inner / "n.npy", np.zeros((2, 3, 4)))
    return inner


def test_signals_in_a_folder(folder):
    found = [path.relative_to(folder).as_posix() for path in find_signals([folder])]
    assert found == ["X.ts#0", "X.ts#1", "a.csv", "b/c.tsv", "n.npy#0", "n.npy#1", "w.wav"]
    assert find_for([folder], SIGNAL_FRONTS["raw"]) == find_signals([folder])
    assert [path.name for path in find_for([folder], FRONT)] == ["w.wav"]


def test_names_are_taken_as_they_are(folder):
    given = [folder / "X.ts#1", folder / "clips.csv", folder / "X.ts"]
    assert [p.name for p in find_signals(given)] == ["X.ts#1", "clips.csv", "X.ts#0"]
    with pytest.raises(AudioError, match=r"no such file or folder: .*Y\.ts#0"):
        find_signals([folder / "Y.ts#0"])
    (folder / "empty").mkdir()
    with pytest.raises(AudioError, match=r"no signals in .*empty: none of its files ends in \.csv"):
        find_signals([folder / "empty"])


def dataset(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x,y\n1,2\n3,4\n")
    return root


def test_class_folders_of_signals(tmp_path):
    root = dataset(tmp_path / "a", "up/1.csv", "up/2.csv", "down/1.csv", "README.txt")
    (root / "list.csv").write_text("path,label\n")  # a list is no recording
    clips = read_manifest(root)
    assert [(c.path.relative_to(root).as_posix(), c.labels) for c in clips] == [
        ("down/1.csv", ("down",)), ("up/1.csv", ("up",)), ("up/2.csv", ("up",)),
    ]  # fmt: skip
    root = dataset(tmp_path / "b", "train/up/1.csv", "test/up/2.csv")
    assert {c.columns["split"] for c in read_manifest(root)} == {"train", "test"}
    np.savez(tmp_path / "a" / "up" / "3.npz", X=np.zeros((2, 1, 4)))
    assert [c.path.name for c in read_manifest(tmp_path / "a")][-2:] == ["3.npz#0", "3.npz#1"]


def test_tables_beside_sound_are_annotations(tmp_path):
    root = dataset(tmp_path, "up/1.csv", "down/1.csv")
    (root / "up" / "1.wav").touch()
    with pytest.raises(DatasetError, match=r"no recordings in .*down"):
        read_manifest(root)


def test_archives_with_labels(tmp_path, folder):
    clips = read_manifest(folder / "X.ts")
    assert [(c.path.name, c.labels) for c in clips] == [("X.ts#0", ("up",)), ("X.ts#1", ("down",))]
    both = tmp_path / "both"
    both.mkdir()
    for part in ("TRAIN", "TEST"):
        (both / f"G_{part}.ts").write_text((folder / "X.ts").read_text())
    assert len(read_manifest(both, {"split": ["test"]})) == 2
    (both / "G_TEST.ts").write_text("@data\n1,2\n")
    with pytest.raises(DatasetError, match=r"G_TEST\.ts: 1 series without labels: they are y in"):
        read_manifest(both)
    with pytest.raises(DatasetError, match="stands before @data"):
        read_manifest(dataset(tmp_path / "bad", "B.ts") / "B.ts")
    with pytest.raises(DatasetError, match="2 series without labels"):
        read_manifest(folder / "n.npy")


def test_a_table_of_series(folder):
    (folder / "clips.csv").write_text("path,label,start,end\nX.ts#1,a,,\na.csv,b,0,1\n")
    assert [c.path.name for c in read_manifest(folder)] == ["X.ts#1", "a.csv"]
    (folder / "clips.csv").write_text("path,label\nY.ts#1,a\n")
    with pytest.raises(DatasetError, match=r"1 of 1 recordings are missing, .*Y\.ts#1"):
        read_manifest(folder)


def test_a_signal_is_no_list_of_clips(tmp_path):
    root = dataset(tmp_path, "a.csv")
    with pytest.raises(DatasetError, match=r"a\.csv: no column 'path', .* rows are samples, say"):
        read_manifest(root / "a.csv")
    with pytest.raises(DatasetError, match=r"label in every row, give --labels COLUMN"):
        read_manifest(root)
