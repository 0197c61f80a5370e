"""Which columns of a file are the channels of a signal, and which says the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiocnn.errors import ArgumentError, AudioError, did_you_mean
from audiocnn.io.signals.columns import pick_columns

MISSING = ("refuse", "gap", "interpolate")
TIMES = ("time", "timestamp", "datetime", "date")  # names that a column of times has


@dataclass(frozen=True)
class SignalReadOptions:
    """How signals are to be read.

    Parameters
    ----------
    columns
        Names of the channels, or their numbers from 0; empty for those of the model,
        or all but the time.
    time
        Name of the column with the time: seconds, or ISO dates. A column called
        ``time``, ``timestamp``, ``datetime`` or ``date`` is taken for it.
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
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ArgumentError(f"a rate must be above 0 Hz, got {self.rate}")
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
    return next((n for n in names if n.lower() in TIMES and n not in own), None)


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
    there = [name for name in names if name != reading.labels]
    if reading.columns:
        there = list(pick_columns(path, names, reading.columns))
    if wanted is None:
        if not there:
            raise AudioError(f"{path} has no channel: its columns are {', '.join(names) or 'none'}")
        return tuple(there)
    if set(wanted) <= set(there) and not (reading.columns and len(there) != len(wanted)):
        return tuple(wanted)
    positional = reading.columns or all(name.isdecimal() for name in there)
    if positional and len(there) == len(wanted):
        return tuple(there)
    told = "" if reading.columns else "; give --columns to say which stand for the model's"
    raise AudioError(f"{path} has {_told(there)}, and the model hears {_told(wanted)}{told}")


def _told(names: Sequence[str]) -> str:
    some = ", ".join(name[:24] for name in names[:12]) + (" ..." if len(names) > 12 else "")
    return f"{len(names)} channel{'' if len(names) == 1 else 's'} ({some})"
