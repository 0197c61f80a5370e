"""Missing values: refused, made gaps, or interpolated.

What comes in is rows in their places, NaN where one channel has no value; where whole
rows are missing, the next ones begin later.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from audiocnn.errors import AudioError
from audiocnn.io.signals.time_axis import Numbers, Placed

LONGEST_LINE = 1 << 20  # samples that a straight line may be drawn over


@dataclass
class Missed:
    """Counts of missing values.

    Parameters
    ----------
    samples
        At which a channel or more had no value.
    """

    samples: int = 0


def refusing(rows: Placed, names: tuple[str, ...], place: Callable[[int], str]) -> Placed:
    """Pass rows on until something is missing.

    Raises
    ------
    AudioError
        Then; says where.
    """
    n_rows = end = 0
    for at, part in rows:
        gone = np.isnan(part)
        if at > end or gone.any():
            row, column = np.argwhere(gone)[0].tolist() if at <= end else (0, 0)
            if row:
                yield at, part[:row]
            what = f"{at - end} rows before it" if at > end else repr(names[column])
            raise AudioError(
                f"{place(n_rows + row)}: no value for {what}: give --missing gap to leave that "
                "out, or --missing interpolate to draw a line over it"
            )
        yield at, part
        n_rows, end = n_rows + len(part), at + len(part)


def counted(rows: Placed, missed: Missed) -> Placed:
    """Pass rows on, counting what is missing."""
    end = 0
    for at, part in rows:
        if not len(part):  # decoders end so
            continue
        missed.samples += at - end + int(np.count_nonzero(np.isnan(part).any(axis=1)))
        yield at, part
        end = at + len(part)


def interpolated(where: str, rows: Placed, names: tuple[str, ...], missed: Missed) -> Placed:
    """Interpolate missing values linearly; at both ends of a recording the nearest value is used.

    Raises
    ------
    AudioError
        If a channel has no value for too long, or none at all.
    """
    held: list[Numbers] = []
    first = 0  # sample at which what is held begins
    n_given = 0  # 1 if it begins with a sample that was given out
    for at, part in itertools.chain(counted(rows, missed), [(-1, None)]):
        if part is not None:
            end = first + sum(map(len, held))
            gap = at - end
            if gap > LONGEST_LINE or (gap + end - first > LONGEST_LINE and np.isnan(part).any()):
                raise AudioError(
                    f"{where}: a channel has no value for more than {LONGEST_LINE} samples, too "
                    "long for a line: give --missing gap, or leave the channel out"
                )
            if gap > 0:
                held.append(np.full((gap, part.shape[1]), np.nan))
            held.append(part)
        if not held:
            continue
        block = np.concatenate(held)
        # A line needs its other end: the last row at or behind which every channel has a value.
        last = len(block) - 1 if part is None else _last_known(block)
        if last < n_given and part is not None:
            held = [block]
            continue
        drawn = block.copy()
        _draw(where, drawn, names)
        if last >= n_given:
            yield first + n_given, drawn[n_given : last + 1]
        first += last
        block[last] = drawn[last]
        held, n_given = [block[last:]], 1


def _last_known(block: Numbers) -> int:
    """Return the last row at or behind which every channel has a value; -1 if one has none."""
    good = ~np.isnan(block)
    lasts = len(block) - 1 - good[::-1].argmax(axis=0)
    return int(np.where(good.any(axis=0), lasts, -1).min(initial=len(block) - 1))


def _draw(where: str, block: Numbers, names: Iterable[str]) -> None:
    for name, column in zip(names, block.T, strict=True):
        good = ~np.isnan(column)
        if not good.any():
            raise AudioError(f"{where}: the channel {name!r} has no value at all: leave it out")
        column[~good] = np.interp(np.flatnonzero(~good), np.flatnonzero(good), column[good])
