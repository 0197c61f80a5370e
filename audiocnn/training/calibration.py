"""Logits to probabilities, and probabilities to rules, on sounds not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from audiocnn.engine import Grid
from audiocnn.errors import DatasetError
from audiocnn.events import EventRule, find_events
from audiocnn.scoring import Calibration, Scores, calibrate
from audiocnn.training.predicting import Predictions

Array = NDArray[np.float32]
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
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


def choose_rules(
    labels: tuple[str, ...],
    background: Predictions | None,
    grid: Grid,
    calibration: Calibration,
    *,
    budget: float,
    smooth: float,
    join_gap: float,
    spared: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, EventRule]:
    """Choose for each label the lowest threshold that keeps a budget of false alarms.

    Parameters
    ----------
    labels
        In the order of the scores.
    background
        Windows of sounds that are none of the classes, and that the network was
        not fitted on; None if there are none: then every threshold is 0.5.
    grid, calibration
        As in the bundle.
    budget
        False alarms an hour, over all labels; each label gets an equal share.
    smooth, join_gap
        Of the rules, seconds.
    spared
        Clips (K,) of the background that do not count for a label, because they
        are like it (noise, for rain).

    Notes
    -----
    With T hours of background a rate below 1 / T cannot be told from none: then
    the threshold is the lowest that gives no alarm.
    """
    rules = {}
    if background is None:
        return {
            label: EventRule(0.5, 0.5 * OFF_SHARE, smooth=smooth, join_gap=join_gap)
            for label in labels
        }
    seconds = np.zeros(int(background.clip.max()) + 1)
    np.maximum.at(seconds, background.clip, background.ends)
    clips = list(clip_runs(background, grid, calibration))
    for at, label in enumerate(labels):
        spare = (spared or {}).get(label)
        counted = [(k, runs) for k, runs in clips if spare is None or not spare[k]]
        hours = sum(seconds[k] for k, _ in counted) / 3600
        allowed = round(budget / len(labels) * hours)
        for on in THRESHOLDS:
            rule = EventRule(on, on * OFF_SHARE, smooth=smooth, join_gap=join_gap)
            alarms = sum(
                1
                for _, runs in counted
                if any((run.values[at] >= on).any() for run in runs)  # smoothing only lowers
                for _ in find_events(_only(runs, at), {label: rule})
            )
            if alarms <= allowed:
                break
        rules[label] = rule
    return rules


def _only(runs: list[Scores], at: int) -> Iterator[Scores]:
    """Give the scores of one label alone."""
    for run in runs:
        yield Scores(run.start, run.window, run.hop, run.values[at : at + 1], run.padded, run.last)
