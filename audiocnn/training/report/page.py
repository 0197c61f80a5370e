"""The page: sections, pictures with a sentence under each, tables. No script, no link outside.

Everything is rendered by Jinja2 with autoescape, so a label or a file name cannot become
HTML; what is HTML already (a picture, a player) is marked as such in one place, here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

LIMIT = 8_000_000  # bytes; a page that grows beyond is a fault


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    name
        Its anchor: letters and hyphens.
    title
        Plain text.
    body
        HTML; all text of others in it is escaped already.
    """

    name: str
    title: str
    body: str

    @property
    def html(self) -> Markup:
        """The body, marked as HTML."""
        return Markup(self.body)


def text(value: object) -> str:
    """Escape what may come from file names and labels."""
    return str(escape(str(value)))


def paragraph(words: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{text(words)}</p>"


def picture(drawn: str, how_to_read: str) -> str:
    """Return a picture with its one sentence; the picture is HTML, the sentence text."""
    return _render("picture", Markup(drawn), how_to_read)


def grid(cells: Iterable[str], how_to_read: str, kind: str = "cells") -> str:
    """Return several pictures that flow to the width of the screen, with one sentence.

    It stands above: on a telephone, under the last of them, it would come too late.
    """
    return _render("grid", [Markup(cell) for cell in cells], how_to_read, kind)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    how_to_read: str,
    *,
    ready: bool = False,
    prose: bool = False,
) -> str:
    """Return a table; cells are text, or HTML if ``ready``. The first column names the row.

    Cells of ``prose`` wrap; others stay on one line.
    """
    made = [[Markup(cell) for cell in row] if ready else list(row) for row in rows]
    return _render("table", list(head), made, how_to_read, prose)


def tiles(values: Iterable[tuple[str, str, str]]) -> str:
    """Return headline figures: what, how much, and a sentence."""
    return _render("tiles", list(values))


def details(summary: str, body: str) -> str:
    """Return what is folded away until it is asked for; ``body`` is HTML."""
    return _render("details", summary, Markup(body))


def page(title: str, under: str, sections: Sequence[Section]) -> str:
    """Write the whole file.

    Parameters
    ----------
    title, under
        Plain text: headline and a line under it.
    sections
        In their order.
    """
    style = resources.files("audiocnn.training.report").joinpath("style.css").read_text("utf-8")
    return _render("page", title, under, sections, Markup(style))


@functools.cache
def _parts() -> Any:
    source = resources.files("audiocnn.training.report").joinpath("page.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).module


def _render(name: str, *values: Any) -> str:
    return str(getattr(_parts(), name)(*values))
