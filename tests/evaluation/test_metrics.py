"""Figures of merit, against values worked out by hand or by others."""

import json

import numpy as np
import pytest
import scipy.stats

from audiocnn.errors import ArgumentError
from audiocnn.evaluation.calibration_error import calibration_error
from audiocnn.evaluation.intervals import event_rate, false_alarms, share_bounds
from audiocnn.evaluation.metrics import average_precision, clip_score, evaluate
from audiocnn.inference.events import Event

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


def test_the_mean_average_precision_is_of_all_clips_and_labels_that_occur():
    scores = np.array([[0.9, 0.2, 0.0], [0.8, 0.7, 0.0], [0.95, 0.1, 0.0], [0.1, 0.3, 0.0]])
    truth = [("cat",), ("cat", "dog"), (), ("dog",)]
    e = evaluate(scores, truth, [()] * 4, LABELS, [0.5] * 3)
    # The background has the highest score of the cat: 1/2 and 2/3 on the way.
    assert e.per_class["cat"].average_precision == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert e.per_class["dog"].average_precision == 1
    assert np.isnan(e.per_class["owl"].average_precision)
    assert e.mean_average_precision == pytest.approx((7 / 12 + 1) / 2)


@pytest.mark.parametrize("distinct", [3, 1000])
def test_average_precision_does_not_depend_on_the_order_of_ties(distinct):
    rng = np.random.default_rng(distinct)
    scores = rng.integers(0, distinct, 200) / distinct
    true = rng.random(200) < 0.3
    found = average_precision(scores, true)
    order = rng.permutation(200)
    assert average_precision(scores[order], true[order]) == pytest.approx(found, abs=1e-12)
    steps = [  # by its definition: at every threshold, precision times the recall gained
        (true[scores >= t].mean(), true[scores == t].sum() / true.sum()) for t in np.unique(scores)
    ]
    assert found == pytest.approx(sum(precision * gained for precision, gained in steps))


def test_backgrounds_alone_leave_the_rest_unknown_and_json_says_null():
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.1]])
    e = evaluate(scores, [(), ()], [("cat",), ()], LABELS, [0.5] * 3)
    assert (e.clips, e.backgrounds, e.background_alarms) == (0, 2, 1)
    assert np.isnan(e.accuracy)
    plain = json.loads(json.dumps(e.as_dict(), allow_nan=False))
    assert plain["accuracy"] is None
    assert plain["accuracy_bounds"] == [None, None]
    assert plain["per_class"]["owl"]["recall"] is None


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
        (lambda: evaluate(np.zeros((1, 3)), [("dgo",)], [()], LABELS, [1] * 3), "mean 'dog'"),
        (lambda: evaluate(np.zeros((0, 3)), [], [], LABELS, [1] * 3), "at least one clip"),
        (lambda: evaluate(np.full((1, 3), np.nan), [()], [()], LABELS, [1] * 3), "3 scores are"),
        (lambda: clip_score(np.zeros((3, 1)), "median"), "max or the mean of windows, got 'med"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
