import json
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event
from audiocnn.labeling.coverage import Coverage, Skipped
from audiocnn.labeling.label import LabelResult
from audiocnn.labeling.summary import (
    GROUPINGS,
    EmptyDays,
    Summary,
    folder_of,
    hours_of,
    site_of,
    summarize,
)
from audiocnn.labeling.summary_page import write_picture

EVENING, NIGHT, NAMELESS = "A_20210605_233000.wav", "A_20210607_003000.wav", "x.wav"
EVENTS = [
    Event("owl", 60, 61.5, 0.5, EVENING),
    Event("owl", 1860, 1861, 0.75, EVENING),  # after midnight
    Event("fox <&>", 5, None, None, EVENING),
    Event("owl", 60, 61, 0.25, NIGHT),
    Event("owl", 60, 61, 0.875, NAMELESS),
]
RESULTS = [
    LabelResult(EVENING, tuple(EVENTS[:3]), Coverage(3600.0, 3600.0)),
    LabelResult(
        NIGHT,
        (EVENTS[3],),
        Coverage(600.0, 300.0, 0, (Skipped("unreadable", 300.0, 300),)),
        "cut off",
    ),
    LabelResult(NAMELESS, (EVENTS[4],), Coverage(100.0, 100.0)),
]  # fmt: skip
D5, D6, D7 = date(2021, 6, 5), date(2021, 6, 6), date(2021, 6, 7)


@pytest.fixture
def summary() -> Summary:
    return summarize(None, RESULTS, Clock())


def test_events_by_class_day_and_hour(summary: Summary) -> None:
    assert list(summary.labels) == ["fox <&>", "owl"]
    owl = summary.labels["owl"]
    assert (owl.events, owl.seconds, owl.recordings, owl.best) == (4, 4.5, 3, 0.875)
    assert owl.hours == {(D5, 23): 1, (D6, 0): 1, (D7, 0): 1}
    assert owl.by_hour() == [2] + [0] * 22 + [1]
    assert owl.by_day() == {"2021-06-05": 1, "2021-06-06": 1, "2021-06-07": 1}
    assert summary.untimed == 1
    assert summary.days() == [D5, D6, D7]
    assert summary.labels["fox <&>"].best is None


def test_what_was_heard(summary: Summary) -> None:
    coverage = summary.coverage
    assert coverage is not None
    assert (coverage.recordings, coverage.failed, coverage.seconds, coverage.scored) == (
        3,
        1,
        4300,
        4000,
    )
    assert coverage.skipped == {"unreadable": 300}
    assert coverage.hours == {(D5, 23): 1800, (D6, 0): 1800, (D7, 0): 300}


def test_a_file_counts_before_the_ledger() -> None:
    edited = summarize(EVENTS[:1], RESULTS, Clock())
    assert edited.labels["owl"].events == 1
    assert edited.coverage is not None
    assert edited.coverage.recordings == 3
    assert summarize(EVENTS, None, Clock()).coverage is None


def test_zones_are_heeded() -> None:
    tokyo = summarize(
        [Event("owl", 0, 1, 0.5, "5CD5E3A0.WAV")], None, Clock(parse_zone("Asia/Tokyo"))
    )
    assert tokyo.labels["owl"].hours == {(date(2019, 5, 11), 5): 1}


def test_wrong_clocks_do_not_make_centuries() -> None:
    told = [Event("owl", 0, 1, 0.5, f"{year}0101_000000.wav") for year in (1980, 2021)]
    first, between, last = summarize(told, None, Clock()).days()
    assert (first, last) == (date(1980, 1, 1), date(2021, 1, 1))
    assert between == EmptyDays(date(1980, 1, 2), 14975)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
    st.floats(1e-3, 3e5),
    st.sampled_from([None, "Europe/Berlin", "Asia/Kathmandu"]),
)
def test_hours_add_up(start: datetime, seconds: float, zone: str | None) -> None:
    start = start.replace(tzinfo=parse_zone(zone) if zone else None)
    parts = list(hours_of(start, seconds))
    assert sum(part for _, part in parts) == pytest.approx(seconds)
    assert all(0 < part <= 3600 for _, part in parts)
    assert len(parts) <= seconds / 3600 + 4


def test_json_holds_all_of_it(summary: Summary) -> None:
    told = json.loads(json.dumps(summary.as_dict()))
    assert told["labels"]["owl"]["hours"][0] == ["2021-06-05", 23, 1]
    assert told["coverage"]["hours"] == [
        ["2021-06-05", 23, 1800.0], ["2021-06-06", 0, 1800.0], ["2021-06-07", 0, 300.0],
    ]  # fmt: skip
    assert told["coverage"]["skipped"] == {"unreadable": 300.0}
    assert summarize(EVENTS, None, Clock()).as_dict()["coverage"] is None


def test_html_needs_nothing_and_shows_all(summary: Summary, tmp_path: Path) -> None:
    write_picture(summary, tmp_path / "x.html", "night & day")
    page = (tmp_path / "x.html").read_text()
    assert "night &amp; day" in page
    assert "fox &lt;&amp;&gt;" in page
    assert page.count("<title>2021-06-0") == 4 + 3, "an event or minutes in so many hours"
    assert "not recorded</text>" in page
    assert "recorded, no event</text>" in page
    assert "2021-06-05 23 h: 30</title>" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page
    write_picture(summary, tmp_path / "y.html", "night & day")
    assert (tmp_path / "y.html").read_text() == page


