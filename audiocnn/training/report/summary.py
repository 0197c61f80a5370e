"""What a person wants to know first, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from audiocnn.training.report.page import Section, text, tiles
from audiocnn.training.report.subject import Subject

DASH = "\N{EN DASH}"
FEW = 20  # clips of a class, below which its figures say little


def percent(share: float | None, digits: int = 0) -> str:
    """Write a share; a dash where it is not known."""
    known = share is not None and not math.isnan(share)
    return f"{100 * share:.{digits}f} %" if known and share is not None else DASH


def number(value: float) -> str:
    """Write a rate with three digits, and thousands in full."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def counted(n: int, one: str, many: str) -> str:
    """Write a count with its noun."""
    return f"{n:,} {one if n == 1 else many}"


def between(bounds: Any) -> str:
    """Write 95 % bounds of a share."""
    return f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f}"


def in_short(subject: Subject) -> Section:
    """Return the headline figures and what stands out."""
    figures = subject.training.figures
    values = [*_naming(subject, figures), *_others(figures), _size(subject)]
    points = "".join(f"<li>{text(point)}</li>" for point in _points(subject, figures))
    how = f"<p>{text(figures['judged'][:1].upper() + figures['judged'][1:])}.</p>"
    return Section("in-short", "In short", tiles(values) + how + f"<ul>{points}</ul>")


def _naming(subject: Subject, figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    n = figures["clips"]
    if len(subject.labels) < 2:
        return [("Found", percent(figures["events_found"]),
                 f"of the {n} clips that hold the sound; so many tell it to within "
                 f"{between(figures['events_found_bounds'])} %.")]  # fmt: skip
    return [
        ("Named rightly", percent(figures["accuracy"], 1),
         f"of {n} clips that it had not heard before. So many clips tell it to within "
         f"{between(figures['accuracy_bounds'])} %."),
        ("Not recognised", percent(figures["rejected"], 1),
         "of these clips: no score reached its threshold, so they would pass as none of the "
         "classes."),
    ]  # fmt: skip


def _others(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    alarms = figures["false_alarms"]
    if alarms is None:
        return [("False alarms", "not known", "No other sounds were given: --background FOLDER.")]
    return [(
        "False alarms", f"{number(alarms['rate']['per_hour'])} an hour",
        f"{alarms['events']} in {number(alarms['hours'])} hours of sound that is none of these "
        f"(the truth: between {number(alarms['rate']['low'])} and "
        f"{number(alarms['rate']['high'])}).",
    )]  # fmt: skip


def _size(subject: Subject) -> tuple[str, str, str]:
    trunk = subject.bundle.network.details
    if (head := subject.bundle.head) is not None:
        n = sum(weights.size + biases.size for weights, biases in head.layers)
        base = subject.bundle.card["backbone"]["name"]
        return ("Size", f"{n:,}",
                f"numbers were fitted, on the embeddings of {base}; its own stayed as they "
                "were.")  # fmt: skip
    return ("Size", f"{trunk['parameters']:,}",
            "numbers were learnt; a second of sound costs "
            f"{number(trunk['mmac_per_second'])} million multiplications.")  # fmt: skip


def _points(subject: Subject, figures: Mapping[str, Any]) -> list[str]:
    """Describe what stands out, and what would help."""
    said: list[str] = []
    rows = {name: row for name, row in figures["per_class"].items() if row["n"]}
    ranked = sorted(rows, key=lambda name: rows[name]["f1"] or 0)
    if len(ranked) > 1:
        said.append(
            f"Best recognised: {ranked[-1]}. Hardest: {ranked[0]}, of whose clips "
            f"{percent(rows[ranked[0]]['recall'])} are named rightly."
        )
    pairs = [
        (n, true, best) for true, row in figures["confusion"].items()
        for best, n in row.items() if n and best != true
    ]  # fmt: skip
    if pairs:
        n, true, best = max(pairs)
        said.append(f"Most often mistaken: {true} for {best} ({n} clips).")
    few = [name for name in rows if rows[name]["n"] < FEW]
    if few:
        shown = ", ".join(few[:8]) + (f" and {len(few) - 8} more" if len(few) > 8 else "")
        said.append(f"Fewer than {FEW} clips, so its figures are rough: {shown}.")
    curve = subject.training.curves[-1].loss if subject.training.curves else ()
    if len(curve) >= 8 and np.mean(curve[-2:]) < 0.93 * np.mean(curve[-4:-2]):
        said.append("The loss was still falling at the end: more --epochs may help.")
    if figures["silent"]:
        said.append(f"{figures['silent']} clips are silent and were not judged.")
    return said
