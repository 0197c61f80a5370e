"""The streaming rule: any cutting gives the same windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError
from audiocnn.frontend.framing import n_windows, slide


@given(st.data(), st.integers(1, 9), st.integers(0, 60))
def test_any_cutting_gives_the_same_windows(data, size, length):
    step = data.draw(st.integers(1, size))
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=8)))
    x = np.arange(length, dtype=np.float32)
    tail, found = x[:0], []
    for piece in np.split(x, cuts):
        ready, tail, n = slide(tail, piece, size, step)
        found += [ready[i * step : i * step + size].tolist() for i in range(n)]
    whole = [x[i * step : i * step + size].tolist() for i in range(n_windows(length, size, step))]
    assert found == whole
    assert tail.size < size


def test_windows_are_counted_by_hand():
    assert [n_windows(n, 4, 2) for n in (0, 3, 4, 5, 6, 8)] == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize(("size", "step"), [(0, 1), (4, 0), (4, 5)])
def test_what_cannot_slide_is_refused(size, step):
    with pytest.raises(ArgumentError, match="step must lie between 1 and size"):
        slide(np.empty(0, np.float32), np.empty(0, np.float32), size, step)


@given(st.data(), st.integers(1, 6), st.integers(0, 30))
def test_only_the_last_axis_slides(data, size, length):
    step = data.draw(st.integers(1, size))
    cut = data.draw(st.integers(0, length))
    x = np.arange(2 * 3 * length, dtype=np.float32).reshape(2, 3, length)
    ready, tail, n = slide(x[..., :0], x[..., :cut], size, step)
    assert n == n_windows(cut, size, step)
    np.testing.assert_array_equal(tail, x[..., n * step : cut])
    more, _, m = slide(tail, x[..., cut:], size, step)
    assert n + m == n_windows(length, size, step)
    first = n * step  # what comes later begins where the tail began, and touches nothing before
    np.testing.assert_array_equal(more, x[..., first : first + more.shape[-1]])
    np.testing.assert_array_equal(ready, x[..., : ready.shape[-1]])


def test_the_input_is_left_as_it_was():
    tail, new = np.ones(3, np.float32), np.zeros(4, np.float32)
    slide(tail, new, 4, 2)
    assert tail.tolist() == [1] * 3
    assert new.tolist() == [0] * 4