@pytest.mark.parametrize("events", [[], EVENTS, EVENTS[4:]])
def test_pictures_of_little(events: list[Event], tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    summary = summarize(events, None, Clock())
    for name in ("x.html", "x.png"):
        write_picture(summary, tmp_path / name, "t")
    with image_module.open(tmp_path / "x.png") as image:
        assert image.size[0] == 2080
        assert len(image.getcolors(1 << 20)) > 2


def test_png_shows_the_hours(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    dark = []
    for n in (1, 2, 3):
        told = [Event("owl", 3600 * k, 3600 * k + 1, 0.5, EVENING) for k in range(n)]
        write_picture(summarize(told, None, Clock()), tmp_path / "x.png", "t")
        with image_module.open(tmp_path / "x.png") as image:
            dark.append(dict((c, k) for k, c in image.getcolors(1 << 20))[1, 42, 74])
    assert dark[2] - dark[1] == dark[1] - dark[0] > 500, "a cell for each hour"


def test_size_grows_with_what_is_there(tmp_path: Path) -> None:
    told = [
        Event(f"class {n % 50}", 3600.0 * n, 3600.0 * n + 1, 0.5, "20210101_000000.wav")
        for n in range(24 * 365)
    ]
    write_picture(summarize(told, None, Clock()), tmp_path / "x.html", "a year of 50 classes")
    assert (tmp_path / "x.html").stat().st_size < 3e6


def test_pictures_that_cannot_be(
    summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArgumentError, match=r"no picture for .*x\.gif.*must end in \.html or"):
        write_picture(summary, tmp_path / "x.gif", "t")
    with pytest.raises(ArgumentError, match=r"cannot write .*nowhere.x\.html: No such file"):
        write_picture(summary, tmp_path / "nowhere" / "x.html", "t")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ArgumentError, match=r"pip install 'audiocnn\[pictures\]', or write \.html"):
        write_picture(summary, tmp_path / "x.png", "t")


def test_few_empty_days_stay_and_many_are_folded(tmp_path: Path) -> None:
    days = ["20210601", "20210603", "20210607"]
    events = [Event("owl", 0, 1, 0.5, f"{day}_000000.wav") for day in days]
    found = summarize(events, None, Clock())
    assert found.days() == [
        date(2021, 6, 1), date(2021, 6, 2), date(2021, 6, 3), EmptyDays(date(2021, 6, 4), 3),
        date(2021, 6, 7),
    ]  # fmt: skip
    write_picture(found, tmp_path / "x.html", "t")
    assert "3 days without recordings" in (tmp_path / "x.html").read_text()


def test_groups_of_recordings(tmp_path: Path) -> None:
    names = [
        "a/SITE_A_20210605_043000.wav",
        "b/SITE_A_20210606_043000.wav",
        "b/20210605_050000.WAV",
    ]
    results = [
        LabelResult(name, (Event("owl", 0, 1, 0.5, name),), Coverage(3600.0, 3600.0))
        for name in names
    ]
    by_site = summarize(None, results, Clock(), GROUPINGS["site"])
    assert {name: group.n_events for name, group in by_site.groups.items()} == {"SITE_A": 2, "b": 1}
    by_folder = summarize(None, results, Clock(), GROUPINGS["folder"])
    assert {n: g.coverage and g.coverage.recordings for n, g in by_folder.groups.items()} == {
        "a": 1, "b": 2,
    }  # fmt: skip
    assert by_folder.as_dict()["groups"]["b"]["labels"]["owl"]["events"] == 2
    write_picture(by_site, tmp_path / "x.html", "t", by="site")
    page = (tmp_path / "x.html").read_text()
    assert "<td>SITE_A</td><td>2</td><td>2.00</td><td>2</td><td>2</td>" in page


@pytest.mark.parametrize(
    ("path", "folder", "site"),
    [
        ("x.wav", ".", "."),
        ("rec/a/x.wav", "rec/a", "a"),
        (r"rec\a\x.wav", r"rec\a", "a"),
        ("s3://b/c/24F3_20210605_043000T.WAV", "s3://b/c", "24F3"),
        ("SITE_B/20210605_043000.WAV", "SITE_B", "SITE_B"),
    ],
)
def test_folders_and_sites(path: str, folder: str, site: str) -> None:
    assert (folder_of(path), site_of(path)) == (folder, site)


def test_clips_are_linked(tmp_path: Path) -> None:
    folder = tmp_path / "my review"
    folder.mkdir()
    clip = "owl/0001_0.90_night <1>.flac"
    (folder / "review.csv").write_text(
        "clip,path,start,end,label,score,offset,verdict\n"
        f"{clip},night <1>.wav,1.5,2.5,owl,0.9,1.0,\n"
        "fox/1.svg,m.csv,1.5,2.5,fox,,1.0,right\n"
    )
    write_picture(summarize(EVENTS, None, Clock()), tmp_path / "x.html", "t", clips=folder)
    page = (tmp_path / "x.html").read_text()
    link = "my%20review/owl/0001_0.90_night%20%3C1%3E.flac"
    assert f'<audio controls preload="none" src="{link}"></audio> <a href="{link}">' in page
    assert "night &lt;1&gt;.wav, 1.5 s, 0.90</a>" in page
    assert '<li><a href="my%20review/fox/1.svg">m.csv, 1.5 s</a></li>' in page
    with pytest.raises(DatasetError, match=r"no such file: .*review\.csv"):
        write_picture(summarize(EVENTS, None, Clock()), tmp_path / "x.html", "t", clips=tmp_path)
