"""The index of embeddings: resumable, exact, and what is found in it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.labeling import embedding_index
from audiocnn.labeling.embedding_index import IndexSettings, open_index, writing_index
from audiocnn.labeling.embedding_tasks import EmbeddedRecording, as_float16
from audiocnn.labeling.similarity import Stretch, find_similar, similarities

DEMO = Path(__file__).parents[2] / "data" / "demo.flac"
SETTINGS = IndexSettings("m", "abc", 0.5, 1.0, 6)


def embedded(name: str, n: int, seed: int = 0, features: int = 6) -> EmbeddedRecording:
    rng = np.random.default_rng(seed)
    begins = 0.5 * np.arange(n)
    scale = 10 ** np.linspace(-1.5, 1.5, features)
    vectors = as_float16(rng.standard_normal((n, features)) * scale)
    return EmbeddedRecording(name, begins, begins + 1.0, vectors, n / 2)


def fill(folder: Path, *recordings: EmbeddedRecording) -> None:
    with writing_index(folder, SETTINGS) as writer:
        for recording in recordings:
            writer.add(recording)


def reference(folder: Path, example: np.ndarray) -> np.ndarray:
    """Compute cosines after standardising, in float64 and without any shortcut."""
    index = open_index(folder)
    rows = np.concatenate([s.vectors[s.live] for s in index.segments]).astype(np.float64)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    z, u = (rows - mean) / deviation, (example - mean) / deviation
    return z @ u / np.linalg.norm(z, axis=1) / np.linalg.norm(u)


@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_search_is_exact(tmp_path_factory, sizes, seed):
    if sum(sizes) < 2:
        return
    folder = tmp_path_factory.mktemp("index") / "index"
    for k, n in enumerate(sizes):  # a segment each
        fill(folder, embedded(f"{k}.wav", n, seed + k))
    example = embedded("x", 1, seed + 1000).vectors[0].astype(np.float32)
    found = similarities(open_index(folder), example)
    np.testing.assert_allclose(found, reference(folder, example), atol=2e-4)


def test_matches_come_by_score_and_do_not_overlap(tmp_path):
    fill(tmp_path / "i", embedded("a.wav", 400, 1), embedded("b.wav", 400, 2))
    index = open_index(tmp_path / "i")
    example = np.asarray(index.segments[0].vectors[100], np.float32)  # of a.wav, from 50 s
    matches = find_similar(index, example, 50)
    assert (matches[0].path, matches[0].start) == ("a.wav", 50.0)
    assert matches[0].score == pytest.approx(1, abs=1e-4)
    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=True)
    for path in ("a.wav", "b.wav"):
        starts = sorted(match.start for match in matches if match.path == path)
        assert min(np.diff(starts)) >= 1.0
    others = find_similar(index, example, 50, leave_out=[Stretch("a.wav", 50.2, 50.3)])
    assert not [m for m in others if m.path == "a.wav" and 49.3 < m.start < 50.3]
    assert not [m for m in find_similar(index, example, 50, leave_out=[Stretch("a.wav")])
                if m.path == "a.wav"]  # fmt: skip
    assert len(find_similar(index, example, 10_000)) < 800
    with pytest.raises(ArgumentError, match="at least 1, got 0"):
        find_similar(index, example, 0)
    with pytest.raises(ArgumentError, match=r"shape \(3,\), and vectors of .* have 6 features"):
        find_similar(index, example[:3], 1)


def test_of_a_recording_that_was_embedded_again_the_new_rows_count(tmp_path):
    folder = tmp_path / "i"
    fill(folder, embedded("a.wav", 30, 1), embedded("none.wav", 0), embedded("b.wav", 30, 2))
    fill(folder, embedded("a.wav", 10, 3))
    index = open_index(folder)
    assert index.n_rows == 40
    example = np.asarray(index.segments[0].vectors[3], np.float32)  # an old row of a.wav
    matches = find_similar(index, example, 100)
    assert max(m.end for m in matches if m.path == "a.wav") <= 5.5
    assert max(m.score for m in matches) < 0.999


def test_what_was_added_before_a_fault_is_kept(tmp_path):
    folder = tmp_path / "i"

    def fault():
        with writing_index(folder, SETTINGS) as writer:
            writer.add(embedded("a.wav", 5))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fault()
    with pytest.raises(DatasetError, match="is incomplete: run the same `audiocnn embed` again"):
        similarities(open_index(folder), np.zeros(6, np.float32))
    with writing_index(folder, SETTINGS) as writer:
        assert list(writer.recordings) == ["a.wav"]
    assert np.isfinite(similarities(open_index(folder), np.zeros(6, np.float32))).all()


def test_segments_are_written_as_they_fill(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_index, "SEGMENT_ROWS", 20)
    fill(tmp_path / "i", *(embedded(f"{k}.wav", 15) for k in range(5)))
    assert [len(s.recordings) for s in open_index(tmp_path / "i").segments] == [2, 2, 1]
    (tmp_path / "i" / "00001.vectors.npy").write_bytes(b"x")
    with pytest.raises(DatasetError, match="segment 00001 is damaged"):
        open_index(tmp_path / "i")


def test_other_settings_and_other_folders_are_refused(tmp_path):
    fill(tmp_path / "i", embedded("a.wav", 5))
    other = IndexSettings("m", "abc", 0.25, 1.0, 6)
    message = r"other settings \(hop 0.5 there, 0.25 now\): name another folder"
    with pytest.raises(DatasetError, match=message), writing_index(tmp_path / "i", other):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with (
        pytest.raises(DatasetError, match="other files"),
        writing_index(tmp_path / "mine", SETTINGS),
    ):
        pass
    with pytest.raises(DatasetError, match="no index in"):
        open_index(tmp_path / "mine")


def test_float16_is_clipped_and_has_no_subnormals():
    found = as_float16(np.array([1e9, -1e9, 1e-6, 0.0, 6.2e-5, 1.5]))
    assert found.tolist() == [65504, -65504, 0, 0, pytest.approx(6.2e-5, rel=1e-3), 1.5]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Index the demo, cut into four recordings, by the command line."""
    folder = tmp_path_factory.mktemp("search")
    sound, rate = soundfile.read(DEMO, dtype="float32")
    for k in range(4):
        soundfile.write(folder / f"{k}.flac", sound[k * 16 * rate : (k + 1) * 16 * rate], rate)
    files = [str(folder / f"{k}.flac") for k in range(4)]
    assert main(["embed", *files, "-o", str(folder / "index")]) == 0
    return folder


