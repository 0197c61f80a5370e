"""When a recording began, as recorders write it into the names of their files.

    20210605_043000.WAV                     AudioMoth, its clock (UTC unless set otherwise)
    24F319055FDF2F5B_20210605_043000T.WAV   the same, with its serial number, triggered
    5CD5E3A0.WAV                            AudioMoth before 2020: seconds since 1970, UTC
    SITE_20210605_043000.wav                Song Meter, and most others
    SITE_0+1_20210605$043000.wav            Song Meter SM2 and SM3
    20210605T043000+1000_SITE.flac          ISO 8601, with or without a UTC offset
    2021-06-05T04:30:00.250Z.wav            the same with separators (also _ . - for T and :)
    G024_20210510_180000Z.wav               Swift: UTC; also 20210510_180000_Z

A name that says something impossible (a 13th month) says nothing. The clock of a
recorder is not known to be right, and unless the name has an offset, nor where it
was set: times are naive then, as in the name, unless a zone is given.
"""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

from audiocnn.errors import ArgumentError, did_you_mean

STAMP = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<a>[-_.]?)(?P<month>\d\d)(?P=a)(?P<day>\d\d)"
    r"(?P<t>[-T_ $.]?)"
    r"(?P<hour>\d\d)(?P<b>[-_.:hH]?)(?P<minute>\d\d)(?:(?P=b)|[mM])(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d{1,6})(?!\d))?"
    r"(?!\d)(?P<offset>[_ ]?Z(?![A-Za-z0-9])|[+-]\d\d:?(?:00|15|30|45)(?!\d))?"
)
LOG = logging.getLogger(__name__)
HEXADECIMAL = re.compile(r"[0-9A-F]{8}")
AUDIOMOTH_YEARS = (2016, 2038)  # what eight digits may mean: the first were sold in 2017


@dataclass(frozen=True)
class Clock:
    """The time zone of wall-clock times.

    Parameters
    ----------
    zone
        Zone of the recorders' clocks and of the times that are written. None: times are
        those of the names, without an offset unless the name has one.
    """

    zone: ZoneInfo | None = None


NAIVE = Clock()


def parse_zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name, as in Europe/Berlin or UTC.

    Raises
    ------
    ArgumentError
        If there is none of the name.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        known = available_timezones()
    if not known:
        raise ArgumentError(f"no time zones are installed here, so no {name!r}: pip install tzdata")
    raise ArgumentError(
        f"no time zone {name!r}{did_you_mean(name, known)}: it is a name as in Europe/Berlin, "
        "America/New_York or UTC"
    )


def start_time(path: str, clock: Clock = NAIVE) -> datetime | None:
    """Return when a recording began, if its name contains the time.

    Parameters
    ----------
    path
        Of the recording, or its URL; only the name is looked at, not the folders.
    clock
        Where the recorder's clock was set. A name with an offset, and AudioMoth's
        hexadecimal, need no zone and are converted to this one.

    Returns
    -------
    datetime or None
        Aware if the zone or an offset is known, or else naive. A local time that
        comes twice, when the clock is set back, is the first of the two.

    Examples
    --------
    >>> start_time("night/SITE_20210605_043000.wav")
    datetime.datetime(2021, 6, 5, 4, 30)
    """
    name = re.split(r"[/\\]", path)[-1]
    stem, dot, suffix = name.rpartition(".")
    found = _from_hexadecimal(stem, suffix)
    for stamp in STAMP.finditer(stem if dot and not suffix.isdecimal() else name):
        if found is None:
            found = _from_stamp(stamp)
    if found is None or clock.zone is None:
        return found
    if found.tzinfo is not None:
        return found.astimezone(clock.zone)
    local = found.replace(tzinfo=clock.zone)
    if local.astimezone(UTC).astimezone(clock.zone).replace(tzinfo=None) != found:
        _log_skipped(name, found, clock.zone.key)
    return local


@functools.lru_cache(maxsize=1 << 12)  # each name once
def _log_skipped(name: str, time: datetime, zone: str) -> None:
    LOG.warning(
        "%s says %s, a time that %s skipped when its clocks were set forward: was the recorder's "
        "clock set to UTC, or to winter time? Give --timezone for where it was set",
        name, time.isoformat(" "), zone,
    )  # fmt: skip


def moment(start: datetime, seconds: float) -> datetime:
    """Return the wall-clock time some seconds later, to the microsecond.

    Where the zone is known, also if the clock was set in between.
    """
    later = timedelta(seconds=seconds)
    if start.tzinfo is None:
        return start + later
    return (start.astimezone(UTC) + later).astimezone(start.tzinfo)


def _from_hexadecimal(stem: str, suffix: str) -> datetime | None:
    if suffix.lower() != "wav" or not HEXADECIMAL.fullmatch(stem):
        return None
    found = datetime.fromtimestamp(int(stem, 16), UTC)
    return found if AUDIOMOTH_YEARS[0] <= found.year < AUDIOMOTH_YEARS[1] else None


def _from_stamp(stamp: re.Match[str]) -> datetime | None:
    year, month, day = (int(stamp[name]) for name in ("year", "month", "day"))
    hour, minute, second = (int(stamp[name]) for name in ("hour", "minute", "second"))
    fraction = int((stamp["fraction"] or "0").ljust(6, "0"))
    try:
        found = datetime(year, month, day, hour, minute, second, fraction)
        # Behind another separator than T, a sign and digits are rather a number; Z is UTC.
        offset = (stamp["offset"] or "").lstrip("_ ")
        if offset == "Z" or (offset and stamp["t"] == "T"):
            return found.replace(tzinfo=_offset(offset))
        return found
    except ValueError:
        return None


def _offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-away if text[0] == "-" else away)
