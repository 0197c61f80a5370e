"""Figures of merit, against values worked out by hand or by others."""

import numpy as np
import pytest
import scipy.stats

from audiocnn.errors import ArgumentError
from audiocnn.evaluation import (
    calibration_error,
    clip_score,
    evaluate,
)
from audiocnn.events import Event
from audiocnn.rates import event_rate, false_alarms, share_bounds

LABELS = ("cat", "dog", "owl")


def test_a_small_case_by_hand():
    scores = np.array(
        [[0.9, 0.1, 0.0], [0.2, 0.6, 0.1], [0.7, 0.6, 0.1], [0.1, 0.3, 0.2], [0.8, 0.1, 0.1]]
    )
    truth = [("cat",), ("dog",), ("dog", "cat"), ("owl",), ()]
    events = [("cat",), (), ("dog",), (), ("cat",)]
    e = evaluate(scores, truth, events, LABELS, [0.5, 0.7, 0.5])
    assert e.clips == 4
    assert e.accuracy == 3 / 4  # the third has two labels, and one of them is best
    assert e.rejected == 2 / 4  # 0.6 is below the dog's 0.7, 0.3 too
    assert e.accuracy_with_rejection == 2 / 4
    assert e.events_found == 2 / 4
    assert (e.backgrounds, e.background_alarms) == (1, 1)
    cat, dog, owl = (e.per_class[label] for label in LABELS)
    assert (cat.n, cat.precision, cat.recall, cat.f1) == (2, 1.0, 1.0, 1.0)
    assert (dog.n, dog.precision, dog.recall) == (2, 0.5, 0.5)
    assert (owl.n, owl.recall, owl.f1) == (1, 0.0, 0.0)
    assert np.isnan(owl.precision)  # never said: there is nothing to be precise about
    assert e.macro_f1 == pytest.approx((1 + 0.5 + 0) / 3)
    assert e.confusion["owl"] == {"dog": 1}


def test_events_per_hour_have_the_bounds_of_garwood():
    rate = event_rate(3, 2.0)
    assert rate.per_hour == 1.5
    assert rate.low == pytest.approx(scipy.stats.chi2.ppf(0.025, 6) / 2 / 2)
    assert rate.high == pytest.approx(scipy.stats.chi2.ppf(0.975, 8) / 2 / 2)
    assert event_rate(0, 10).low == 0
    assert event_rate(0, 10).high == pytest.approx(-np.log(0.025) / 10)


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (90, 100), (1, 3)])
def test_shares_have_the_bounds_of_clopper_and_pearson(right, total):
    interval = scipy.stats.binomtest(right, total).proportion_ci(0.95, "exact")
    assert share_bounds(right, total) == pytest.approx((interval.low, interval.high))


def test_false_alarms_count_time_once_and_say_what_is_shown():
    events = [Event("a", 0, 10), Event("b", 5, 15), Event("a", 0, 2, source="other")]
    found = false_alarms(events, 3600.0)
    assert found.events == 3
    assert found.active == pytest.approx(17 / 3600)
    assert found.active_bounds[0] < found.active < found.active_bounds[1]
    none = false_alarms([], 6 * 3600.0)
    assert none.below == pytest.approx(3 / 6, rel=0.01)
    assert "3 / T for T hours without any" in none.claim


def test_calibration_error_of_the_sure_and_wrong_and_of_the_honest():
    assert calibration_error(np.full(100, 0.95), np.zeros(100, bool)) == pytest.approx(0.95)
    rng = np.random.default_rng(0)
    confidence = rng.random(100_000)
    assert calibration_error(confidence, rng.random(100_000) < confidence) < 0.01


def test_silent_windows_take_no_part_unless_all_are_silent():
    values = np.array([[0.2, 0.8, 0.6]])
    audible = np.array([False, True, True])
    assert clip_score(values, "mean", audible) == pytest.approx([0.7])
    assert clip_score(values, "max", np.array([True, False, True])) == pytest.approx([0.6])
    assert clip_score(values, "max", np.zeros(3, bool)) == pytest.approx([0.8])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: event_rate(1, 0), "hours > 0, got 1 and 0"),
        (lambda: share_bounds(3, 2), "got 3 of 2"),
        (lambda: evaluate(np.zeros((1, 3)), [], [], LABELS, [1, 1, 1]), "do not fit 0 truths"),
        (lambda: evaluate(np.zeros((1, 3)), [("cow",)], [()], LABELS, [1] * 3), "cat, dog, owl"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
