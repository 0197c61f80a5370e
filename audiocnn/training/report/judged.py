"""How good it is: classes, confusion, precision against recall, whether scores can be trusted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.group_bootstrap import group_bounds
from audiocnn.evaluation.intervals import share_bounds
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, grid, picture, table, text
from audiocnn.training.report.subject import Subject
from audiocnn.training.report.summary import between, percent

CURVES = 24  # classes whose curves are drawn, the worst first
CROWDED = 30  # classes, above which the confusion matrix is a list
PAIRS = 25
BINS = 10


def class_section(subject: Subject) -> Section:
    """Return a row for each class."""
    figures, t = subject.training.figures["per_class"], subject.training
    precision_bounds = _average_precision_bounds(subject)
    rows = []
    for label in subject.labels:
        row = figures[label]
        n, right = row["n"], round((row["recall"] or 0) * row["n"])
        within = between(share_bounds(right, n)) if n else ""  # none was held out
        recall = f"{percent(row['recall'])} <small>{within}</small>"
        bounds = precision_bounds[label]
        rows.append([
            text(label), str(n), recall, percent(row["precision"]),
            percent(row["f1"]),
            f"{percent(row['average_precision'])} <small>{between(bounds) if bounds else ''}"
            "</small>",
            f"{t.rules[label].on:g}",
        ])  # fmt: skip
    said = (
        "Recall: of the clips of this class, how many were named so. Precision: of the clips named "
        "so, how many are. F1 joins the two. Average precision: how well the class's score puts "
        "its own clips above all others, at any threshold. Small figures are 95 % bounds (clips "
        "taken as independent). Threshold: the score from which an event begins."
    )
    head = ["class", "clips", "recall", "precision", "F1", "average precision", "threshold"]
    return Section("classes", "Class by class", table(head, rows, said, ready=True))


def _average_precision_bounds(subject: Subject) -> dict[str, tuple[float, float] | None]:
    t, known = subject.training, subject.known
    targets = t.targets[known] > 0
    found: dict[str, tuple[float, float] | None] = dict.fromkeys(subject.labels)
    if targets.size > 2_000_000:  # the draws would take longer than all the rest
        return found
    for at, label in enumerate(subject.labels):
        if targets[:, at].any():
            own = group_bounds(t.scores[known][:, [at]], targets[:, [at]], np.arange(known.size))
            found[label] = own["mean_average_precision"]
    return found


def confusion_section(subject: Subject) -> Section:
    """Show what is taken for what: a matrix, or a list where it would be too large."""
    confusion, labels = subject.training.figures["confusion"], subject.labels
    if len(labels) > CROWDED:
        pairs = sorted(
            ((n, true, best) for true, row in confusion.items() for best, n in row.items()
             if n and best != true), reverse=True,
        )  # fmt: skip
        rows = [[true, best, str(n)] for n, true, best in pairs[:PAIRS]]
        said = f"The {len(rows)} commonest mistakes: what it was, what was said, how often."
        body = table(["it was", "it said", "clips"], rows, said)
    else:
        body = _matrix(confusion, labels)
    return Section("confusion", "What is taken for what", body)


def _matrix(confusion: dict[str, dict[str, int]], labels: tuple[str, ...]) -> str:
    head = "".join(f'<th scope="col">{text(label)}</th>' for label in labels)
    rows = []
    for true in labels:
        row = confusion.get(true, {})
        total = max(1, sum(row.values()))
        cells = []
        for best in labels:
            n = row.get(best, 0)
            colour = "--first" if best == true else "--second"
            shade = f"color-mix(in srgb,var({colour}) {round(70 * n / total)}%,var(--card))"
            kind = ' class="none"' if not n else ""
            cells.append(f'<td{kind} style="background:{shade}">{n}</td>')
        rows.append(f'<tr><th scope="row">{text(true)}</th>{"".join(cells)}</tr>')
    drawn = (
        f'<table class="confusion"><thead><tr><th>it was ↓ &nbsp; it said →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return picture(
        drawn,
        "Each row is what the clips were, each column what was said: the blue diagonal is right, "
        "everything orange is a mistake; darker is a larger share of the row.",
    )


def precision_section(subject: Subject) -> Section:
    """Draw precision against recall for each class, with its threshold."""
    t, known = subject.training, subject.known
    targets, scores = t.targets[known] > 0, t.scores[known]
    figures = t.figures["per_class"]
    order = [i for i in range(len(subject.labels)) if targets[:, i].any()]
    order.sort(key=lambda i: figures[subject.labels[i]]["average_precision"] or 0)
    shown = sorted(order[:CURVES])
    cells = [
        _precision_picture(subject.labels[i], scores[:, i], targets[:, i],
                           t.rules[subject.labels[i]].on) for i in shown
    ]  # fmt: skip
    more = f" The {CURVES} hardest classes are shown." if len(order) > CURVES else ""
    said = (
        "To the right: more of the class is found; upward: less of what is found is wrong. A good "
        "curve stays at the top. The dot is the threshold that the model carries (no dot: no clip "
        "as a whole reaches it; events need only a part of it); another threshold moves along "
        f"the curve.{more}"
    )
    return Section("precision", "Found, and found rightly", grid(cells, said, "cells two"))


def precision_recall(
    scores: NDArray[np.floating], true: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return recall, precision and threshold at each different score, highest first."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(true[order]), scores[order]
    last = np.append(np.diff(ranked) != 0, True)  # equal scores come together
    n = np.arange(1, scores.size + 1)
    return (hits / max(1, int(true.sum())))[last], (hits / n)[last], ranked[last].astype(float)


def _precision_picture(
    label: str, scores: NDArray[np.floating], true: NDArray[np.bool_], on: float
) -> str:
    recall, precision, limits = precision_recall(scores, true)
    with drawing.canvas(2.2, 1.95) as figure:
        ax = figure.subplots()
        ax.plot(
            [0, *recall], [precision[0], *precision], color=drawing.FIRST, drawstyle="steps-pre"
        )
        reached = np.flatnonzero(limits >= on)
        if reached.size:
            ax.plot(recall[reached[-1]], precision[reached[-1]], "o", color=drawing.SECOND, ms=5.5)
        ax.set(xlim=(-0.02, 1.04), ylim=(-0.02, 1.06), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1),
               xlabel="recall", ylabel="precision")  # fmt: skip
        ax.set_title(label if len(label) <= 24 else label[:23] + "…")
        ax.grid(True)
        return drawing.svg_of(figure, f"precision against recall of {label}")


def reliability_section(subject: Subject) -> Section:
    """Draw how often each score is right."""
    t, known = subject.training, subject.known
    labelled = t.targets[known].any(1)
    scores, targets = t.scores[known][labelled], t.targets[known][labelled] > 0
    best = scores.argmax(1)
    bins = reliability(scores.max(1), targets[np.arange(best.size), best])
    with drawing.canvas(4.6, 3.1) as figure:
        top, under = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.plot([0, 1], [0, 1], "--", color=drawing.MUTED, lw=1)
        middle, share, low, high, counts = (np.array(v) for v in zip(*bins, strict=True))
        top.vlines(middle, low, high, color=drawing.FIRST, lw=1.2, alpha=0.6)
        top.plot(middle, share, "o", color=drawing.FIRST, ms=6)
        top.set(ylim=(-0.03, 1.05), xlim=(0, 1), ylabel="share right")
        top.grid(True)
        under.bar(middle, counts, width=0.8 / BINS, color=drawing.MUTED, alpha=0.6)
        under.set(xlabel="score of the best class", ylabel="clips")
        drawn = drawing.svg_of(figure, "share of right clips against score")
    error = t.figures["calibration_error"]
    said = (
        "A score of 0.8 should be right in 80 of 100 cases: points on the dashed line are honest, "
        "above it too modest, below it too sure; lines are 95 % bounds, bars how many clips there "
        f"are. The mean distance (expected calibration error) is {_number(error)}."
    )
    return Section("trust", "Can its scores be trusted?", picture(drawn, said))


def reliability(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> list[tuple[float, float, float, float, int]]:
    """Gather scores in bins: mean score, share right, its bounds, how many."""
    at = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins: list[tuple[float, float, float, float, int]] = []
    for b in np.unique(at).tolist():
        own = right[at == b]
        bounds = share_bounds(int(own.sum()), own.size)
        bins.append((float(confidence[at == b].mean()), float(own.mean()), *bounds, own.size))
    return bins


def _number(value: Any) -> str:
    known = value is not None and not math.isnan(value)
    return f"{value:.3f}" if known else "not known"
