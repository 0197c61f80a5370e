"""Pictures as inline SVG: themed by the page, small, with nothing from outside.

Colours are written as the page's own variables, so that one picture serves light and
dark. Spectrograms are PNG with few colours inside the SVG, at one pixel a value.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from audiocnn.frontend.base import FrontEnd

# Stand-ins for the page's colours; `svg_of` writes the variables.
INK, MUTED, GRID = "#0a0b01", "#0a0b02", "#0a0b03"
FIRST, SECOND, THIRD = "#0a0b11", "#0a0b12", "#0a0b13"
THEME = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", FIRST: "--first", SECOND: "--second",
    THIRD: "--third",
}  # fmt: skip
TRACES = 6  # channels that are drawn, at most
LEVELS = 64  # colours of a spectrogram: more are not seen, and cost
HEAT = matplotlib.colormaps["magma"].resampled(LEVELS)
SIGNED = matplotlib.colormaps["RdBu_r"].resampled(LEVELS)
STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "audiocnn", "image.composite_image": False,
    "text.parse_math": False,  # a label may hold a dollar
    "font.family": "DejaVu Sans", "font.size": 8.5, "axes.titlesize": 9, "axes.labelsize": 8.5,
    "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID, "axes.titlecolor": INK,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED, "xtick.labelsize": 8, "ytick.labelsize": 8, "grid.color": GRID,
    "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "lines.linewidth": 1.8, "lines.solid_capstyle": "round",
    "legend.frameon": False, "legend.labelcolor": INK, "axes.titlelocation": "left",
    "axes.facecolor": "none", "figure.facecolor": "none",
}  # fmt: skip
_number = itertools.count()


@contextmanager
def canvas(width: float = 4.6, height: float = 2.6) -> Iterator[Figure]:
    """Return an empty figure, inches, in the report's style."""
    style = matplotlib.rc_context(STYLE)  # type: ignore[arg-type]
    with style, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser has the letters
        yield Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Figure, said: str) -> str:
    """Write a figure as inline SVG.

    Parameters
    ----------
    figure
        Made within `canvas`, and written within it.
    said
        Text alternative for screen readers.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "system-ui, sans-serif", text)
    for code, name in THEME.items():
        text = text.replace(code, f"var({name})")
    # Pictures of one page must not share names.
    own = f"p{next(_number)}-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r"url\(#", f"url(#{own}", text)
    text = re.sub(r'href="#', f'href="#{own}', text)
    text = re.sub(r'(data:image/png;base64,)([^"]+)', _shrunk, text)
    text = re.sub(r"\n\s*", "\n", text)
    points = float(figure.get_figwidth()) * 96
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        lambda m: f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{m[1]}" '
        f'style="max-width:{points:.0f}px" role="img" aria-label="{html.escape(said)}">',
        text, count=1,
    )  # fmt: skip


def _shrunk(found: re.Match[str]) -> str:
    """Write a PNG of few colours with a palette, without loss, if that is smaller."""
    raw = base64.b64decode(found[2])
    picture = Image.open(io.BytesIO(raw))
    colours = picture.getcolors(256)
    if colours is None or not _is_opaque(picture):
        return found[0]
    smaller = io.BytesIO()
    picture.convert("RGB").quantize(len(colours), dither=Image.Dither.NONE).save(
        smaller, "PNG", optimize=True
    )
    best = min(raw, smaller.getvalue(), key=len)
    return found[1] + base64.b64encode(best).decode()


def _is_opaque(picture: Image.Image) -> bool:
    return picture.mode != "RGBA" or np.asarray(picture)[..., 3].min() == 255


def draw_frames(
    ax: Any, frames: NDArray[np.floating], front: FrontEnd, *, lowest: float | None = None
) -> None:
    """Draw frames (P, M, T): time to the right, pitch upward, loud is bright; traces if raw.

    Parameters
    ----------
    ax
        Of matplotlib.
    frames
        What the front end gives.
    front
        Where they come from.
    lowest
        Power (its natural logarithm) that is drawn darkest; 70 dB under the loudest if
        None.
    """
    ticks = front.band_ticks()
    if ticks:
        _draw_bands(ax, frames.mean(0), front, lowest)
        ax.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    else:
        _draw_traces(ax, frames[0], front)
    ax.set_xlabel("seconds")


def _draw_traces(ax: Any, frames: NDArray[np.floating], front: FrontEnd) -> None:
    """Draw channels over each other, in units of their deviation."""
    seconds = np.arange(frames.shape[1]) / front.rate
    for name, row in zip(front.names[:TRACES], frames, strict=False):
        ax.plot(seconds, row, lw=1, alpha=0.85, label=name)
    ax.margins(x=0)
    if 1 < len(front.names) <= TRACES:
        ax.legend(fontsize=7, ncols=TRACES, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0,
                  handlelength=1, columnspacing=0.8)  # fmt: skip


def _draw_bands(
    ax: Any, frames: NDArray[np.floating], front: FrontEnd, lowest: float | None
) -> None:
    top = float(frames.max(initial=-20.0))
    low = top - 7 * np.log(10) if lowest is None else lowest
    seconds = frames.shape[1] * front.hop / front.rate
    ax.imshow(
        frames, origin="lower", aspect="auto", interpolation="none", cmap=HEAT, vmin=low,
        vmax=max(top, low + 1e-3), extent=(0, seconds, -0.5, front.n_bands - 0.5),
    )  # fmt: skip


def picture_of(
    frames: NDArray[np.floating], front: FrontEnd, said: str, width: float = 4.2,
    lowest: float | None = None,
) -> str:  # fmt: skip
    """Draw frames (P, M, T) as a picture of their own."""
    with canvas(width, 1.7) as figure:
        draw_frames(figure.subplots(), frames, front, lowest=lowest)
        return svg_of(figure, said)


def mosaic(maps: Sequence[NDArray[np.floating]], columns: int, gap: int = 1) -> NDArray[np.float64]:
    """Lay pictures (H, W) of one size beside and under each other, NaN between them."""
    height, width = maps[0].shape
    rows = -(-len(maps) // columns)
    out = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for at, picture in enumerate(maps):
        y, x = at // columns * (height + gap), at % columns * (width + gap)
        out[y : y + height, x : x + width] = picture[::-1]  # low bands below, as in spectrograms
    return out
