"""Tables as spreadsheets and other systems write them, and paths that are nearly right."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from audiocnn.annotations.formats import read_events
from audiocnn.datasets.manifest import parse_where, read_manifest
from audiocnn.datasets.reviews import read_reviews
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.io.files.near_paths import find_near


def recordings(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


TABLES = {
    "semicolons": b"path;label;start;end\na.wav;owl;0,5;1,25\n",
    "tabs": b"path\tlabel\tstart\tend\na.wav\towl\t0,5\t1,25\n",
    "bom, CRLF": b"\xef\xbb\xbfpath,label,start,end\r\na.wav,owl,0.5,1.25\r\n",
    "UTF-16": "path\tlabel\tstart\tend\r\na.wav\towl\t0,5\t1,25\r\n".encode("utf-16"),
    "sep=": b"sep=;\r\npath;label;start;end\r\na.wav;owl;0,5;1,25\r\n",
    "capitals": b"PATH,Label,Start,END\na.wav,owl,0.5,1.25\n",
    "empty columns and rows": b"path,label,start,end,,\na.wav,owl,0.5,1.25,,\n,,,,,\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_spreadsheets(tmp_path: Path, kind: str) -> None:
    recordings(tmp_path, "a.wav")
    (tmp_path / "clips.csv").write_bytes(TABLES[kind])
    (clip,) = read_manifest(tmp_path / "clips.csv")
    assert (clip.path.name, clip.labels, clip.start, clip.end) == ("a.wav", ("owl",), 0.5, 1.25)


def test_events_of_spreadsheets(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Path;Start;End;Label;Score\nx.wav;1,5;2,25;owl, barn;0,75\n")
    (event,) = read_events(tmp_path / "a.csv")
    assert (event.start, event.end, event.label, event.score) == (1.5, 2.25, "owl, barn", 0.75)


def test_reviews_of_spreadsheets(tmp_path: Path) -> None:
    recordings(tmp_path, "owl/1.flac")
    (tmp_path / "review.csv").write_bytes(
        b"\xef\xbb\xbfclip;path;start;end;label;score;offset;Verdict\r\n"
        b"owl\\1.flac;gone.wav;12,5;14;owl;0,98;2,0;right\r\n"
    )
    (clip,) = read_reviews(tmp_path / "review.csv", ["owl"])
    assert (clip.path.name, clip.start, clip.end) == ("1.flac", 2.0, 3.5)


def test_labels_that_are_not_utf8_are_refused_with_the_cause(tmp_path: Path) -> None:
    recordings(tmp_path, "a.wav")
    (tmp_path / "clips.csv").write_bytes("path,label\na.wav,Käuzchen\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"clips\.csv:2: label is not UTF-8, found b'K\\xe4uz"):
        read_manifest(tmp_path / "clips.csv")


def test_paths_that_are_not_utf8_are_found_or_refused_with_the_cause(tmp_path: Path) -> None:
    recordings(tmp_path, "Käuzchen.wav")
    (tmp_path / "clips.csv").write_bytes("path,label\nKäuzchen.wav,owl\n".encode("cp1252"))
    (clip,) = read_manifest(tmp_path / "clips.csv")
    assert clip.path == tmp_path / "Käuzchen.wav"
    (tmp_path / "clips.csv").write_bytes("path,label\nBlässe.wav,owl\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"the path is not UTF-8 \(b'.*Bl\\xe4sse"):
        read_manifest(tmp_path / "clips.csv")


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("Käuzchen.wav", unicodedata.normalize("NFD", "Käuzchen.wav")),
        (unicodedata.normalize("NFD", "Käuzchen.wav"), "Käuzchen.wav"),
        ("sub/a.wav", "sub\\a.wav"),
        ("Sub/A.WAV", "sub/a.wav"),
        (unicodedata.normalize("NFD", "Süd/Käuz.WAV"), "süd\\käuz.wav"),
    ],
)
def test_paths_that_are_nearly_right(tmp_path: Path, there: str, written: str) -> None:
    recordings(tmp_path, there)
    (tmp_path / "clips.csv").write_text(f"path,label\n{written},owl\n", encoding="utf-8")
    (clip,) = read_manifest(tmp_path / "clips.csv")
    assert clip.path == tmp_path / there


def test_a_path_that_may_mean_two_files_means_none(tmp_path: Path) -> None:
    recordings(tmp_path, "a.wav", "A.wav")
    assert find_near(tmp_path / "a.wav") == tmp_path / "a.wav"
    assert find_near(tmp_path / "a.WAV") is None
    (tmp_path / "clips.csv").write_text("path,label\na.WAV,owl\n")
    with pytest.raises(DatasetError, match=r"there is A\.wav"):
        read_manifest(tmp_path / "clips.csv")


def test_metadata_above_the_splits_keeps_them(tmp_path: Path) -> None:
    recordings(tmp_path, "train/a.wav", "data/test/b.wav", "c.wav")
    (tmp_path / "metadata.csv").write_text(
        "file_name,label\ntrain/a.wav,owl\ndata/test/b.wav,dog\nc.wav,cat\n"
    )
    clips = read_manifest(tmp_path)
    assert [clip.columns.get("split") for clip in clips] == ["train", "test", None]


def test_labels_with_commas_can_be_chosen(tmp_path: Path) -> None:
    recordings(tmp_path, "a.wav", "b.wav", "c.wav")
    (tmp_path / "clips.csv").write_text('path,label\na.wav,"Dog, barking"\nb.wav,cat\nc.wav,owl\n')
    where = parse_where(['label="Dog, barking",cat'])
    assert where == {"label": ("Dog, barking", "cat")}
    assert len(read_manifest(tmp_path / "clips.csv", where)) == 2
    with pytest.raises(DatasetError, match=r'with the comma in quotes: label="Dog, barking"'):
        read_manifest(tmp_path / "clips.csv", parse_where(["label=Dog, barking"]))
    with pytest.raises(ArgumentError, match="quote a value as in label"):
        parse_where(['label="Dog, barking'])
