"""How the terminal view shares out the lines and columns that there are."""

from __future__ import annotations

from dataclasses import dataclass

PICTURES = (12, 8, 6, 4, 3, 2, 1)  # lines: twice as many rows must divide the bands
AIRY = 18  # lines from which there is room for headings, an axis, a line for alarms
WIDE = 110  # columns from which scores and events stand beside each other


@dataclass(frozen=True)
class Layout:
    """Lines for each part.

    Parameters
    ----------
    airy
        Whether there is a line for alarms, and an axis below the picture.
    picture, scores, events
        Lines, without headings.
    headings
        1 if scores and events have a heading each, else 0.
    gutter
        Columns left of the picture.
    side_by_side
        Whether scores and events stand beside each other.
    """

    airy: bool
    picture: int
    scores: int
    events: int
    headings: int
    gutter: int
    side_by_side: bool


def arrange(width: int, height: int, n_labels: int) -> Layout:
    """Share out ``height`` lines of ``width`` columns.

    Parameters
    ----------
    width, height
        What there is.
    n_labels
        How many scores could be shown.
    """
    airy, wide = height >= AIRY, width >= WIDE
    around = 5 if airy else 3  # title, level, status; alarm, axis
    picture = next((n for n in PICTURES if n <= (height - 2) // 4), 0)
    headings = int(airy)
    left = max(0, height - around - picture - headings * (1 if wide else 2))
    scores = left if wide else min(n_labels, left // 2)
    return Layout(
        airy=airy,
        picture=picture,
        scores=min(n_labels, scores),
        events=left if wide else left - scores,
        headings=headings,
        gutter=7 if width >= 60 else 0,
        side_by_side=wide,
    )
