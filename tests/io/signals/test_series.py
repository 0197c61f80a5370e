"""Files of many series, and the names of those."""

import numpy as np
import pytest

from audiocnn.errors import AudioError
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.series import expand, open_series, series_in

HEAD = "@problemName t\n@timeStamps false\n"


def values(path):
    rows = open_series(path)
    return rows.names, np.concatenate(list(rows.read(rows.names, None))).T


def archive(folder, body, head=HEAD):
    path = folder / "X_TRAIN.ts"
    path.write_text(f"# comment\n% another\n\n{head}@data\n{body}", encoding="utf-8")
    return path


def test_series_of_an_archive(tmp_path):
    head = HEAD + "@dimensions 2\n@equalLength false\n@classLabel true wave point\n"
    path = archive(tmp_path, "1,2,3:4,5,6:wave\n\n# not this\n1, ?:7,8 : point\n", head)
    assert series_in(path) == (2, ("wave", "point"))
    assert [ref.path.name for ref in expand(path)] == ["X_TRAIN.ts#0", "X_TRAIN.ts#1"]
    names, found = values(tmp_path / "X_TRAIN.ts#0")
    assert names == ("0", "1")
    np.testing.assert_array_equal(found, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(values(f"{path}#1")[1], [[1, np.nan], [7, 8]])


def test_series_with_times(tmp_path):
    head = "@timestamps TRUE\n@classlabel true a b\n"
    body = "(0,1),(0.5,?):(0,3),(0.5,4):a\n(2026-01-01 00:00:00,5),(2026-01-01 00:00:02,6):b\n"
    path = archive(tmp_path, body, head)
    names, found = values(f"{path}#0")
    assert names == ("time", "0", "1")
    np.testing.assert_array_equal(found, [[0, 0.5], [1, np.nan], [3, 4]])
    assert np.diff(values(f"{path}#1")[1][0]).tolist() == [2]


def test_a_target_is_no_label(tmp_path):
    path = archive(tmp_path, "1,2,3:0.5\n", HEAD + "@targetlabel true\n")
    assert series_in(path) == (1, None)
    assert values(f"{path}#0")[1].tolist() == [[1, 2, 3]]
    path = archive(tmp_path, "1,2,3\n", HEAD)
    assert values(f"{path}#0")[1].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", r"a\.ts:1: '1,2,3' stands before @data"),
        ("@timeStamps false\n", "no line @data: is it a .ts file"),
        ("@data\n", r"a\.ts:1: no series behind @data"),
        ("@timeStamps maybe\n@data\n1\n", "@timestamps must be true or false, found 'maybe'"),
        ("@dimensions six\n@data\n1\n", "@dimensions must be a whole number above 0, found 'six'"),
        ("@classLabel true\n@data\n1:a\n", "@classLabel is true and names no class"),
        (
            "@classLabel true a b\n@data\n1:a\n2:c\n",
            r"a\.ts:4: ends in 'c', .* header: a, b",
        ),
        ("@missing true\n@missing false\n@data\n1\n", r"a\.ts:2: @missing is there twice"),
    ],
)
def test_archives_that_make_no_sense(tmp_path, text, message):
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(AudioError, match=message):
        series_in(tmp_path / "a.ts")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1,2:3,4:5,6:a\n", r"X_TRAIN\.ts:7: has 3 dimensions, and the header says 2"),
        ("1,2:3:a\n", r":7: dimension 1 has 1 values, the first has 2"),
        ("1,two:3,4:a\n", r":7: 'dimension 0' is 'two', which is no number"),
    ],
)
def test_series_that_make_no_sense(tmp_path, body, message):
    path = archive(tmp_path, body, "@dimensions 2\n@classLabel true a\n")
    with pytest.raises(AudioError, match=message):
        open_series(f"{path}#0")


