"""Quantised tensors of LiteRT: integers in the file, numbers for everyone else."""

import numpy as np
import pytest

from audiocnn.inference.litert import _as_numbers, _as_stored

INT8 = {"quantization": (0.5, -100), "dtype": np.int8}
FLOAT = {"quantization": (0.0, 0), "dtype": np.float32}


def test_integers_stand_for_numbers() -> None:
    stored = np.array([-128, -100, 127], np.int8)
    found = _as_numbers(stored, INT8)
    np.testing.assert_array_equal(found, [-14, 0, 113.5])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(_as_stored(found, INT8), stored)


def test_numbers_out_of_range_are_limited_and_others_rounded() -> None:
    found = _as_stored(np.array([-1000, 0.3, 1000], np.float32), INT8)
    np.testing.assert_array_equal(found, [-128, -99, 127])
    assert found.dtype == np.int8


@pytest.mark.parametrize("convert", [_as_numbers, _as_stored])
def test_numbers_stay_what_they_are(convert) -> None:
    values = np.array([-1.5, 0, 2e9], np.float32)
    np.testing.assert_array_equal(convert(values, FLOAT), values)
