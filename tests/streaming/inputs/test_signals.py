"""Signals live: what comes down a pipe, in whatever pieces, is what a model is given."""

import os
import threading

import numpy as np
import pytest

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.streaming.inputs.signals import SignalFile, SignalPipe
from audiocnn.streaming.terminal.traces import Traces
from tests.bundles import SIGNAL_FRONTS

RAW = SIGNAL_FRONTS["raw"]  # x, y and z at 50 Hz
GAP = SignalReadOptions(missing="gap")


def piped(*writes, reading=DEFAULT_OPTIONS, **how):
    """Give what comes out of a pipe into which this was written, a piece at a time."""
    out, into = os.pipe()

    def write():
        with os.fdopen(into, "wb", buffering=0) as file:
            for data in writes:
                file.write(data)

    threading.Thread(target=write, daemon=True).start()
    source = SignalPipe(out, RAW, reading, **how)
    pieces = [piece.samples for piece in source.chunks()]
    return np.concatenate([np.empty((3, 0), np.float32), *pieces], axis=1)


def in_pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


TABLE = b"time,z,x,note,y\r\n0,3,1,ok,2\r\n\r\n0.02,6,4,ok,5\r\n0.04,9,7,ok,8"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_in_any_pieces(size):
    assert piped(*in_pieces(TABLE, size)).T.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("text", ["1,2,3\n4,5,6\n", "1;2;3\n4;5;6\n", "1\t2\t3\n4 \t5\t 6\n",
                                  "1  2 3\n 4 5   6\n"])  # fmt: skip
def test_lines_without_names(text):
    assert piped(text.encode()).T.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_raw_values_in_any_pieces(size):
    x = np.arange(30).reshape(10, 3)
    for form, kind in (("s16", "<i2"), ("f32", "<f4")):
        data = x.astype(kind).tobytes() + b"x"
        np.testing.assert_array_equal(piped(*in_pieces(data, size), format=form), x.T)
    wide = np.arange(40).reshape(10, 4)
    found = piped(wide.astype("<i2").tobytes(), format="s16", channels=4,
                  reading=SignalReadOptions(columns=("3", "0", "1")))  # fmt: skip
    np.testing.assert_array_equal(found, wide[:, [3, 0, 1]].T)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7,8", "stdin, line 3: has 2 cells, the first line has 3"),
        ("7,8,9x", "stdin, line 3: 'z' is '9x', which is no number"),
        ("7,,9", "stdin, line 3: no value for 'y': give --missing gap to go on behind it"),
        ("7,inf,9", "stdin, line 3: no value for 'y'"),
        ("7,\udcff8,9", "stdin, line 3: is no line of numbers"),
    ],
)
def test_a_broken_line_ends_it_or_is_a_lost_sample(line, message):
    data = f"x,y,z\n1,2,3\n{line}\n4,5,6\n".encode(errors="surrogateescape")
    with pytest.raises(AudioError, match=message):
        piped(data)
    found = piped(data, reading=GAP)
    assert found[:, [0, 2]].T.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert not np.isfinite(found[:, 1]).all()


def test_what_came_before_a_broken_line_is_given():
    out, into = os.pipe()
    os.write(into, b"z,x,y\n3,1,2\n6,4,5\nnonsense\n9,7,8\n")
    os.close(into)
    given = []
    with pytest.raises(AudioError, match="line 4"):
        given.extend(piece.samples for piece in SignalPipe(out, RAW).chunks())
    assert np.concatenate(given, axis=1).T.tolist() == [[1, 2, 3], [4, 5, 6]]
    os.close(out)


def test_a_device_is_met_in_the_middle_of_a_line_and_starts_again():
    found = piped(b"7,3\n1,2,3\n4,5,6\nx,y,z\n7,8,9\ny,z,x\n2,3,1\n", reading=GAP)
    expected = [[np.nan] * 3, [1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 2, 3]]
    np.testing.assert_array_equal(found.T, expected)
    with pytest.raises(AudioError, match=r"stdin has 2 channels \(0, 1\), and the model takes 3"):
        piped(b"7,3\n1,2\n4,5\n", reading=GAP)


def test_text_without_an_end():
    with pytest.raises(AudioError, match=r"stdin, line 1: no end of it: is it text\?"):
        piped(*[b"x" * 10_000] * 9)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"format": "u8"}, ArgumentError, "--format must be one of s16, f32, csv, got 'u8'"),
        (
            {"reading": SignalReadOptions(rate=44.0)},
            ArgumentError,
            "--rate 44: the model takes 50 Hz",
        ),
        (
            {"reading": SignalReadOptions(missing="interpolate")},
            ArgumentError,
            "take --missing gap",
        ),
        ({"format": "f32", "channels": 4}, AudioError, r"stdin has 4 channels \(0, 1, 2, 3\)"),
    ],
)
def test_pipes_that_make_no_sense(how, error, message):
    with pytest.raises(error, match=message):
        piped(b"", **how)


def test_a_recording_is_given_with_its_gaps(tmp_path):
    rows = [f"{k / 50:.2f},{k},0,0" for k in range(100) if k not in (40, 41)]
    (tmp_path / "a.csv").write_text("\n".join(["time,x,y,z", *rows]))
    source = SignalFile(tmp_path / "a.csv", RAW, GAP)
    assert source.rate == 50
    found = np.concatenate([piece.samples for piece in source.chunks()], axis=1)
    assert np.flatnonzero(np.isnan(found[0])).tolist() == [40, 41]
    assert found[0, [39, 42]].tolist() == [39, 42]
    with pytest.raises(AudioError, match="give --missing gap"):
        list(SignalFile(tmp_path / "a.csv", RAW).chunks())


def test_traces_show_channels_about_their_means():
    traces = Traces(50.0, RAW.names, RAW.offset, RAW.scale, seconds=4.0)
    assert (traces.tick, traces.rows(6), traces.rows(2)) == (0.04, [0, 0, 1, 1, 2, 2], [0, 1])
    x = np.repeat(np.array([[0.5], [9.81], [940.0]], np.float32), 100, axis=1)
    x[:, 50:52] = np.nan
    for at in range(0, 100, 7):
        traces.add(x[:, at : at + 7])
    picture = traces.picture(traces.n_ticks // traces.ticks_per_column(50), 3)
    assert traces.levels()[2:] == (True, True)
    assert traces.levels()[2:] == (False, False)
    np.testing.assert_allclose(picture[:, -1], [1, 0, -2], atol=1e-5)
    assert np.isnan(picture).any()
