"""What a terminal can show, and the pieces of a line: text that fits, bars, a picture.

A line is a list of rich's segments, no wider than was asked for. Whatever is shown goes
through `plain` first: labels are anybody's, and may hold markup (which is never looked
at), control characters (which would run the terminal) or letters that it cannot show.

The picture is built as ready-made strings, one for each pair of colours: as segments of
rich it would cost more than all the rest of the view together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

Line = list[Segment]

# Dark to bright, about the same step in lightness from one to the next (magma, of
# matplotlib, https://bids.github.io/colormap, every 17th colour).
MAGMA = (
    "#000004", "#0b0924", "#20114b", "#3b0f70", "#57157e", "#721f81", "#8c2981", "#a8327d",
    "#c43c75", "#de4968", "#f1605d", "#fa7f5e", "#fe9f6d", "#febf84", "#fddea0", "#fcfdbf",
)  # fmt: skip
# The like of it among 256 colours. rich's choice would make one black of the first four.
MAGMA_256 = (16, 233, 17, 53, 54, 89, 90, 126, 161, 167, 203, 209, 215, 222, 229, 231)
N_SHADES = len(MAGMA)
LOST, BLANK = N_SHADES, N_SHADES + 1  # what a cell holds beside shades


@dataclass(frozen=True)
class Glyphs:
    """The characters that bars, rules and pictures are made of."""

    full: str
    half: str
    rest: str
    mark: str
    ellipsis: str
    shades: str
    lost: str


UNICODE = Glyphs("━", "╸", "─", "┃", "…", " ░▒▓█", "×")  # noqa: RUF001 - a cross, not an x
ASCII = Glyphs("=", "-", ".", "|", "~", " .:-=+*#%@", "x")
UPPER_HALF = "▀"

STYLES = {
    name: Style.parse(style)
    for name, style in {
        "": "none",
        "title": "bold",
        "dim": "bright_black",
        "good": "green",
        "loud": "bold bright_green",
        "warm": "yellow",
        "bad": "bold red",
        "calm": "cyan",
        "alarm": "bold white on red",
    }.items()
}


class Canvas:
    """Makes lines for one console.

    Parameters
    ----------
    console
        Says which colours and characters there are.
    """

    def __init__(self, console: Console) -> None:
        self.encoding = console.encoding or "ascii"
        self.colour_system = None if console.no_color else console.color_system
        self.glyphs = UNICODE if _can_show(UNICODE, self.encoding) else ASCII
        self._plain: dict[tuple[str, int], str] = {}
        rich_enough = self.colour_system in ("256", "truecolor")
        self.rows_per_line = 2 if rich_enough and self.glyphs is UNICODE else 1
        self._cells = self._coloured_cells() if self.rows_per_line == 2 else {}

    def text(self, text: str, width: int, style: str = "", *, right: bool = False) -> Segment:
        """Make text of exactly ``width`` cells, cut or padded."""
        key = (text, width)
        shown = self._plain.get(key)
        if shown is None:
            if len(self._plain) > 2000:  # texts that never come again: times, lengths
                self._plain.clear()
            shown = plain(text, self.encoding)
            if cell_len(shown) > width:
                shown = set_cell_size(shown, max(0, width - 1)) + self.glyphs.ellipsis * (width > 0)
            self._plain[key] = shown
        blanks = " " * (width - cell_len(shown))
        return Segment(blanks + shown if right else shown + blanks, STYLES[style])

    def rule(self, text: str, width: int) -> Line:
        """Make a heading: a word in a thin line."""
        rule = self.glyphs.rest if self.glyphs is UNICODE else "-"
        word = f"{rule * 2} {text} "
        return [Segment((word + rule * (width - len(word)))[: max(0, width)], STYLES["dim"])]

    def bar(
        self, share: float, width: int, styles: Sequence[str], marks: Iterable[tuple[float, str]]
    ) -> Line:
        """Make a bar of ``width`` cells.

        Parameters
        ----------
        share
            How much of it is full, 0 to 1; NaN is nothing.
        styles
            Of the full part, from its beginning; each for an equal part of the width.
        marks
            Places 0 to 1 and their styles; a mark stands before what is behind it.
        """
        if width <= 0:
            return []
        halves = 0 if math.isnan(share) else round(2 * width * min(1.0, max(0.0, share)))
        cells = [self.glyphs.full] * (halves // 2) + [self.glyphs.half] * (halves % 2)
        painted = [styles[i * len(styles) // width] for i in range(len(cells))]
        cells += [self.glyphs.rest] * (width - len(cells))
        painted += ["dim"] * (width - len(painted))
        for place, style in marks:
            if not math.isnan(place):
                at = round(min(1.0, max(0.0, place)) * (width - 1))
                cells[at], painted[at] = self.glyphs.mark, style
        runs = itertools.groupby(zip(painted, cells, strict=True), key=lambda pair: pair[0])
        return [Segment("".join(cell for _, cell in run), STYLES[style]) for style, run in runs]

    def paint(self, picture: NDArray[np.float32], low: float, high: float) -> list[Line]:
        """Draw decibels (rows, columns), ``low`` dark and ``high`` bright.

        Returns
        -------
        list
            A line for each `rows_per_line` rows.
        """
        lost, blank = np.isnan(picture), np.isneginf(picture)
        share = np.where(lost | blank, 0, (picture - low) / (high - low))
        shades = np.clip(share * N_SHADES, 0, N_SHADES - 1).astype(np.intp)
        shades[lost], shades[blank] = LOST, BLANK
        if self.rows_per_line == 1:
            ramp = self.glyphs.shades
            cells = [ramp[shade * len(ramp) // N_SHADES] for shade in range(N_SHADES)]
            cells += [self.glyphs.lost, " "]
            return [[Segment("".join([cells[s] for s in row]))] for row in shades.tolist()]
        pairs = shades[0::2] * 32 + shades[1::2]
        return [[Segment(self._coloured(row))] for row in pairs.tolist()]

    def _coloured(self, row: list[int]) -> str:
        cells, before, parts = self._cells, -1, []
        for pair in row:
            colours, glyph = cells[pair]
            parts.append(glyph if pair == before else colours + glyph)
            before = pair
        return "".join(parts) + "\x1b[0m"

    def _coloured_cells(self) -> dict[int, tuple[str, str]]:
        """Give the colours and the character of every pair of shades, the upper one first."""
        if self.colour_system == "truecolor":
            colours = [Color.parse(name) for name in MAGMA]
        else:
            colours = [Color.from_ansi(number) for number in MAGMA_256]
        front = [";".join(colour.get_ansi_codes(foreground=True)) for colour in colours]
        back = [";".join(colour.get_ansi_codes(foreground=False)) for colour in colours]
        cells = {}
        for upper, lower in itertools.product(range(N_SHADES), repeat=2):
            cells[upper * 32 + lower] = (
                (f"\x1b[{back[lower]}m", " ")
                if upper == lower
                else (f"\x1b[{front[upper]};{back[lower]}m", UPPER_HALF)
            )
        cells[LOST * 32 + LOST] = ("\x1b[0;31m", self.glyphs.lost)
        cells[BLANK * 32 + BLANK] = ("\x1b[0m", " ")
        return cells


def plain(text: str, encoding: str = "utf-8") -> str:
    """Make text harmless: one line, no control characters, only what the encoding has."""
    text = "".join(
        " " if letter.isspace() else letter if letter.isprintable() else "" for letter in text
    )
    return text.encode(encoding, "replace").decode(encoding)


def width_of(line: Line) -> int:
    """Count a line's cells."""
    return sum(cell_len(segment.text) for segment in line)


def _can_show(glyphs: Glyphs, encoding: str) -> bool:
    try:
        (UPPER_HALF + "".join(astuple(glyphs))).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
