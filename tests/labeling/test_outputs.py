import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.annotations.formats import FORMATS, read_events
from audiocnn.annotations.start_times import Clock
from audiocnn.errors import ArgumentError
from audiocnn.inference.events import Event
from audiocnn.labeling.coverage import Coverage
from audiocnn.labeling.label import LabelResult
from audiocnn.labeling.outputs import Output, choose_output, common_folder, write_outputs

HEARD = Coverage(60.0, 60.0)


def labeled(path: str, *times: float) -> LabelResult:
    events = tuple(Event("owl", time, time + 1, 0.5, path) for time in times)
    return LabelResult(path, events, HEARD)


RESULTS = [
    labeled("rec/b/0430.wav", 1.0, 2.0),
    labeled("rec/a/0430.wav", 3.0),
    labeled("rec/0.wav"),
]


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s != ".txt"])
def test_one_file_for_all(tmp_path: Path, suffix: str) -> None:
    output = choose_output(tmp_path / f"x{suffix}")
    write_outputs(iter(RESULTS), output)
    found = read_events(output.path)
    assert found == [event for result in RESULTS for event in result.events]


def test_raven_runs_on_over_all_recordings(tmp_path: Path) -> None:
    write_outputs(RESULTS, choose_output(tmp_path / "x.selections.txt"))
    lines = [line.split("\t") for line in (tmp_path / "x.selections.txt").read_text().splitlines()]
    at = [lines[0].index(name) for name in ("Begin Time (s)", "Begin Path", "File Offset (s)")]
    assert [[line[i] for i in at] for line in lines[1:]] == [
        ["1.000000", "rec/b/0430.wav", "1.000000"],
        ["2.000000", "rec/b/0430.wav", "2.000000"],
        ["63.000000", "rec/a/0430.wav", "3.000000"],
    ]


@pytest.mark.parametrize("format", FORMATS.values())
def test_a_file_for_each_recording(tmp_path: Path, format: str) -> None:
    output = choose_output(tmp_path / "out", format)
    failed = LabelResult("rec/a/bad.wav", error="is text")
    cut = LabelResult(
        "rec/a/cut.wav", (Event("owl", 0, 1, 0.5, "rec/a/cut.wav"),), HEARD, "cut off"
    )
    root = common_folder(result.path for result in RESULTS)
    write_outputs([*RESULTS, failed, cut], output, root=root)
    suffix = next(suffix for suffix, name in FORMATS.items() if name == format)
    files = sorted(path.relative_to(output.path) for path in output.path.rglob("*.*"))
    names = ["0.wav", "a/0430.wav", "a/cut.wav", "b/0430.wav"]
    assert [str(file) for file in files] == [name + suffix for name in names]
    assert [len(read_events(output.path / file)) for file in files] == [0, 1, 1, 2]
    write_outputs([labeled("rec/b/0430.wav")], output, root=root)
    assert read_events(output.path / f"b/0430.wav{suffix}") == []


