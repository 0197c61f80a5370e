"""Scores to events: laws on scores made by hand, and any cutting gives the same."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import EventRule, find_events
from audiocnn.inference.windows import Scores

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


# Against a slow and plain reference -----------------------------------------------------------


def plainly(values, rule: EventRule, *, start=0.0, window=WINDOW, hop=HOP, padded=0.0):
    """Give the events of one label and segment, all windows at hand (no cooldown)."""
    # Scores are float32: at the threshold itself, 0.7 is not 0.7.
    v, width = np.asarray(values, np.float32).astype(float), max(1, round(rule.smooth / hop))
    begins, ends, previous = [], [], start
    smoothed = [np.mean(v[max(0, k + 1 - width) : k + 1]) for k in range(v.size)]
    for k in range(v.size):
        late = (min(k + 1, width) - 1) * hop / 2
        centre = start + k * hop + window / 2 - late
        begins.append(max(previous, centre - min(hop, window) / 2) if k else start)
        previous = centre + min(hop, window) / 2
        ends.append(previous)
    ends[-1] = start + (v.size - 1) * hop + window - padded
    stretches, on = [], False
    for value, begin, end in zip(smoothed, begins, ends, strict=True):
        if on and value >= rule.off:
            stretches[-1][1] = end
        elif value >= rule.on:
            stretches.append([begin, end])
        on = value >= (rule.off if on else rule.on)
    joined = []
    for begin, end in stretches:
        if joined and begin - joined[-1][1] <= rule.join_gap + 1e-6:
            joined[-1][1] = end
        else:
            joined.append([begin, end])
    return [(b, e) for b, e in joined if e - b >= rule.min_length - 1e-6]


ruled = st.builds(
    EventRule,
    on=st.sampled_from([0.5, 0.6]),
    off=st.sampled_from([0.25, 0.5]),
    smooth=st.sampled_from([0, 0.5, 1.0, 2.2]),
    min_length=st.sampled_from([0, 0.4, 0.75, 1.5]),
    join_gap=st.sampled_from([0, 0.5, 1.7]),
)


@settings(deadline=None, max_examples=300)
@given(values, ruled, st.sampled_from([0.0, 33.3]), st.sampled_from([2.0, 0.5, 0.7]))
def test_events_are_those_of_the_reference(scores, rule, start, window):
    expected = plainly(scores, rule, start=start, window=window)
    for cuts in ((), range(1, len(scores))):
        found = spans(runs(scores, start=start, window=window, cuts=cuts), rule)
        assert np.ravel(found) == pytest.approx(np.ravel(expected))


def test_the_reference_finds_something():
    """So that agreeing with it means something."""
    rule = EventRule(0.5, 0.25, join_gap=0.5, min_length=0.75)
    scores = [0, 0.9, 0.3, 0, 0.9, 0, 0, 0.9, 0, 0]
    assert plainly(scores, rule) == [(1.25, 3.25)]


# Several labels -------------------------------------------------------------------------------

several = st.lists(st.lists(st.sampled_from([0.0, 0.3, 0.55, 1.0]), min_size=3, max_size=3),
                   min_size=1, max_size=25).map(np.transpose)  # fmt: skip
rules_of_three = st.tuples(rules, rules, rules).map(lambda r: dict(zip("abc", r, strict=True)))


@settings(deadline=None, max_examples=100)
@given(several, rules_of_three, st.data())
def test_each_label_is_as_if_it_were_alone(scores, three, data):
    cuts = data.draw(st.lists(st.integers(0, scores.shape[1]), max_size=5))
    found = list(find_events(runs(scores, cuts=cuts), three, onsets=True))
    for row, (label, rule) in zip(scores, three.items(), strict=True):
        alone = list(find_events(runs(row), {label: rule}, onsets=True))
        ours = [event for event in found if event.label == label]
        assert times(ours) == pytest.approx(times(alone))
        assert [e.score for e in ours] == [e.score for e in alone]


@settings(deadline=None, max_examples=50)
@given(several, st.data())
def test_any_cutting_gives_the_same_order(scores, data):
    cuts = data.draw(st.lists(st.integers(0, scores.shape[1]), max_size=5))
    three = dict.fromkeys("abc", RULE)
    pieces, singles = (
        [(e.label, e.end) for e in find_events(runs(scores, cuts=c), three)]
        for c in (cuts, range(1, scores.shape[1]))
    )
    assert pieces == singles


def test_events_come_in_the_order_in_which_they_end():
    scores = [[0.9, 0, 0, 0.9, 0, 0], [0, 0.9, 0, 0, 0.9, 0]]
    found = list(find_events(runs(scores), {"a": RULE, "b": RULE}))
    assert [e.label for e in found] == ["a", "b", "a", "b"]


# Whose time it is -----------------------------------------------------------------------------


@pytest.mark.parametrize("window", [2.0, 0.5])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_time_of_all_windows_together_is_all_the_time(window, n):
    shares = [spans(runs(np.eye(n)[k], window=window), RULE) for k in range(n)]
    edges = [edge for ((start, end),) in shares for edge in (start, end)]
    assert edges[0] == 0
    assert edges[-1] == pytest.approx((n - 1) * HOP + window)
    assert edges[1:-1:2] == pytest.approx(edges[2::2])  # one ends where the next begins


@pytest.mark.parametrize("rule", [RULE, EventRule(0.6, 0.4, smooth=1.5, join_gap=0.4)])
def test_what_sounds_all_the_time_is_one_event_as_long_as_the_segment(rule):
    for cuts in ((), range(1, 9)):
        assert spans(runs([0.9] * 9, cuts=cuts, start=3.0), rule) == [
            (3.0, pytest.approx(3.0 + 8 * HOP + WINDOW))
        ]


def test_smoothed_windows_have_all_the_time_too():
    """Time adds up: a sound is on or off at any time, and nothing is counted twice."""
    rule = EventRule(0.5, 0.5, smooth=1.5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = (rng.random(30) > 0.5).astype(float)
        scores[1] = scores[0]  # no mean is just at the limit: not of two, and never of three
        loud = sum(b - a for a, b in spans(runs(scores), rule))
        quiet = sum(b - a for a, b in spans(runs(1 - scores), rule))
        assert loud + quiet == pytest.approx(29 * HOP + WINDOW)


def test_a_padded_clip_is_no_longer_than_it_is():
    """A second of silence behind the clip must not make an event long enough."""
    (run,) = runs([0.9])
    short = dataclasses.replace(run, padded=1.3)  # 0.7 s of sound
    for min_length, found in ((0.7, [(0.0, 0.7)]), (0.8, [])):
        rule = EventRule(0.6, 0.4, min_length=min_length)
        assert spans([short], rule) == [pytest.approx(span) for span in found]
        assert len(list(find_events([short], {"x": rule}, onsets=True))) == 2 * len(found)


# Gaps -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(values, values, ruled)
def test_a_segment_has_the_events_of_a_file(first, second, rule):
    gap = 100.0
    together = spans(runs(first) + runs(second, start=gap), rule)
    alone = spans(runs(first), rule) + spans(runs(second, start=gap), rule)
    assert np.ravel(together) == pytest.approx(np.ravel(alone))


def test_cooldown_ends_at_a_gap():
    rule = EventRule(0.6, 0.4, cooldown=60)
    alone = spans(runs([0.9, 0.9], start=5.0), rule)
    assert spans(runs([0.9, 0.9]) + runs([0.9, 0.9], start=5.0), rule)[1:] == alone


def test_a_segment_may_bring_no_window():
    (run,) = runs([0.9])
    nothing = Scores(9.0, WINDOW, HOP, np.empty((1, 0), np.float32), last=True)
    assert spans([dataclasses.replace(run, last=False), nothing], RULE) == [(0.0, 2.0)]
    assert spans([nothing, nothing], RULE) == []
    assert spans([nothing, *runs([0.9], start=9.0)], RULE) == [(9.0, 11.0)]


# Live -----------------------------------------------------------------------------------------


def listening(scores, rule, **how):
    """Say after how many windows each event was told."""
    heard = [0]

    def live():
        for run in runs(scores, cuts=range(1, len(scores)), last=False):
            heard[0] += 1
            yield run

    return [(heard[0], e) for e in find_events(live(), {"x": rule}, **how)]


def test_an_onset_is_told_with_its_window_and_the_end_when_the_pause_is_too_long():
    told = listening([0, 0, 0.9, 0.9, 0, 0, 0, 0], EventRule(0.6, 0.4, join_gap=0.5), onsets=True)
    assert [(n, e.end) for n, e in told] == [(3, None), (6, 2.75)]


def test_an_onset_waits_until_it_is_certain():
    rule = EventRule(0.6, 0.4, min_length=1.0)
    told = listening([0, 0, 0.9, 0.9, 0.9, 0, 0], rule, onsets=True)
    assert [(n, e.start, e.end) for n, e in told] == [(4, 1.75, None), (6, 1.75, 3.25)]


@settings(deadline=None, max_examples=150)
@given(values, rules)
def test_each_event_has_one_onset_and_that_comes_first(scores, rule):
    both = list(find_events(runs(scores), {"x": rule}, onsets=True))
    assert [e.end is None for e in both] == [True, False] * (len(both) // 2)
    onsets, events = both[::2], both[1::2]
    assert [e.start for e in onsets] == [e.start for e in events]
    assert all(a.score <= b.score for a, b in zip(onsets, events, strict=True))
    assert events == list(find_events(runs(scores), {"x": rule}))


@pytest.mark.parametrize("days", [1, 365])
def test_rules_hold_after_a_year(days):
    """An event just as long as it must be, a pause just as long as it may be."""
    start, hop = days * 86400.3, 0.1
    rule = EventRule(0.6, 0.4, min_length=1.1, join_gap=0.3)
    scores = [0] * 9 + [0.9] * 4 + [0] * 3 + [0.9] * 4 + [0] * 9
    cuts = range(1, len(scores))
    ((a, b),) = spans(runs(scores, cuts=cuts, start=start, window=1.0, hop=hop), rule)
    assert (a - start, b - start) == pytest.approx((1.35, 2.45), abs=1e-6)


def test_a_pause_between_distant_windows_is_as_long_as_it_is():
    """Windows of 1 s, 3 s apart: from 4.0 to 9.0 nothing was on, and that is 5 s."""
    scores = runs([0, 0.9, 0, 0.9, 0], window=1.0, hop=3.0)
    assert spans(scores, EventRule(0.6, 0.4, join_gap=4.0)) == [(3.0, 4.0), (9.0, 10.0)]


def test_cooldown_counts_from_the_end_and_a_dropped_event_has_none():
    rule = EventRule(0.6, 0.4, cooldown=1.0, min_length=0.75)
    scores = [0, 0, 0.9, 0, 0.9, 0.9, 0, 0, 0.9, 0.9, 0, 0.9, 0.9, 0]
    # 1.75 is too short; 2.75 to 3.75; 4.75 is just late enough; 6.25 is not, 6.75 would be short.
    assert spans(runs(scores), rule) == [(2.75, 3.75), (4.75, 5.75)]


def test_what_still_sounds_after_the_cooldown_begins_then():
    rule = EventRule(0.6, 0.4, cooldown=1.0)
    scores = [0, 0, 0.9, 0, 0.9, 0.9, 0.9, 0.9, 0]
    assert spans(runs(scores), rule) == [(1.75, 2.25), (3.25, 4.75)]