def test_times_that_make_no_sense(tmp_path):
    head = "@timestamps true\n"
    with pytest.raises(AudioError, match=r":6: '0,1' is no \(time,value\)"):
        open_series(f"{archive(tmp_path, '0,1' + chr(10), head)}#0")
    with pytest.raises(AudioError, match="dimension 1 has other times than the first"):
        open_series(f"{archive(tmp_path, '(0,1),(1,1):(0,1),(2,1)' + chr(10), head)}#0")


def test_series_of_arrays(tmp_path):
    x = np.arange(24.0).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", X=x, y=["up", "down"], names=["p", "q", "r"], rate=50)
    np.savez(tmp_path / "c.npz", X=x[:, 0], y=np.array([1.0, 2.0]))
    assert series_in(tmp_path / "a.npy") == (2, None)
    assert series_in(tmp_path / "b.npz") == (2, ("up", "down"))
    assert series_in(tmp_path / "c.npz") == (2, ("1", "2"))
    names, found = values(tmp_path / "b.npz#1")
    assert names == ("p", "q", "r")
    np.testing.assert_array_equal(found, x[1])
    assert open_series(tmp_path / "b.npz#1").rate == 50
    assert values(tmp_path / "a.npy#0")[0] == ("0", "1", "2")
    np.testing.assert_array_equal(values(tmp_path / "c.npz#1")[1], x[1, :1])


def test_a_series_ends_at_its_last_value(tmp_path):
    x = np.full((2, 2, 5), np.nan)
    x[0, :, :3], x[0, 1, 1], x[0, 0, 4] = 1, np.nan, 2
    np.savez(tmp_path / "a.npz", X=x)
    assert values(tmp_path / "a.npz#0")[1].shape == (2, 5)
    with pytest.raises(AudioError, match=r"a\.npz#1 holds no value"):
        open_series(tmp_path / "a.npz#1")
    x[0, 0, 4] = np.nan
    np.savez(tmp_path / "b.npz", X=x)
    assert values(tmp_path / "b.npz#0")[1].shape == (2, 3)


def test_one_signal_is_no_series(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    np.savez(tmp_path / "a.npz", x=np.zeros(5))
    for name in ("a.npy", "a.npz"):
        assert series_in(tmp_path / name) is None
        assert expand(tmp_path / name) == [RecordingRef(tmp_path / name)]
        assert open_series(tmp_path / name) is None
        with pytest.raises(AudioError, match=r"holds one signal, so there is no a\.np.#0"):
            open_series(tmp_path / f"{name}#0")
    assert series_in(tmp_path / "a.csv") is None


def test_numbers_that_are_not_there(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 1, 5)))
    with pytest.raises(AudioError, match=r"a\.npy holds 3 series: name one of them, as a\.npy#0"):
        open_series(tmp_path / "a.npy")
    with pytest.raises(AudioError, match=r"a\.npy#3: a\.npy holds 3 series, numbered from 0"):
        open_series(tmp_path / "a.npy#3")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((2, 1, 3)), "y": ["a"]}, r"y has the shape \(1,\) .* must be 2 labels"),
        ({"X": np.zeros((2, 1, 3, 1))}, r"X has the shape \(2, 1, 3, 1\), not \(n, K, T\)"),
        ({"X": np.array([["a"], ["b"]])}, "'X' holds <U1, no numbers"),
        ({"X": np.zeros((2, 2, 3)), "names": ["x"]}, r"names has the shape \(1,\), and .* 2 chan"),
        ({"X": np.zeros((2, 2, 3)), "names": ["x", "x"]}, "two columns are called 'x'"),
        ({"X": np.zeros((2, 0, 3))}, "there is no channel"),
        ({"X": np.zeros((2, 1, 3)), "rate": [50, 50]}, "rate must be one number above 0 Hz"),
        ({"X": np.zeros((2, 1, 3)), "rate": -50}, "rate must be one number above 0 Hz, got -50"),
        ({"X": np.zeros((2, 1, 3)), "rate": "fast"}, "rate must be one number above 0 Hz"),
    ],
)
def test_arrays_of_series_that_make_no_sense(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(AudioError, match=message):
        open_series(tmp_path / "a.npz#0")
