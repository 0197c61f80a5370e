"""A signal that is opened again: the same, and read once."""

import os

import numpy as np
import pytest

from audiocnn.errors import AudioError
from audiocnn.frontend.signals import RawSpec
from audiocnn.inference.model_input import read_part
from audiocnn.io.signals import cache, reader
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.io.signals.reader import open_signal


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k / 10:.1f},{'' if k == 40 else k},{-k}" for k in range(100)]
    path.write_text("\n".join(["time,x,y", *rows]) + "\n")
    cache._read.cache_clear()
    return path


def samples(opened):
    with opened as signal:
        return signal.names, signal.rate, np.concatenate([*signal.pieces], axis=1), signal.missed


@pytest.mark.parametrize("missing", ["gap", "interpolate"])
def test_what_is_held_is_what_was_read(table, missing):
    reading = SignalReadOptions(missing=missing)
    plain = samples(open_signal(table, reading))
    for _ in range(2):
        again = samples(cache.open_held(table, reading))
        assert again[:2] == plain[:2]
        np.testing.assert_array_equal(again[2], plain[2])
        assert again[3] == plain[3]
    assert cache._read.cache_info().hits == 1


def test_a_file_that_changed_is_read_anew(table):
    reading = SignalReadOptions(missing="gap")
    samples(cache.open_held(table, reading))
    os.utime(table, ns=(1, 1))
    samples(cache.open_held(table, reading))
    assert cache._read.cache_info().misses == 2


class Full:
    def __enter__(self):
        raise OSError(28, "No space left on device")

    def __exit__(self, *_: object):
        pass


@pytest.mark.parametrize("room", [True, False])
def test_a_large_file_is_held_on_disk_where_there_is_room(table, monkeypatch, room):
    reading = SignalReadOptions(missing="gap")
    plain = samples(open_signal(table, reading))
    monkeypatch.setattr(cache, "LIMIT", 50)
    if not room:
        monkeypatch.setattr(cache.tempfile, "TemporaryFile", Full)
    for _ in range(2):
        with cache.open_held(table, reading) as signal:
            assert (signal.whole is not None) == room
            assert not room or isinstance(signal.whole.samples, np.memmap)
        again = samples(cache.open_held(table, reading))
        assert (again[:2], again[3]) == (plain[:2], plain[3])
        np.testing.assert_array_equal(again[2], plain[2])
    assert cache.length_of(table, reading) == 10


def test_what_lies_before_a_part_is_not_looked_at_again(table, monkeypatch):
    monkeypatch.setattr(reader, "AT_ONCE", 8)
    reading = SignalReadOptions(missing="gap")
    with cache.open_held(table, reading) as signal:
        found = [(at, piece.shape[1]) for at, piece in signal.pieces_since(70)]
        around = [(at, piece.shape[1]) for at, piece in signal.parts_since(37)]
    assert found == [(70, 8), (78, 8), (86, 8), (94, 6)]
    assert around[:2] == [(37, 8), (45, 8)]
    with open_signal(table, reading) as signal:
        (first, _), *_ = signal.pieces_since(70)
    assert first == 0


def test_parts_are_those_of_the_whole(table):
    front = RawSpec(10.0, ("x", "y"), (0, 0), (1, 1))
    blocks = list(read_part(table, front, 3.0, 5.0, SignalReadOptions(missing="gap")))
    assert [(b.start, b.samples.shape[1]) for b in blocks] == [(0, 10), (11, 9)]
    np.testing.assert_array_equal(blocks[1].samples[0], np.arange(41, 50))
    with pytest.raises(AudioError, match="no value for 'x'"):
        list(read_part(table, front, 0.0, 1.0))
    with pytest.raises(AudioError, match=r"gone.csv"):
        list(read_part(table.with_name("gone.csv"), front, 0.0, 1.0))
