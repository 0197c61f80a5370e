"""Scores kept as bytes: the same scores, the same events."""

import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import DatasetError
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Scores
from audiocnn.labeling.label import events_of
from audiocnn.labeling.score_codec import MAGIC, joined_runs, pack_scores, unpack_scores

RULES = {"bell": EventRule(0.6, 0.4, smooth=1.0), "frog": EventRule(0.8, 0.5, min_length=1.0)}


def run(start: float, n: int, rng: np.random.Generator, last: bool = False) -> Scores:
    return Scores(start, 2.0, 0.5, rng.random((2, n), dtype=np.float32), last=last)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=5), gap=st.booleans(), seed=st.integers(0, 99))
def test_cut_anyhow_the_scores_and_events_come_back(cuts, gap, seed):
    rng = np.random.default_rng(seed)
    whole = [run(0.0, 60, rng, last=True), *([run(50.0, 20, rng, last=True)] if gap else [])]
    edges = [0, *sorted(cuts), 60]
    pieces = [
        Scores(a * 0.5, 2.0, 0.5, whole[0].values[:, a:b], last=b == 60 and k == len(edges) - 2)
        for k, (a, b) in enumerate(pairwise(edges))
    ]
    back = list(unpack_scores(pack_scores([*pieces, *whole[1:]])))
    assert [r.start for r in back] == [r.start for r in whole]
    assert [r.last for r in back] == [True] * len(whole)
    for one, other in zip(back, whole, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert events_of(back, RULES, "x") == events_of(whole, RULES, "x")


def test_a_last_window_off_the_grid_stays_apart():
    rng = np.random.default_rng(0)
    runs = [run(0.0, 4, rng), run(1.7, 1, rng, last=True)]
    assert [r.start for r in joined_runs(runs)] == [0.0, 1.7]


def test_padding_is_kept():
    short = Scores(0.0, 2.0, 0.5, np.ones((2, 1), np.float32), padded=1.25, last=True)
    (back,) = unpack_scores(pack_scores([short]))
    assert back.padded == 1.25


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"no scores", "damaged"),
        (zlib.compress(b"acs9"), "by a later version"),
        (zlib.compress(MAGIC + b"123"), "damaged"),
    ],
)
def test_other_bytes_are_refused(data, message):
    with pytest.raises(DatasetError, match=message):
        list(unpack_scores(data))
