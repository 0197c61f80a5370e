from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.datasets.groups import suggest_groups, with_groups
from audiocnn.datasets.manifest import Clip, read_manifest
from audiocnn.errors import DatasetError


def record(folder: Path, name: str, seconds: float = 20.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, np.zeros(round(seconds * 1000)), 1000)
    return folder / name


def spans(folder: Path) -> list[tuple[str, float, float | None]]:
    return [("|".join(c.labels), c.start, c.end) for c in read_manifest(folder)]


def test_audacity_labels_and_the_background_between(tmp_path: Path) -> None:
    record(tmp_path, "night.wav")
    (tmp_path / "night.txt").write_text("4\t8\train\n5\t5.5\tdog\n8.9\t9.2\t\n12\t12.04\tdog\n")
    assert spans(tmp_path) == [
        ("", 0.0, 3.5), ("rain", 4.0, 5.0), ("dog|rain", 5.0, 5.5), ("rain", 5.5, 8.0),
        ("", 9.7, 11.5), ("dog", 12.0, 12.04), ("", 12.54, None),
    ]  # fmt: skip


def test_slivers_and_touching_events(tmp_path: Path) -> None:
    record(tmp_path, "night.wav", 5.0)
    (tmp_path / "night.txt").write_text("0\t2.03\ta\n2\t4\tb\n4\t5\tb\n")
    assert spans(tmp_path) == [("a", 0.0, 2.0), ("b", 2.03, 4.0), ("b", 4.0, 5.0)]


@pytest.mark.parametrize("name", ["x.selections.txt", "x.Table.1.selections.txt"])
def test_raven_tables(tmp_path: Path, name: str) -> None:
    record(tmp_path / "site", "x.wav", 4.0)
    (tmp_path / "site" / name).write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t1.5\t2.5\towl\n"
    )
    assert spans(tmp_path) == [("", 0.0, 1.0), ("owl", 1.5, 2.5), ("", 3.0, None)]


def test_texts_that_are_no_labels_leave_class_folders_alone(tmp_path: Path) -> None:
    for label in ("owl", "dog"):
        record(tmp_path / label, "a.wav")
        (tmp_path / label / "a.txt").write_text("recorded in May\n")
    assert spans(tmp_path) == [("dog", 0.0, None), ("owl", 0.0, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t30\towl\n", "has 20.00 s, and 'owl' is marked until 30.00 s"),
        ("3\t3\towl\n", "'owl' at 3 s is a point: mark it"),
    ],
)
def test_annotations_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    record(tmp_path, "night.wav")
    (tmp_path / "night.txt").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_manifest(tmp_path)


def test_a_recording_that_nobody_annotated(tmp_path: Path) -> None:
    record(tmp_path, "a.wav")
    record(tmp_path, "b.wav")
    (tmp_path / "a.txt").write_text("1\t2\towl\n")
    with pytest.raises(DatasetError, match=r"1 recordings have no annotations .* b\.wav"):
        read_manifest(tmp_path)
    (tmp_path / "b.txt").touch()  # now it says: nothing there
    assert spans(tmp_path)[-1] == ("", 0.0, None)


def test_audiofolder(tmp_path: Path) -> None:
    record(tmp_path / "train", "a.wav")
    record(tmp_path / "test", "b.wav")
    (tmp_path / "train/metadata.csv").write_text("file_name,label,site\na.wav,owl|dog,x\n")
    (tmp_path / "test/metadata.jsonl").write_text('{"file_name": "b.wav", "label": ["owl"]}\n')
    assert read_manifest(tmp_path) == [
        Clip(tmp_path / "test/b.wav", ("owl",), columns={"split": "test"}),
        Clip(tmp_path / "train/a.wav", ("owl", "dog"), columns={"site": "x", "split": "train"}),
    ]
    (tmp_path / "test/metadata.jsonl").write_text('{"file_name": "b.wav", "text": "hu"}\n')
    with pytest.raises(DatasetError, match=r"jsonl:1: no column 'label'.*file_name, text"):
        read_manifest(tmp_path)


def test_class_folders_in_splits(tmp_path: Path) -> None:
    record(tmp_path / "train/owl", "a.wav")
    record(tmp_path / "test/dog", "b.wav")
    assert read_manifest(tmp_path) == [
        Clip(tmp_path / "test/dog/b.wav", ("dog",), columns={"split": "test"}),
        Clip(tmp_path / "train/owl/a.wav", ("owl",), columns={"split": "train"}),
    ]


def clips(*names: str) -> list[Clip]:
    return [Clip(Path(name), (name.split("/")[0],)) for name in names]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["dog/1-10032-A.ogg", "dog/1-10032-B.ogg", "cat/1-70123-A.ogg", "cat/2-80001-A.ogg"],
         ["1-10032", "1-10032", "1-70123", "2-80001"]),
        (["0/0_george_0.wav", "1/1_george_9.wav", "0/0_ann_0.wav", "1/1_ann_3.wav"],
         ["george", "george", "ann", "ann"]),
        (["a/S1_20240601_053000.wav", "b/S1_20240601_060000.wav", "a/S1_20240602_053000.wav"],
         ["S1 2024-06-01", "S1 2024-06-01", "S1 2024-06-02"]),
        (["a/XC12345_10.wav", "a/XC12345_20.wav", "b/XC777_0.wav", "b/XC888_0.wav"],
         ["XC12345", "XC12345", "XC777", "XC888"]),
        (["dog/dog1.wav", "dog/dog2.wav", "cat/cat1.wav"], None),
        (["a/001.wav", "a/002.wav", "b/001.wav"], None),
        (["a/clip_1.wav", "a/clip_2.wav", "b/clip_3.wav"], None),
    ],
)  # fmt: skip
def test_groups_that_names_suggest(names: list[str], groups: list[str] | None) -> None:
    found = suggest_groups(clips(*names))
    assert (list(found.groups) if found else None) == groups


def test_groups_are_told_or_taken() -> None:
    some = clips("0/0_george_0.wav", "1/1_george_9.wav", "0/0_ann_0.wav", "1/1_ann_3.wav")
    told: list[str] = []
    assert with_groups(some, None, told.append) == some
    assert "4 of 4 clips share one of 2 groups" in told[0]
    assert "--group name" in told[0]
    named = with_groups(some, "name", told.append)
    assert [clip.columns["name"] for clip in named] == ["george", "george", "ann", "ann"]
    assert len(told) == 1
    with pytest.raises(DatasetError, match="no column 'name'"):
        with_groups(clips("a/001.wav", "b/002.wav"), "name", told.append)
