"""Plots of events in signals other than sound, for review.

A trace for each channel, scaled between its own minimum and maximum, with the event shaded.
Where there are more samples than pixels, each pixel shows the range of its values, so a
spike of one sample is visible.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.files.atomic import replacing
from audiocnn.io.signals.cache import open_held
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

WIDTH, HEIGHT, LEFT, TOP = 960, 90, 120, 44  # pixels: of traces, of one, beside and above them
GAP, BELOW = 14, 30  # between two traces, under the last
CHANNELS = 24  # as many are drawn
INK, PALE, SHADE = "#2a6f97", "#7b8894", "#fbe3c0"


@dataclass(frozen=True)
class TraceOptions:
    """How the signals of a run are read.

    Parameters
    ----------
    reading
        Options of the run.
    channels
        Names of the model's channels; empty if they are not known.
    """

    reading: SignalReadOptions = DEFAULT_OPTIONS
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Trace:
    """A part of a signal.

    Parameters
    ----------
    names
        Of its channels.
    rate
        Samples per second.
    first
        Which sample of the recording is the first.
    samples
        (K, N) in the signal's own units; NaN where nothing was recorded.
    """

    names: tuple[str, ...]
    rate: float
    first: int
    samples: NDArray[np.float32]


def read_trace(
    path: str | Path, start: float, end: float, options: TraceOptions = TraceOptions()
) -> Trace:
    """Read a part of a signal, with the channels of the model.

    Parameters
    ----------
    path
        As for `open_signal`.
    start, end
        Seconds, ``0 <= start < end``; cut at the end of the recording.
    options
        How it is read; missing values are gaps, unless the run interpolated them.

    Raises
    ------
    AudioError
        If it cannot be read, its sample rate is unknown, or it ends before ``start``.
    """
    if not 0 <= start < end:
        raise ArgumentError(f"a trace needs 0 <= start < end, got {start} and {end}")
    reading = options.reading
    if reading.missing == "refuse":
        reading = replace(reading, missing="gap")
    with open_held(path, reading, options.channels or None) as signal:
        if signal.rate is None:
            raise AudioError(f"{path} does not state its sample rate: give --rate HZ")
        first, last = round(start * signal.rate), max(1, round(end * signal.rate))
        parts = []
        for at, piece in signal.pieces_since(first):
            part = piece[:, max(0, first - at) : max(0, last - at)]
            if part.size:
                parts.append(part)
            if at + piece.shape[1] >= last:
                break
        if not parts:
            raise AudioError(f"{path} ends before {start:g} s: it is not what was labelled")
        return Trace(signal.names, signal.rate, first, np.concatenate(parts, axis=1))


def draw_trace(trace: Trace, start: float, end: float, title: str) -> str:
    """Draw a trace as SVG.

    Parameters
    ----------
    trace
        The samples.
    start, end
        Of the event, seconds of the recording.
    title
        The heading.
    """
    n = trace.samples.shape[1]
    begin, seconds = trace.first / trace.rate, n / trace.rate
    shown = trace.samples[:CHANNELS]
    height = TOP + len(shown) * (HEIGHT + GAP) + BELOW

    def x_of(time: float) -> float:
        return LEFT + WIDTH * float(np.clip((time - begin) / seconds, 0, 1))

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" '
        f'role="img" font-family="system-ui,sans-serif" font-size="12" fill="{PALE}">',
        f"<title>{_text(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="8" y="20" fill="#1b2631" font-size="14">{_text(title)}</text>',
        f'<rect x="{x_of(start):.1f}" y="{TOP - 6}" fill="{SHADE}" height="{height - TOP - 20}" '
        f'width="{max(1.0, x_of(end) - x_of(start)):.1f}"/>',
    ]
    for k, (name, row) in enumerate(zip(trace.names, shown, strict=False)):
        lines += _one(name, row, TOP + k * (HEIGHT + GAP))
    for time, anchor in ((begin, "start"), (begin + seconds, "end")):
        lines.append(
            f'<text x="{x_of(time):.1f}" y="{height - 10}" text-anchor="{anchor}">{time:g} s</text>'
        )
    if len(trace.names) > CHANNELS:
        more = f"and {len(trace.names) - CHANNELS} more channels"
        lines.append(f'<text x="8" y="{height - 10}">{more}</text>')
    return "\n".join([*lines, "</svg>\n"])


def write_trace(drawing: str, path: Path) -> None:
    """Write a drawing; the file appears when it is complete.

    Raises
    ------
    ArgumentError
        If it cannot be written.
    """
    try:
        with replacing(path) as part:
            part.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror}") from error


def _one(name: str, row: NDArray[np.float32], top: float) -> Iterator[str]:
    """Draw a channel: its name, minimum, maximum, and a line for each stretch."""
    there = row[np.isfinite(row)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
    yield f'<text x="8" y="{top + HEIGHT / 2 + 4:g}" fill="#1b2631">{_text(name[:14])}</text>'
    if not there.size:
        return
    for value, y in ((high, top + 10), (low, top + HEIGHT)):
        yield f'<text x="{LEFT - 6}" y="{y:g}" text-anchor="end">{value:.4g}</text>'
    scale = HEIGHT / (high - low) if high > low else 0.0
    middle = 0.0 if high > low else HEIGHT / 2
    for xs, ys in _runs(row):
        points = " ".join(
            f"{LEFT + WIDTH * x / row.size:.1f},{top + HEIGHT - middle - scale * (y - low):.1f}"
            for x, y in zip(xs.tolist(), ys.tolist(), strict=True)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{INK}"/>'


def _runs(
    row: NDArray[np.float32],
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.float32]]]:
    """Give positions and values of each stretch without a gap; at most two a pixel."""
    good = np.isfinite(row)
    edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
    step = max(1, row.size // WIDTH)
    for begin, end in edges.tolist():
        run = row[begin:end]
        if step == 1:
            yield begin + 0.5 + np.arange(run.size), run
            continue
        cuts = np.arange(0, run.size, step)
        both = np.stack((np.minimum.reduceat(run, cuts), np.maximum.reduceat(run, cuts)), axis=1)
        yield np.repeat(begin + cuts + step / 2, 2), both.ravel()


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode().replace("\n", " "))
