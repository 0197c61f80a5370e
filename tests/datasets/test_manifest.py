import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.datasets.layouts import list_clips
from audiocnn.datasets.manifest import (
    Clip,
    assign_folds,
    labels_of,
    parse_where,
    read_manifest,
    split_by,
)
from audiocnn.errors import ArgumentError, DatasetError


def make(folder: Path, *names: str, **tables: str) -> Path:
    """Make empty recordings, and CSV files by stem."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for stem, text in tables.items():
        (folder / f"{stem}.csv").write_bytes(text.encode())
    return folder


def test_class_folders(tmp_path: Path) -> None:
    names = [
        "rain/b.wav",
        "rain/a.FLAC",
        "owl/2024/x.ogg",
        "owl/notes.txt",
        ".git/x.wav",
        "README.md",
    ]
    make(tmp_path, *names, "rain/.a.wav")
    assert read_manifest(str(tmp_path)) == [
        Clip(tmp_path / "owl/2024/x.ogg", ("owl",)),
        Clip(tmp_path / "rain/a.FLAC", ("rain",)),
        Clip(tmp_path / "rain/b.wav", ("rain",)),
    ]
    assert labels_of(read_manifest(tmp_path)) == ("owl", "rain")
    assert len(read_manifest(tmp_path, where={"label": ["rain"]})) == 2


TABLE = """\
label,path,day,end,start
owl|rain,a b.wav,1,2.5,0.5
 owl ,sub/ñ.wav,2,,
