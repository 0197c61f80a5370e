"""Choosing the columns of a file that are channels, and the column of times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiocnn.errors import ArgumentError, AudioError, did_you_mean
from audiocnn.io.files.numpy_files import LOWEST_RATE
from audiocnn.io.signals.columns import pick_columns

MISSING = ("refuse", "gap", "interpolate")
TIMES = ("time", "timestamp", "datetime", "date")  # names that a column of times has
TIME_NAME = re.compile(
    r"(?:time|timestamp|datetime|date|elapsed|elapsed[ _]?time|time[ _]?elapsed|epoch"
    r"|unix[ _]?time)"
    r"(?:[ _]?[(\[]?(?P<unit>s|sec|secs|seconds?|ms|msec|milliseconds?|us|µs|μs|usec|microseconds?"
    r"|ns|nsec|nanoseconds?|utc|iso)[)\]]?)?|(?P<first>seconds|milliseconds)[ _]elapsed",
    re.IGNORECASE,
)
UNITS = {"ms": 1e-3, "millis": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "micro": 1e-6,
         "usec": 1e-6, "ns": 1e-9, "nano": 1e-9}  # fmt: skip  # by how a unit begins
EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # times since 1970 of our days, in seconds 1e9
INDEX_NAME = re.compile(r"unnamed: \d+|__index_level_\d+__|index", re.IGNORECASE)


@dataclass(frozen=True)
class SignalReadOptions:
    """Options for reading signals.

    Parameters
    ----------
    columns
        Names of the channels, or their numbers from 0; empty for those of the model,
        or all but the time.
    time
        Name of the column with the time: seconds, ISO dates, or times since 1970 in
        seconds, ms, µs or ns. A column called ``time``, ``timestamp``, ``datetime``,
        ``date`` or ``elapsed``, also with a unit (``Time (s)``, ``timestamp (ms)``), is
        taken for it; further ones, and numbers of rows (``Unnamed: 0``), are no channels.
    rate
        Samples per second: rows are taken as they come, whatever a time column says.
    missing
        What becomes of missing values (also of those that are not finite): ``"refuse"``,
        ``"gap"`` (as if nothing had been recorded), or ``"interpolate"`` (on a straight
        line).
    labels
        Name of a column that says of each row what it is; no channel.
    channel
        Of sound with several channels, which one, counted from 0; None for their mean.
    """

    columns: tuple[str, ...] = ()
    time: str | None = None
    rate: float | None = None
    missing: str = "refuse"
    labels: str | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.missing not in MISSING:
            raise ArgumentError(
                f"missing values can be {', '.join(MISSING)}, not {self.missing!r}"
                f"{did_you_mean(self.missing, MISSING)}"
            )
        if self.rate is not None and not LOWEST_RATE <= self.rate < float("inf"):
            raise ArgumentError(
                f"a rate must be above 0 Hz, got {self.rate:g} (the lowest is {LOWEST_RATE:g})"
            )
        if len(set(self.columns)) < len(self.columns):
            raise ArgumentError(f"each column is given once, got {', '.join(self.columns)}")
        if self.channel is not None and self.channel < 0:
            raise ArgumentError(f"a channel is counted from 0, got {self.channel}")

    @property
    def is_for_signals(self) -> bool:
        """Whether anything is said that concerns other signals than sound."""
        return replace(self, channel=None) != SignalReadOptions()


DEFAULT_OPTIONS = SignalReadOptions()


def time_column(path: Path, names: Sequence[str], reading: SignalReadOptions) -> str | None:
    """Find the column with the time; None if there is none.

    Raises
    ------
    AudioError
        If the one that was named is not there.
    """
    if reading.time is not None:
        return pick_columns(path, names, [reading.time])[0]
    own = (*reading.columns, reading.labels)
    times = [name for name in names if is_time(name) and name not in own]
    exact = [name for name in times if name.lower() in TIMES]
    return next(iter([*exact, *times]), None)


def is_time(name: str) -> bool:
    """Return whether a column is called as columns of times are: ``time``, ``Time (s)`` ..."""
    return TIME_NAME.fullmatch(name.strip()) is not None


def is_index(name: str) -> bool:
    """Return whether a column is called as programs call the numbers of rows."""
    return INDEX_NAME.fullmatch(name.strip()) is not None


def time_unit(name: str, first: float) -> float:
    """Return the seconds that 1 in a column of times stands for.

    Parameters
    ----------
    name
        Of the column, which may say its unit: ``timestamp (ms)``.
    first
        Its first value: as a time since 1970 it says its unit by its size.
    """
    found = TIME_NAME.fullmatch(name.strip())
    unit = ((found and (found["unit"] or found["first"])) or "").lower()
    for begin, seconds in UNITS.items():
        if unit.startswith(begin):
            return seconds
    if unit in ("", "utc", "iso"):
        return next((seconds for least, seconds in EPOCHS if first >= least), 1.0)
    return 1.0


def choose_channels(
    path: Path, names: Sequence[str], reading: SignalReadOptions, wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """Choose the columns that are the channels of a signal.

    Parameters
    ----------
    path
        The file, for messages.
    names
        Of its columns, without the time.
    reading
        Its ``columns``, if any, are those; for a model, in the model's order unless
        they are called as its channels are.
    wanted
        Names of the model's channels; None if there is no model.

    Returns
    -------
    tuple of str
        Columns; for a model, in its order.

    Raises
    ------
    AudioError
        If they are not there, or are not what the model wants.
    """
    known = set(wanted or ())
    there = [
        name
        for name in names
        if name != reading.labels and (name in known or not (is_time(name) or is_index(name)))
    ]
    if reading.columns:
        there = list(pick_columns(path, names, reading.columns))  # also a time, if that is asked
    if wanted is None:
        if not there:
            raise AudioError(f"{path} has no channel: its columns are {', '.join(names) or 'none'}")
        return tuple(there)
    if set(wanted) <= set(there) and not (reading.columns and len(there) != len(wanted)):
        return tuple(wanted)
    positional = reading.columns or all(name.isdecimal() for name in there)
    if positional and len(there) == len(wanted):
        return tuple(there)
    hint = "" if reading.columns else "; give --columns to say which stand for the model's"
    raise AudioError(f"{path} has {_listed(there)}, and the model takes {_listed(wanted)}{hint}")


def _listed(names: Sequence[str]) -> str:
    some = ", ".join(name[:24] for name in names[:12]) + (" ..." if len(names) > 12 else "")
    return f"{len(names)} channel{'' if len(names) == 1 else 's'} ({some})"
