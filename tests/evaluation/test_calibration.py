"""Calibration and rules: fitted on sounds that the network has not seen."""

import itertools

import numpy as np
import pytest

from audiocnn.errors import DatasetError
from audiocnn.evaluation.calibration import fit_calibration
from audiocnn.evaluation.threshold_search import (
    THRESHOLDS,
    candidate_rules,
    choose_rules,
    share_budget,
)
from audiocnn.inference.engine import Grid
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration, calibrate
from audiocnn.training.predictions import Predictions, audible, clip_scores

GRID = Grid(rate=1000, period=100, reach=200, size=9, step=5)  # windows of 1 s, hop 0.5 s
SAME = Calibration((1.0, 1.0), (0.0, 0.0))
PLAIN = candidate_rules([0.0])


def predictions(logits: np.ndarray, n_clips: int = 1) -> Predictions:
    n = logits.shape[1] // n_clips
    begins = np.tile(0.5 * np.arange(n), n_clips).astype(np.float32)
    return Predictions(
        logits.astype(np.float32),
        np.repeat(np.arange(n_clips), n),
        np.ones(n * n_clips, np.float32),
        begins,
        begins + 1,
    )


def test_calibration_finds_the_slope_and_offset_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3, 20000))
    truth = calibrate(logits, Calibration((2.0,) * 3, (-1.0, 0.0, 1.5)))
    found = fit_calibration(logits, (rng.random(truth.shape) < truth).astype(np.float32))
    np.testing.assert_allclose(found.slope, 2.0, rtol=0.05)
    np.testing.assert_allclose(found.offset, [-1.0, 0.0, 1.5], atol=0.1)


def test_few_recordings_do_not_favour_a_class():
    """Twelve clips of twenty windows each: what a few alike windows say is not believed."""
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, 12)
    logits = rng.normal(-1, 1, (3, 12)) + 2 * np.eye(3)[label].T  # one draw a clip
    windows = np.repeat(logits, 20, axis=1)
    targets = np.repeat(np.eye(3)[label].T, 20, axis=1).astype(np.float32)
    believed = np.ptp(fit_calibration(windows, targets).offset)
    doubted = np.ptp(fit_calibration(windows, targets, n=12).offset)
    assert doubted < 0.4 * believed
    many = np.ptp(fit_calibration(np.tile(logits, 20), np.tile(np.eye(3)[label].T, 20)).offset)
    assert many == pytest.approx(believed, rel=0.01)  # as if all windows were recordings


def test_weights_count_windows():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (2, 400))
    targets = (rng.random((2, 400)) < 0.3).astype(np.float32)
    twice = fit_calibration(np.tile(logits, 2), np.tile(targets, 2))
    heavy = fit_calibration(logits, targets, np.full(400, 2.0))
    np.testing.assert_allclose(heavy.slope, twice.slope, rtol=0.02)


def test_nothing_to_calibrate_on_is_said():
    with pytest.raises(DatasetError, match="no windows to calibrate on"):
        fit_calibration(np.empty((2, 0)), np.empty((2, 0)))


def test_the_lowest_threshold_that_keeps_the_budget_is_chosen():
    # Ten clips of 21 s; label 0 peaks at 0.92 in five of them, label 1 never above 0.3.
    probability = np.full((2, 10 * 40), 0.3)
    probability[0, [7, 47, 87, 127, 167]] = 0.92
    background = predictions(np.log(probability / (1 - probability)), n_clips=10)
    strict = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=20)
    assert strict["a"].on == 0.93
    assert strict["b"].on == THRESHOLDS[0]
    loose = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=1e4)
    assert loose["a"].on == THRESHOLDS[0]


def test_a_sound_that_lasts_is_asked_to_last():
    # Alarms last a window; the sound that is looked for, six seconds: with a shortest length
    # the threshold need not rise over the alarms.
    quiet = np.full((2, 10 * 40), 0.3)
    quiet[0, 7::40] = 0.999
    clips = np.full((2, 2 * 40), 0.3)
    clips[0, 10:22] = 0.9
    background, examples = (
        predictions(np.log(p / (1 - p)), n) for p, n in ((quiet, 10), (clips, 2))
    )
    targets = np.array([[1, 0], [0, 1]], np.float32)
    rules = choose_rules(("a", "b"), background, GRID, SAME, candidate_rules([0.0], [0.0, 2.0]),
                         budget=0, examples=(examples, targets))  # fmt: skip
    assert rules["a"].min_length == 2.0
    assert rules["a"].on <= 0.9


