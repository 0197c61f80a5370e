"""Signals of any kind: their channels in place, on an even grid, with nothing made up."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.signals import missing_values, reader, tabular, time_axis
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions, choose_channels
from audiocnn.io.signals.discovery import find_signals
from audiocnn.io.signals.missing_values import Missed
from audiocnn.io.signals.reader import open_signal


def table(path, times, *, header="time,x,y", decimals=3):
    lines = [f"{t:.{decimals}f},{k},{-k}" for k, t in enumerate(times)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def read(path, reading=DEFAULT_OPTIONS):
    with open_signal(path, reading) as signal:
        return signal, np.concatenate([*signal.pieces], axis=1)


@pytest.mark.parametrize("rate", [1, 12.5, 50, 60, 100, 128, 256, 360, 400])
def test_rates_are_told_from_rounded_times(tmp_path, rate):
    signal, x = read(table(tmp_path / "a.csv", 7.3 + np.arange(3000) / rate))
    assert signal.rate == rate
    assert signal.names == ("x", "y")
    np.testing.assert_array_equal(x, [np.arange(3000), -np.arange(3000)])


def test_jitter_is_no_unevenness_and_drift_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "AT_ONCE", 100)
    times = np.arange(1000) / 50 + np.random.default_rng(0).uniform(-0.002, 0.002, 1000)
    signal, x = read(table(tmp_path / "a.csv", times * 1.000001))
    assert signal.rate == pytest.approx(50, rel=1e-3)
    assert x.shape == (2, 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: np.delete(t, 5) + 0.01 * (np.arange(19) > 8), r"a\.csv:11: 'time' goes on by 0"),
        (lambda t: np.r_[t[:9], t[8], t[9:]], r"a\.csv:11: 'time' goes on by 0 s where the steps"),
        (lambda t: np.r_[t[:9], t[3:]], r"a\.csv:11: 'time' goes on by -0\.1 s"),
        (lambda t: t[::-1], r"'time' goes on by -0\.02 s, so it is no time: sort the rows"),
        (lambda t: 0 * t, "'time' goes on by 0 s, so it is no time"),
        (
            lambda t: np.cumsum(np.random.default_rng(0).uniform(0.01, 0.03, 99)),
            r"a\.csv:\d+: .* bring it to even steps, or give --rate",
        ),
        (lambda t: t[:1], "has 1 row; to tell its rate takes two, or --rate"),
        (lambda t: t[:0], "has 0 rows"),
    ],
)
def test_uneven_times_are_refused(tmp_path, change, message):
    path = table(tmp_path / "a.csv", change(np.arange(20) / 50))
    with pytest.raises(AudioError, match=message):
        read(path, SignalReadOptions(missing="gap"))


def test_rows_as_they_come_where_the_rate_is_given(tmp_path):
    path = table(tmp_path / "a.csv", [0, 5, 1, 1, 9])
    signal, x = read(path, SignalReadOptions(rate=10))
    assert (signal.rate, x.shape) == (10, (2, 5))
    assert read(path, SignalReadOptions(rate=10, columns=("time",)))[1].tolist() == [
        [0, 5, 1, 1, 9]
    ]


def test_a_time_that_is_missing(tmp_path):
    path = tmp_path / "a.csv"
    for body, place in {"0,1\n,2\n0.2,3\n": 3, "0,1\n0.1,2\n0.2,3\n,4\n0.4,5\n": 5}.items():
        path.write_text("time,x\n" + body)
        with pytest.raises(AudioError, match=rf"a\.csv:{place}: no value for 'time'"):
            read(path, SignalReadOptions(missing="gap"))


GAPPY = "time,x,y\n0,0,0\n0.1,1,10\n0.2,,20\n0.3,3,30\n0.6,6,60\n0.7,7,\n0.8,8,80\n"


def test_missing_values_are_refused_unless_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text(GAPPY)
    found = []
    with (
        open_signal(tmp_path / "a.csv") as signal,
        pytest.raises(AudioError, match=r"a\.csv:4: no value for 'x': give --missing gap"),
    ):
        found.extend(signal.pieces)
    np.testing.assert_array_equal(np.concatenate(found, axis=1), [[0, 1], [0, 10]])
    (tmp_path / "a.csv").write_text("time,x\n0,0\n0.1,1\n0.4,4\n")
    with pytest.raises(AudioError, match=r"a\.csv:4: no value for 2 rows before it"):
        read(tmp_path / "a.csv")


def test_missing_values_as_gaps(tmp_path):
    (tmp_path / "a.csv").write_text(GAPPY)
    signal, x = read(tmp_path / "a.csv", SignalReadOptions(missing="gap"))
    no = np.nan
    np.testing.assert_array_equal(
        x, [[0, 1, no, 3, no, no, 6, 7, 8], [0, 10, 20, 30, no, no, 60, no, 80]]
    )
    assert (signal.missed.samples, signal.n_samples) == (4, 9)


def test_sound_with_nothing_missing_is_as_it_is_however_missing_values_are_taken(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 50_000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", x.T, 6400, subtype="FLOAT")
    for how in ("refuse", "gap", "interpolate"):
        np.testing.assert_array_equal(
            read(tmp_path / "a.wav", SignalReadOptions(missing=how))[1], x
        )


def test_missing_values_interpolated(tmp_path):
    (tmp_path / "a.csv").write_text(GAPPY)
    signal, x = read(tmp_path / "a.csv", SignalReadOptions(missing="interpolate"))
    np.testing.assert_allclose(x, [np.arange(9), 10 * np.arange(9)], atol=1e-5)
    assert signal.missed.samples == 4


@settings(max_examples=60)
@given(st.data())
def test_lines_are_the_same_however_rows_come(data):
    n = data.draw(st.integers(2, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.standard_normal((n, 2))
    x[rng.random((n, 2)) < 0.4] = np.nan
    x[rng.integers(n), :] = 1.0
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    lost = x.copy()
    parts = []  # pieces that begin where they begin; rows of nothing are left out
    for a, b in zip([0, *cuts], [*cuts, n], strict=True):
        there = ~np.isnan(x[a:b]).all(axis=1)
        runs = np.flatnonzero(np.diff(there, prepend=False, append=False)).reshape(-1, 2)
        parts += [(a + i, x[a + i : a + j]) for i, j in runs.tolist()]
    expected = np.stack([
        np.interp(np.arange(n), np.flatnonzero(g := ~np.isnan(c)), c[g]) for c in lost.T
    ], axis=1)  # fmt: skip
    missed, out = Missed(), np.full((n, 2), np.nan)
    for at, part in missing_values.interpolated("it", iter(parts), ("x", "y"), missed):
        assert np.isnan(out[at : at + len(part)]).all(), "given twice"
        out[at : at + len(part)] = part
    end = max(at + len(part) for at, part in parts)
    np.testing.assert_allclose(out[:end], expected[:end])
    assert missed.samples == np.isnan(x[:end]).any(axis=1).sum()


def test_a_line_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(missing_values, "LONGEST_LINE", 10)
    (tmp_path / "a.csv").write_text("time,x\n0,0\n1,1\n20,20\n")
    with pytest.raises(AudioError, match="no value for more than 10 samples, too long for a line"):
        read(tmp_path / "a.csv", SignalReadOptions(missing="interpolate"))
    (tmp_path / "a.csv").write_text("x,y\n1,\n2,\n")
    with pytest.raises(AudioError, match="the channel 'y' has no value at all: leave it out"):
        read(tmp_path / "a.csv", SignalReadOptions(missing="interpolate"))


def test_a_slow_channel_is_no_long_gap(tmp_path, monkeypatch):
    monkeypatch.setattr(missing_values, "LONGEST_LINE", 5000)
    rows = [f"{k},{k if k % 10 == 0 else ''}" for k in range(40_000)]
    (tmp_path / "a.csv").write_text("\n".join(["x,slow", *rows]))
    _, (fast, slow) = read(tmp_path / "a.csv", SignalReadOptions(missing="interpolate"))
    assert len(fast) == 40_000
    np.testing.assert_allclose(slow[:39_991], fast[:39_991])


def test_a_gap_of_years_takes_no_memory(tmp_path):
    (tmp_path / "a.csv").write_text("date,x\n2001-01-01,0\n2001-01-02,1\n2026-01-01,2\n")
    with open_signal(tmp_path / "a.csv", SignalReadOptions(missing="gap")) as signal:
        (_, first), (at, _) = signal.parts
    assert (first.shape[1], at) == (2, 9131)
    (tmp_path / "a.csv").write_text("time,x\n0,0\n1e-6,1\n1e6,2\n")
    with open_signal(tmp_path / "a.csv", SignalReadOptions(missing="gap")) as signal:
        piece = max((p.shape[1] for p, _ in zip(signal.pieces, range(9), strict=False)))
    assert piece == reader.AT_ONCE


def test_what_is_not_finite_is_missing(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, 1], [np.inf, 2], [1e300, 3], [4, 5]]))
    signal, x = read(tmp_path / "a.npy", SignalReadOptions(missing="gap", rate=5))
    np.testing.assert_array_equal(x, [[0, np.nan, np.nan, 4], [1, 2, 3, 5]])
    assert signal.missed.samples == 2


def test_channels_of_sound_are_kept(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (5000, 3)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", x, 5000, "FLOAT")
    signal, found = read(tmp_path / "a.wav", SignalReadOptions(columns=("2", "0")))
    assert (signal.names, signal.rate) == (("2", "0"), 5000)
    np.testing.assert_array_equal(found, x[:, [2, 0]].T)
    cut = (tmp_path / "a.wav").read_bytes()[:-30000]
    (tmp_path / "cut.wav").write_bytes(cut)
    with pytest.raises(AudioError, match=r"cut\.wav is cut off: .*; copy it again"):
        read(tmp_path / "cut.wav")


def test_a_series_is_a_recording(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.arange(12.0).reshape(2, 2, 3), names=["p", "q"], rate=4)
    signal, x = read(tmp_path / "a.npz#1")
    assert (signal.names, signal.rate) == (("p", "q"), 4)
    np.testing.assert_array_equal(x, [[6, 7, 8], [9, 10, 11]])
    (tmp_path / "a.ts").write_text("@timestamps true\n@data\n(0,1),(0.5,2),(1,3)\n")
    signal, x = read(tmp_path / "a.ts#0")
    assert (signal.rate, x.tolist()) == (2, [[1, 2, 3]])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, r"no such file: .*none\.csv"),
        ("empty.csv", "", r"empty\.csv is empty \(0 bytes\)"),
        ("head.csv", "x,y\n", r"head\.csv holds no samples"),
        ("twice.csv", "x,x\n1,2\n", "two columns are called 'x'"),
        ("text.csv", "x,y\n1,2\n3,four\n", r"text\.csv:3: 'y' is 'four', which is no number"),
        ("time.csv", "time\n0\n1\n", "has no channel: its columns are none"),
        ("none.ts#0", None, r"no such file: .*none\.ts"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(AudioError, match=message):
        read(tmp_path / name)


def test_a_column_that_is_not_there(tmp_path):
    path = table(tmp_path / "a.csv", np.arange(5) / 10)
    with pytest.raises(
        AudioError, match=r"a\.csv has no column 'yy' \(did you mean 'y'\?\): it ha"
    ):
        read(path, SignalReadOptions(columns=("x", "yy")))
    with pytest.raises(AudioError, match="has no column 'when': it has time, x, y"):
        read(path, SignalReadOptions(time="when"))


WANTED = ("x", "y")


@pytest.mark.parametrize(
    ("there", "columns", "chosen"),
    [
        (("a", "y", "x"), (), ("x", "y")),  # by name, in the model's order
        (("0", "1"), (), ("0", "1")),  # no names: by place
        (("b", "a"), ("a", "b"), ("a", "b")),  # said: these stand for them
        (("y", "x"), ("y", "x"), ("x", "y")),  # said, but they have the names
        (("x", "y", "z"), ("2", "0"), ("z", "x")),
    ],
)
def test_channels_of_a_model(tmp_path, there, columns, chosen):
    assert choose_channels(tmp_path, there, SignalReadOptions(columns), WANTED) == chosen


@pytest.mark.parametrize(
    ("there", "columns", "message"),
    [
        (("a", "b"), (), r"has 2 channels \(a, b\), and the model takes 2 channels \(x, y\); give"),
        (("0", "1", "2"), (), r"has 3 channels \(0, 1, 2\), and the model takes 2"),
        (("x", "y", "z"), ("x", "y", "z"), r"has 3 channels \(x, y, z\), and .* \(x, y\)$"),
        (("x",), (), r"has 1 channel \(x\)"),
    ],
)
def test_channels_that_a_model_does_not_know(tmp_path, there, columns, message):
    with pytest.raises(AudioError, match=message):
        choose_channels(tmp_path, there, SignalReadOptions(columns), WANTED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "gaps"}, r"refuse, gap, interpolate, not 'gaps' \(did you mean 'gap'\?\)"),
        ({"rate": 0.0}, "a rate must be above 0 Hz, got 0"),
        ({"columns": ("x", "x")}, "each column is given once, got x, x"),
    ],
)
def test_readings_that_make_no_sense(options, message):
    with pytest.raises(ArgumentError, match=message):
        SignalReadOptions(**options)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_read_or_named(tmp_path, data):
    name = data.draw(st.sampled_from(["a.csv", "a.ts", "b.ts", "a.npy", "a.npz"]))
    whole = {
        "a.csv": b"time,x,y\n" + b"".join(b"%d,%d,?\n" % (k, k) for k in range(9)),
        "a.ts": b"@dimensions 2\n@classLabel true a b\n@data\n1,2:?,4:a\n3:4:b\n",
        "b.ts": b"@timeStamps true\n@data\n(0,1),(0.5,?):(0,2),(0.5,3)\n",
        "a.npy": npy(np.arange(12.0).reshape(6, 2)),
        "a.npz": npz(X=np.arange(12.0).reshape(2, 2, 3), y=["a", "b"], rate=5.0),
    }[name]
    at = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.sampled_from([b"", b",", b"\n", b":", b"nan", b"1e400", b'"', b"\0", b"("]))
    cut = data.draw(st.integers(0, 9))
    (tmp_path / name).write_bytes(whole[:at] + junk + whole[at + cut :])
    with contextlib.suppress(AudioError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # NumPy's, of headers by Python 2
        for path in find_signals([tmp_path / name]):
            read(path, SignalReadOptions(missing=data.draw(st.sampled_from(["refuse", "gap"]))))


def npy(array):
    np.save(out := io.BytesIO(), array)
    return out.getvalue()


def npz(**arrays):
    np.savez(out := io.BytesIO(), **arrays)
    return out.getvalue()


def test_places_of_rows_in_pieces():
    chunks = [np.zeros((3, 1)), np.zeros((2, 1))]
    assert [at for at, _ in time_axis.numbered(chunks)] == [0, 3]
