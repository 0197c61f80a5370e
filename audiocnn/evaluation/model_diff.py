"""Comparison of two models on the same recordings, event by event.

Overlapping events of one label are the same event. Events of one model only are listed by
recording, the largest disagreement first. The models may have different labels: an event
of a label that the other model lacks is no disagreement, and is counted separately.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audiocnn.datasets.manifest import Clip
from audiocnn.evaluation.threshold_search import clip_runs
from audiocnn.evaluation.window_logits import clip_logits
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.events import Event, find_events
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

SAME_TIME = 0.05  # seconds
SAME_SCORE = 0.02


@dataclass(frozen=True)
class Pair:
    """An event of one model and its counterpart in the other, if there is one.

    Parameters
    ----------
    a, b
        The event of each model; at least one is not None.
    foreign
        Whether the model without the event lacks the label.
    right
        Whether the label is one of its clip's; None if the clip's labels are not known.
    """

    a: Event | None
    b: Event | None
    foreign: bool = False
    right: bool | None = None

    @property
    def label(self) -> str:
        """The label of both."""
        event = self.a or self.b
        assert event is not None, "a pair has an event"
        return event.label

    @property
    def verdict(self) -> str:
        """``same``, ``moved`` (other times), ``scored`` (another score alone), ``A`` or ``B``."""
        if self.a is None:
            return "B"
        if self.b is None:
            return "A"
        starts, ends = abs(self.a.start - self.b.start), abs(_end(self.a) - _end(self.b))
        if max(starts, ends) > SAME_TIME:
            return "moved"
        scores = abs((self.a.score or 0.0) - (self.b.score or 0.0))
        return "same" if scores <= SAME_SCORE else "scored"


@dataclass(frozen=True)
class Compared:
    """Events of two models in one clip, matched.

    Parameters
    ----------
    clip
        The clip.
    pairs
        Sorted by onset.
    right_a, right_b
        Whether a model detected one of the clip's labels and nothing else; in a
        background, nothing. None if the clip's labels are not known.
    """

    clip: Clip
    pairs: tuple[Pair, ...]
    right_a: bool | None = None
    right_b: bool | None = None

    @property
    def disagreement(self) -> float:
        """Seconds in which one model detects a label that the other has and does not detect."""
        return sum(_apart(pair.a, pair.b) for pair in self.pairs if not pair.foreign)


def compare_clip(
    a: Bundle,
    b: Bundle,
    clip: Clip,
    *,
    labelled: bool,
    overlap: float = 0.2,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Compared:
    """Run two models on a clip, and match their events.

    Parameters
    ----------
    a, b
        The models, each with its own rules and windows.
    clip
        The clip.
    labelled
        Whether its labels are known.
    overlap
        See `match`.
    reading
        How a signal other than sound is read.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    heard = [_events(bundle, clip, reading) for bundle in (a, b)]
    pairs = []
    for pair in match(heard[0], heard[1], overlap):
        other = b if pair.b is None else a if pair.a is None else None
        foreign = other is not None and pair.label not in other.labels
        right = pair.label in clip.labels if labelled else None
        pairs.append(Pair(pair.a, pair.b, foreign, right))
    rights = [_is_right(clip, events) if labelled else None for events in heard]
    return Compared(clip, tuple(pairs), rights[0], rights[1])


def match(a: Sequence[Event], b: Sequence[Event], overlap: float) -> list[Pair]:
    """Match events of one label, in the order of their overlap.

    Parameters
    ----------
    a, b
        All with an end.
    overlap
        Intersection over union in time, from which two events are the same.

    Returns
    -------
    list of Pair
        Sorted by onset; an event without a counterpart has a pair of its own.
    """
    shares = [
        (_overlap(x, y), i, j)
        for i, x in enumerate(a)
        for j, y in enumerate(b)
        if x.label == y.label
    ]
    left_a, left_b, pairs = set(range(len(a))), set(range(len(b))), []
    for share, i, j in sorted(shares, key=lambda s: (-s[0], s[1], s[2])):
        if share > 0 and share >= overlap and i in left_a and j in left_b:
            pairs.append(Pair(a[i], b[j]))
            left_a.remove(i)
            left_b.remove(j)
    pairs += [Pair(a[i], None) for i in left_a] + [Pair(None, b[j]) for j in left_b]
    return sorted(pairs, key=lambda p: (min(e.start for e in (p.a, p.b) if e), p.label))


@dataclass(frozen=True)
class Summary:
    """Totals over all clips.

    Parameters
    ----------
    recordings
        Number of clips compared.
    verdicts
        Events by label and `Pair.verdict`; those of foreign labels as ``A alone knows``
        or ``B alone knows``.
    both_right, only_a, only_b, neither
        Clips with known labels, by who is right.
    """

    recordings: int
    verdicts: dict[str, dict[str, int]]
    both_right: int
    only_a: int
    only_b: int
    neither: int

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the exact sign test on clips that one model alone has right."""
        # Of n clips that one model alone has right, k or fewer for either model.
        n, k = self.only_a + self.only_b, min(self.only_a, self.only_b)
        return min(1.0, float(sum(math.comb(n, i) for i in range(k + 1)) / 2 ** (n - 1)))


def summarize(results: Iterable[Compared]) -> Summary:
    """Count events by verdict, and clips by which model is right."""
    verdicts: dict[str, dict[str, int]] = {}
    n = 0
    right = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for result in results:
        n += 1
        for pair in result.pairs:
            verdict = f"{pair.verdict} alone knows" if pair.foreign else pair.verdict
            of_label = verdicts.setdefault(pair.label, {})
            of_label[verdict] = of_label.get(verdict, 0) + 1
        if result.right_a is not None and result.right_b is not None:
            right[result.right_a, result.right_b] += 1
    return Summary(
        n, dict(sorted(verdicts.items())), right[True, True], right[True, False],
        right[False, True], right[False, False],
    )  # fmt: skip


def _events(bundle: Bundle, clip: Clip, reading: SignalReadOptions) -> list[Event]:
    grid = grid_of(bundle)
    found = [
        event
        for stretch in clip_logits(bundle, clip, reading)
        for _, runs in clip_runs(stretch, grid, bundle.calibration)
        for event in find_events(runs, bundle.rules, source=str(clip.path))
    ]
    return sorted(found, key=lambda event: (event.start, event.label))


def _is_right(clip: Clip, events: Sequence[Event]) -> bool:
    heard = {event.label for event in events}
    return heard <= set(clip.labels) and bool(heard) == bool(clip.labels)


def _overlap(x: Event, y: Event) -> float:
    common = min(_end(x), _end(y)) - max(x.start, y.start)
    return max(0.0, common) / max(1e-9, max(_end(x), _end(y)) - min(x.start, y.start))


def _apart(x: Event | None, y: Event | None) -> float:
    if x is None or y is None:
        event = x or y
        return 0.0 if event is None else _end(event) - event.start
    return abs(x.start - y.start) + abs(_end(x) - _end(y))


def _end(event: Event) -> float:
    assert event.end is not None, "events of a finished recording have an end"
    return event.end
