from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.excerpts import Excerpt, read_excerpt, write_flac

RATE = 22050
ROOT = Path(__file__).parents[3]
TWO = np.random.default_rng(0).uniform(-0.5, 0.5, (10 * RATE, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("excerpts")
    for suffix in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(folder / f"x.{suffix}", TWO, RATE)
    soundfile.write(folder / "deep.wav", TWO, RATE, "PCM_24")
    return folder


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_part_is_what_the_whole_has_there(folder: Path, suffix: str) -> None:
    whole = read_excerpt(folder / f"x.{suffix}", 0, 60)
    assert abs(len(whole.samples) - len(TWO)) <= (0 if suffix != "mp3" else 3000)
    found = read_excerpt(folder / f"x.{suffix}", 4.5, 5.25)
    first = round(4.5 * RATE)
    assert (found.start, found.rate, found.deep) == (first, RATE, False)
    expected = whole.samples[first : round(5.25 * RATE)]
    np.testing.assert_allclose(found.samples, expected, atol=1e-6)
    past = read_excerpt(folder / f"x.{suffix}", 9.75, 11.0)
    np.testing.assert_allclose(past.samples, whole.samples[round(9.75 * RATE) :], atol=1e-6)


def test_nothing_before_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError("read from its beginning")

    monkeypatch.setattr("audiocnn.io.audio.excerpts.open_recording", refuse)
    for suffix in ("wav", "flac", "ogg"):
        assert len(read_excerpt(folder / f"x.{suffix}", 9.0, 9.5).samples) == RATE // 2


def test_recordings_cut_short_are_read_as_far_as_they_go(folder: Path, tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "ogg"):
        data = (folder / f"x.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
        found = read_excerpt(tmp_path / f"cut.{suffix}", 2.0, 3.0)
        whole = read_excerpt(folder / f"x.{suffix}", 2.0, 3.0)
        np.testing.assert_array_equal(found.samples, whole.samples)
        with pytest.raises(AudioError):
            read_excerpt(tmp_path / f"cut.{suffix}", 9.0, 9.5)


def test_bad_parts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"x\.wav ends before 10\.500 s: it is not what was"):
        read_excerpt(folder / "x.wav", 10.5, 11)
    with pytest.raises(ArgumentError, match=r"0 <= start < end, got 2 and 1"):
        read_excerpt(folder / "x.wav", 2, 1)
    with pytest.raises(AudioError, match=r"no such file: .*nix\.wav"):
        read_excerpt(tmp_path / "nix.wav", 0, 1)
    (tmp_path / "text.wav").write_text("this is no sound at all, and long enough to see it")
    with pytest.raises(AudioError, match="is text, not sound"):
        read_excerpt(tmp_path / "text.wav", 0, 1)


def test_flac_keeps_rate_channels_and_depth(folder: Path, tmp_path: Path) -> None:
    for name, subtype in (("x.wav", "PCM_16"), ("deep.wav", "PCM_24")):
        write_flac(read_excerpt(folder / name, 1, 2), tmp_path / "y.flac")
        info = soundfile.info(tmp_path / "y.flac")
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 2, subtype)
        there = soundfile.read(tmp_path / "y.flac", dtype="float32")[0]
        original = soundfile.read(folder / name, dtype="float32")[0][RATE : 2 * RATE]
        np.testing.assert_array_equal(there, original)


def test_flac_of_what_flac_cannot_hold(tmp_path: Path) -> None:
    samples = np.full((100, 9), 2.0, np.float32)
    samples[0] = np.nan
    write_flac(Excerpt(samples, 0, 8000, False), tmp_path / "y.flac")
    there, _ = soundfile.read(tmp_path / "y.flac", always_2d=True)
    assert there.shape == (100, 1)
    assert there[0] == 0
    assert there[1] > 0.999
    with pytest.raises(ArgumentError, match=r"cannot write .*nowhere"):
        write_flac(Excerpt(samples, 0, 8000, False), tmp_path / "nowhere" / "y.flac")
    assert [path.name for path in tmp_path.iterdir()] == ["y.flac"]
