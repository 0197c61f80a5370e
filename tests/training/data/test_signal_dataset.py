"""Signals as training reads them: every channel, once, in the front end's units."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.datasets.clip import Clip
from audiocnn.errors import DatasetError
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.data.signal_cache import cached_signals, require_fit
from audiocnn.training.signal_defaults import (
    count_windows,
    signal_config,
    signal_in_words,
)


def write_csv(path: Path, x: np.ndarray, rate: float = 50.0, names: str = "x,y") -> Path:
    rows = [f"time,{names}"]
    rows += [",".join([f"{k / rate:.6f}", *(f"{v:.9g}" for v in row)]) for k, row in enumerate(x.T)]
    path.write_text("\n".join(rows) + "\n")
    return path


def signals(n: int = 3, length: int = 200) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [
        (np.array([[5.0], [-100.0]]) + np.array([[1.0], [10.0]])
         * draw.standard_normal((2, length + 10 * k))).astype(np.float32)
        for k in range(n)
    ]  # fmt: skip


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    return [Clip(write_csv(tmp_path / f"{k}.csv", x), ("a",)) for k, x in enumerate(signals())]


def test_clips_lie_as_they_were_recorded_and_are_read_in_the_units_of_the_front_end(
    clips, tmp_path
):
    found = cached_signals(clips, SignalReadOptions(), tmp_path / "cache")
    assert (found.names, found.rate, found.rate_known) == (("x", "y"), 50.0, True)
    offset, scale = found.spread()
    np.testing.assert_allclose(offset, [5, -100], rtol=0.05)
    np.testing.assert_allclose(scale, [1, 10], rtol=0.1)
    seen = found.torch_front_end(RawSpec(50.0, found.names, offset, scale), 64)
    assert seen.step == 4
    for k, x in enumerate(signals()):
        assert found.length(k) == x.shape[1]
        np.testing.assert_array_equal(seen.recorded(k, 0, x.shape[1]), x)
        expected = (x - np.array(offset)[:, None]) / np.array(scale)[:, None]
        np.testing.assert_allclose(seen.read(k, 0, x.shape[1]), expected, atol=1e-4)
        around = seen.read(k, -5, x.shape[1] + 12)
        np.testing.assert_allclose(around[:, 5:-7], expected, atol=1e-4)
        assert not around[:, :5].any()
        assert not around[:, -7:].any()


def test_they_are_read_once(clips, tmp_path):
    first = cached_signals(clips, SignalReadOptions(), tmp_path / "cache")
    calls: list[tuple[int, int]] = []
    again = cached_signals(
        clips, SignalReadOptions(), tmp_path / "cache", lambda *at: calls.append(at)
    )
    assert not calls
    np.testing.assert_array_equal(first.samples, again.samples)
    os.utime(clips[0].path, ns=(1, 1))
    cached_signals(clips, SignalReadOptions(), tmp_path / "cache", lambda *at: calls.append(at))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_parts_columns_and_channels_of_sound(tmp_path):
    x = signals(1)[0]
    path = write_csv(tmp_path / "a.csv", x)
    part = cached_signals([Clip(path, (), 1.0, 2.5)], SignalReadOptions(("y",)), tmp_path / "cache")
    assert part.names == ("y",)
    np.testing.assert_array_equal(part.recorded(0, 0, 75), x[1:, 50:125])
    soundfile.write(tmp_path / "b.wav", x.T / 200, 800, subtype="FLOAT")
    wav = cached_signals([Clip(tmp_path / "b.wav", ())], SignalReadOptions(), tmp_path / "cache")
    assert (wav.names, wav.rate) == (("0", "1"), 800.0)
    np.testing.assert_allclose(wav.recorded(0, 0, 200), x / 200, atol=1e-7)


def test_all_that_cannot_be_read_is_named(clips, tmp_path):
    write_csv(clips[1].path, signals()[1], names="x,z")
    clips[2].path.write_text("time,x,y\n0,1,oops\n0.02,2,3\n")
    clips.append(Clip(write_csv(tmp_path / "slow.csv", signals()[0], rate=25.0), ()))
    clips.append(Clip(clips[0].path, (), 90.0, 91.0))
    with pytest.raises(DatasetError) as refused:
        cached_signals(clips, SignalReadOptions(), tmp_path / "cache")
    text = str(refused.value)
    assert text.startswith("4 of 5 clips cannot be read")
    assert "2.csv:2: 'y' is 'oops', which is no number" in text
    assert "slow.csv is at 25 Hz, " in text
    assert "0.csv: no sample lies between 90 s and its end" in text
    assert "1.csv has the channels x, z, " in text
    with pytest.raises(DatasetError, match=r"gone.csv: No such file"):
        cached_signals([Clip(tmp_path / "gone.csv", ())], SignalReadOptions(), tmp_path / "cache")


def test_missing_values_are_refused_or_interpolated(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,x\n0,1\n1,\n2,3\n3,4\n")
    for missing, said in (("refuse", "no value for 'x'"), ("gap", "a value is missing at 1 s")):
        with pytest.raises(DatasetError, match=said):
            cached_signals([Clip(path, ())], SignalReadOptions(missing=missing), tmp_path / "cache")
    found = cached_signals(
        [Clip(path, ())], SignalReadOptions(missing="interpolate"), tmp_path / "cache"
    )
    np.testing.assert_array_equal(found.recorded(0, 0, 4), [[1, 2, 3, 4]])


def test_a_constant_channel_has_no_deviation_to_divide_by(tmp_path):
    x = np.stack([np.full(100, 7.3), np.arange(100.0)])
    found = cached_signals(
        [Clip(write_csv(tmp_path / "a.csv", x), ())], SignalReadOptions(), tmp_path
    )
    offset, scale = found.spread()
    assert scale[0] == 1.0
    assert offset[0] == pytest.approx(7.3)
    assert scale[1] == pytest.approx(x[1].std(), rel=1e-5)


def test_what_does_not_fit_a_front_end_is_refused(clips, tmp_path):
    found = cached_signals(clips, SignalReadOptions(), tmp_path / "cache")
    with pytest.raises(DatasetError, match="have the channels x, y, the model's are x, z"):
        require_fit(found, RawSpec(50.0, ("x", "z"), (0, 0), (1, 1)))
    with pytest.raises(DatasetError, match="are at 50 Hz, the model's rate is 100 Hz"):
        require_fit(found, RawSpec(100.0, ("x", "y"), (0, 0), (1, 1)))


def test_front_end_and_window_follow_from_the_clips(clips, tmp_path):
    short = cached_signals(clips, SignalReadOptions(), tmp_path / "cache")
    config = signal_config(short)
    assert isinstance(config.front, RawSpec)
    assert config.window == pytest.approx(220 / 50)
    assert count_windows(short, 1.1) == 11
    assert "2 channels (x, y) at 50 Hz; front end: raw samples" in signal_in_words(short, config)
    spectrum = signal_config(short, "log-spectrum", window=2.0)
    assert isinstance(spectrum.front, SpectrumSpec)
    assert (spectrum.arch, spectrum.window) == ("cnn2d", 2.0)
    x = np.random.default_rng(0).standard_normal(30_000).astype(np.float32)
    np.save(tmp_path / "long.npy", x)
    long = cached_signals(
        [Clip(tmp_path / "long.npy", ())], SignalReadOptions(), tmp_path / "cache"
    )
    config = signal_config(long)
    assert isinstance(config.front, SpectrumSpec)
    assert "at 1 sample a second (no file says more); front end: log spectra" in signal_in_words(
        long, config
    )
