"""Bounds hold what they promise, and know that clips of one group say one thing."""

import numpy as np

from audiocnn.evaluation.group_bootstrap import _weighted_precision, group_bounds, known_bounds
from audiocnn.evaluation.intervals import share_bounds
from audiocnn.evaluation.metrics import average_precision


def judged(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets of two classes, right where it is said."""
    targets = np.zeros((right.size, 2), bool)
    targets[np.arange(right.size), np.arange(right.size) % 2] = True
    scores = np.where(targets == right[:, None], 0.9, 0.1).astype("f4")
    return scores, targets


def test_the_bounds_hold_the_truth_about_as_often_as_they_say():
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        of_group = rng.beta(4, 1, 30)  # groups differ in how hard they are
        group = np.repeat(np.arange(30), 4)
        low, high = group_bounds(*judged(rng.random(120) < of_group[group]), group)["accuracy"]
        held += low <= 0.8 <= high
    assert held >= 51  # 95 % of 60, and chance


def test_clips_of_one_group_are_one_trial():
    right = np.repeat(np.arange(12) % 4 > 0, 10)
    alone = group_bounds(*judged(right), np.arange(120))["accuracy"]
    together = group_bounds(*judged(right), np.repeat(np.arange(12), 10))["accuracy"]
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_all_right_is_not_all_known():
    low, high = group_bounds(*judged(np.ones(40, bool)), np.arange(40) // 4)["accuracy"]
    assert 0.6 < low < 0.75  # ten groups without an error: 69 %
    assert high == 1


def test_the_weighted_precision_is_that_of_repeated_clips():
    rng = np.random.default_rng(1)
    scores, true = rng.standard_normal(30).astype("f4"), rng.random(30) < 0.4
    once = _weighted_precision(scores, true, np.ones((1, 30)))[0]
    assert abs(once - average_precision(scores, true)) < 1e-6
    times = rng.integers(1, 4, 30)
    heavy = _weighted_precision(scores, true, times[None].astype(float))[0]
    again = average_precision(np.repeat(scores, times), np.repeat(true, times))
    assert abs(heavy - again) < 1e-6


def test_bounds_that_draws_do_not_show():
    assert known_bounds(1.0, 1.0, 8) == share_bounds(8, 8)
    assert known_bounds(0.4, 0.4, 1) == (0.0, 1.0)  # of one group nothing is known
    assert known_bounds(0.4, 0.6, 9) == (0.4, 0.6)


def test_groups_that_differ_widen_the_bounds():
    right = np.repeat(np.arange(20) < 16, 25)  # whole groups are right or wrong

    def width(group: np.ndarray) -> float:
        low, high = group_bounds(*judged(right), group)["accuracy"]
        assert low < 0.8 < high
        return high - low

    assert width(np.arange(500) // 25) > 3 * width(np.arange(500))
