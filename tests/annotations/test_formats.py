import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from audiocnn.annotations.formats import (
    FORMATS,
    check_format,
    format_events,
    format_of,
    iter_events,
    read_events,
    rows_of,
    write_events,
)
from audiocnn.annotations.raven import raven_lines
from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event

TOLD = [
    Event("rooster", 0.0, 1.25, 0.875, "a.wav"),
    Event("dog bark", 0.5, 0.5, 1.0, "a.wav"),
    Event("Zilpzalp, singend", 3599.123456, 86400.5, 0.000001, "a.wav"),
]
FILES = {name: f"x{suffix}" for suffix, name in FORMATS.items()}

seconds = st.floats(0, 1e7, allow_subnormal=False)
scores = st.none() | st.floats(0, 1)
one_line = st.text().filter(lambda text: not set("\t\r\n") & set(text))


@st.composite
def events(draw: st.DrawFn, text: st.SearchStrategy[str], full: bool = False) -> Event:
    start = draw(seconds)
    end = start + draw(seconds)
    still = not full and draw(st.booleans())
    return Event(draw(text), start, None if still else end, draw(scores), draw(text))


def assert_same(found: list[Event], expected: list[Event]) -> None:
    """Compare what may differ by a rounding, and then the rest."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ("start", "end", "score"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None) == (b is None)
            assert a is None or abs(a - b) <= 1e-6
        assert (one.label, one.source) == (other.label, other.source)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("annotations")


@settings(max_examples=60, deadline=None)
@given(st.lists(events(st.text())))
@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_round_trip_of_any_event(folder: Path, name: str, told: list[Event]) -> None:
    write_events(told, folder / FILES[name])
    assert_same(read_events(folder / FILES[name]), told)


@settings(max_examples=60, deadline=None)
@given(st.lists(events(one_line, full=True)))
def test_round_trip_through_raven(folder: Path, told: list[Event]) -> None:
    write_events(told, folder / "x.selections.txt")
    assert_same(read_events(folder / "x.selections.txt"), told)


@settings(max_examples=60, deadline=None)
@given(st.lists(events(st.text(), full=True)))
def test_round_trip_through_kaleidoscope(folder: Path, told: list[Event]) -> None:
    write_events(told, folder / "x.kaleidoscope.csv")
    assert_same(read_events(folder / "x.kaleidoscope.csv"), told)


@settings(max_examples=60, deadline=None)
@given(st.lists(events(one_line, full=True)))
def test_round_trip_through_audacity(folder: Path, told: list[Event]) -> None:
    told = [replace(event, score=None, source="") for event in told]
    write_events(told, folder / "x.txt")
    assert_same(read_events(folder / "x.txt"), told)


def test_csv_as_it_stands() -> None:
    told = [*TOLD, Event('a "b"\nc', 1, None)]
    assert "".join(format_events(told, "csv")) == (
        "path,start,end,label,score\n"
        "a.wav,0.000000,1.250000,rooster,0.875000\n"
        "a.wav,0.500000,0.500000,dog bark,1.000000\n"
        'a.wav,3599.123456,86400.500000,"Zilpzalp, singend",0.000001\n'
        ',1.000000,,"a ""b""\nc",\n'
    )


def test_jsonl_as_it_stands() -> None:
    assert list(format_events([Event("Ñandú", 1.25, None, None, "é.wav")], "jsonl")) == [
        '{"path": "é.wav", "start": 1.25, "end": null, "label": "Ñandú", "score": null}\n'
    ]


def test_audacity_as_it_stands() -> None:
    lines = list(format_events(TOLD, "audacity"))
    assert lines[:2] == ["0.000000\t1.250000\trooster\n", "0.500000\t0.500000\tdog bark\n"]


def test_raven_as_it_stands() -> None:
    header, line, *_ = format_events(TOLD, "raven")
    assert dict(zip(header.strip().split("\t"), line.strip().split("\t"), strict=True)) == {
        "Selection": "1",
        "View": "Spectrogram 1",
        "Channel": "1",
        "Begin Time (s)": "0.000000",
        "End Time (s)": "1.250000",
        "Low Freq (Hz)": "0.0",
        "High Freq (Hz)": "20000.0",
        "Begin Path": "a.wav",
        "File Offset (s)": "0.000000",
        "Annotation": "rooster",
        "Score": "0.875000",
    }


def test_kaleidoscope_as_it_stands() -> None:
    told = [Event("owl", 1.25, 2, 0.5, "/n/a/20210605_235959.wav"), Event("owl", 0, 1)]
    assert list(format_events(told, "kaleidoscope", clock=Clock())) == [
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,DATE,TIME,HOUR,TOP1MATCH,SCORE,MANUAL ID\n",
        "/n/a,,20210605_235959.wav,0,1.250000,0.750000,2021-06-06,00:00:00,0,owl,0.500000,\n",
        ",,,0,0.000000,1.000000,,,,owl,,\n",
    ]


def test_wall_clock_times_where_they_are_known(tmp_path: Path) -> None:
    told = [Event("owl", 1.25, 2, None, "20210605_043000.WAV"), Event("owl", 1, 2, None, "b.wav")]
    assert list(format_events(told, "csv", clock=Clock())) == [
        "path,start,end,label,score,time\n",
        "20210605_043000.WAV,1.250000,2.000000,owl,,2021-06-05T04:30:01.250\n",
        "b.wav,1.000000,2.000000,owl,,\n",
    ]
    berlin = Clock(parse_zone("Europe/Berlin"))
    rows = [json.loads(line) for line in format_events(told, "jsonl", clock=berlin)]
    assert [row["time"] for row in rows] == ["2021-06-05T04:30:01.250+02:00", None]
    for clock, zone in ((berlin, "Europe/Berlin"), (Clock(), None)):
        write_events(told, tmp_path / "x.parquet", clock=clock)
        times = parquet.read_table(tmp_path / "x.parquet").column("time")
        assert times.type.tz == zone
        assert [t and f"{t:%H:%M:%S.%f}" for t in times.to_pylist()] == ["04:30:01.250000", None]
        assert read_events(tmp_path / "x.parquet") == told


def test_times_of_many_zones_in_one_parquet(tmp_path: Path) -> None:
    told = [Event("owl", 0, 1, None, "20210605T043000+1000.wav"), Event("owl", 0, 1, None, "x.wav")]
    write_events(told, tmp_path / "x.parquet", clock=Clock(parse_zone("UTC")))
    times = parquet.read_table(tmp_path / "x.parquet").column("time").to_pylist()
    assert times[0].isoformat() == "2021-06-04T18:30:00+00:00"
    write_events(told, tmp_path / "x.parquet", clock=Clock())
    times = parquet.read_table(tmp_path / "x.parquet").column("time").to_pylist()
    assert times[0].isoformat() == "2021-06-05T04:30:00"


def test_parquet_is_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiocnn.annotations.parquet.GROUP", 10)
    write_events((Event("rain", n, n + 1) for n in range(25)), tmp_path / "x.parquet")
    assert parquet.ParquetFile(tmp_path / "x.parquet").num_row_groups == 3
    assert [event.start for event in iter_events(tmp_path / "x.parquet")] == list(range(25))


def test_parquet_of_others(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns = {"label": ["owl"], "end": [2], "start": [1], "score": [math.nan], "n": [[1, 2]]}
    parquet.write_table(pyarrow.table(columns), path)
    assert read_events(path) == [Event("owl", 1, 2)]
    parquet.write_table(pyarrow.table({"label": [None], "end": [2], "start": [1]}), path)
    with pytest.raises(DatasetError, match=r"x\.parquet: row 1: label must be a text, found None"):
        read_events(path)
    parquet.write_table(pyarrow.table({"lable": ["owl"], "end": [2], "start": [1]}), path)
    with pytest.raises(DatasetError, match=r"no column 'label' \(did you mean 'lable'\?\)"):
        read_events(path)
    path.write_text("path,start,end\n")
    with pytest.raises(DatasetError, match=r"x\.parquet cannot be read as Parquet: "):
        read_events(path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"no such file: .*x\.parquet"):
        read_events(path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for use in (lambda: check_format("parquet"), lambda: write_events([], tmp_path / "x.parquet")):
        with pytest.raises(ArgumentError, match=r"pip install 'audiocnn\[parquet\]'"):
            use()


def test_a_table_of_many_recordings_runs_on_in_raven() -> None:
    rows = [*rows_of([replace(TOLD[0], source="a.wav")]), *rows_of([TOLD[0]], lead=60.0)]
    lines = [line.split("\t") for line in raven_lines(rows, False)]
    at = [lines[0].index(name) for name in ("Begin Time (s)", "End Time (s)", "File Offset (s)")]
    assert [[line[i] for i in at] for line in lines[1:]] == [
        ["0.000000", "1.250000", "0.000000"],
        ["60.000000", "61.250000", "0.000000"],
    ]


@pytest.mark.filterwarnings("ignore")  # crowsetta's own, about pandas
def test_other_programs_read_them(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta", reason="crowsetta is not installed")
    told = [event for event in TOLD if event.end != event.start]  # it knows no points
    expected = [(event.start, event.end, event.label) for event in told]
    write_events(told, tmp_path / "x.selections.txt")
    raven = crowsetta.formats.bbox.Raven.from_file(tmp_path / "x.selections.txt", "Annotation")
    assert [(box.onset, box.offset, box.label) for box in raven.to_bbox()] == expected
    write_events(told, tmp_path / "x.txt")
    found = crowsetta.formats.seq.AudSeq.from_file(tmp_path / "x.txt").to_seq()
    assert list(found.labels) == [label for *_, label in expected]
    times = [*zip(found.onsets_s, found.offsets_s, strict=True)]
    assert times == [pytest.approx(times, abs=1e-3) for *times, _ in expected]  # it rounds


def test_lines_are_made_one_by_one() -> None:
    taken = []

    def endless() -> Iterator[Event]:
        for n in itertools.count():
            taken.append(n)
            yield Event("rain", n, n + 1)

    lines = format_events(endless(), "csv")
    assert list(itertools.islice(lines, 3))[2] == ",1.000000,2.000000,rain,\n"
    assert taken == [0, 1]


def test_a_file_is_replaced_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_events(TOLD, path)
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=r"needs 0 <= start <= end, got Event\(label='owl'"):
        write_events([TOLD[0], Event("owl", 2, 1)], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "nothing is left over"
    with pytest.raises(ArgumentError, match=r"cannot write .*nowhere.x\.csv: No such file"):
        write_events(TOLD, tmp_path / "nowhere" / "x.csv")


REFUSED: list[tuple[str, list[Event], str]] = [
    (
        "audacity",
        [TOLD[0], replace(TOLD[0], source="b.wav")],
        r"one recording, got 'a\.wav' and 'b",
    ),
    (
        "audacity",
        [Event("a\tb", 0, 1)],
        r"cannot hold a tab or a line end, got 'a\\tb': write \.cs",
    ),
    ("raven", [Event("a\nb", 0, 1)], r"cannot hold a tab or a line end, got 'a\\nb'"),
    ("raven", [Event("a", 0, 1, None, "x\r.wav")], r"cannot hold a tab or a line end"),
    (
        "raven",
        [Event("a", 0, None)],
        r"Raven needs an end, and this still sounds: Event\(label='a'",
    ),
    ("audacity", [Event("a", 0, None)], r"Audacity needs an end, and this still sounds"),
    ("csv", [Event("a", -1, 1)], r"needs 0 <= start <= end, got Event\(label='a', start=-1"),
    ("csv", [Event("a", 0, float("nan"))], r"needs 0 <= start <= end"),
    ("csv", [Event("a", 0, 1, float("inf"))], r"score of an event must be finite"),
    ("xml", [], r"no text format 'xml': there are audacity, csv, jsonl, kaleid"),
    ("parquet", [], r"no text format 'parquet'"),
    ("kaleidoscope", [Event("a", 0, None)], r"Kaleidoscope needs an end"),
]


@pytest.mark.parametrize(("name", "told", "message"), REFUSED)
def test_what_a_format_cannot_hold_is_refused(name: str, told: list[Event], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        list(format_events(told, name))


@pytest.mark.parametrize("name", ["x.xml", "x.TXT.gz", "events"])
def test_unknown_format(name: str) -> None:
    message = r"no format for .*: the name must end in one of \.selections\.txt \(raven\), \.k"
    uses: list[Callable[[str], object]] = [format_of, read_events, lambda x: write_events([], x)]
    for use in uses:
        with pytest.raises(ArgumentError, match=message):
            use(name)


def test_formats_by_suffix() -> None:
    names = ["a.csv", "B.CSV", "c.jsonl", "d.txt", "e.selections.txt", "f.Table.1.selections.txt",
             "g.parquet", "h.kaleidoscope.csv"]  # fmt: skip
    assert [format_of(name) for name in names] == [
        "csv", "csv", "jsonl", "audacity", "raven", "raven", "parquet", "kaleidoscope",
    ]  # fmt: skip


def read(tmp_path: Path, name: str, text: str) -> list[Event]:
    (tmp_path / FILES[name]).write_bytes(text.encode())
    return read_events(tmp_path / FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_no_events(tmp_path: Path, name: str) -> None:
    write_events([], tmp_path / FILES[name])
    assert read_events(tmp_path / FILES[name]) == []


READABLE = {
    "csv columns in another order, a BOM, CRLF": (
        "csv",
        '\ufefflabel, end ,start,note\r\nowl,2,1,x\r\n\r\n"o,w",3,2,\r\n',
        [Event("owl", 1, 2), Event("o,w", 2, 3)],
    ),
    "audacity with frequencies and points": (
        "audacity",
        "1.0\t2.0\towl\n\\\t100.0\t2000.0\n3\t3\n4\t5\ta b\r\n",
        [Event("owl", 1, 2), Event("", 3, 3), Event("a b", 4, 5)],
    ),
    "jsonl from the live output": (
        "jsonl",
        '{"type": "onset", "id": 1, "start": 1, "label": "owl"}\n\n'
        '{"type": "event", "id": 1, "start": 1, "end": 2, "label": "owl", "score": 0.5}\n'
        '{"type": "gap", "start": 3, "end": 4}\n',
        [Event("owl", 1, 2, 0.5)],
    ),
    "kaleidoscope, corrected by hand, on Windows": (
        "kaleidoscope",
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,TOP1MATCH,TOP1DIST,MANUAL ID\n"
        "C:\\rec,night 1,a.wav,0,1.5,2,100,owl,0.25,\n"
        "/rec,,b.wav,0,3,0.5,100,owl,0.75,Fox\n",
        [
            Event("owl", 1.5, 3.5, None, "C:\\rec\\night 1\\a.wav"),
            Event("Fox", 3, 3.5, None, "/rec/b.wav"),
        ],
    ),
    "raven with two views, several files and another label column": (
        "raven",
        "Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tSpecies\n"
        "1\tWaveform 1\t61.5\t62\ta.wav\t1.5\towl\n"
        "1\tSpectrogram 1\t61.5\t62\ta.wav\t1.5\towl\n"
        '2\tSpectrogram 1\t70\t71\tb.wav\t3\t"q"\n',
        [Event("owl", 1.5, 2, None, "a.wav"), Event('"q"', 3, 4, None, "b.wav")],
    ),
}


@pytest.mark.parametrize("case", READABLE)
def test_files_of_others(tmp_path: Path, case: str) -> None:
    name, text, expected = READABLE[case]
    assert read(tmp_path, name, text) == expected


RAVEN = "Begin Time (s)\tEnd Time (s)\tAnnotation\n"
BAD: list[tuple[str, str, str]] = [
    ("csv", "", r"x\.csv is empty: its first line must name the columns"),
    (
        "csv",
        "start,end,lable\n",
        r"x\.csv:1: no column 'label' \(did you mean 'lable'\?\); there are",
    ),
    ("csv", "start,end,label,end\n", r"x\.csv:1: a column is there twice"),
    ("csv", "start,end,label\n1,2,a\n1,2\n", r"x\.csv:3: 2 columns, and the header has 3"),
    ("csv", "start,end,label\n1,2,a,b\n", r"x\.csv:2: 4 columns, and the header has 3"),
    (
        "csv",
        'start,end,label\n1,2,"a\nb"\none,2,a\n',
        r"x\.csv:4: start must be a number, found 'one",
    ),
    (
        "csv",
        'start,end,label\n"1,5",2,a\n',
        r":2: start must be a number.*'1,5'; write a decimal po",
    ),
    ("csv", "start,end,label\n-1,2,a\n", r"x\.csv:2: start must be at least 0 seconds, found -1"),
    ("csv", "start,end,label\n3,2,a\n", r"x\.csv:2: the end lies before the start, found 3 to 2"),
    ("csv", "start,end,label\nnan,2,a\n", r"x\.csv:2: start must be a number, found 'nan'"),
    (
        "csv",
        "start,end,label,score\n1,2,a,high\n",
        r"x\.csv:2: score must be a number, found 'high'",
    ),
    ("csv", 'start,end,label\n1,2,"a\n', r"x\.csv:2: unexpected end of data"),
    ("jsonl", '{"start": 1}\n', r"x\.jsonl:1: no column 'end'; there are: start"),
    ("jsonl", "\n{'start': 1}\n", r"x\.jsonl:2: not JSON \(.*\), found \"{'start': 1}\""),
    ("jsonl", "[1]\n", r"x\.jsonl:1: not an object with keys, found '\[1\]'"),
    ("jsonl", '{"start": "1", "end": 2, "label": "a"}', r":1: start must be a number, found '1'"),
    ("jsonl", '{"start": true, "end": 2, "label": "a"}', r":1: start must be a number, found True"),
    ("jsonl", '{"start": 1, "end": 2, "label": null}', r":1: label must be a text, found None"),
    ("jsonl", '{"start": NaN, "end": 2, "label": "a"}', r":1: start must be a number, found 'nan'"),
    ("audacity", "1 2 owl\n", r"x\.txt:1: not start, end and label between tabs, found '1 2 owl"),
    (
        "audacity",
        "1,5\t2\towl\n",
        r"x\.txt:1: start must be a number, found '1,5'; write a decimal",
    ),
    ("raven", "", r"x\.selections\.txt is empty"),
    ("raven", RAVEN + "1\t\towl\n", r"txt:2: End Time \(s\) must be a number, found ''"),
    (
        "raven",
        RAVEN[:-11] + "Kind\n1\t2\towl\n",
        r"txt:2: no column 'Annotation'; there are: Begin",
    ),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_lines_say_where(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, name, text)


@pytest.mark.parametrize("name", ["csv", "audacity"])
def test_labels_that_are_not_utf8(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILES[name]
    head = {"csv": b"start\tend\tlabel\n".replace(b"\t", b","), "audacity": b""}[name]
    path.write_bytes(head + b"1\t2\tcaf\xe9\n".replace(b"\t", b"," if head else b"\t"))
    with pytest.raises(DatasetError, match=r":\d: label is not UTF-8, found b'caf\\xe9': save it"):
        read_events(path)


def test_paths_may_be_any_bytes(tmp_path: Path) -> None:
    told = [Event("owl", 1, 2, None, b"\xe9.wav".decode("utf-8", "surrogateescape"))]
    for name in ("csv", "jsonl", "raven", "kaleidoscope"):
        write_events(told, tmp_path / FILES[name])
        assert read_events(tmp_path / FILES[name]) == told
    with pytest.raises(ArgumentError, match=r"Parquet holds UTF-8 alone, and .* is not: '.udce9"):
        write_events(told, tmp_path / "x.parquet")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such file: .*x\.csv; check the name"):
        read_events(tmp_path / "x.csv")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(DatasetError, match=r"dir\.csv cannot be read: .*[Dd]irectory"):
        read_events(tmp_path / "dir.csv")
