"""Clips are decoded once, kept exactly enough, and all that cannot be read are named."""

import dataclasses
import functools
import os
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import DatasetError
from audiocnn.io.audio.reader import read_audio, read_blocks
from audiocnn.networks.classifier import Classifier
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data import spool
from audiocnn.training.data.audio_cache import LEVEL_STEP, Waveforms, cached_waveforms
from audiocnn.training.data.sampler import Examples, audible_starts, epoch_batches
from audiocnn.training.defaults import default_front
from audiocnn.training.lightning_module import trunk_spec
from audiocnn.training.network_predictions import predict

RATE = 8000


def write(path: Path, x: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Clip:
    soundfile.write(path, x, rate, subtype)
    return Clip(path, ("label",))


def noise(n: int, gain: float = 0.3, seed: int = 0) -> np.ndarray:
    return (gain * np.random.default_rng(seed).standard_normal(n)).astype("f4")


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    return [
        write(tmp_path / "a.wav", noise(9000)),
        write(tmp_path / "b c é.wav", noise(44_100, seed=1), 44_100),
        write(tmp_path / "quiet.wav", noise(3000, 1e-5, 2)),
        write(tmp_path / "silent.wav", np.zeros(700, "f4")),
        write(tmp_path / "loud.wav", noise(3000, 8.0, 3)),  # beyond full scale, as floats may be
    ]


@pytest.fixture
def no_decoding(monkeypatch):
    """Make every further attempt to decode a failure."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    return lambda: monkeypatch.setattr(spool, "read_blocks", refuse)


def test_the_waveforms_are_those_of_the_files(clips, tmp_path):
    waves = cached_waveforms(clips, RATE, tmp_path / "cache")
    assert waves.rate == RATE
    for k, clip in enumerate(clips):
        x = read_audio(clip.path, RATE)
        assert waves.length(k) == x.size
        # 16 bits of each clip's own peak: quiet clips keep their resolution, loud ones their peak.
        np.testing.assert_allclose(waves.read(k, 0, x.size), x, atol=np.abs(x).max() / 32767 * 0.51)


def test_a_quiet_clip_is_as_exact_as_a_loud_one(tmp_path):
    loud, quiet = noise(4000), noise(4000) * np.float32(1e-6)
    clips = [write(tmp_path / "l.wav", loud), write(tmp_path / "q.wav", quiet)]
    waves = cached_waveforms(clips, RATE, tmp_path / "cache")
    errors = [waves.read(k, 0, 4000) - x for k, x in enumerate((loud, quiet))]
    snr = [np.mean(x**2) / np.mean(e**2) for x, e in zip((loud, quiet), errors, strict=True)]
    assert min(snr) > 1e7  # 70 dB, 120 dB below full scale too


def test_the_second_call_decodes_nothing(clips, tmp_path, no_decoding):
    first = cached_waveforms(clips, RATE, tmp_path / "cache")
    no_decoding()
    again = cached_waveforms(clips, RATE, tmp_path / "cache")
    for field in dataclasses.fields(Waveforms):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    assert isinstance(again.samples, np.memmap)  # paged in as it is used
    assert not again.samples.flags.writeable


@pytest.mark.parametrize("what", ["rate", "a clip less", "order", "part", "file"])
def test_another_dataset_is_another_cache(clips, tmp_path, no_decoding, what):
    cached_waveforms(clips, RATE, tmp_path / "cache")
    no_decoding()
    rate = 16_000 if what == "rate" else RATE
    if what == "a clip less":
        clips = clips[1:]
    elif what == "order":
        clips = clips[::-1]
    elif what == "part":
        clips = [dataclasses.replace(clips[0], end=0.5), *clips[1:]]
    elif what == "file":
        write(clips[0].path, noise(9000, seed=9))
        os.utime(clips[0].path, ns=(1, 1))
    with pytest.raises(AssertionError, match="decoded again"):
        cached_waveforms(clips, rate, tmp_path / "cache")


def test_labels_and_columns_do_not_matter_to_it(clips, tmp_path, no_decoding):
    cached_waveforms(clips, RATE, tmp_path / "cache")
    no_decoding()
    other = [dataclasses.replace(c, labels=("other",), columns={"fold": "3"}) for c in clips]
    assert cached_waveforms(other, RATE, tmp_path / "cache").length(0) == 9000


def test_parts_of_a_recording_are_clips_of_their_own(tmp_path):
    x = noise(RATE)
    clip = write(tmp_path / "a.wav", x)
    parts = [
        dataclasses.replace(clip, start=a, end=b) for a, b in ((0.0, 0.5), (0.25, None), (0.5, 9.0))
    ]
    waves = cached_waveforms(parts, RATE, tmp_path / "cache")
    assert [waves.length(k) for k in range(3)] == [4000, 6000, 4000]
    np.testing.assert_allclose(waves.read(1, 0, 6000), x[2000:], atol=1e-4)


def test_reading_beyond_a_clip_gives_zeros_and_never_its_neighbour(tmp_path):
    clips = [write(tmp_path / f"{k}.wav", np.full(100, k + 1.0)) for k in range(3)]
    waves = cached_waveforms(clips, RATE, tmp_path / "cache")
    for start, length in ((-30, 60), (80, 60), (-500, 10), (100, 10), (-10, 200), (40, 0)):
        expected = [2.0 if 0 <= start + i < 100 else 0.0 for i in range(length)]
        found = waves.read(1, start, length)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert found.dtype == np.float32


def test_levels_are_mean_powers(tmp_path):
    step = round(RATE * LEVEL_STEP)
    x = np.repeat([0.0, 0.5, 0.1], (step, 2 * step, step // 4)).astype("f4")
    clips = [write(tmp_path / "a.wav", noise(1000)), write(tmp_path / "b.wav", x)]
    waves = cached_waveforms(clips, RATE, tmp_path / "cache")
    np.testing.assert_allclose(waves.clip_levels(1), [0, 0.25, 0.25, 0.01], rtol=1e-5)
    assert waves.clip_levels(0).size == -(-1000 // step)


def test_progress_is_told(clips, tmp_path):
    told = []
    cached_waveforms(clips, RATE, tmp_path / "cache", lambda *done: told.append(done))
    assert told == [(k, 5) for k in (1, 2, 3, 4, 5)]


def test_all_clips_that_cannot_be_read_are_named_and_nothing_is_left(clips, tmp_path):
    texts = [tmp_path / "notes.wav", tmp_path / "more.wav"]
    for path in texts:
        path.write_text("this is no sound")
    mixed = [clips[0], Clip(texts[0], ("x",)), clips[1], Clip(texts[1], ("x",))]
    with pytest.raises(DatasetError, match="2 of 4 clips cannot be read; repair or remove") as told:
        cached_waveforms(mixed, RATE, tmp_path / "cache")
    assert all(str(path) in str(told.value) for path in texts)
    assert list((tmp_path / "cache").iterdir()) == []
    for path, clip in zip(texts, clips, strict=False):
        path.write_bytes(clip.path.read_bytes())
    assert cached_waveforms(mixed, RATE, tmp_path / "cache").length(0) == 9000  # mended, it goes


def test_of_very_many_the_first_are_named_and_the_others_counted(tmp_path):
    paths = [tmp_path / f"{k:02}.wav" for k in range(23)]
    for path in paths:
        path.write_text("no sound")
    with pytest.raises(DatasetError, match="and 3 more") as told:
        cached_waveforms([Clip(path, ("x",)) for path in paths], RATE, tmp_path / "cache")
    assert str(paths[19]) in str(told.value)
    assert str(paths[20]) not in str(told.value)


def test_a_clip_that_is_missing_is_named(clips, tmp_path):
    gone = Clip(tmp_path / "gone.wav", ("x",))
    with pytest.raises(DatasetError, match=r"gone\.wav: No such file"):
        cached_waveforms([*clips, gone], RATE, tmp_path / "cache")


def test_all_clips_that_are_missing_are_named(clips, tmp_path):
    gone = [Clip(tmp_path / name, ("x",)) for name in ("gone.wav", "lost.wav")]
    with pytest.raises(DatasetError, match=r"(?s)gone\.wav.*lost\.wav"):
        cached_waveforms([*clips, *gone], RATE, tmp_path / "cache")


def test_no_clips_are_no_waveforms(tmp_path):
    waves = cached_waveforms([], RATE, tmp_path / "cache")
    assert waves.samples.size == 0


def test_parts_of_a_long_recording_are_read_in_one_pass(tmp_path, monkeypatch):
    x = noise(30 * RATE)
    clip = write(tmp_path / "long.wav", x)
    times = [
        (3.0, 4.0),
        (1.0, 25.0),
        (24.5, 25.5),
        (25.0, None),
    ]  # apart, over each other, to the end
    parts = [dataclasses.replace(clip, start=a, end=b) for a, b in times]
    opened = []

    def counted(*how, **more):
        opened.append(how)
        return read_blocks(*how, **more)

    monkeypatch.setattr(spool, "read_blocks", counted)
    waves = cached_waveforms(parts, RATE, tmp_path / "cache")
    assert len(opened) == 1
    for k, (a, b) in enumerate(times):
        expected = x[round(a * RATE) : None if b is None else round(b * RATE)]
        np.testing.assert_allclose(waves.read(k, 0, waves.length(k)), expected, atol=1e-4)


def test_parts_that_follow_each_other_are_let_go_one_by_one(tmp_path, monkeypatch):
    clip = write(tmp_path / "long.wav", noise(30 * RATE))
    parts = [dataclasses.replace(clip, start=k / 2, end=k / 2 + 0.6) for k in range(50)]
    spools = []

    def made(*how, **more):
        spools.append(tempfile.SpooledTemporaryFile(*how, **more))  # noqa: SIM115
        assert sum(not spool.closed for spool in spools) <= 14  # what a block of 5 s may begin
        return spools[-1]

    monkeypatch.setattr(spool, "SpooledTemporaryFile", made)
    monkeypatch.setattr(spool, "read_blocks", functools.partial(read_blocks, seconds=5.0))
    cached_waveforms(parts, RATE, tmp_path / "cache")
    assert len(spools) == 50
    assert all(spool.closed for spool in spools)


def test_a_part_that_is_not_finite_is_named_and_its_neighbours_are_not(tmp_path):
    x = noise(3 * RATE)
    x[RATE + 100 : RATE + 200] = np.nan
    clip = write(tmp_path / "holes.wav", x)
    parts = [dataclasses.replace(clip, start=float(a), end=a + 1.0) for a in range(3)]
    with pytest.raises(DatasetError, match=r"1 of 3 clips.*\n.*not finite from 1\.01"):
        cached_waveforms(parts, RATE, tmp_path / "cache")
    beyond = [dataclasses.replace(parts[0], start=7.0, end=8.0)]
    with pytest.raises(DatasetError, match="no sample lies between 7 s and its end"):
        cached_waveforms(beyond, RATE, tmp_path / "cache")


def test_memory_does_not_grow_with_the_sound(tmp_path):
    """Of 20 minutes, 38 MB of samples as numbers, less than a third is held at a time."""
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1) as file:
        for k in range(20):
            file.write(noise(60 * RATE, seed=k))
    clips = [Clip(tmp_path / "long.wav", ("label",))]
    config = TrainingConfig(default_front(RATE), window=1.0, hop=1.0, arch="cnn1d", pools=2)
    model = Classifier(trunk_spec(config, 1)).eval()
    tracemalloc.start()
    try:
        waves = cached_waveforms(clips, RATE, tmp_path / "cache")
        examples = Examples(waves, np.ones((1, 1), "f4"), np.arange(1), waves, np.arange(1))
        assert len(list(epoch_batches(examples, config, RATE, 0))) == 1
        predict(model, config, waves, [0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 13e6


def test_a_clip_that_is_audible_at_its_very_end_has_a_window_there():
    levels = np.zeros(9, np.float32)
    levels[-1] = 1
    starts = [audible_starts(levels, n, 250, 100, -60, -30).tolist() for n in (850, 900)]
    assert starts == [[600], [650]]
    assert not audible_starts(0 * levels, 850, 250, 100, -60, -30).size