@pytest.mark.filterwarnings("ignore")  # crowsetta's own, about pandas
def test_others_read_the_file_of_each_recording(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta", reason="crowsetta is not installed")
    for format in ("raven", "audacity"):
        write_outputs(RESULTS[:2], choose_output(tmp_path, format), root="rec/")
    raven = crowsetta.formats.bbox.Raven.from_file(
        tmp_path / "b/0430.wav.selections.txt", "Annotation"
    )
    audacity = crowsetta.formats.seq.AudSeq.from_file(tmp_path / "b/0430.wav.txt").to_seq()
    expected = [(event.start, event.end, event.label) for event in RESULTS[0].events]
    assert [(box.onset, box.offset, box.label) for box in raven.to_bbox()] == expected
    times = zip(audacity.onsets_s, audacity.offsets_s, audacity.labels, strict=True)
    assert list(times) == expected


def test_wall_clock_times(tmp_path: Path) -> None:
    output = choose_output(tmp_path / "x.csv", clock=Clock())
    write_outputs([labeled("20210605_043000.WAV", 1.5)], output)
    assert output.path.read_text().splitlines() == [
        "path,start,end,label,score,time",
        "20210605_043000.WAV,1.500000,2.500000,owl,0.500000,2021-06-05T04:30:01.500",
    ]


def test_one_recording_at_a_time(tmp_path: Path) -> None:
    there: list[str] = []

    def watched() -> Iterator[LabelResult]:
        for result in RESULTS:
            there.extend(str(path) for path in (tmp_path / "o").rglob("*.csv"))
            yield result

    write_outputs(watched(), Output(tmp_path / "o", "csv", folder=True), root="rec/")
    assert len(there) == 1 + 2, "the files of those before it are written"


def test_what_was_there_stays_until_all_is_written(tmp_path: Path) -> None:
    def broken() -> Iterator[LabelResult]:
        yield RESULTS[0]
        raise OSError("gone")

    (tmp_path / "x.csv").write_text("before")
    with pytest.raises(ArgumentError, match=r"cannot write .*x\.csv: gone"):
        write_outputs(broken(), choose_output(tmp_path / "x.csv"))
    assert (tmp_path / "x.csv").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_choices_that_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    refused = [
        (("x.csv", "raven"), r"x\.csv is csv by its name, and --format is raven: .*\.selections"),
        (("x.xml", None), r"no format for 'x\.xml'"),
        (("x", "ravn"), r"no format 'ravn': there are audacity, csv"),
        ((tmp_path / "file", "raven"), r"file is a file, and --format raven makes a folder"),
        ((tmp_path / "folder.csv", None), r"folder\.csv is a folder: choose with --format"),
    ]
    for arguments, message in refused:
        with pytest.raises(ArgumentError, match=message):
            choose_output(*arguments)
    assert choose_output("x.csv", "csv") == Output(Path("x.csv"), "csv")
    assert choose_output(tmp_path / "folder.csv", "csv").folder


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").touch()
    with pytest.raises(ArgumentError, match=r"cannot make the folder .*out/b: File exists"):
        write_outputs(RESULTS, choose_output(tmp_path / "out", "csv"), root="rec/")


@pytest.mark.parametrize(
    ("paths", "root", "names"),
    [
        (["/d/a/x.wav", "/d/a/y.wav"], "/d/a/", ["x.wav", "y.wav"]),
        (["/d/ab/x.wav", "/d/a/x.wav"], "/d/", ["ab/x.wav", "a/x.wav"]),
        (["../a/x.wav", "a/x.wav"], "", ["_/a/x.wav", "a/x.wav"]),
        (["s3://b/x.wav", "/d/x.wav"], "", ["s3/b/x.wav", "d/x.wav"]),
        (["s3://b/r/x.wav", "s3://b/x.wav"], "s3://b/", ["r/x.wav", "x.wav"]),
        (["2021-06-05T04:30:00.wav"], "", ["2021-06-05T04:30:00.wav"]),
        ([], "", []),
    ],
)
def test_where_files_lie(tmp_path: Path, paths: list[str], root: str, names: list[str]) -> None:
    assert common_folder(paths) == root
    write_outputs(map(labeled, paths), choose_output(tmp_path, "csv"), root=root)
    assert [(tmp_path / f"{name}.csv").is_file() for name in names] == [True] * len(names)


parts = st.lists(st.sampled_from(["a", "b", "..", "."]), max_size=3)


@given(st.lists(parts, unique_by=tuple, max_size=5))
def test_the_common_folder_is_common(folders: list[list[str]]) -> None:
    paths = ["/".join([*folder, "x.wav"]) for folder in folders]
    root = common_folder(paths)
    assert all(path.startswith(root) for path in paths)
    longer = {path[len(root) :].split("/")[0] for path in paths if "/" in path[len(root) :]}
    assert len(longer) != 1 or any("/" not in path[len(root) :] for path in paths)
    assert not root or all(itertools.chain([root.endswith("/")]))