,a b.wav,2,9,3
owl||owl,"c,d.wav",10 ,,1
"""


def test_csv(tmp_path: Path) -> None:
    make(tmp_path, "a b.wav", "sub/ñ.wav", "c,d.wav", table="\ufeff" + TABLE)
    clips = read_manifest(tmp_path / "table.csv")
    assert clips == [
        Clip(tmp_path / "a b.wav", ("owl", "rain"), 0.5, 2.5, {"day": "1"}),
        Clip(tmp_path / "sub/ñ.wav", ("owl",), 0.0, None, {"day": "2"}),
        Clip(tmp_path / "a b.wav", (), 3.0, 9.0, {"day": "2"}),
        Clip(tmp_path / "c,d.wav", ("owl",), 1.0, None, {"day": "10"}),
    ]
    assert labels_of(clips) == ("owl", "rain")
    assert {day: rows.tolist() for day, rows in split_by(clips, "day").items()} == {
        "1": [0], "10": [3], "2": [1, 2],
    }  # fmt: skip


def test_a_folder_with_clips_csv_is_that_csv(tmp_path: Path) -> None:
    make(tmp_path, "rain/a.wav", "owl/b.wav", clips="path,label\nowl/b.wav,night\n")
    assert read_manifest(tmp_path) == [Clip(tmp_path / "owl/b.wav", ("night",))]


def test_absolute_paths(tmp_path: Path) -> None:
    there = make(tmp_path / "there", "a.wav") / "a.wav"
    make(tmp_path / "here", "x.wav", clips=f"path,label\n{there},owl\n")
    assert read_manifest(tmp_path / "here")[0].path == there


def test_where(tmp_path: Path) -> None:
    make(tmp_path, "a b.wav", "sub/ñ.wav", "c,d.wav", clips=TABLE)

    def rows(**where: Any) -> list[str]:
        return [clip.path.name for clip in read_manifest(tmp_path, where)]

    assert rows(day=["1", "10"]) == ["a b.wav", "c,d.wav"]
    assert rows(day={2}) == ["ñ.wav", "a b.wav"]
    assert rows(day=["2"], label=["owl"]) == ["ñ.wav"]
    assert rows(label=[""]) == ["a b.wav"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"dya": ["1"]}, r"no column 'dya' \(did you mean 'day'\?\); there are: label, day"),
        ({"day": ["1", "3"]}, r"no row has day=3; there are: 1, 10, 2$"),
        ({"label": ["olw"]}, r"no row has label=olw \(did you mean 'owl'\?\); there are: , owl"),
        ({"day": ["1"], "label": ["owl"]}, r"no row has day=1 and label=owl at once"),
    ],
)
def test_where_that_fits_nothing(
    tmp_path: Path, where: Mapping[str, list[str]], message: str
) -> None:
    make(tmp_path, "a b.wav", "sub/ñ.wav", "c,d.wav", clips=TABLE)
    with pytest.raises(DatasetError, match=message):
        read_manifest(tmp_path, where)


def test_where_with_many_values(tmp_path: Path) -> None:
    rows = "".join(f"a.wav,owl,{n}\n" for n in range(100, 150))
    make(tmp_path, "a.wav", clips="path,label,day\n" + rows)
    with pytest.raises(
        DatasetError, match=r"no row has day=7; there are: 100, .*, 119 and 30 more$"
    ):
        read_manifest(tmp_path, {"day": ["7"]})
    with pytest.raises(ArgumentError, match=r"where takes a list of values by column, got {'day'"):
        read_manifest(tmp_path, {"day": "100"})


def test_parse_where() -> None:
    assert parse_where([]) == {}
    assert parse_where(["fold=1, 2", " day = a=b ", "fold=3", "note="]) == {
        "fold": ("1", "2", "3"),
        "day": ("a=b",),
        "note": ("",),
    }
    for bad in ("fold", "=1", " =1"):
        with pytest.raises(ArgumentError, match=f"COLUMN=VALUE,VALUE .as in fold=1,2.: '{bad}'"):
            parse_where([bad])


BAD_TABLES: list[tuple[str, str]] = [
    ("", r"clips\.csv is empty: its first line must name the columns"),
    ("path,label\n", r"clips\.csv has a header but no rows"),
    ("file,label\na.wav,owl\n", r"clips\.csv:1: no column 'path'; there are: file, label"),
    ("path,labels\na.wav,owl\n", r"clips\.csv:1: no column 'label' \(did you mean 'labels'\?\)"),
    ("path,label\na.wav,owl,x\n", r"clips\.csv:2: 3 columns, and the header has 2"),
    ("path,label\n,owl\n", r"clips\.csv:2: no path"),
    ("path,label,start\na.wav,owl,soon\n", r"clips\.csv:2: start must be a number, found 'soon'"),
    ("path,label,start\na.wav,owl,-1\n", r"clips\.csv:2: start must be at least 0 seconds"),
    ("path,label,end\na.wav,owl,inf\n", r"clips\.csv:2: end must be a number, found 'inf'"),
    ("path,label,start,end\na.wav,owl,2,2\n", r":2: end must lie after start, found 2 to 2"),
    ("path,label,end\n\na.wav,owl,0\n", r"clips\.csv:3: end must lie after start, found 0 to 0"),
    ("path,label\na.wav,owl\nb.wav,owl\nc.wav,owl\n", r"2 of 3 recordings are missing, the first "
     r"is .*b\.wav; paths are relative to the folder of the table"),
    ("path,label\nsub,owl\n", r"1 of 1 recordings are missing, the first is .*sub"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, "a.wav", "sub/x.wav", clips=text)
    with pytest.raises(DatasetError, match=message):
        read_manifest(tmp_path)


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "clips.csv").write_bytes(b"path,label\na.wav,caf\xe9\n")
    with pytest.raises(DatasetError, match=r"clips\.csv:2: label is not UTF-8, found b'caf\\xe9'"):
        read_manifest(tmp_path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such file: .*nowhere"):
        read_manifest(tmp_path / "nowhere")
    one = make(tmp_path / "one", "sounds/rain/a.wav", "sounds/wind/b.wav")
    with pytest.raises(DatasetError, match=r"only one folder in it \(sounds\), with folders ins"):
        read_manifest(one)
    with pytest.raises(DatasetError, match=r"no class folders and no clips\.csv in it$"):
        read_manifest(make(tmp_path / "none", "notes.txt"))
    with pytest.raises(
        DatasetError, match=r"no clips\.csv in it; did you mean .*named.labels\.csv\?"
    ):
        read_manifest(make(tmp_path / "named", "notes.txt", labels=""))
    with pytest.raises(
        DatasetError, match=r"2 recordings lie in no class folder, the first is a\.wav"
    ):
        read_manifest(make(tmp_path / "loose", "b.wav", "a.wav", "rain/a.wav", "owl/a.wav"))
    with pytest.raises(DatasetError, match=r"no recordings in .*hollow.owl: none of its files"):
        read_manifest(make(tmp_path / "hollow", "rain/a.wav", "owl/notes.txt"))


def test_clip_checks_itself() -> None:
    for start, end in [(-1, None), (2, 2), (float("nan"), None)]:
        with pytest.raises(ArgumentError, match=r"a clip needs 0 <= start < end, got"):
            Clip(Path("a.wav"), (), start, end)


def clips_of(groups: list[tuple[str, int]]) -> list[Clip]:
    """One clip with a label for each (label, source)."""
    return [
        Clip(Path(f"{n}.wav"), (label,) if label else (), columns={"source": f"s{source}"})
        for n, (label, source) in enumerate(groups)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 30)), max_size=80),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_folds_keep_groups_together(groups: list[tuple[str, int]], n: int, seed: int) -> None:
    clips = clips_of(groups)
    if len(set(source for _, source in groups)) < n:
        with pytest.raises(ArgumentError, match=rf"groups \(source\) do not make {n} folds: take"):
            assign_folds(clips, n, "source", np.random.default_rng(seed))
        return
    folds = assign_folds(clips, n, "source", np.random.default_rng(seed))
    assert set(folds.tolist()) == set(range(n)), "no fold is empty"
    for members in split_by(clips, "source").values():
        assert len(set(folds[members].tolist())) == 1
    again = assign_folds(clips, n, "source", np.random.default_rng(seed))
    np.testing.assert_array_equal(folds, again)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(2, 5))
def test_folds_without_groups_are_even(sizes: list[int], n: int) -> None:
    clips = clips_of([(f"c{k}", 0) for k, size in enumerate(sizes) for _ in range(size)])
    if len(clips) < n:
        return
    folds = assign_folds(clips, n, None, np.random.default_rng(0))
    for label in labels_of(clips):
        counts = Counter(
            f for f, clip in zip(folds.tolist(), clips, strict=True) if label in clip.labels
        )
        assert max(counts.values()) - min(counts[f] for f in range(n)) <= 1


def test_another_seed_deals_otherwise() -> None:
    clips = clips_of([("ab"[n % 2], n) for n in range(40)])
    deals = [assign_folds(clips, 4, "source", np.random.default_rng(s)).tolist() for s in range(3)]
    assert deals[0] != deals[1] != deals[2]


def test_parts_of_a_file_stay_together() -> None:
    clips = [Clip(Path(f"{n % 4}.wav"), ("a",), n, n + 1) for n in range(40)]
    folds = assign_folds(clips, 2, None, np.random.default_rng(0))
    assert all(len(set(folds[k::4].tolist())) == 1 for k in range(4))
    unknown = [Clip(Path(f"{n}.wav"), ("a",), columns={"day": ""}) for n in range(4)]
    assert len(set(assign_folds(unknown, 4, "day", np.random.default_rng(0)).tolist())) == 4


def test_bad_folds() -> None:
    clips = clips_of([("a", 0), ("b", 1)])
    with pytest.raises(ArgumentError, match="n_folds must be at least 2, got 1"):
        assign_folds(clips, 1, None, np.random.default_rng(0))
    with pytest.raises(ArgumentError, match=r"2 groups \(path\) do not make 3 folds"):
        assign_folds(clips, 3, None, np.random.default_rng(0))
    with pytest.raises(DatasetError, match=r"no column 'sorce' \(did you mean 'source'\?\)"):
        assign_folds(clips, 2, "sorce", np.random.default_rng(0))


def test_real_manifests(real_data: Path) -> None:
    clips = read_manifest(real_data / "esc10", where={"fold": ["1", "2"]})
    assert len(clips) == 160
    assert len(labels_of(clips)) == 10
    folds = assign_folds(clips, 4, "source", np.random.default_rng(0))
    for fold in range(4):
        counts = Counter(clip.labels for clip, f in zip(clips, folds, strict=True) if f == fold)
        assert len(counts) == 10
        assert max(counts.values()) <= 2 * min(counts.values())
    assert len(read_manifest(real_data / "fsdd" / "clips.csv")) == 2500


def test_a_folder_that_cannot_be_read_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "dog/1.wav", "lost+found/x.wav")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "lost+found" and access(path, mode)
    )
    clips, faults = list_clips(tmp_path)
    assert [clip.labels for clip in clips] == [("dog",)]
    assert faults == [
        f"cannot look into {tmp_path / 'lost+found'}: change its owner or rights, or move it away"
    ]
