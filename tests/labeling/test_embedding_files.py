"""Files of embeddings: the same numbers in every format, complete or not there."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError
from audiocnn.labeling.embedding_files import vector_file

RATE = 8000


@pytest.fixture
def sounds(tmp_path):
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 4), ("b.wav", 1)):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(seconds * RATE), RATE)
    return tmp_path


def test_every_format_holds_the_same(sounds, bundle_folders, tmp_path):
    model = str(bundle_folders["cnn1d"])
    for suffix in ("npy", "npz", "parquet"):
        assert main(["embed", str(sounds / "a.wav"), str(sounds / "b.wav"), "--model", model,
                     "-o", str(tmp_path / f"v.{suffix}")]) == 0  # fmt: skip
    bundle = audiocnn.load(model)
    expected = np.concatenate([
        run.values.T
        for name in ("a.wav", "b.wav")
        for run in audiocnn.embed(bundle, audiocnn.read_blocks(sounds / name, bundle.rate))
    ])  # fmt: skip
    plain = np.load(tmp_path / "v.npy", allow_pickle=False)
    np.testing.assert_array_equal(plain, expected)
    with np.load(tmp_path / "v.npz", allow_pickle=False) as zipped:
        np.testing.assert_array_equal(zipped["embedding"], expected)
        paths, ends = zipped["path"].tolist(), zipped["end"]
    table = pq.read_table(tmp_path / "v.parquet")
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), expected)
    assert table["path"].to_pylist() == paths
    with (tmp_path / "v.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == paths
    np.testing.assert_allclose([float(row["end"]) for row in rows], ends, atol=1e-6)
    assert ends[-1] == pytest.approx(1.0)  # the padding is not counted
    assert not list(tmp_path.glob("*.tmp"))


def test_what_cannot_be_read_costs_the_others_nothing(sounds, bundle_folders, tmp_path, capsys):
    (sounds / "empty.wav").touch()
    out = tmp_path / "v.npy"
    model = str(bundle_folders["cnn1d"])
    assert main(["embed", str(sounds), "no.wav", "--model", model, "-o", str(out)]) == 1
    err = capsys.readouterr().err
    assert "empty.wav is empty" in err
    assert "no.wav" in err
    assert len(np.load(out, allow_pickle=False)) > 3


def test_a_file_is_whole_or_not_there(tmp_path):
    for suffix in ("npy", "npz", "parquet"):
        path = tmp_path / f"v.{suffix}"
        path.write_text("before")
        with pytest.raises(KeyboardInterrupt), vector_file(path, 3):
            raise KeyboardInterrupt
        assert path.read_text() == "before"
    assert not list(tmp_path.glob("*.tmp"))
    assert not (tmp_path / "v.csv").exists()


def test_names_that_say_no_format_and_places_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"written as \.parquet, \.npy"), vector_file(
        tmp_path / "v.txt", 3
    ):  # fmt: skip
        pass
    with pytest.raises(ArgumentError, match="cannot write"), vector_file(tmp_path / "x/v.npy", 3):
        pass
