"""Findings about labels: spelling, balance, and labels that a model contradicts.

References
----------
C. Northcutt, L. Jiang and I. Chuang, Confident Learning: Estimating Uncertainty in Dataset
Labels, JAIR 70, 2021: a label is doubted where another class scores as a true one does on
average, which allows for classes of which the model is less sure.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audiocnn.datasets.doctor.findings import ERROR, WARNING, Finding, Place
from audiocnn.datasets.manifest import Clip, labels_of
from audiocnn.errors import DatasetError
from audiocnn.io.files.tables import no_column, parse_number, read_table

FEW = 10  # recordings of a class, below which hardly anything can be learnt or said
UNEVEN = 10  # times as many of one class as of another
NEARLY = 0.9  # of two labels' letters
SURE, DENIED = 0.5, 0.2  # scores of another class, at least, and of the own, at most


def about_labels(clips: Sequence[Clip]) -> Iterator[Finding]:
    """Report findings on the classes: their spelling and numbers of recordings."""
    labels = labels_of(clips)
    if len(labels) < 1:
        yield Finding("no labels", ERROR, f"none of the {len(clips)} clips has a label",
                      "fill in the column 'label'")  # fmt: skip
        return
    yield from _spellings(clips, labels)
    recordings: dict[str, set[Path]] = defaultdict(set)
    for clip in clips:
        for label in clip.labels:
            recordings[label].add(clip.path)
    counts = Counter({label: len(paths) for label, paths in recordings.items()})
    few = {label: n for label, n in sorted(counts.items()) if n < FEW}
    for single in (True, False):
        some = {label: n for label, n in few.items() if (n < 2) == single}
        if some:
            listed = ", ".join(f"{label} ({n})" for label, n in some.items())
            yield Finding(
                "too few", ERROR if single else WARNING,
                f"{len(some)} classes have fewer than {2 if single else FEW} recordings: {listed}",
                "record more, from other sources" + (
                    ": it takes one to learn from and one to be judged by" if single else ""),
            )  # fmt: skip
    (most, n_most), (least, n_least) = counts.most_common()[0], counts.most_common()[-1]
    if n_most > UNEVEN * n_least:
        yield Finding(
            "uneven", WARNING,
            f"{most!r} has {n_most} recordings, {least!r} {n_least}",
            "record more of the rare ones; training draws them more often, but cannot invent them",
        )  # fmt: skip


def _spellings(clips: Sequence[Clip], labels: Sequence[str]) -> Iterator[Finding]:
    counts = Counter(label for clip in clips for label in clip.labels)
    first = {label: next(c.path for c in clips if label in c.labels) for label in labels}
    places = [
        Place(str(first[b if counts[a] >= counts[b] else a]),
              f"{a!r} ({counts[a]} clips) and {b!r} ({counts[b]})")
        for a, b in itertools.combinations(labels, 2)
        if _same_word(a, b)
    ]  # fmt: skip
    if places:
        yield Finding(
            "spelling", WARNING, f"{len(places)} pairs of labels look like one, spelt in two ways",
            "write each label in one way, or they are different classes", tuple(places),
        )  # fmt: skip


def _same_word(a: str, b: str) -> bool:
    x, y = (re.sub(r"[\W_]+", "", label.casefold()) for label in (a, b))
    if x == y or x + "s" == y or y + "s" == x:
        return True
    if re.sub(r"\D", "", x) != re.sub(r"\D", "", y) or min(len(x), len(y)) < 5:
        return False  # class1 and class2 are two; short words are easily alike
    return difflib.SequenceMatcher(None, x, y, autojunk=False).ratio() >= NEARLY


def about_predictions(clips: Sequence[Clip], path: str | Path) -> Iterator[Finding]:
    """Find labels that a model contradicts with confidence.

    Parameters
    ----------
    clips
        The dataset.
    path
        CSV with ``path``, ``label`` and a column of scores for each class, as ``audiocnn
        evaluate --predictions`` writes it; of clips that the model was not fitted on, or
        it has learnt the wrong labels as well.

    Raises
    ------
    DatasetError
        If the file makes no sense, or is about other recordings.
    """
    rows = list(read_table(path, ("path", "label")))
    own = ("path", "label", "start", "end", "fold", "part")
    names = [c for c in rows[0][1] if c not in own and c in labels_of(clips)] if rows else []
    if not names:
        raise no_column(str(path), labels_of(clips)[0] if labels_of(clips) else "label",
                        rows[0][1] if rows else [])  # fmt: skip
    scores = np.array([[parse_number(p, c, row[c]) for c in names] for p, row in rows])
    given = [set(filter(None, row["label"].split("|"))) for _, row in rows]
    known = {clip.path.resolve() for clip in clips}
    if not any(_within(Path(path), row["path"]) & known for _, row in rows):
        raise DatasetError(f"{path}: none of its {len(rows)} rows is about a recording of the data")
    is_own = np.array([[name in labels for name in names] for labels in given])
    with np.errstate(invalid="ignore"):
        usual = (scores * is_own).sum(axis=0) / is_own.sum(axis=0)
    others = np.where(is_own | ~np.isfinite(usual), -1.0, scores)
    best = others.argmax(axis=1)
    top = others[np.arange(len(rows)), best]
    mine = np.where(is_own, scores, np.inf).min(axis=1, initial=np.inf)
    mine = np.where(np.isfinite(mine), mine, 0.0)  # background: nothing speaks for it
    doubted = (top >= np.maximum(SURE, usual[best])) & (mine <= DENIED)
    order = [k for k in np.argsort(mine - top).tolist() if doubted[k]]
    if order:
        yield Finding(
            "doubtful label", WARNING, f"{len(order)} labels that the model contradicts",
            "listen: a wrong label, a second sound (write a|b), or a hard one (keep it); the"
            " clearest first",
            tuple(Place(rows[k][1]["path"],
                        f"labelled {rows[k][1]['label'] or 'nothing'} ({mine[k]:.2f}), sounds like"
                        f" {names[best[k]]} ({top[k]:.2f})") for k in order),
        )  # fmt: skip


def _within(table: Path, path: str) -> set[Path]:
    return {Path(path).resolve(), (table.parent / path).resolve()}
