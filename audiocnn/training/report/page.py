"""The page: sections, pictures with a sentence under each, tables. No script, no link outside."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

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


def text(value: object) -> str:
    """Escape what may come from file names and labels."""
    return html.escape(str(value), quote=True)


def paragraph(said: str) -> str:
    """Give a paragraph of plain text."""
    return f"<p>{text(said)}</p>"


def picture(drawn: str, how_to_read: str) -> str:
    """Give a picture with its one sentence; the picture is HTML, the sentence text."""
    return (
        f'<figure><div class="scroll">{drawn}</div><figcaption>{text(how_to_read)}'
        "</figcaption></figure>"
    )


def grid(cells: Iterable[str], how_to_read: str, kind: str = "cells") -> str:
    """Give several pictures that flow to the width of the screen, with one sentence.

    It stands above: on a telephone, under the last of them, it would come too late.
    """
    inside = "".join(f"<div>{cell}</div>" for cell in cells)
    return (
        f'<figure class="many"><figcaption>{text(how_to_read)}</figcaption>'
        f'<div class="{kind}">{inside}</div></figure>'
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], how_to_read: str, *, ready: bool = False
) -> str:
    """Give a table; cells are text, or HTML if ``ready``. The first column names the row."""
    as_cell = str if ready else text
    top = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{as_cell(row[0])}</th>'
        + "".join(f"<td>{as_cell(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<figure><div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div><figcaption>{text(how_to_read)}</figcaption></figure>"
    )


def tiles(values: Iterable[tuple[str, str, str]]) -> str:
    """Give headline figures: what, how much, and a sentence."""
    return (
        '<div class="tiles">'
        + "".join(
            f"<div><span>{text(name)}</span><b>{text(value)}</b><p>{text(said)}</p></div>"
            for name, value, said in values
        )
        + "</div>"
    )


def details(summary: str, body: str) -> str:
    """Give what is folded away until it is asked for; ``body`` is HTML."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>"


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
    contents = "".join(f'<li><a href="#{s.name}">{text(s.title)}</a></li>' for s in sections)
    body = "".join(
        f'<section id="{s.name}"><h2>{text(s.title)}</h2>{s.body}</section>' for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title)}</title><style>{style}</style></head>\n"
        f'<body><div class="top"><header><h1>{text(title)}</h1><p>{text(under)}</p></header>'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav></div>\n'
        f"<main>{body}</main></body></html>\n"
    )
