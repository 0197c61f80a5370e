import zoneinfo
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.annotations.start_times import Clock, moment, parse_zone, start_time
from audiocnn.errors import ArgumentError

DAY = datetime(2021, 6, 5, 4, 30)
EAST = DAY.replace(tzinfo=timezone(timedelta(hours=10)))
WEST = DAY.replace(tzinfo=timezone(-timedelta(hours=3, minutes=30)))
NAMES = {
    "20210605_043000.WAV": DAY,
    "24F319055FDF2F5B_20210605_043000T.WAV": DAY,
    "5CD5E3A0.WAV": datetime(2019, 5, 10, 20, 48, 32, tzinfo=UTC),
    "SITE_20210605_043000.wav": DAY,
    "SITE_0+1_20210605$043000.wav": DAY,
    "SM2_20210605_043000_000.wav": DAY,
    "20210605T043000+1000_SITE.flac": EAST,
    "S1084904_20210605T043000-0330_x.wav": WEST,
    "2021-06-05T04:30:00.250Z.wav": DAY.replace(microsecond=250000, tzinfo=UTC),
    "2021-06-05T04:30:00+10:00": EAST,
    "2021-06-05_04-30-00.ogg": DAY,
    "2021-06-05 04.30.00.mp3": DAY,
    "2021-06-05 at 04h30m00.mp3": None,
    "2021-06-05-04h30m00.mp3": DAY,
    "20210605043000.3gp": DAY,
    "20210605_043000": DAY,
    "2021-06-05-04-30-00-0001.wav": DAY,  # a number, not an offset
    "20211305_043000.wav": None,  # a 13th month
    "20210605_043060.wav": None,
    "20211305_043000_20210605_043000.wav": DAY,
    "20210605.WAV": None,  # a day alone, and in hexadecimal it is 1987
    "5cd5e3a0.wav": None,
    "5CD5E3A0.flac": None,
    "1-187207-A.ogg": None,
    "120210605_0430001.wav": None,
    "": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_what_names_say(name: str) -> None:
    assert start_time(name) == NAMES[name]
    for path in (f"a/20000101_000000/{name}", f"C:\\rec\\{name}", f"s3://bucket/{name}"):
        assert start_time(path) == NAMES[name]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2089, 1, 1)), st.booleans())
def test_any_time_is_read_back(time: datetime, iso: bool) -> None:
    time = time.replace(microsecond=0)
    name = time.isoformat() if iso else f"{time:%Y%m%d_%H%M%S}"
    assert start_time(f"SITE_{name}.wav") == time


def test_zones() -> None:
    berlin = Clock(parse_zone("Europe/Berlin"))
    found = [start_time(name, berlin) for name in NAMES]
    told = [time and time.isoformat() for time in found]
    assert told[0] == "2021-06-05T04:30:00+02:00"
    assert told[2] == "2019-05-10T22:48:32+02:00", "AudioMoth's hexadecimal is UTC"
    assert told[6] == "2021-06-04T20:30:00+02:00", "the name's own offset counts"
    assert start_time("x.wav", berlin) is None


def test_the_clock_is_set_while_it_records() -> None:
    berlin = Clock(parse_zone("Europe/Berlin"))
    start = start_time("20211031_013000.wav", berlin)
    assert start is not None
    assert moment(start, 1.5 * 3600).isoformat() == "2021-10-31T02:00:00+01:00"
    naive = start_time("20211031_013000.wav")
    assert naive is not None
    assert moment(naive, 1.5 * 3600).isoformat() == "2021-10-31T03:00:00"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Europe/Berln", r"no time zone 'Europe/Berln' \(did you mean 'Europe/Berlin'\?\)"),
        ("", r"no time zone ''"),
        ("../etc", r"no time zone '../etc'"),
        ("Europe", r"no time zone 'Europe'"),
    ],
)
def test_zones_that_are_none(name: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_zone(name)


def test_where_no_zones_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiocnn.annotations.start_times.available_timezones", set)
    zoneinfo.ZoneInfo.clear_cache()
    with pytest.raises(ArgumentError, match=r"no time zones are installed.*pip install tzdata"):
        parse_zone("Europa/Berlin")


@pytest.mark.parametrize(
    "name",
    [
        "G024_V1_U1_20210510_180000Z.wav",
        "Queens_20210510_180000_Z.wav",
        "20210510T180000Z_G024.wav",
    ],
)
def test_names_with_z_are_utc(name: str) -> None:
    clock = Clock(zoneinfo.ZoneInfo("America/New_York"))
    assert start_time(name, clock) == datetime(2021, 5, 10, 18, tzinfo=UTC)
    assert start_time(name) == datetime(2021, 5, 10, 18, tzinfo=UTC)


def test_a_word_that_begins_with_z_is_no_zone() -> None:
    found = start_time("20210510_180000_Zoo.wav")
    assert found is not None
    assert found.tzinfo is None


def test_a_time_that_a_clock_change_skipped_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(zoneinfo.ZoneInfo("Europe/Berlin"))
    start_time("SITE_20210328_023000.wav", clock)
    assert "SITE_20210328_023000.wav says 2021-03-28 02:30:00, a time that Europe/Berlin" in (
        caplog.text
    )
    caplog.clear()
    for name in ("SITE_20210328_013000.wav", "SITE_20210328_033000.wav"):
        start_time(name, clock)
    start_time("SITE_20211031_023000.wav", clock)  # comes twice: the first is taken
    assert not caplog.text
