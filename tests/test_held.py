"""A signal that is opened again: the same, and read once."""

import os

import numpy as np
import pytest

from audiocnn import held
from audiocnn.channels import Reading
from audiocnn.errors import AudioError
from audiocnn.fronts import RawSpec
from audiocnn.model_input import read_part
from audiocnn.signals import open_signal


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k / 10:.1f},{'' if k == 40 else k},{-k}" for k in range(100)]
    path.write_text("\n".join(["time,x,y", *rows]) + "\n")
    held._read.cache_clear()
    return path


def samples(opened):
    with opened as signal:
        return signal.names, signal.rate, np.concatenate([*signal.pieces], axis=1), signal.missed


@pytest.mark.parametrize("missing", ["gap", "interpolate"])
def test_what_is_held_is_what_was_read(table, missing):
    reading = Reading(missing=missing)
    plain = samples(open_signal(table, reading))
    for _ in range(2):
        again = samples(held.open_held(table, reading))
        assert again[:2] == plain[:2]
        np.testing.assert_array_equal(again[2], plain[2])
        assert again[3] == plain[3]
    assert held._read.cache_info().hits == 1


def test_a_file_that_changed_is_read_anew_and_a_large_one_is_not_held(table, monkeypatch):
    reading = Reading(missing="gap")
    samples(held.open_held(table, reading))
    os.utime(table, ns=(1, 1))
    samples(held.open_held(table, reading))
    assert held._read.cache_info().misses == 2
    monkeypatch.setattr(held, "LIMIT", 50)
    held._read.cache_clear()
    assert samples(held.open_held(table, reading))[2].shape == (2, 100)
    assert held._read(table, table.stat().st_size, 1, reading, None) is None


def test_parts_are_those_of_the_whole(table):
    front = RawSpec(10.0, ("x", "y"), (0, 0), (1, 1))
    blocks = list(read_part(table, front, 3.0, 5.0, Reading(missing="gap")))
    assert [(b.start, b.samples.shape[1]) for b in blocks] == [(0, 10), (11, 9)]
    np.testing.assert_array_equal(blocks[1].samples[0], np.arange(41, 50))
    with pytest.raises(AudioError, match="no value for 'x'"):
        list(read_part(table, front, 0.0, 1.0))
    with pytest.raises(AudioError, match=r"gone.csv"):
        list(read_part(table.with_name("gone.csv"), front, 0.0, 1.0))
