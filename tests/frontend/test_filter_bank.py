"""A filter bank in blocks: the product with the whole matrix, on one thread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.frontend.filter_bank import AT_ONCE, MOST, apply_bank, split_bank
from audiocnn.frontend.log_mel import MelSpec, mel_filters

BANK = mel_filters(MelSpec(32000, 1024, 400, 64, 50.0, 16000.0))
ONE_THREAD = 1 << 18  # multiplications from which OpenBLAS takes more than one


def summed(bank: np.ndarray, power: np.ndarray, most: int = MOST) -> np.ndarray:
    out = np.full((bank.shape[1], len(power)), np.nan, np.float32)
    apply_bank(split_bank(bank, most), power, out)
    return out


@settings(deadline=None, max_examples=30)
@given(st.integers(1, AT_ONCE), st.sampled_from([1, 100, MOST, 10**6]), st.integers(0, 99))
def test_blocks_give_the_product_with_the_whole_matrix(n_frames, most, seed):
    power = np.random.default_rng(seed).random((n_frames, len(BANK)), np.float32)
    exact = (power.astype(float) @ BANK.astype(float)).T
    np.testing.assert_allclose(summed(BANK, power, most), exact, rtol=2e-6)


def test_blocks_stay_below_what_more_than_one_thread_computes():
    blocks = split_bank(BANK)
    sizes = [b.filters.size * AT_ONCE for b in blocks]
    assert max(sizes) < ONE_THREAD
    assert sum(sizes) < BANK.size * AT_ONCE / 5
    assert BANK.size * AT_ONCE > ONE_THREAD  # the whole matrix does not


@pytest.mark.parametrize("empty", [0, 2, 4])
def test_bands_without_a_filter_are_zero(empty):
    bank = np.eye(9, 5, dtype=np.float32)
    bank[:, empty] = 0
    expected = np.arange(5.0) * (np.arange(5) != empty)
    np.testing.assert_array_equal(summed(bank, np.arange(9, dtype="f4")[None])[:, 0], expected)


def test_a_band_over_all_bins_is_a_block_of_its_own():
    bank = np.ones((2000, 3), np.float32)
    assert [b.bands for b in split_bank(bank)] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    np.testing.assert_allclose(summed(bank, np.ones((2, 2000), np.float32)), 2000)
