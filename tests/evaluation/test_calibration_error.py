"""Scores as probabilities, and bounds by drawing groups."""

import numpy as np
import pytest

from audiocnn.errors import ArgumentError
from audiocnn.evaluation.calibration_error import (
    measure_reliability,
    reliability_table,
)
from audiocnn.evaluation.intervals import share_bounds, wilson_bounds


def test_the_table_sorts_scores_and_counts_hits():
    scores = np.array([0.05, 0.15, 0.18, 0.95, 1.0], np.float32)
    right = np.array([False, True, False, True, True])
    table = reliability_table(scores, right)
    assert [(round(b.low, 1), b.n, b.right) for b in table] == [
        (0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 2, 1.0),
    ]  # fmt: skip
    assert table[1].confidence == pytest.approx(0.165)
    assert table[1].right_bounds == wilson_bounds(1, 2)


def test_before_and_after_calibration_are_told_apart():
    rng = np.random.default_rng(0)
    first = rng.random(4000).astype(np.float32)
    is_first = rng.random(4000) < first
    probability = np.stack((first, 1 - first), axis=1)
    targets = np.stack((is_first, ~is_first), axis=1)  # one of two
    bold = 1 / (1 + np.exp(-4 * np.log(probability / (1 - probability))))
    found = measure_reliability(probability, bold.astype(np.float32), targets)
    assert found.brier == pytest.approx(1 / 6, abs=0.01)  # E[p (1 - p)] of uniform p
    assert found.brier_before > found.brier
    assert found.error_before > found.error


def test_wilson_bounds_are_those_of_the_book():
    low, high = wilson_bounds(8, 10)  # Wilson's interval, worked out by hand
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson_bounds(0, 0) == (0.0, 1.0)
    for right in range(21):  # narrower than the exact ones
        assert np.diff(wilson_bounds(right, 20)) < np.diff(share_bounds(right, 20))
    with pytest.raises(ArgumentError, match="5 of 4"):
        wilson_bounds(5, 4)
