"""What moving a sound in time, or making it higher or lower, does to its score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocnn.frontend.base import FrontEnd
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, paragraph, picture
from audiocnn.training.report.sounds import Samples
from audiocnn.training.report.subject import Subject
from audiocnn.training.report.variation import changed_speed

STEPS = 17  # places in time, and speeds
SEMITONES = 12  # up and down
SHARE = 0.5  # of the window that the sound fills while it is moved


def shifting_section(subject: Subject) -> Section:
    """Draw scores against a shift in time and in pitch."""
    sound, examples = subject.sound, subject.examples()
    title = "A sound that comes later, or higher" if sound else "What comes later, or faster"
    if not examples:
        return Section("shifting", title, paragraph("No recording is there any more to show it."))
    moves = np.linspace(-SHARE, SHARE, STEPS)
    pitches = np.linspace(-SEMITONES, SEMITONES, STEPS)
    times: dict[str, NDArray[np.float64]] = {}
    tones: dict[str, NDArray[np.float64]] = {}
    for label, samples in examples:
        at = subject.labels.index(label)
        energy, front = subject.energy(samples), subject.bundle.front
        laid = [moved(samples, energy, move, front) for move in moves]
        times[label] = subject.probabilities(laid)[at]
        higher = [changed_speed(samples, 2 ** (p / 12), front) for p in pitches]
        tones[label] = subject.probabilities(higher)[at]
    window = subject.grid.window
    inside = SHARE * window / 2
    time = _lines(moves * window, times, "seconds later", "score against a shift in time",
                  (-inside, inside))  # fmt: skip
    said_time, said_pitch = _said(window, sound)
    under = "semitones higher (and faster)" if sound else "twelfths of an octave faster"
    pitch = _lines(pitches, tones, under, "score against speed")
    body = f'<div class="pair">{picture(time, said_time)}{picture(pitch, said_pitch)}</div>'
    heard = "that it has learnt from" if subject.crossed else "that were new to it"
    return Section("shifting", title, paragraph(
        f"Measured with the network of the bundle, on examples {heard}."
    ) + body)  # fmt: skip


def _said(window: float, sound: bool) -> tuple[str, str]:
    """Explain the two pictures."""
    said_time = (
        f"The strongest {SHARE * window:.3g} s of an example, laid at different places in an empty "
        f"window of {window:.3g} s. Around the middle the curve should be flat, because the same "
        "kernels are used everywhere; toward the thin lines fewer of the window's columns see "
        "it, and beyond them it is cut off. A stream's windows overlap, so that everything comes "
        "to stand in the middle of one."
    )
    if not sound:
        said_time += " Where a class is recognised by its place in the window, the curve is a peak."
    said_pitch = (
        "The same sounds played slower and lower (left) or faster and higher (right), in "
        "semitones; 12 are an octave. A wide hill is a network that knows the sound of a larger "
        "and a smaller source; a hill without an end would mean that pitch says nothing about "
        "this sound."
    ) if sound else (
        "The same examples slower (left) or faster (right); 12 steps are twice as fast. A wide "
        "hill is a network that knows what is slower or faster as the same."
    )  # fmt: skip
    return said_time, said_pitch


def moved(samples: Samples, energy: NDArray[np.float64], share: float, front: FrontEnd) -> Samples:
    """Lay the loudest half of a window into nothing, its middle ``share`` windows off centre."""
    n = samples.shape[-1]
    half = round(n * SHARE)
    sums = np.concatenate(([0.0], np.cumsum(energy)))
    begin = int(np.argmax(sums[half:] - sums[: n - half + 1]))
    start = (n - half) // 2 + round(share * n)
    out = front.padding(n)
    a, b = max(0, start), min(n, start + half)
    if b > a:
        out[..., a:b] = samples[..., begin + a - start : begin + b - start]
    return out


def _lines(
    x: NDArray[np.float64], curves: dict[str, NDArray[np.float64]], under: str, said: str,
    marks: tuple[float, ...] = (),
) -> str:  # fmt: skip
    looks = [(drawing.FIRST, "-"), (drawing.SECOND, "-"), (drawing.THIRD, "-"),
             (drawing.MUTED, "--")]  # fmt: skip
    with drawing.canvas(4.8, 2.9) as figure:
        ax = figure.subplots()
        for mark in marks:
            ax.axvline(mark, color=drawing.GRID, lw=1)
        for (label, values), (colour, line) in zip(curves.items(), looks, strict=False):
            name = label if len(label) <= 24 else label[:23] + "…"
            ax.plot(x, values, line, color=colour, label=name)
        ax.set(xlabel=under, ylabel="score", ylim=(-0.03, 1.05))
        ax.grid(True, axis="y")
        figure.legend(loc="outside upper left", ncols=2)
        return drawing.svg_of(figure, said)
