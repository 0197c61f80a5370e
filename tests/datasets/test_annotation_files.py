"""Annotation files beside recordings: whose rows they are, and what is not taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.datasets.annotation_files import read_annotations
from audiocnn.datasets.doctor.doctor import check_dataset
from audiocnn.datasets.layouts import list_clips
from audiocnn.datasets.manifest import read_manifest
from audiocnn.errors import DatasetError
from audiocnn.evaluation.annotated import read_annotated

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"


def recordings(folder: Path, *names: str, seconds: float = 30.0) -> list[Path]:
    rate = 1000
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, np.zeros(round(seconds * rate), np.float32), rate)
    return sorted(folder / name for name in names)


def table(folder: Path, name: str, *rows: tuple[object, ...], more: str = "") -> Path:
    """Write a Raven table with times, further columns and labels."""
    lines = [f"{RAVEN}{more}\tAnnotation"]
    for k, (begin, end, *rest) in enumerate(rows, start=1):
        lines.append("\t".join(map(str, (k, "Spectrogram 1", 1, begin, end, 100, 8000, *rest))))
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def events(folder: Path, *paths: Path) -> dict[str, list[tuple[float, float | None, str]]]:
    found = read_annotations(list(paths)).events
    return {
        path.relative_to(folder).as_posix(): [(e.start, e.end, e.label) for e in some]
        for path, some in found.items()
    }


@pytest.mark.parametrize("name", ["night1.Table.1.selections.txt", "season.txt", "Table 1.txt"])
def test_each_row_of_a_raven_table_goes_to_the_recording_that_it_names(
    tmp_path: Path, name: str
) -> None:
    paths = recordings(tmp_path, "night1.wav", "night2.wav")
    table(
        tmp_path, name,
        (0.0, 8.5, "night1.wav", 0.0, "clock"),
        (31.0, 34.0, "night2.wav", 1.0, "rooster"),
        (46.5, 52.0, "NIGHT2.WAV", 16.5, "baby"),
        more="\tBegin File\tFile Offset (s)",
    )  # fmt: skip
    assert events(tmp_path, *paths) == {
        "night1.wav": [(0.0, 8.5, "clock")],
        "night2.wav": [(1.0, 4.0, "rooster"), (16.5, 22.0, "baby")],
    }
    clips = [(c.path.name, c.labels) for c in read_manifest(tmp_path) if c.labels]
    assert clips == [
        ("night1.wav", ("clock",)), ("night2.wav", ("rooster",)), ("night2.wav", ("baby",)),
    ]  # fmt: skip


def test_a_recording_has_several_tables(tmp_path: Path) -> None:
    (path,) = recordings(tmp_path, "a.wav")
    table(tmp_path, "a.Table.1.selections.txt", (1, 2, "owl"))
    table(tmp_path, "a.Table.2.selections.txt", (3, 4, "dog"), (1, 2, "owl"))
    (tmp_path / "a.txt").write_text("5\t6\tcat\n")
    assert sorted(events(tmp_path, path)["a.wav"]) == [(1, 2, "owl"), (3, 4, "dog"), (5, 6, "cat")]


def test_tables_of_birdnet_analyzer(tmp_path: Path) -> None:
    paths = recordings(tmp_path, "a.wav", "b.wav", "c.wav")
    (tmp_path / "a.BirdNET.results.csv").write_text(
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "0.0,3.0,Strix aluco,Tawny Owl,0.87,/data/a.wav\n"
    )
    (tmp_path / "b.BirdNET.selection.table.txt").write_text(
        f"{RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
        "1\tSpectrogram 1\t1\t3.0\t6.0\t0\t15000\tTawny Owl\ttawowl1\t0.5\tC:\\data\\b.wav\t3.0\n"
    )
    (tmp_path / "c.BirdNET.results.txt").write_text("0.0\t3.0\tStrix aluco_Tawny Owl\t0.9\n")
    assert events(tmp_path, *paths) == {
        "a.wav": [(0.0, 3.0, "Tawny Owl")],
        "b.wav": [(3.0, 6.0, "Tawny Owl")],
        "c.wav": [(0.0, 3.0, "Strix aluco_Tawny Owl")],
    }


def test_rows_of_strangers_and_files_that_are_not_taken_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = recordings(tmp_path, "a.wav", "b.wav")
    table(tmp_path, "all.txt", (0, 1, "a.wav", 0, "owl"), (40, 41, "c.wav", 4, "dog"),
          more="\tBegin File\tFile Offset (s)")  # fmt: skip
    (tmp_path / "b.txt").write_text("a transcript of what is said\n")
    (tmp_path / "README.txt").write_text("notes on the site\n")
    notes = " ".join(read_annotations(paths).notes)
    assert "all.txt: 1 rows are of c.wav, which is not among the recordings" in notes
    assert "b.txt lies beside recordings and is not taken" in notes
    assert "'a transcript of what is said' is neither two times between tabs nor a Raven" in notes
    assert "README" not in notes
    with pytest.raises(DatasetError) as caught:
        read_manifest(tmp_path)
    assert "b.txt" in caplog.text
    assert "put an empty b.txt" not in str(caught.value)  # it is there, and is not empty


def test_a_table_that_names_no_recording_is_said(tmp_path: Path) -> None:
    paths = recordings(tmp_path, "a.wav")
    table(tmp_path, "season.txt", (0, 1, "owl"))
    found = read_annotations(paths)
    assert not found.events
    assert "season.txt: 1 rows are not taken, for they name no recording" in found.notes[0]


def test_an_empty_file_is_advised_where_none_is(tmp_path: Path) -> None:
    recordings(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.txt").write_text("0\t1\towl\n")
    _, faults = list_clips(tmp_path)
    assert "put an empty b.txt beside one" in faults[0]
    (tmp_path / "b.txt").touch()
    assert list_clips(tmp_path)[1] == []


def test_the_events_of_a_run_are_no_annotations(tmp_path: Path) -> None:
    recordings(tmp_path, "owl/a.wav", "dog/b.wav")
    (tmp_path / "owl/events.csv").write_text("path,start,end,label,score\na.wav,0,1,dog,0.9\n")
    assert {clip.labels for clip in read_manifest(tmp_path)} == {("owl",), ("dog",)}


def test_evaluation_reads_the_annotations_that_training_reads(tmp_path: Path) -> None:
    recordings(tmp_path, "night.wav", "quiet.wav")
    table(tmp_path, "night.Table.1.selections.txt", (1, 2, "owl"))
    (tmp_path / "quiet.txt").touch()
    found = {one.path.name: [e.label for e in one.events] for one in read_annotated(tmp_path)}
    assert found == {"night.wav": ["owl"], "quiet.wav": []}


def test_the_doctor_reports_what_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recordings(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.txt").write_text("0\t1\towl\n")
    (tmp_path / "b.txt").write_text("a transcript\n")
    found = [f for f in check_dataset(tmp_path, workers=1).findings if f.kind == "annotations"]
    assert "b.txt lies beside recordings and is not taken" in found[0].message
    assert "b.txt" not in caplog.text
