"""A review in progress: the order of its events, verdicts, undo, and what is alike.

A verdict is on the disk before `judge` returns, in the list and, of a station, in its
database. So a review may be closed at any moment and goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.inference.bundle import Bundle
from audiocnn.web.review.alike import (
    Vectors,
    by_variety,
    describe_spectrum,
    embed_sound,
    groups,
    standardized,
)
from audiocnn.web.review.items import ORDERS, Item, Source
from audiocnn.web.review.verdicts import Verdict

MOST_UNDONE = 1000
log = logging.getLogger("audiocnn.review")


@dataclass(frozen=True)
class _Change:
    """One step that can be undone: events and their verdicts before it."""

    before: tuple[tuple[int, Verdict], ...]


class Review:
    """Judges the events of a source; safe to use from several threads.

    Parameters
    ----------
    source
        What is judged.
    bundle
        Gives embeddings, for groups and variety; spectra are compared without one.
    """

    def __init__(self, source: Source, bundle: Bundle | None = None) -> None:
        self.source, self.items, self._bundle = source, source.items, bundle
        self._undo: list[_Change] = []
        self._lock = threading.RLock()
        self._vectors: list[Vectors | None] = [None] * len(self.items)
        self._groups: list[int] | None = None
        self._variety: list[int] | None = None
        self._similar: tuple[list[int], Vectors] | None = None  # numbers, and vectors of length 1
        self._stopped = threading.Event()
        self.n_compared = 0

    # Verdicts

    def judge(self, numbers: Sequence[int], verdict: Verdict) -> None:
        """Give some events a verdict, or take it back with an empty one.

        Raises
        ------
        ArgumentError
            If a number is none of an event, or the list cannot be written.
        AudiocnnError
            If the database cannot be written.
        """
        with self._lock:
            before = tuple((number, self._item(number).verdict) for number in numbers)
            self._put([(number, verdict) for number in numbers])
            self._undo.append(_Change(before))
            del self._undo[:-MOST_UNDONE]

    def undo(self) -> list[int]:
        """Take the last step back; give the numbers of its events, none if there is none."""
        with self._lock:
            if not self._undo:
                return []
            change = self._undo[-1]
            self._put(list(change.before))
            self._undo.pop()
            return [number for number, _ in change.before]

    def _put(self, verdicts: Sequence[tuple[int, Verdict]]) -> None:
        items = [(self._item(number), verdict) for number, verdict in verdicts]
        if self.source.station is not None:
            for item, verdict in items:
                self.source.station.judge(item.id, verdict.kind or None, verdict.label)
        self.source.verdicts.put((item.key, item.row, verdict) for item, verdict in items)
        for item, verdict in items:
            item.verdict = verdict

    def _item(self, number: int) -> Item:
        if not 0 <= number < len(self.items):
            raise ArgumentError(f"no event {number}: there are {len(self.items)}")
        return self.items[number]

    # Order

    def order(self, name: str) -> list[int]:
        """Give the numbers of all events in an order.

        Parameters
        ----------
        name
            ``doubt``: nearest to 0.5 first. ``variety``: each as unlike those before it as
            possible (as by doubt until sounds have been compared). ``class``: by label, best
            first. ``score``: best first. ``time``.

        Raises
        ------
        ArgumentError
            If there is no such order.
        """
        if name not in ORDERS:
            raise ArgumentError(f"the order is one of {', '.join(ORDERS)}, got {name!r}")
        if name == "variety" and self._variety is not None:
            return list(self._variety)
        events = [item.event for item in self.items]
        missing = 2.0  # events without a score come last

        def doubt(n: int) -> tuple[Any, ...]:
            score = events[n].score
            return (missing if score is None else abs(score - 0.5),)

        def best(n: int) -> tuple[Any, ...]:
            score = events[n].score
            return (missing if score is None else -score,)

        keys = {
            "doubt": doubt, "variety": doubt, "score": best,
            "class": lambda n: (events[n].label, *best(n)),
            "time": lambda n: (self.items[n].time, events[n].source, events[n].start),
        }  # fmt: skip
        return sorted(range(len(self.items)), key=keys[name])

    def like(self, number: int) -> list[int]:
        """Give the numbers of all events, those that sound most like one of them first.

        Raises
        ------
        ArgumentError
            If there is no such event, its sound could not be read, or sounds have not been
            compared yet.
        """
        self._item(number)
        if self._similar is None or number not in self._similar[0]:
            raise ArgumentError("sounds are still being compared, or this one has none")
        known, scaled = self._similar
        closeness = scaled @ scaled[known.index(number)]
        order = [known[at] for at in np.argsort(-closeness, kind="stable").tolist()]
        order.remove(number)
        rest = sorted(set(range(len(self.items))) - set(known))
        return [number, *order, *rest]

    def progress(self) -> dict[str, Any]:
        """Count what is judged, altogether and by verdict."""
        kinds = Counter(item.verdict.kind for item in self.items)
        return {
            "total": len(self.items), "judged": len(self.items) - kinds[""],
            "right": kinds["right"], "wrong": kinds["wrong"], "other": kinds["other"],
            "compared": self.n_compared, "has_groups": self._groups is not None,
            "can_undo": bool(self._undo),
        }  # fmt: skip

    def labels(self) -> list[str]:
        """Give all labels of events, verdicts and the model, in alphabetical order."""
        found = {item.event.label for item in self.items}
        found |= {item.verdict.label for item in self.items if item.verdict.label}
        found |= set(self._bundle.labels if self._bundle else ())
        return sorted(found)

    def group_of(self, number: int) -> int | None:
        """Give the number of an event's group; None before sounds have been compared."""
        return None if self._groups is None else self._groups[number]

    # What is alike

    def compare_sounds(self) -> None:
        """Describe all sounds, and group them; takes a while, for a thread of its own."""
        for number, item in enumerate(self.items):
            if self._stopped.is_set():
                return
            try:
                samples, rate = item.sound()
                self._vectors[number] = self._describe(samples, rate)
            except (AudiocnnError, OSError) as error:
                log.info("%s: %s", item.row["path"], error)
            self.n_compared = number + 1
        found_vectors = {n: vector for n, vector in enumerate(self._vectors) if vector is not None}
        if not found_vectors:
            return
        known, vectors = list(found_vectors), np.stack(list(found_vectors.values()))
        labels = [self.items[n].event.label for n in known]
        numbers = groups(vectors, labels)
        found = [-1] * len(self.items)  # of those without sound
        for n, number in zip(known, numbers.tolist(), strict=True):
            found[n] = number
        start = min(range(len(known)), key=lambda at: self._doubt(known[at]))
        variety = [known[at] for at in by_variety(vectors, start)]
        rest = [n for n in range(len(self.items)) if n not in set(known)]
        self._similar = known, standardized(vectors)
        self._variety, self._groups = variety + rest, found

    def stop(self) -> None:
        """End `compare_sounds` soon."""
        self._stopped.set()

    def _doubt(self, number: int) -> float:
        score = self.items[number].event.score
        return 2.0 if score is None else abs(score - 0.5)

    def _describe(self, samples: Vectors, rate: int) -> Vectors:
        if self._bundle is not None:
            return embed_sound(self._bundle, samples, rate)
        return describe_spectrum(samples, rate)
