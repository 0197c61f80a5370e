"""Logits to probabilities, and probabilities to rules, on sounds not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.engine import Grid
from audiocnn.errors import DatasetError
from audiocnn.events import EventRule, find_events
from audiocnn.scoring import Calibration, Scores, calibrate
from audiocnn.training.predicting import Predictions, audible
from audiocnn.training.recipe import Recipe

Array = NDArray[np.float32]
THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98,
              0.99, 0.995, 0.998)  # fmt: skip
OFF_SHARE = 0.6  # of `on`: wide enough that a score which wavers is one event


def fit_calibration(logits: Array, targets: Array, weights: Array | None = None) -> Calibration:
    """Fit one slope, and an offset per class, by maximum likelihood.

    Parameters
    ----------
    logits, targets
        (C, W) of windows that the network was not fitted on; targets 0 or 1.
    weights
        (W,) how much each window counts; all alike if None.

    Raises
    ------
    DatasetError
        If there are no windows.

    Notes
    -----
    A slope shared by all classes keeps their order as far as the offsets allow,
    and is sure even where a class has few windows. Offsets are drawn to their
    mean by a weak normal prior (deviation 3).
    """
    n_classes, n = logits.shape
    if n == 0:
        raise DatasetError("no windows to calibrate on: all are silent, or there are none")
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offset = np.exp(x[0]), x[1:]
        z = slope * logits + offset[:, None]
        value = (w * (np.logaddexp(0, z) - targets * z)).sum()
        error = w * (1 / (1 + np.exp(-z)) - targets)
        away = (offset - offset.mean()) / 9 / n
        gradient = np.concatenate(([(error * logits).sum() * slope], error.sum(1) + away))
        return float(value + 0.5 * (away * (offset - offset.mean())).sum()), gradient

    found = scipy.optimize.minimize(loss, np.zeros(n_classes + 1), jac=True, method="L-BFGS-B",
                                    bounds=[(-3, 3)] + [(-12, 12)] * n_classes)  # fmt: skip
    slope = float(np.exp(found.x[0]))
    return Calibration((slope,) * n_classes, tuple(float(v) for v in found.x[1:]))


def calibrate_on(
    kept: Predictions, quiet: Predictions | None, targets: NDArray[np.float32], recipe: Recipe
) -> Calibration:
    """Fit the calibration: windows with energy of held-out clips, and background beside them.

    Background counts half as much as the clips, however much there is of it.
    """
    ok = audible(kept, recipe.silence_db, recipe.faint_db)
    logits, truth = [kept.logits[:, ok]], [targets[kept.clip[ok]].T]
    weights = [np.full(int(ok.sum()), 1 / max(1, ok.sum()))]
    if quiet is not None:
        logits.append(quiet.logits)
        truth.append(np.zeros_like(quiet.logits))
        weights.append(np.full(quiet.clip.size, 0.5 / quiet.clip.size))
    return fit_calibration(
        np.concatenate(logits, 1), np.concatenate(truth, 1), np.concatenate(weights)
    )


def clip_runs(
    predictions: Predictions, grid: Grid, calibration: Calibration
) -> Iterator[tuple[int, list[Scores]]]:
    """Give the predictions of each clip as the runs of scores that `listen` would give."""
    values = calibrate(predictions.logits, calibration)
    edges = np.flatnonzero(np.diff(predictions.clip)) + 1
    for part in np.split(np.arange(predictions.clip.size), edges):
        if not part.size:
            continue
        begins = predictions.begins[part].astype(np.float64)
        padded = max(0.0, grid.window - float(predictions.ends[part[0]] - begins[0]))
        on_grid = np.isclose(begins, begins[0] + grid.hop * np.arange(part.size), atol=1e-3)
        head = part[on_grid]
        all_on_grid = bool(on_grid.all())
        runs = [Scores(begins[0], grid.window, grid.hop, values[:, head], padded, last=all_on_grid)]
        if not all_on_grid:
            runs.append(Scores(begins[-1], grid.window, grid.hop, values[:, part[-1:]], 0.0, True))
        yield int(predictions.clip[part[0]]), runs


def candidate_rules(
    smooths: Sequence[float], min_lengths: Sequence[float] = (0.0,), join_gap: float = 0.0
) -> list[EventRule]:
    """List rules to choose from: all `THRESHOLDS` with each smoothing and shortest length.

    Parameters
    ----------
    smooths, min_lengths, join_gap
        Of `EventRule`, seconds.
    """
    return [
        EventRule(on, on * OFF_SHARE, smooth=smooth, min_length=length, join_gap=join_gap)
        for smooth in smooths
        for length in min_lengths
        for on in THRESHOLDS
    ]


def choose_rules(
    labels: tuple[str, ...],
    background: Predictions | None,
    grid: Grid,
    calibration: Calibration,
    candidates: Sequence[EventRule],
    *,
    budget: float,
    examples: tuple[Predictions, Array] | None = None,
    spared: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, EventRule]:
    """Choose rules that keep a budget of false alarms and miss as little as they can.

    Parameters
    ----------
    labels
        In the order of the scores.
    background
        Windows of sounds that are none of the classes, and that the network was
        not fitted on; None if there are none: then the first candidate whose
        threshold is at least 0.5 is taken.
    grid, calibration
        As in the bundle.
    candidates
        The rules to choose from, see `candidate_rules`; the earlier, the more they
        find.
    budget
        False alarms an hour, over all labels.
    examples
        Windows of labelled clips that the network was not fitted on, and the
        targets (K, C) of all clips: the budget goes to the labels where it finds
        most of them. Without, each label gets an equal share of it.
    spared
        Clips (K,) of the background that do not count for a label, because they
        are like it (noise, for rain).

    Notes
    -----
    With T hours of background a rate below 1 / T cannot be told from none: then
    the rule is the first that gives no alarm.
    """
    if background is None:
        first = next(rule for rule in candidates if rule.on >= 0.5)
        return dict.fromkeys(labels, first)
    seconds = np.zeros(int(background.clip.max()) + 1)
    np.maximum.at(seconds, background.clip, background.ends)
    hours = seconds.sum() / 3600
    quiet = list(clip_runs(background, grid, calibration))
    clips = list(clip_runs(examples[0], grid, calibration)) if examples else []
    alarms = np.empty((len(labels), len(candidates)))
    found = np.empty((len(labels), len(candidates)))
    for at, label in enumerate(labels):
        spare = (spared or {}).get(label)
        counted = [(k, runs) for k, runs in quiet if spare is None or not spare[k]]
        own = [runs for k, runs in clips if examples and examples[1][k, at] > 0]
        # By the hour, where a label counts only part of the background.
        share = hours / max(1e-9, sum(seconds[k] for k, _ in counted) / 3600)
        for i, rule in enumerate(candidates):
            events = [_events(runs, at, rule) for _, runs in counted]
            alarms[at, i] = np.ceil(sum(events) * share - 1e-9)
            # Without examples, an earlier rule is taken to find more.
            hits = [_events(runs, at, rule) > 0 for runs in own]
            found[at, i] = np.mean(hits) if hits else -i
    if examples:
        chosen = share_budget(alarms, found, round(budget * hours))
    else:
        each = round(budget / len(labels) * hours)
        chosen = [share_budget(alarms[[at]], found[[at]], each)[0] for at in range(len(labels))]
    return {label: candidates[i] for label, i in zip(labels, chosen, strict=True)}


def share_budget(alarms: NDArray[np.float64], found: NDArray[np.float64], budget: int) -> list[int]:
    """Choose an option for each row so that most is found within a budget, exactly.

    Parameters
    ----------
    alarms
        (C, T) what each option costs, whole numbers.
    found
        (C, T) what each option finds.
    budget
        What all rows together may cost. A row whose every option costs too much
        gets its cheapest.

    Returns
    -------
    list of int
        The option of each row; of equally good ones the cheapest, then the first.
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


def _events(runs: list[Scores], at: int, rule: EventRule) -> int:
    """Count the events of one label in a clip."""
    if not any((run.values[at] >= rule.on).any() for run in runs):
        return 0  # smoothing only lowers
    alone = (
        Scores(run.start, run.window, run.hop, run.values[at : at + 1], run.padded, run.last)
        for run in runs
    )
    return sum(1 for _ in find_events(alone, {"it": rule}))
