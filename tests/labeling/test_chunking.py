"""A long recording in chunks has the scores of the whole."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn.errors import AudioError
from audiocnn.inference.bundle import grid_of
from audiocnn.io.audio.reader import audio_info
from audiocnn.labeling.chunking import ChunkScores, join_chunks, plan_chunks, score_chunk
from audiocnn.labeling.label import events_of, score_recording
from audiocnn.labeling.score_codec import joined_runs

ALLOWED = 1e-5


@pytest.fixture(scope="module", params=["cnn1d", "cnn2d"])
def bundle(request, bundle_folders):
    return audiocnn.load(bundle_folders[request.param])


def noise(seconds: float, rate: int) -> np.ndarray:
    rng = np.random.default_rng(round(seconds))
    n = round(seconds * rate)
    return (0.1 * rng.standard_normal(n) * np.sin(np.arange(n) / rate)).astype(np.float32)


def in_chunks(bundle, path, seconds: float, hop: float | None = None):
    info, grid = audio_info(path), grid_of(bundle, hop)
    chunks = plan_chunks(info, grid, seconds, long=0)
    found = [score_chunk(bundle, grid, path, chunk) for chunk in chunks]
    joined = [ChunkScores(tuple(joined_runs(f.runs)), f.end) for f in found]
    return chunks, join_chunks(joined, info, grid.rate)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_every_rate(bundle, tmp_path, rate, suffix):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, noise(14.3, rate), rate, subtype="PCM_16")
    chunks, (runs, coverage) = in_chunks(bundle, path, 4.0)
    assert len(chunks) >= 2
    whole, expected, error = score_recording(bundle, path)
    whole, runs = list(joined_runs(whole)), list(joined_runs(runs))
    assert not error
    assert [(r.start, r.values.shape, r.last) for r in runs] == [
        (r.start, r.values.shape, r.last) for r in whole
    ]
    for one, other in zip(runs, whole, strict=True):
        assert np.abs(one.values - other.values).max() < ALLOWED
    assert coverage == expected
    found, wanted = (events_of(r, bundle.rules, "x") for r in (runs, whole))
    assert [(e.label, e.start, e.end) for e in found] == [(e.label, e.start, e.end) for e in wanted]


@settings(deadline=None, max_examples=12)
@given(
    length=st.floats(6, 20), seconds=st.floats(1.5, 5), hop=st.sampled_from([0.1, 0.25, 1.0, 2.5])
)
def test_any_length_part_and_hop(bundle_folders, tmp_path_factory, length, seconds, hop):
    bundle = audiocnn.load(bundle_folders["cnn1d"])
    path = tmp_path_factory.mktemp("chunks") / "x.flac"
    soundfile.write(path, noise(length, 16000), 16000)
    chunks, found = (
        in_chunks(bundle, path, seconds, hop)
        if plan_chunks(audio_info(path), grid_of(bundle, hop), seconds, long=0)
        else ([], None)
    )
    if found is None:
        return
    whole, coverage, _ = score_recording(bundle, path, hop=hop)
    joined, expected = (
        np.concatenate([r.values for r in runs], axis=1) for runs in (found[0], whole)
    )
    assert joined.shape == expected.shape
    assert np.abs(joined - expected).max() < ALLOWED
    assert found[1] == coverage
    assert chunks[-1].last is None


def test_what_is_not_split(bundle, tmp_path):
    grid = grid_of(bundle)
    sound = noise(12, 8000)
    for name, how in {"f.wav": "FLOAT", "o.ogg": "OPUS", "m.mp3": "MPEG_LAYER_III"}.items():
        soundfile.write(tmp_path / name, sound, 8000, subtype=how)
        assert plan_chunks(audio_info(tmp_path / name), grid, 2.0, long=0) == []
    soundfile.write(tmp_path / "x.wav", sound, 8000)
    info = audio_info(tmp_path / "x.wav")
    assert len(plan_chunks(info, grid, 3.0, long=0)) >= 2
    assert plan_chunks(info, grid) == []  # it is short


@pytest.mark.parametrize("name", ["x.wav", "x.ogg", "x.aiff", "x.w64", "x.rf64", "x.flac"])
def test_what_is_cut_off_is_not_taken_for_whole(bundle, tmp_path, name):
    path, grid = tmp_path / name, grid_of(bundle)
    soundfile.write(path, noise(14, 16000), 16000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    chunks = plan_chunks(audio_info(path), grid, 3.0, long=0)
    assert bool(chunks) == (name == "x.flac")  # its header says the same, cut off or not
    if chunks:
        with pytest.raises(AudioError):
            score_chunk(bundle, grid, path, chunks[-1])


def test_a_hole_is_found_by_the_part_that_it_is_in(bundle, tmp_path):
    path, grid = tmp_path / "x.ogg", grid_of(bundle)
    soundfile.write(path, noise(40, 16000), 16000)
    data = bytearray(path.read_bytes())
    at = len(data) * 3 // 8
    data[at] ^= 0x55  # of a page, whose checksum is wrong now: it is left out
    path.write_bytes(data)
    chunks = plan_chunks(audio_info(path), grid, 5.0, long=0)
    failed = []
    for number, chunk in enumerate(chunks):
        try:
            score_chunk(bundle, grid, path, chunk)
        except AudioError:
            failed.append(number)
    assert failed
    assert max(failed) - min(failed) < 2  # two, where their borders meet
    assert "is cut off or damaged" in score_recording(bundle, path)[2]


def test_a_part_that_is_not_all_there_says_so(bundle, tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(12, 8000), 8000)
    info, grid = audio_info(path), grid_of(bundle)
    chunk = plan_chunks(info, grid, 3.0, long=0)[0]
    soundfile.write(path, noise(2, 8000), 8000)
    with pytest.raises(AudioError, match=r"shorter than it should be"):
        score_chunk(bundle, grid, path, chunk)


@pytest.mark.parametrize("name", ["frames", "waveform", "frames-head", "several-head"])
@pytest.mark.parametrize("hop", [0.2, 0.37, 0.8])  # 0.8: longer than the network's window
def test_networks_with_an_input_window(windowed_folders, tmp_path, name, hop):
    bundle = audiocnn.load(windowed_folders[name])
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(15.13, 16000), 16000)
    chunks, (runs, coverage) = in_chunks(bundle, path, 5.0, hop)
    assert len(chunks) >= 2
    whole, expected, _ = score_recording(bundle, path, hop=hop)
    whole, runs = list(joined_runs(whole)), list(joined_runs(runs))
    assert [(r.values.shape, r.last) for r in runs] == [(r.values.shape, r.last) for r in whole]
    for one, other in zip(runs, whole, strict=True):
        np.testing.assert_allclose(one.times, other.times, atol=1e-9)
        np.testing.assert_allclose(one.values, other.values, atol=ALLOWED)
    assert coverage.scored == pytest.approx(expected.scored)
    assert [s.reason for s in coverage.skipped] == [s.reason for s in expected.skipped]
    assert sum(s.seconds for s in coverage.skipped) == pytest.approx(
        sum(s.seconds for s in expected.skipped)
    )
