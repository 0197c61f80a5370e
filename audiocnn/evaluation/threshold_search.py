"""Search for event rules that keep a budget of false alarms.

Windows are scored once. Every candidate rule is then tried on the scores, by the same
`find_events` that labels recordings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.engine import Grid
from audiocnn.inference.events import EventRule, find_events
from audiocnn.inference.windows import Calibration, Scores, calibrate

Array = NDArray[np.float32]
THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98,
              0.99, 0.995, 0.998)  # fmt: skip
OFF_SHARE = 0.6  # of `on`: enough hysteresis that a fluctuating score gives one event
CAUTION = 1e-6  # per unit of threshold: decides only between rules that find the same
RUN = 256  # windows in a run of scores: quiet runs are skipped as a whole


class Windows(Protocol):
    """Window logits of many clips, not calibrated.

    ``logits`` (C, W); ``clip`` (W,) the index of each window's clip, those of one clip
    contiguous; ``begins`` and ``ends`` (W,) seconds in the clip.
    """

    @property
    def logits(self) -> Array: ...  # noqa: D102
    @property
    def clip(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def begins(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def ends(self) -> NDArray[np.floating]: ...  # noqa: D102


def clip_runs(
    windows: Windows, grid: Grid, calibration: Calibration
) -> Iterator[tuple[int, list[Scores]]]:
    """Yield the windows of each clip as the runs of scores that `listen` yields."""
    edges = np.flatnonzero(np.diff(windows.clip)) + 1
    for part in np.split(np.arange(windows.clip.size), edges):
        if not part.size:
            continue
        begins = windows.begins[part].astype(np.float64)
        padded = max(0.0, grid.window - float(windows.ends[part[0]] - begins[0]))
        on_grid = np.isclose(begins, begins[0] + grid.hop * np.arange(part.size), atol=1e-3)
        n_head, all_on_grid = int(on_grid.sum()), bool(on_grid.all())
        values = calibrate(windows.logits[:, part], calibration)
        runs = []
        for at in range(0, n_head, RUN):
            last = all_on_grid and at + RUN >= n_head
            piece = values[:, at : min(n_head, at + RUN)]
            start = begins[0] + at * grid.hop
            runs.append(Scores(start, grid.window, grid.hop, piece, padded, last))
        if not all_on_grid:
            runs.append(Scores(begins[-1], grid.window, grid.hop, values[:, -1:], 0.0, True))
        yield int(windows.clip[part[0]]), runs


def candidate_rules(
    smooths: Sequence[float],
    min_lengths: Sequence[float] = (0.0,),
    join_gap: float = 0.0,
    off_shares: Sequence[float] = (OFF_SHARE,),
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[EventRule]:
    """List candidate rules: every threshold with every smoothing and minimum length.

    Parameters
    ----------
    smooths, min_lengths, join_gap
        Of `EventRule`, seconds.
    off_shares
        Thresholds ``off`` as a share of ``on``.
    thresholds
        Values of ``on``, ascending.
    """
    return [
        EventRule(on, on * share, smooth=smooth, min_length=length, join_gap=join_gap)
        for smooth in smooths
        for length in min_lengths
        for share in off_shares
        for on in thresholds
    ]


def choose_rules(
    labels: tuple[str, ...],
    background: Windows | None,
    grid: Grid,
    calibration: Calibration,
    candidates: Sequence[EventRule],
    *,
    budget: float,
    examples: tuple[Windows, Array] | None = None,
    spared: Mapping[str, NDArray[np.bool_]] | None = None,
    wary: bool = False,
    usual: Mapping[str, EventRule] | None = None,
) -> dict[str, EventRule]:
    """Choose the rules of highest recall that keep a budget of false alarms.

    Parameters
    ----------
    labels
        In the order of the scores.
    background
        Windows of sounds that are none of the classes and that the network was not
        fitted on. If None, the first candidate with a threshold of at least 0.5 is taken.
    grid, calibration
        As in the bundle.
    candidates
        The rules to choose from, see `candidate_rules`; earlier ones detect more.
    budget
        False alarms per hour, over all labels.
    examples
        Windows of labelled clips that the network was not fitted on, and the
        targets (K, C) of all clips: the budget goes to the labels where it finds
        most of them. Without, each label gets an equal share of it.
    spared
        Clips (K,) of the background that do not count for a label, because they
        are like it (noise, for rain).
    wary
        Count for each rule the alarms of the next lower threshold, and of rules that
        find as much take the strictest: thresholds put just above the loudest alarms
        that were heard are passed by the next that will be.

    usual
        Rules of now: of labels that the examples lack, thresholds below these are the
        last choice, for nothing says that they would find more.

    Notes
    -----
    With T hours of background a rate below 1 / T cannot be distinguished from zero: then
    the rule is the first that gives no alarm.
    """
    if background is None:
        first = next(rule for rule in candidates if rule.on >= 0.5)
        return dict.fromkeys(labels, first)
    counted = np.ones((int(background.clip.max()) + 1, len(labels)), bool)
    for label, spare in (spared or {}).items():
        counted[:, labels.index(label)] = ~spare[: counted.shape[0]]
    alarms = count_events(background, grid, calibration, candidates, counted).astype(np.float64)
    seconds = clip_seconds(background)
    hours = seconds.sum() / 3600
    # By the hour, where a label counts only part of the background.
    share = hours / np.maximum(1e-9, seconds @ counted / 3600)
    alarms = np.ceil(alarms * share[:, None] - 1e-9)
    # Where there are no examples, an earlier rule is taken to find more.
    found = np.tile(-np.arange(len(candidates), dtype=np.float64), (len(labels), 1))
    for at, label in enumerate(labels if usual else ()):
        assert usual is not None
        found[at] -= len(candidates) * np.array([r.on < usual[label].on for r in candidates])
    if examples:
        windows, targets = examples
        own = targets[: int(windows.clip.max()) + 1] > 0
        own &= np.isin(np.arange(own.shape[0]), windows.clip)[:, None]
        hits = count_events(windows, grid, calibration, candidates, own, once=True)
        known = own.any(axis=0)
        found[known] = hits[known] / own.sum(axis=0)[known, None]
    if wary:
        alarms = _of_next_lower(alarms, candidates)
        found = found + CAUTION * np.array([rule.on for rule in candidates])
    if examples:
        chosen = share_budget(alarms, found, round(budget * hours))
    else:
        each = round(budget / len(labels) * hours)
        chosen = [share_budget(alarms[[at]], found[[at]], each)[0] for at in range(len(labels))]
    return {label: candidates[i] for label, i in zip(labels, chosen, strict=True)}


def share_budget(alarms: NDArray[np.float64], found: NDArray[np.float64], budget: int) -> list[int]:
    """Choose one option per row, so that the total gain is highest within a budget (exact).

    Parameters
    ----------
    alarms
        (C, T) cost of each option, whole numbers.
    found
        (C, T) gain of each option.
    budget
        Highest total cost. A row whose options all cost too much gets its cheapest.

    Returns
    -------
    list of int
        The option of each row; among equal ones the cheapest, then the first.
    """
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}  # by what was spent
    for row in range(alarms.shape[0]):
        cheapest = alarms[row].min()
        left = budget - sum(alarms[r].min() for r in range(row + 1, alarms.shape[0]))
        grown: dict[int, tuple[float, list[int]]] = {}
        for spent, (value, options) in best.items():
            for i, cost in enumerate(alarms[row].tolist()):
                total, gained = spent + int(cost), value + float(found[row, i])
                affordable = total <= left or cost == cheapest
                if affordable and (total not in grown or gained > grown[total][0] + 1e-12):
                    grown[total] = (gained, [*options, i])
        best = grown
    value = max(gained for gained, _ in best.values())
    spent = min(total for total, (gained, _) in best.items() if gained >= value - 1e-12)
    return best[spent][1]


def _of_next_lower(
    alarms: NDArray[np.float64], candidates: Sequence[EventRule]
) -> NDArray[np.float64]:
    """Return for each rule the alarms of the otherwise equal rule with the next lower threshold."""
    kinds: dict[tuple[float, ...], list[int]] = {}
    for i, rule in enumerate(candidates):
        kind = (rule.smooth, rule.min_length, rule.join_gap, round(rule.off / rule.on, 6))
        kinds.setdefault(kind, []).append(i)
    out = alarms.copy()
    for members in kinds.values():
        rising = sorted(members, key=lambda i: candidates[i].on)
        for lower, i in itertools.pairwise(rising):
            out[:, i] = np.maximum(alarms[:, i], alarms[:, lower])
    return out


def clip_seconds(windows: Windows) -> NDArray[np.float64]:
    """Return the length (K,) of each clip; 0 for those without windows."""
    ends, begins = (np.full(int(windows.clip.max()) + 1, x) for x in (-np.inf, np.inf))
    np.maximum.at(ends, windows.clip, windows.ends)
    np.minimum.at(begins, windows.clip, windows.begins)
    return np.asarray(np.maximum(0.0, ends - begins))


def count_events(
    windows: Windows,
    grid: Grid,
    calibration: Calibration,
    candidates: Sequence[EventRule],
    counted: NDArray[np.bool_],
    *,
    once: bool = False,
) -> NDArray[np.int64]:
    """Count the events that each rule detects.

    Parameters
    ----------
    windows, grid, calibration
        The scored windows.
    candidates
        R rules.
    counted
        (K, C) whether a clip counts for a label.
    once
        Count clips with an event instead of events.

    Returns
    -------
    array (C, R)
        Totals over all clips.
    """
    total = np.zeros((counted.shape[1], len(candidates)), np.int64)
    lowest = min(rule.on for rule in candidates)
    for clip, runs in clip_runs(windows, grid, calibration):
        loudest = np.max([run.values.max(axis=1) for run in runs], axis=0)
        for at in np.flatnonzero(counted[clip] & (loudest >= lowest)).tolist():
            alone = [replace(run, values=run.values[at : at + 1]) for run in runs]
            for i, rule in enumerate(candidates):
                if loudest[at] >= rule.on:  # smoothing only lowers
                    events = find_events(alone, {"it": rule})
                    total[at, i] += any(True for _ in events) if once else sum(1 for _ in events)
    return total
