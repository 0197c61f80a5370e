"""Recordings as a model takes them: its channels, at its rate, in blocks that jump over gaps."""

import numpy as np
import pytest
import soundfile

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.inference.model_input import read_for, read_part
from audiocnn.io.signals.channels import SignalReadOptions
from tests.bundles import FRONT, SIGNAL_FRONTS

RAW = SIGNAL_FRONTS["raw"]  # x, y and z at 50 Hz


def table(path, n=200, rate=50, names="time,z,y,x"):
    rows = [f"{k / rate:.4f},{k},{k + 1000},{k + 2000}" for k in range(n)]
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def test_blocks_have_the_models_channels_in_its_order(tmp_path):
    (block,) = read_for(table(tmp_path / "a.csv"), RAW)
    assert (block.start, block.rate) == (0, 50)
    assert block.samples[:, 0].tolist() == [2000, 1000, 0]


def test_a_gap_is_a_jump(tmp_path):
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[101] = lines[101].replace("1100", "")
    del lines[151:161]
    path.write_text("\n".join(lines))
    blocks = list(read_for(path, RAW, SignalReadOptions(missing="gap")))
    assert [(b.start, b.samples.shape[1]) for b in blocks] == [(0, 100), (101, 49), (160, 40)]
    for block in blocks:
        np.testing.assert_array_equal(
            block.samples[2], block.start + np.arange(block.samples.shape[1])
        )


def test_long_signals_come_in_blocks(tmp_path):
    x = np.random.default_rng(0).standard_normal((100_000, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    blocks = list(read_for(tmp_path / "a.npy", RAW))
    assert max(b.samples.size for b in blocks) < x.size / 4
    np.testing.assert_array_equal(np.concatenate([b.samples for b in blocks], axis=1), x.T)


def test_parts_lie_where_the_recording_s_own_rate_says(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k / 50.04:.6f},{k},{k},{k}" for k in range(20_000)]
    path.write_text("\n".join(["time,x,y,z", *rows]))
    blocks = list(read_part(path, RAW, 15_000 / 50.04, 15_010 / 50.04))
    assert [b.samples[0].tolist() for b in blocks] == [list(range(15_000, 15_010))]


def test_parts(tmp_path):
    path = table(tmp_path / "a.csv")
    (block,) = read_part(path, RAW, 1.0, 1.5)
    assert (block.start, block.samples[2].tolist()) == (0, list(range(50, 75)))
    blocks = list(read_part(path, RAW, 3.9, None))
    assert sum(b.samples.shape[1] for b in blocks) == 5
    with pytest.raises(AudioError, match=r"a\.csv: no sample lies between 4 s and its end"):
        list(read_part(path, RAW, 4.0, 5.0))


def test_sound_goes_its_way(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-1, 1, 16000), 16000)
    (whole,) = read_for(tmp_path / "a.wav", FRONT)
    (part,) = read_part(tmp_path / "a.wav", FRONT, 0.25, 0.5)
    assert (whole.samples.shape, whole.rate) == ((8000,), 8000)
    np.testing.assert_array_equal(part.samples, whole.samples[2000:4000])
    for path in ("a.csv", "X.ts#3", "a.npy"):
        (tmp_path / path.partition("#")[0]).write_text("@data\n1,2,3\n")
        with pytest.raises(AudioError, match="is no sound but a signal"):
            list(read_for(tmp_path / path, FRONT))


@pytest.mark.parametrize(
    ("how", "reading", "message"),
    [
        (
            {"rate": 100},
            SignalReadOptions(),
            r"a\.csv is at 100 Hz, and the model at 50 Hz: resample it",
        ),
        ({}, SignalReadOptions(rate=52), "is at 52 Hz, and the model at 50 Hz"),
        (
            {"names": "time,a,b,c"},
            SignalReadOptions(),
            r"3 channels \(a, b, c\), and the model takes 3 chan",
        ),
        ({}, SignalReadOptions(columns=("x", "y")), r"2 channels \(x, y\), and the model takes 3"),
        ({"n": 1}, SignalReadOptions(), "has 1 row; to tell its rate takes two"),
    ],
)
def test_other_recordings_than_the_model_knows(tmp_path, how, reading, message):
    with pytest.raises(AudioError, match=message):
        list(read_for(table(tmp_path / "a.csv", **how), RAW, reading))


@pytest.mark.parametrize(
    ("front", "shape", "rate", "message"),
    [
        (RAW, (3, 9), 49.0, "the model takes 50 Hz, got a block at 49 Hz; resample it"),
        (RAW, (9,), 50.0, r"takes samples of shape \(3, N\), got a block of \(9,\); read_for"),
        (RAW, (2, 9), 50.0, r"got a block of \(2, 9\)"),
        (FRONT, (1, 9), 8000, r"takes samples of shape \(N,\), got a block of \(1, 9\)"),
        (FRONT, (9,), 44100, r"read_blocks\(path, bundle.rate\) resamples"),
    ],
)
def test_blocks_that_a_model_cannot_hear(front, shape, rate, message):
    with pytest.raises(ArgumentError, match=message):
        front.check_samples(np.zeros(shape, np.float32), rate)


def test_nothing_of_use(tmp_path):
    np.save(tmp_path / "a.npy", np.full((10, 3), np.nan))
    with pytest.raises(AudioError, match="holds no sample at which all channels have a value"):
        list(read_for(tmp_path / "a.npy", RAW, SignalReadOptions(missing="gap")))


def test_almost_the_rate_is_good_enough_and_tells_the_time(tmp_path):
    path = table(tmp_path / "a.csv", n=3000, rate=50.02)
    assert {b.rate for b in read_for(path, RAW)} == {50.02}
