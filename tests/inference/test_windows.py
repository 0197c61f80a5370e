"""Columns to window scores, held against a slow and plain reference."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.inference.engine import Columns, Grid
from audiocnn.inference.windows import (
    Calibration,
    Scores,
    calibrate,
    pool_windows,
    score_windows,
)

RATE, PERIOD, REACH = 8000, 400, 1156


def grid(size: int, step: int) -> Grid:
    return Grid(RATE, PERIOD, REACH, size, step)


def some_columns(n: int, seed: int = 0) -> np.ndarray:
    """Make (2, 3, n) evidence, and weights as attention pooling gives them."""
    rng = np.random.default_rng(seed)
    both = rng.standard_normal((2, 3, n)), rng.uniform(0.05, 1.05, (2, 3, n))
    return np.stack((both[0][0], both[1][1])).astype(np.float32)


def run_of(columns: np.ndarray, cuts=(), start: int = 0, padded: int = 0) -> list[Columns]:
    """Cut a segment's columns into runs, as `run_network` gives them.

    The end brings columns only where it brings padding.
    """
    edges = [0, *sorted(cuts), columns.shape[-1]]
    parts = [(start + a * PERIOD, columns[..., a:b]) for a, b in pairwise(edges) if b > a]
    runs = [Columns(at, values) for at, values in parts]
    if padded:
        return [*runs[:-1], Columns(*parts[-1], padded, last=True)]
    return [*runs, Columns(start + columns.shape[-1] * PERIOD, None, last=True)]


def plainly(columns: np.ndarray, size: int, step: int) -> list[tuple[int, np.ndarray]]:
    """Say window by window what the logits are: on the grid, and on the last whole columns."""
    n = columns.shape[-1]
    begins = list(range(0, n - size + 1, step))
    if begins[-1] != n - size:
        begins.append(n - size)
    e, w = columns.astype(np.float64)
    return [(b, (e * w)[:, b : b + size].sum(1) / w[:, b : b + size].sum(1)) for b in begins]


def windows_of(runs: list[Scores]) -> list[tuple[float, np.ndarray]]:
    return [
        (run.start + i * run.hop, run.values[:, i])
        for run in runs
        for i in range(run.values.shape[1])
    ]


@settings(deadline=None, max_examples=150)
@given(st.data(), st.integers(1, 6), st.integers(1, 9), st.integers(0, 30))
def test_any_cutting_gives_the_windows_of_the_reference(data, size, step, more):
    columns = some_columns(size + more)
    n = columns.shape[-1]
    cuts = data.draw(st.lists(st.integers(0, n), max_size=8))
    expected = plainly(columns, size, step)
    for some in ((), cuts, range(1, n)):  # whole, at random, one by one
        runs = list(score_windows(run_of(columns, some, start=960), grid(size, step)))
        found = windows_of(runs)
        assert [t for t, _ in found] == pytest.approx(
            [(960 + at * PERIOD) / RATE for at, _ in expected]
        )
        for (_, ours), (_, theirs) in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert [run.last for run in runs] == [False] * (len(runs) - 1) + [True]
        assert {(run.window, run.hop) for run in runs} == {
            (grid(size, step).window, grid(size, step).hop)
        }


def test_a_window_is_scored_when_its_last_column_comes():
    """Live, nothing waits for a second look, and each column is handed on at once."""
    runs = iter(run_of(some_columns(7), range(1, 7)))
    taken = []
    scored = score_windows((taken.append(run) or run for run in runs), grid(4, 2))
    assert next(scored).values.shape == (3, 1)
    assert len(taken) == 4
    assert next(scored).start == pytest.approx(2 * PERIOD / RATE)
    assert len(taken) == 6


def test_the_end_is_always_told_also_where_it_brings_no_window():
    runs = list(score_windows(run_of(some_columns(8)), grid(4, 2)))
    assert [run.values.shape for run in runs] == [(3, 3), (3, 0)]
    assert [run.last for run in runs] == [False, True]


def test_padding_is_told_in_seconds_with_the_window_that_has_it():
    (run,) = score_windows(run_of(some_columns(4), [1, 2, 3], padded=2000), grid(4, 2))
    assert run.values.shape == (3, 1)
    assert (run.padded, run.last) == (0.25, True)


def test_each_segment_has_a_grid_of_its_own():
    a, b = some_columns(9, 1), some_columns(6, 2)
    together = [*run_of(a, [4]), *run_of(b, [1, 2], start=50_000)]
    found = list(score_windows(together, grid(4, 3)))
    alone = [list(score_windows(run_of(x, start=s), grid(4, 3))) for x, s in ((a, 0), (b, 50_000))]
    for (t, ours), (u, theirs) in zip(
        windows_of(found), windows_of(alone[0] + alone[1]), strict=True
    ):
        assert t == pytest.approx(u)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_one_bad_column_spoils_the_windows_that_have_it_and_no_others():
    """A running sum would be poisoned for ever."""
    columns = some_columns(40)
    columns[0, 1, 20] = np.nan
    found = windows_of(list(score_windows(run_of(columns, range(1, 40)), grid(5, 1))))
    spoilt = [i for i, (_, logits) in enumerate(found) if np.isnan(logits).any()]
    assert spoilt == [16, 17, 18, 19, 20]
    assert not any(np.isnan(logits[[0, 2]]).any() for _, logits in found)


def test_a_loud_past_leaves_nothing_behind():
    """Nothing drifts: after a huge column the windows are what they would have been."""
    columns = some_columns(30)
    huge = columns.copy()
    huge[0, :, 3] = 1e30
    a, b = (windows_of(list(score_windows(run_of(c), grid(4, 1)))) for c in (columns, huge))
    for (_, plain), (_, after) in zip(a[4:], b[4:], strict=True):
        np.testing.assert_array_equal(plain, after)


def test_pooling_is_a_weighted_mean():
    columns = np.array([[[1, 3, 5, 100]], [[1, 1, 2, 0.5]]], np.float32)
    np.testing.assert_allclose(pool_windows(columns, 3, 1), [[3.5, 63 / 3.5]])
    np.testing.assert_allclose(pool_windows(columns, 1, 3), [[1, 100]])
    assert pool_windows(columns, 5, 1).shape == (1, 0)


def test_pooling_is_what_training_does():
    torch = pytest.importorskip("torch")
    from audiocnn.networks.classifier import window_logits

    columns = some_columns(12)
    theirs = [
        window_logits(torch.from_numpy(columns[None, ..., at : at + 5]))[0] for at in (0, 3, 6)
    ]
    found = pool_windows(columns, 5, 3)
    np.testing.assert_allclose(found, torch.stack(theirs, 1).numpy(), atol=1e-6)


def test_calibration_is_a_sigmoid_of_its_own_for_each_class():
    values = calibrate(np.array([[0.0, 2.0], [1.0, -1.0]]), Calibration((1.0, 2.0), (0.0, -2.0)))
    expected = [[0.5, 1 / (1 + np.exp(-2))], [0.5, 1 / (1 + np.exp(4))]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert values.dtype == np.float32


def test_calibration_of_the_extreme_is_sure_and_silent():
    values = calibrate(np.array([[-1e4, 1e4, -np.inf, np.inf]]), Calibration((3.0,), (0.0,)))
    assert values.tolist() == [[0, 1, 0, 1]]


def test_scores_are_calibrated_and_bare_logits_are_not():
    columns = some_columns(6)
    told = Calibration((3.0, 1.0, 2.0), (0.1, 0.0, -0.5))
    bare = windows_of(list(score_windows(run_of(columns), grid(4, 2))))
    scored = windows_of(list(score_windows(run_of(columns), grid(4, 2), told)))
    for (_, logits), (_, score) in zip(bare, scored, strict=True):
        np.testing.assert_allclose(score, calibrate(logits[:, None], told)[:, 0], atol=1e-7)
    assert all(np.all((score > 0) & (score < 1)) for _, score in scored)


@pytest.mark.parametrize(
    ("slope", "offset", "message"),
    [
        ((1.0, 2.0), (0.0,), "slope and offset differ in length: 2 and 1"),
        ((1.0, float("nan")), (0.0, 0.0), "calibration must be finite"),
        ((1.0,), (float("inf"),), "calibration must be finite"),
    ],
)
def test_what_is_no_calibration_is_refused(slope, offset, message):
    with pytest.raises(ArgumentError, match=message):
        Calibration(slope, offset)