def test_without_a_background_the_threshold_is_a_half():
    rules = choose_rules(("a", "b"), None, GRID, SAME, PLAIN, budget=1)
    assert {rule.on for rule in rules.values()} == {0.5}


def test_the_budget_goes_to_the_label_that_needs_it():
    # Backgrounds reach 0.92 for both labels; clips of the first reach 0.99, of the second 0.5.
    quiet = np.full((2, 10 * 40), 0.3)
    quiet[:, 7::40] = 0.92
    clips = np.full((2, 4 * 40), 0.3)
    clips[0, 10:80], clips[1, 90:] = 0.99, 0.5
    background, examples = (
        predictions(np.log(p / (1 - p)), n) for p, n in ((quiet, 10), (clips, 4))
    )
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    rules = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=180,
                         examples=(examples, targets))  # fmt: skip
    assert rules["a"].on == 0.93  # no clip is lost by it
    assert rules["b"].on <= 0.5


def test_a_label_without_examples_is_made_no_less_strict():
    # Nothing says what a lower threshold of the second would find: there are no clips of it.
    quiet, clips = np.full((2, 10 * 40), 0.3), np.full((2, 2 * 40), 0.3)
    quiet[1, 7] = 0.96
    clips[0, 10:30] = 0.99
    background, examples = (
        predictions(np.log(p / (1 - p)), n) for p, n in ((quiet, 10), (clips, 2))
    )
    targets = np.array([[1, 0], [1, 0]], np.float32)
    for usual, wanted in ((0.5, 0.97), (0.8, 0.97), (0.98, 0.98)):
        rules = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=0,
                             examples=(examples, targets),
                             usual=dict.fromkeys("ab", EventRule(usual, usual)))  # fmt: skip
        assert rules["a"].on == THRESHOLDS[0]
        assert rules["b"].on == wanted
    calm = predictions(np.full((2, 10 * 40), -3.0), 10)
    rules = choose_rules(("a", "b"), calm, GRID, SAME, PLAIN, budget=0,
                         examples=(examples, targets),
                         usual=dict.fromkeys("ab", EventRule(0.8, 0.5)))  # fmt: skip
    assert rules["b"].on == 0.8


@pytest.mark.parametrize("seed", range(20))
def test_a_budget_is_shared_as_well_as_can_be(seed):
    rng = np.random.default_rng(seed)
    alarms = np.sort(rng.integers(0, 6, (3, 4)))[:, ::-1].astype(float)
    found = np.sort(rng.random((3, 4)))[:, ::-1]
    budget = int(rng.integers(0, 12))
    every = list(itertools.product(range(4), repeat=3))
    cost = {o: sum(alarms[r, i] for r, i in enumerate(o)) for o in every}
    value = {o: sum(found[r, i] for r, i in enumerate(o)) for o in every}
    chosen = tuple(share_budget(alarms, found, budget))
    affordable = [o for o in every if cost[o] <= budget]
    if affordable:
        assert cost[chosen] <= budget
        assert value[chosen] == pytest.approx(max(value[o] for o in affordable))
    else:
        assert cost[chosen] == min(cost.values())


def test_spared_clips_do_not_count():
    probability = np.full((2, 80), 0.1)
    probability[0, 5] = 0.96
    background = predictions(np.log(probability / (1 - probability)), n_clips=2)
    spared = {"a": np.array([True, False])}
    rules = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=0, spared=spared)
    assert rules["a"].on == THRESHOLDS[0]
    rules = choose_rules(("a", "b"), background, GRID, SAME, PLAIN, budget=0)
    assert rules["a"].on > 0.95


def test_silent_and_faint_windows_carry_no_label():
    p = predictions(np.zeros((1, 4)), n_clips=2)
    power = np.array([1e-3, 1e-8, 1e-2, 1e-6], np.float32)
    p = Predictions(p.logits, p.clip, power, p.begins, p.ends)
    assert audible(p, -70, -30).tolist() == [True, False, True, False]
    assert audible(p, -70, -60).tolist() == [True, False, True, True]


def test_clip_scores_gather_windows():
    values = np.array([[0.0, 1.0, 4.0], [3.0, 0.0, 5.0]])
    clips, best = clip_scores(values, np.array([2, 2, 7]), "max")
    assert clips.tolist() == [2, 7]
    assert best.tolist() == [[1.0, 3.0], [4.0, 5.0]]
    assert clip_scores(values, np.array([2, 2, 7]), "mean")[1].tolist() == [[0.5, 1.5], [4.0, 5.0]]
