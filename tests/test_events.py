"""Scores to events: laws on scores made by hand, and any cutting gives the same."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.events import EventRule, find_events
from audiocnn.scoring import Scores

WINDOW, HOP = 2.0, 0.5


def runs(values, *, cuts=(), window=WINDOW, hop=HOP, start=0.0, last=True) -> list[Scores]:
    v = np.atleast_2d(np.asarray(values, np.float32))
    edges = [0, *sorted(cuts), v.shape[1]]
    out = [Scores(start + a * hop, window, hop, v[:, a:b]) for a, b in itertools.pairwise(edges)]
    return [*out[:-1], dataclasses.replace(out[-1], last=last)]


def spans(scores, rule, **how):
    found = find_events(scores, {"x": rule}, **how)
    return [(e.start, e.end) for e in found]


RULE = EventRule(on=0.6, off=0.4)


def test_hysteresis_begins_at_on_and_lasts_to_off():
    # Windows own half a second around their centres, 1.0, 1.5, ...
    scores = [0.5, 0.5, 0.7, 0.5, 0.5, 0.3, 0.5, 0.1]
    assert spans(runs(scores), RULE) == [(1.75, 3.25)]


def test_first_and_last_window_own_the_ends():
    assert spans(runs([0.9] * 5), RULE) == [(0.0, 4.0)]
    assert spans(runs([0.9, 0.1, 0.1]), RULE) == [(0.0, 1.25)]
    assert spans(runs([0.1, 0.1, 0.9]), RULE) == [(1.75, 3.0)]


def test_a_padded_clip_ends_where_it_ends():
    (run,) = runs([0.9])
    assert spans([dataclasses.replace(run, padded=1.3)], RULE) == [(0.0, 0.7)]


def test_an_off_grid_last_window_owns_what_is_left():
    first = runs([0.1, 0.1], last=False)
    tail = Scores(0.7, WINDOW, HOP, np.array([[0.9]], np.float32), last=True)
    ((start, end),) = spans([*first, tail], RULE)
    assert (start, end) == (1.75, 2.7)


def test_short_events_are_dropped_and_long_enough_ones_told():
    rule = EventRule(0.6, 0.4, min_length=1.0)
    assert spans(runs([0, 0, 0.9, 0, 0, 0]), rule) == []
    assert spans(runs([0, 0, 0.9, 0.9, 0, 0]), rule) == [(1.75, 2.75)]


def test_short_pauses_are_joined_and_long_ones_not():
    scores = [0, 0, 0.9, 0, 0.9, 0, 0]
    assert spans(runs(scores), RULE) == [(1.75, 2.25), (2.75, 3.25)]
    assert spans(runs(scores), EventRule(0.6, 0.4, join_gap=0.5)) == [(1.75, 3.25)]
    longer = [0, 0, 0.9, 0, 0, 0.9, 0, 0]
    assert len(spans(runs(longer), EventRule(0.6, 0.4, join_gap=0.5))) == 2


def test_cooldown_keeps_quiet():
    scores = [0, 0, 0.9, 0, 0.9, 0, 0, 0.9, 0]
    assert spans(runs(scores), EventRule(0.6, 0.4, cooldown=1.0)) == [(1.75, 2.25), (4.25, 4.75)]


def test_smoothing_averages_and_its_delay_is_taken_back():
    scores = [0] * 6 + [1] * 6 + [0] * 6
    plain = spans(runs(scores), EventRule(0.5, 0.5))[0]
    smooth = spans(runs(scores), EventRule(0.5, 0.5, smooth=1.5))[0]
    assert np.allclose(plain, smooth)
    assert spans(runs([0, 0, 0, 0.9, 0, 0, 0]), EventRule(0.5, 0.4, smooth=1.0)) == []


def test_the_score_is_the_highest():
    (event,) = find_events(runs([0, 0.7, 0.9, 0.8, 0]), {"x": RULE}, source="a.wav")
    assert event.score == pytest.approx(0.9)
    assert event.source == "a.wav"


def test_a_gap_ends_what_sounds():
    scores = runs([0.9, 0.9]) + runs([0.9, 0.9], start=10.0)
    assert spans(scores, EventRule(0.6, 0.4, join_gap=60)) == [(0.0, 2.5), (10.0, 12.5)]


def test_what_still_sounds_ends_with_the_scores():
    assert spans(runs([0, 0, 0.9], last=False), RULE) == [(1.75, 2.25)]


def test_onsets_are_told_once_and_share_their_start():
    found = list(find_events(runs([0, 0, 0.9, 0.9, 0, 0]), {"x": RULE}, onsets=True))
    assert [(e.start, e.end) for e in found] == [(1.75, None), (1.75, 2.75)]
    live = find_events(iter(runs([0, 0, 0.9], last=False)), {"x": RULE}, onsets=True)
    assert next(live).end is None


def test_an_unconfirmed_onset_is_not_told():
    rule = EventRule(0.6, 0.4, min_length=1.0)
    assert list(find_events(runs([0, 0, 0.9, 0, 0]), {"x": rule}, onsets=True)) == []


def test_a_hop_longer_than_the_window_owns_the_windows_alone():
    scores = runs([0, 0.9, 0], window=1.0, hop=3.0)
    assert spans(scores, RULE) == [(3.0, 4.0)]


def times(events) -> list[float]:
    return [t for e in events for t in (e.start, -1.0 if e.end is None else e.end)]


values = st.lists(st.sampled_from([0.0, 0.3, 0.45, 0.55, 0.7, 1.0]), min_size=1, max_size=40)
rules = st.builds(
    EventRule, on=st.just(0.5), off=st.sampled_from([0.3, 0.5]),
    smooth=st.sampled_from([0, 1.0, 2.2]), min_length=st.sampled_from([0, 0.8]),
    join_gap=st.sampled_from([0, 0.5, 1.7]), cooldown=st.sampled_from([0, 2.0]),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(values, rules, st.data())
def test_any_cutting_gives_the_same_events(scores, rule, data):
    cuts = data.draw(st.lists(st.integers(0, len(scores)), max_size=6))
    whole = list(find_events(runs(scores), {"x": rule}, onsets=True))
    singles = list(find_events(runs(scores, cuts=range(1, len(scores))), {"x": rule}, onsets=True))
    pieces = list(find_events(runs(scores, cuts=cuts), {"x": rule}, onsets=True))
    for found in (singles, pieces):
        assert times(found) == pytest.approx(times(whole))


@settings(deadline=None, max_examples=150)
@given(values, rules)
def test_events_are_in_order_apart_and_inside(scores, rule):
    found = spans(runs(scores), rule)
    end = HOP * (len(scores) - 1) + WINDOW
    last = -1.0
    for a, b in found:
        assert 0 <= a < b <= end + 1e-9
        assert b - a >= rule.min_length - 1e-9
        assert last < 0 or a - last > min(rule.join_gap, rule.cooldown) - 1e-9
        last = b


def test_two_labels_do_not_meddle():
    two = runs([[0, 0.9, 0.9, 0], [0.9, 0, 0, 0.9]])
    rules = {"a": RULE, "b": EventRule(0.6, 0.4, smooth=0.1)}
    found = sorted((e.label, e.start, e.end) for e in find_events(two, rules))
    assert found == [("a", 1.25, 2.25), ("b", 0.0, 1.25), ("b", 2.25, 3.5)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"on": 0.3, "off": 0.4}, "a rule needs 0 < off <= on <= 1, got off=0.4, on=0.3"),
        ({"on": 1.1}, "got off=0.3, on=1.1"),
        ({"off": 0.0}, "0 < off"),
        ({"smooth": -1.0}, "smooth must be a number of seconds, 0 or more, got -1.0"),
        ({"cooldown": float("inf")}, "cooldown must be a number of seconds"),
    ],
)
def test_what_is_no_rule_is_refused(fields, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        EventRule(**fields)


def test_other_classes_than_rules_are_refused():
    with pytest.raises(ArgumentError, match="the scores have 2 classes, the rules 1"):
        list(find_events(runs([[0.1], [0.2]]), {"x": RULE}))
