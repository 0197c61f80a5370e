"""A summary as a file: a page of HTML that needs nothing from outside, or a PNG.

The page follows the reader's light or dark theme. Everything that comes from recordings
(names of classes and files) is escaped by the template engine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from audiocnn.datasets.reviews import read_cuts
from audiocnn.errors import ArgumentError
from audiocnn.io.files.atomic import replacing
from audiocnn.labeling.summary import Summary
from audiocnn.labeling.summary_plot import (
    WIDTH,
    as_png,
    height_of,
    import_pillow,
    layout,
    printable,
)

COLUMNS = 12  # classes with a column in the table of groups: the most frequent
TEMPLATE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --page: #fff; --text: #1b2631; --muted: #5f6b76;
  --bar: #2a6f97; --none: #e8f1f6; --hatch: #9aa5ae; --low: #9ccbdd; --high: #012a4a; }
@media (prefers-color-scheme: dark) { :root { --page: #14191e; --text: #e6ebef;
  --muted: #9aa7b2; --bar: #61a5c2; --none: #22303b; --hatch: #55626d; --low: #2f5d75;
  --high: #e0f4ff; } }
body { margin: 0 auto; max-width: {{ width }}px; background: var(--page); color: var(--text);
  font: 15px/1.4 system-ui, sans-serif; }
h1, h2, p, ul, table { margin: 12px 20px; }
h1 { font-size: 21px; } h2 { font-size: 16px; margin-top: 28px; }
svg { display: block; width: 100%; height: auto; font-family: system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 10px; text-align: right; border-bottom: 1px solid var(--none); }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
.text { fill: var(--text); } .muted { fill: var(--muted); } .bar { fill: var(--bar); }
.none { fill: var(--none); } .absent { fill: url(#hatch); }
.hatch { stroke: var(--hatch); stroke-width: 1; }
.level { fill: color-mix(in oklab, var(--low), var(--high) calc(100% * var(--level))); }
li { margin: 4px 0; } audio { vertical-align: middle; height: 28px; }
a { color: var(--bar); }
</style></head>
<body>
<h1>{{ title }}</h1>
{% for line in lines %}<p>{{ line }}</p>
{% endfor -%}
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" role="img"\
 aria-label="events by class, day and hour">
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">\
<path class="hatch" d="M0 6L6 0"/></pattern></defs>
{% for s in shapes %}{% if s.width -%}
<rect class="{{ s.role }}" x="{{ n(s.x) }}" y="{{ n(s.y) }}" width="{{ n(s.width) }}"\
 height="{{ n(s.height) }}"{% if s.role == "level" %} style="--level:{{ n(s.level) }}"{% endif %}>\
<title>{{ clean(s.text) }}</title></rect>
{% else -%}
<text class="{{ s.role }}" x="{{ n(s.x) }}" y="{{ n(s.y + 0.85 * s.height) }}"\
{% if s.right %} text-anchor="end"{% endif %} font-size="{{ n(s.height) }}">{{ clean(s.text) }}\
</text>
{% endif %}{% endfor -%}
</svg>
{% if groups %}<h2>By {{ by }}</h2>
<div class="scroll"><table><thead><tr><th>{{ by }}</th><th>recordings</th>\
<th>hours scored</th><th>events</th>{% for label in columns %}<th>{{ clean(label) }}</th>\
{% endfor %}</tr></thead><tbody>
{% for group in groups %}<tr>{% for cell in group %}<td>{{ clean(cell) }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endif -%}
{% for label, clips in clips.items() %}<h2>{{ clean(label) }}: clips</h2>
<ul>
{% for clip in clips %}<li>{% if clip.sound %}<audio controls preload="none"\
 src="{{ clip.link }}"></audio> {% endif %}<a href="{{ clip.link }}">{{ clean(clip.text) }}</a>\
</li>
{% endfor %}</ul>
{% endfor -%}
</body></html>
"""


@dataclass(frozen=True)
class ClipLink:
    """A link to the clip of an event.

    Parameters
    ----------
    link
        Relative to the page.
    text
        Recording, time and score.
    sound
        Whether it can be played; other clips are drawings.
    """

    link: str
    text: str
    sound: bool


def write_picture(
    summary: Summary,
    path: str | Path,
    title: str,
    *,
    lines: Sequence[str] = (),
    by: str = "",
    clips: str | Path | None = None,
) -> None:
    """Write a summary as HTML or PNG.

    Parameters
    ----------
    summary
        The summary.
    path
        Ends in .html or .png; appears when it is complete.
    title
        Its heading.
    lines
        Sentences below the heading (HTML).
    by
        What the groups of the summary are (HTML).
    clips
        A folder that `audiocnn clips` wrote, to be linked (HTML).

    Raises
    ------
    ArgumentError
        If the name ends in anything else, Pillow is needed and missing, or the file
        cannot be written.
    """
    target = Path(path)
    check_picture(target)
    if target.suffix.lower() == ".png":
        data = as_png(layout(summary, title))
    else:
        links = {} if clips is None else clip_links(Path(clips), target.parent)
        data = as_html(summary, title, lines, by, links).encode()
    try:
        with replacing(target) as part:
            part.write_bytes(data)
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror}") from error


def check_picture(path: Path) -> None:
    """Refuse the name of a file that cannot be written, before the work.

    Raises
    ------
    ArgumentError
        If it ends in neither .html nor .png, or a package is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in (".html", ".png"):
        raise ArgumentError(f"no picture for {str(path)!r}: the name must end in .html or .png")
    if suffix == ".png":
        import_pillow()


def as_html(
    summary: Summary,
    title: str,
    lines: Sequence[str],
    by: str,
    links: dict[str, list[ClipLink]],
) -> str:
    """Render the page."""
    import jinja2

    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    ).from_string(TEMPLATE)
    shapes = layout(summary, "")
    columns, groups = group_table(summary)
    return template.render(
        title=printable(title), lines=[printable(line) for line in lines], shapes=shapes,
        width=f"{WIDTH:g}", height=f"{height_of(shapes):g}", n="{:g}".format, clean=printable,
        by=by, columns=columns, groups=groups, clips=links,
    )  # fmt: skip


def group_table(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Return the classes with a column, and a row for each group."""
    often = sorted(summary.labels, key=lambda label: -summary.labels[label].events)[:COLUMNS]
    columns = sorted(often)
    rows = []
    for name, group in summary.groups.items():
        recordings, hours = "", ""
        if group.coverage:
            recordings = f"{group.coverage.recordings:,}"
            hours = f"{group.coverage.scored / 3600:.2f}"
        counts = [group.labels[label].events if label in group.labels else 0 for label in columns]
        rows.append([name, recordings, hours, f"{group.n_events:,}", *(f"{n:,}" for n in counts)])
    return columns, rows


def clip_links(folder: Path, page: Path) -> dict[str, list[ClipLink]]:
    """Return links to the clips of a folder, by class, for a page in another folder.

    Raises
    ------
    DatasetError
        If the folder has no review.csv.
    """
    links: dict[str, list[ClipLink]] = {}
    for clip in read_cuts(folder / "review.csv"):
        relative = os.path.relpath(folder / clip.clip, page).replace(os.sep, "/")
        score = "" if clip.event.score is None else f", {clip.event.score:.2f}"
        text = f"{clip.event.source}, {clip.event.start:.1f} s{score}"
        sound = clip.clip.lower().endswith(".flac")
        links.setdefault(clip.event.label, []).append(ClipLink(quote(relative), text, sound))
    return dict(sorted(links.items()))
