"""A map of the embeddings: clips that sound alike to the backbone lie beside each other.

Also the nearest clips of each mistake: what it was confused with, to look at and hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, paragraph, picture
from audiocnn.training.report.subject import Subject

Array = NDArray[np.float32]
MOST = 600  # clips on the map: every n-th of more
NEIGHBOURS = 15  # that a clip is to keep near: the perplexity
STEPS = 400
SHOWN = 10  # classes with a colour of their own
MARKS = "os^Dv<>Pp*"


def map_section(subject: Subject) -> Section:
    """Draw the map, mistakes marked."""
    title, known = "A map of the embeddings", subject.known
    values = subject.training.clip_embeddings
    if values is None or known.size < 4:
        return Section("map", title, paragraph("There are too few clips for a map."))
    chosen = known[:: -(-known.size // MOST)]
    places = neighbour_map(unit_rows(values[chosen]))
    targets = subject.training.targets[chosen] > 0
    wrong = ~targets[np.arange(chosen.size), subject.training.scores[chosen].argmax(1)]
    labelled = targets.any(axis=1)
    with drawing.canvas(6.4, 4.6) as figure:
        ax = figure.subplots()
        _points(ax, places, targets, subject.labels)
        bad = places[wrong & labelled]
        ax.scatter(bad[:, 0], bad[:, 1], s=70, facecolors="none", edgecolors=drawing.INK,
                   linewidths=1.2, label="named wrongly")  # fmt: skip
        ax.set_axis_off()
        ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        drawn = drawing.svg_of(figure, "map of the embeddings of the clips")
    said = (
        "Each mark is a clip; clips with similar embeddings lie close together (t-SNE). A class "
        "that is one island is easy; a ringed mark inside another island is a clip that the "
        "backbone cannot tell from it, or one with a wrong label. Distances between islands "
        "mean nothing."
    )
    return Section("map", title, picture(drawn, said))


def nearest_clips(subject: Subject, clip: int, n: int = 3) -> list[tuple[int, float]]:
    """Return the clips of other groups that are most similar to a clip, and how similar.

    Returns
    -------
    list of (clip, similarity)
        Cosine of the standardised embeddings, the most similar first.
    """
    values = subject.training.clip_embeddings
    if values is None:
        return []
    rows = unit_rows(values)
    similarity = rows @ rows[clip]
    own = subject.training.groups == subject.training.groups[clip]
    similarity[own | np.isnan(values[:, 0])] = -np.inf
    best = np.argsort(-similarity, kind="stable")[:n]
    return [(int(k), float(similarity[k])) for k in best if np.isfinite(similarity[k])]


def unit_rows(values: Array) -> NDArray[np.float64]:
    """Standardise features over the clips, and scale each clip (row) to length 1."""
    x = values.astype(np.float64)
    known = ~np.isnan(x[:, 0])
    spread = x[known].std(axis=0)
    x = (x - x[known].mean(axis=0)) / np.maximum(spread, 1e-3 * max(1e-9, float(spread.max())))
    x[~known] = 0
    return np.asarray(x / np.maximum(1e-9, np.linalg.norm(x, axis=1, keepdims=True)))


def neighbour_map(rows: NDArray[np.float64], steps: int = STEPS) -> NDArray[np.float64]:
    """Place rows (K, F) of length 1 on a plane, neighbours close together (t-SNE [1]_).

    Returns
    -------
    array (K, 2)
        The same for the same rows: it begins with the two principal components.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, Visualizing data using t-SNE, JMLR 9, 2008.
    """
    n = len(rows)
    p = _affinities(np.maximum(0.0, 2 - 2 * rows @ rows.T), min(NEIGHBOURS, max(2, n // 4)))
    centred = rows - rows.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    place = u[:, :2] * s[:2]
    place = np.asarray(1e-2 * place / max(1e-12, float(place[:, 0].std())))
    speed = np.zeros_like(place)
    rate = max(10.0, n / 12)
    for step in range(steps):
        distance = np.square(place[:, None] - place[None]).sum(axis=2)
        near = 1 / (1 + distance)
        np.fill_diagonal(near, 0)
        q = np.maximum(near / near.sum(), 1e-12)
        pull = ((12.0 if step < 100 else 1.0) * p - q) * near
        gradient = 4 * (pull.sum(axis=1)[:, None] * place - pull @ place)
        speed = (0.5 if step < 100 else 0.8) * speed - rate * gradient
        place = place + speed
    return np.asarray(place - place.mean(axis=0))


def _affinities(distance: NDArray[np.float64], perplexity: float) -> NDArray[np.float64]:
    """Turn squared distances (K, K) into joint probabilities with a given perplexity."""
    n = len(distance)
    low, high = np.full(n, 1e-3), np.full(n, 1e6)
    p = np.zeros_like(distance)
    for _ in range(40):  # bisection of the precision of each row, on a logarithmic scale
        precision = np.sqrt(low * high)
        p = np.exp(-precision[:, None] * (distance - distance.min(axis=1, keepdims=True)))
        np.fill_diagonal(p, 0)
        p /= np.maximum(p.sum(axis=1, keepdims=True), 1e-12)
        entropy = -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
    return np.asarray((p + p.T) / (2 * n))


def _points(ax: Any, places: NDArray[np.float64], targets: NDArray[np.bool_],
            labels: Sequence[str]) -> None:  # fmt: skip
    order = np.argsort(-targets.sum(axis=0), kind="stable")
    colours = drawing.matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    rest = np.ones(len(places), bool)
    for at, label in enumerate(order[:SHOWN].tolist()):
        rows = targets[:, label] & rest
        rest &= ~rows
        ax.scatter(*places[rows].T, s=22, color=colours[at], marker=MARKS[at], alpha=0.8,
                   linewidths=0, label=labels[label])  # fmt: skip
    if rest.any():
        ax.scatter(*places[rest].T, s=12, color=drawing.MUTED, label="others")
