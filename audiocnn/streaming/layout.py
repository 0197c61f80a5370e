"""How the terminal view shares out the lines and columns that there are."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment

from audiocnn.streaming.canvas import Canvas, Line

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

    def beside(
        self,
        painted: list[Line],
        columns: int,
        seconds: float,
        f_min: float,
        f_max: float,
        canvas: Canvas,
    ) -> list[Line]:
        """Put frequencies left of the picture's lines, and times below.

        Parameters
        ----------
        painted
            The picture.
        columns
            Its width.
        seconds
            What a column shows.
        f_min, f_max
            Its lowest and highest frequency, in Hz.
        canvas
            Makes text.
        """
        gutters = [Segment(" " * self.gutter)] * len(painted)
        if self.gutter:
            gutters[0] = canvas.text(hertz(f_max), self.gutter, "dim")
            if len(gutters) > 1:
                gutters[-1] = canvas.text(hertz(f_min), self.gutter, "dim")
        lines = [[gutter, *line] for gutter, line in zip(gutters, painted, strict=True)]
        if self.airy:
            lines.append(
                [Segment(" " * self.gutter), canvas.text(axis(columns, seconds), columns, "dim")]
            )
        return lines


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
    picture = next((n for n in PICTURES if n <= (height - 3) // 4), 0)
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


def axis(columns: int, seconds: float) -> str:
    """Write times below ``columns`` of ``seconds`` each, the newest to the right."""
    cells = [" "] * columns
    for back in range(0, int(columns * seconds) + 1, 10):
        text = f"-{back} s" if back else "now"
        at = columns - round(back / seconds) - len(text) // 2 if back else columns - len(text)
        if 0 <= at and at + len(text) <= columns and not "".join(cells[at - 1 : at + 6]).strip():
            cells[at : at + len(text)] = text
    return "".join(cells)


def hertz(frequency: float) -> str:
    """Write a frequency in at most six letters."""
    return (
        f"{frequency / 1000:.3g}k Hz"
        if frequency >= 10000
        else (f"{frequency / 1000:.3g} kHz" if frequency >= 1000 else f"{frequency:.0f} Hz")
    )