def test_a_sound_finds_itself(index, tmp_path, capsys):
    sound, rate = soundfile.read(DEMO, dtype="float32")
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, sound[round(24.5 * rate) : round(26.5 * rate)], rate)
    capsys.readouterr()
    assert main(["search", str(index / "index"), "--like", str(clip), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) <= 10
    assert Path(found[0]["path"]).name == "1.flac"
    assert found[0]["start"] == pytest.approx(8.5, abs=0.6)
    part = f"{index / '1.flac'}:8.5-10.5"
    assert main(["search", str(index / "index"), "--like", part, "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["score", "start", "end", "path"]
    assert len(lines) == 4


def test_an_event_is_an_example(index, tmp_path, capsys):
    run = tmp_path / "run.csv"
    assert main(["label", str(index / "1.flac"), "-o", str(run)]) == 0
    capsys.readouterr()
    assert main(["search", str(index / "index"), "--like", f"{run}:2", "--json"]) == 0
    (event,) = run.read_text().splitlines()[1:2]
    path, start, end = event.split(",")[:3]
    for match in json.loads(capsys.readouterr().out):  # its own stretch is left out
        assert match["path"] != path or match["end"] <= float(start) or match["start"] >= float(end)
    assert main(["search", str(index / "index"), "--like", f"{run}:99"]) == 2
    assert "no event there, the file has" in capsys.readouterr().err
    assert main(["search", str(index / "index"), "--like", f"{index / '1.flac'}:9-8"]) == 2


def test_an_index_is_extended_and_resumed(index, tmp_path, capsys):
    copy = tmp_path / "index"
    shutil.copytree(index / "index", copy)
    files = [str(index / f"{k}.flac") for k in range(4)]
    before = open_index(copy).n_rows
    capsys.readouterr()
    assert main(["embed", *files, "-o", str(copy)]) == 0
    assert "4 of 4 recordings are in it already" in capsys.readouterr().err
    assert open_index(copy).n_rows == before
    new = tmp_path / "new.flac"
    shutil.copy(files[0], new)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"x" * 100)
    more = [*files, str(new), str(bad)]
    assert main(["embed", *more, "-o", str(copy), "--workers", "2"]) == 1
    assert f"audiocnn embed: {bad}" in capsys.readouterr().err
    assert open_index(copy).n_rows == before + before // 4
    assert main(["embed", *more, "-o", str(copy)]) == 0  # it has not changed: not tried again
    assert main(["embed", *files, "-o", str(copy), "--model", "digits"]) == 1
    assert main(["embed", *files, "-o", str(tmp_path / "x.csv")]) == 2
    capsys.readouterr()
    assert main(["search", str(copy), "--like", files[0], "--model", "digits"]) == 1
    assert "was made with another version of 'environment'" in capsys.readouterr().err


def test_an_index_is_of_one_channel(index, tmp_path, capsys):
    sound, rate = soundfile.read(index / "1.flac", dtype="float32")
    two = tmp_path / "two.wav"
    soundfile.write(two, np.stack((np.zeros_like(sound), sound), axis=1), rate)
    folder = tmp_path / "index"
    assert main(["embed", str(two), "-o", str(folder), "--channel", "1"]) == 0
    assert main(["embed", str(two), "-o", str(folder)]) == 1
    assert "(channel 1 there, None now)" in capsys.readouterr().err
    assert main(["search", str(folder), "--like", f"{index / '1.flac'}:8.5-10.5", "--json"]) == 1
    capsys.readouterr()
    assert main(["search", str(folder), "--like", f"{two}:8.5-10.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["search", str(folder), "--like", f"{index / '1.flac'}:8.5-10.5", "--json",
                 "--channel", "0"]) == 0  # fmt: skip
    (best, *_) = json.loads(capsys.readouterr().out)
    assert best["start"] == pytest.approx(8.5, abs=0.6)
