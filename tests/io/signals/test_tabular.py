"""Files with a row a sample: what is in them comes out, what is wrong is named."""

import numpy as np
import pytest

from audiocnn.errors import AudioError
from audiocnn.io.signals import tabular
from audiocnn.io.signals.tabular import column_names, open_rows


def columns(path, names=None, time=None):
    with open_rows(path) as rows:
        return rows.names, np.concatenate(list(rows.read(names or rows.names, time)))


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_text_of_every_dialect_says_the_same(tmp_path):
    expected = np.array([[1, 2.5], [np.nan, -3]])
    for name, text in {
        "comma.csv": "x,y\n1,2.5\n,-3\n\n",
        "semicolon.csv": "x;y\n1;2.5\nNaN;-3\n",
        "tab.csv": "x\ty\n1\t2.5\n?\t-3\n",
        "tab.tsv": "x\ty\n1\t2.5\nnull\t-3\n",
        "bom.csv": "\ufeffx,y\r\n1,2.5\r\nNA,-3\r\n",
        "quotes.csv": '"x", y\n"1","2.5"\n"",-3',
    }.items():
        names, values = columns(written(tmp_path / name, text))
        assert names == ("x", "y"), name
        np.testing.assert_array_equal(values, expected, name)


def test_a_file_without_names_has_numbers_for_them(tmp_path):
    names, values = columns(written(tmp_path / "a.csv", "1,2\n3,4\n"))
    assert names == ("0", "1")
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])
    assert columns(tmp_path / "a.csv", ["1"])[1].tolist() == [[2], [4]]


def test_times_are_read_as_seconds_or_dates(tmp_path):
    path = written(tmp_path / "a.csv", "when,x\n2026-01-01 00:00:00,1\n2026-01-01T00:00:01.5,2\n")
    _, values = columns(path, ["x"], "when")
    assert values[1, 0] - values[0, 0] == 1.5
    with pytest.raises(AudioError, match=r"a\.csv:2: 'when' is '2026-01-01 00:00:00', which is no"):
        columns(path)
    path = written(tmp_path / "b.csv", "when,x\n1.5,1\nnoon,2\n")
    with pytest.raises(AudioError, match=r"b\.csv:3: 'noon' is no time: seconds or ISO dates are"):
        columns(path, ["x"], "when")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with an empty line"),
        ("\nx,y\n1,2\n", "begins with an empty line"),
        ("x,x\n1,2\n", r"a\.csv:1: two columns are called 'x': x, x"),
        ("x,,z\n1,2,3\n", r"a\.csv:1: column 1 has no name"),
        ("x,y\n1,2\n3\n", r"a\.csv:3: has 1 cells, the first line has 2"),
        ("x,y\n1,2\n\n3,4\n", r"a\.csv:3: has 0 cells"),
        ("x,y\n1,2\n3,fast\n", r"a\.csv:3: 'y' is 'fast', which is no number$"),
        ('x,y\n1,2\n3,"4,5"\n', r"'4,5', which is no number; write a decimal point"),
    ],
)
def test_text_that_is_no_table_of_numbers(tmp_path, text, message):
    with pytest.raises(AudioError, match=message):
        columns(written(tmp_path / "a.csv", text))


def test_other_encodings_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("x,y\n1,2\n3,4 °C\n".encode("latin-1"))
    with pytest.raises(AudioError, match=r"a\.csv is not UTF-8 text .*: save it as UTF-8"):
        columns(tmp_path / "a.csv")


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_what_stands_before_a_fault_comes_out(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(tabular, "KEPT", kept)
    monkeypatch.setattr(tabular, "AT_ONCE", 10)
    rows = "".join(f"{k}\n" for k in range(25))
    path = written(tmp_path / "a.csv", "x\n" + rows + "fault\n")
    found = []
    with open_rows(path) as opened, pytest.raises(AudioError, match=r"a\.csv:27: 'x' is 'fault'"):
        found.extend(opened.read(("x",), None))
    assert np.concatenate(found)[:, 0].tolist() == list(range(20))


def test_a_file_that_is_written_again_is_read_again(tmp_path):
    path = written(tmp_path / "a.csv", "x\n1\n")
    assert columns(path)[1].tolist() == [[1]]
    columns(path)[1][0] = 5  # what is kept is nobody's to change
    assert columns(path)[1].tolist() == [[1]]
    written(path, "x\n12\n")
    assert columns(path)[1].tolist() == [[12]]


def test_arrays(tmp_path):
    x = np.arange(20.0).reshape(10, 2)
    for name, array in {"a.npy": x, "b.npy": x.T, "c.npy": x.astype("f4")}.items():
        np.save(tmp_path / name, array)
        names, values = columns(tmp_path / name)
        assert names == ("0", "1")
        np.testing.assert_array_equal(values, x)
    np.save(tmp_path / "one.npy", np.arange(3))
    assert columns(tmp_path / "one.npy")[1].tolist() == [[0], [1], [2]]
    np.savez(tmp_path / "a.npz", left=x[:, 0], right=x[:, 1], rate=250.0)
    with open_rows(tmp_path / "a.npz") as rows:
        assert (rows.names, rows.rate) == (("left", "right"), 250.0)
    np.testing.assert_array_equal(columns(tmp_path / "a.npz")[1], x)
    np.save(tmp_path / "iq.npy", np.array([1 + 2j, 3 - 4j], np.complex64))
    names, values = columns(tmp_path / "iq.npy")
    assert names == ("0.re", "0.im")
    assert values.tolist() == [[1, 2], [3, -4]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "this has none"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, r"one length, .*this has a \(3,\), b \(4,\)"),
        ({"a": np.zeros((2, 3, 4))}, r"this has a \(2, 3, 4\)"),
        ({"a": np.array(["x", "y"])}, "'a' holds <U1, no numbers"),
        ({"a": np.zeros(0)}, "holds no samples"),
        ({"a": np.zeros(3), "rate": np.nan}, "rate must be one number above 0 Hz, got nan"),
    ],
)
def test_arrays_that_are_no_signal(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(AudioError, match=message):
        columns(tmp_path / "a.npz")


def test_files_that_are_not_what_they_are_called(tmp_path):
    for name in ("a.npy", "a.npz"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(AudioError, match="is no NumPy file of numbers"):
            columns(tmp_path / name)
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    pytest.importorskip("pyarrow")
    with pytest.raises(AudioError, match=r"a\.parquet is no Parquet file"):
        columns(tmp_path / "a.parquet")


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from datetime import datetime

    from pyarrow import parquet

    table = pa.table({
        "when": [datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 2)],
        "x": [1.5, None], "what": ["a", "b"],
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    _, values = columns(tmp_path / "a.parquet", ["x"], "when")
    assert values[1, 0] - values[0, 0] == 2
    np.testing.assert_array_equal(values[:, 1], [1.5, np.nan])
    with open_rows(tmp_path / "a.parquet") as rows:
        assert list(rows.texts("what")) == [["a", "b"]]
        with pytest.raises(AudioError, match="'what' holds string, no numbers"):
            list(rows.read(["what"], None))


def test_names_of_columns_without_reading(tmp_path):
    assert column_names(written(tmp_path / "a.csv", "path,label\n")) == {"path", "label"}
    assert column_names(tmp_path / "none.csv") == frozenset()
    assert column_names(tmp_path / "a.npy") == frozenset()
