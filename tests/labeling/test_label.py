"""Recordings and clips: every second accounted for, nothing lost to another's fault."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn.datasets.manifest import Clip
from audiocnn.errors import ArgumentError, AudioError, about
from audiocnn.evaluation import stream_check
from audiocnn.evaluation.clip_scores import evaluate_clips, score_clip, score_clips
from audiocnn.evaluation.stream_check import largest_difference, random_cuts, verify_recording
from audiocnn.inference import model_input
from audiocnn.labeling.coverage import BETWEEN, NOT_FINITE, REST, UNREADABLE
from audiocnn.labeling.label import (
    LabelResult,
    Observers,
    label_recording,
    score_recording,
    with_threshold,
)

RATE = 8000
COLUMN = 0.05  # seconds from column to column in the test models


@pytest.fixture(scope="module", params=["cnn1d", "cnn2d"])
def each_bundle(bundle_folders, request):
    return audiocnn.load(bundle_folders[request.param])


@pytest.fixture(scope="module")
def bundle(bundle_folders):
    return audiocnn.load(bundle_folders["cnn1d"])


@pytest.fixture(scope="module")
def eager(bundle):
    """Give rules by which any sound is an event."""
    return with_threshold(bundle.rules, 0.001)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate, subtype)
    return path


def cut_flac(path: Path) -> Path:
    """Write 20 s of FLAC and throw the second half of its bytes away."""
    soundfile.write(path, noise(20), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def skipped(result: LabelResult) -> dict[str, float]:
    return {s.reason: s.seconds for s in result.coverage.skipped}


def total(result: LabelResult) -> float:
    return result.coverage.scored + sum(skipped(result).values())


def test_every_second_of_a_recording_is_accounted_for(each_bundle, tmp_path):
    path = write(tmp_path / "a.wav", noise(5.03))
    result = label_recording(each_bundle, path)
    assert result.error == ""
    assert result.coverage.seconds == pytest.approx(5.03)
    assert result.coverage.scored > 5.03 - 2 * COLUMN
    assert set(skipped(result)) == {REST}
    assert total(result) == pytest.approx(5.03)
    assert {event.source for event in result.events} <= {str(path)}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 8 * RATE),
    gaps=st.lists(st.tuples(st.floats(0, 1), st.integers(1, RATE)), max_size=3),
    hop=st.sampled_from([0.05, 0.3, 1.5, 4.0]),
)
def test_scored_and_skipped_seconds_add_up_whatever_is_lost(bundle, tmp_path, n, gaps, hop):
    x = noise(8)[:n]
    for at, size in gaps:
        x[round(at * n) :][:size] = np.nan
    path = write(tmp_path / "a.wav", x)
    result = label_recording(bundle, path, hop=hop)
    finite = np.isfinite(x).sum() / RATE
    assert result.coverage.seconds == pytest.approx(n / RATE)
    assert total(result) == pytest.approx(n / RATE)
    assert result.coverage.scored <= finite + 1e-6
    if finite:
        assert skipped(result).get(NOT_FINITE, 0) == pytest.approx(n / RATE - finite)
        assert result.error == ""
    else:
        assert skipped(result) == {UNREADABLE: pytest.approx(n / RATE)}
        assert "no finite sample" in result.error


def test_a_hop_longer_than_the_window_skips_what_lies_between(bundle, tmp_path):
    result = label_recording(bundle, write(tmp_path / "a.wav", noise(20)), hop=4.0)
    n_windows, window = 5, bundle.window  # at 0, 4 ... 16 s, and one at the end
    assert result.coverage.scored == pytest.approx((n_windows + 1) * window, abs=0.2)
    between = next(s for s in result.coverage.skipped if s.reason == BETWEEN)
    assert between.first == pytest.approx(window, abs=0.1)
    assert total(result) == pytest.approx(20)


def test_gaps_part_the_events(bundle, eager, tmp_path):
    x = noise(6)
    x[3 * RATE : 3 * RATE + 400] = np.inf
    result = label_recording(bundle, write(tmp_path / "a.wav", x), rules=eager)
    assert skipped(result)[NOT_FINITE] == pytest.approx(0.05)
    assert len(result.events) == 2 * len(bundle.labels)


def test_what_is_shorter_than_a_window_is_padded_and_said(bundle, tmp_path):
    result = label_recording(bundle, write(tmp_path / "a.wav", noise(0.1)))
    assert result.coverage.padded == pytest.approx(bundle.window - 0.1, abs=COLUMN)
    assert result.coverage.scored == pytest.approx(0.1)
    assert result.coverage.skipped == ()


def test_a_truncated_recording_keeps_its_events_up_to_the_damage(bundle, eager, tmp_path):
    result = label_recording(bundle, cut_flac(tmp_path / "cut.flac"), rules=eager)
    assert "cut off or damaged: it could be read up to" in result.error
    assert result.coverage.seconds == pytest.approx(20)
    lost = next(s for s in result.coverage.skipped if s.reason == UNREADABLE)
    assert 5 < lost.first < 12
    assert total(result) == pytest.approx(20)
    assert len(result.events) == len(bundle.labels)
    assert all(e.end == pytest.approx(lost.first, abs=2 * COLUMN) for e in result.events)


def test_an_mp3_is_as_long_as_what_came_out(bundle, tmp_path):
    soundfile.write(tmp_path / "a.mp3", noise(5, 44100), 44100)
    result = label_recording(bundle, tmp_path / "a.mp3")
    assert result.error == ""
    assert set(skipped(result)) <= {REST}
    assert total(result) == pytest.approx(result.coverage.seconds)


def test_a_bad_recording_costs_no_other(bundle, tmp_path, monkeypatch):
    good = write(tmp_path / "good.wav", noise(2))
    (tmp_path / "empty.wav").touch()
    write(tmp_path / "evil.wav", noise(2))
    original = model_input.read_blocks

    def read_blocks(path, rate, **how):
        if "evil" in str(path):
            raise RuntimeError("the decoder has a fault")
        return original(path, rate, **how)

    monkeypatch.setattr(model_input, "read_blocks", read_blocks)
    paths = [tmp_path / "no.wav", good, tmp_path / "empty.wav", tmp_path / "evil.wav", good]
    no, first, empty, evil, second = (label_recording(bundle, path) for path in paths)
    assert "no such file" in no.error
    assert "is empty" in empty.error
    assert evil.error.endswith("broke its decoder (RuntimeError: the decoder has a fault)")
    assert first == second
    assert first.coverage.seconds == 2


def test_taps_hear_what_the_events_come_from(bundle, tmp_path):
    path, windows, frames, heard = write(tmp_path / "a.wav", noise(25)), [], [], []
    observers = Observers(
        lambda *rows: windows.append(rows),
        lambda *rows: frames.append(rows),
        lambda *seen: heard.append(seen),
    )
    label_recording(bundle, path, observers=observers)
    blocks = audiocnn.read_blocks(path, bundle.rate)
    expected = [run.values for run in audiocnn.listen(bundle, blocks)]
    np.testing.assert_array_equal(
        np.concatenate([values for _, _, values in windows], 1), np.concatenate(expected, 1)
    )
    (begins, ends), values = frames[0][1], frames[0][2]
    assert begins[:2].tolist() == [0, COLUMN]
    assert ends[0] > COLUMN
    assert values.shape == (len(bundle.labels), begins.size)
    assert heard == [(str(path), seconds, 25) for seconds in (10, 20, 25)]


def test_a_tap_that_raises_ends_the_work(bundle, tmp_path):
    def full(*rows: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):  # not a fault of the recording
        label_recording(
            bundle, write(tmp_path / "a.wav", noise(2)), observers=Observers(windows=full)
        )


def test_results_can_go_to_another_process(bundle, tmp_path):
    result = label_recording(bundle, cut_flac(tmp_path / "a.flac"))
    assert pickle.loads(pickle.dumps(result)) == result
    assert pickle.loads(pickle.dumps(label_recording)) is label_recording


def test_another_threshold_keeps_the_rest_of_the_rules(bundle):
    rules = with_threshold(bundle.rules, 0.9)
    assert rules["bell"].on == 0.9
    assert rules["bell"].off == pytest.approx(0.9 * 0.5 / 0.51)
    assert rules["bell"].smooth == bundle.rules["bell"].smooth
    for on in np.random.default_rng(0).uniform(0, 1, 1000):  # off == on, however it is rounded
        with_threshold({"bell": audiocnn.EventRule(0.51, 0.51)}, float(on))
    for on in (0.0, 1.1, float("nan")):
        with pytest.raises(ArgumentError, match=f"got {on}"):
            with_threshold(rules, on)


def test_a_clip_is_scored_on_what_can_be_heard_of_it(bundle, tmp_path):
    x = noise(6).astype(np.float32)
    x[3 * RATE :] = 0
    runs = list(audiocnn.listen(bundle, [audiocnn.Block(x, 0, RATE)]))
    values = np.concatenate([run.values for run in runs], axis=1)
    begins = np.concatenate([run.start + run.hop * np.arange(run.values.shape[1]) for run in runs])
    loud = values[:, begins < 3]
    assert loud.shape[1] < values.shape[1]
    half = score_clip(bundle, Clip(write(tmp_path / "half.wav", x), ()))
    np.testing.assert_allclose(half.scores, loud.mean(axis=1), atol=1e-6)
    silent = score_clip(bundle, Clip(write(tmp_path / "silent.wav", 0 * x), ()))
    assert np.isfinite(silent.scores).all()
    assert (half.seconds, silent.seconds) == (6, 6)


def test_a_part_of_a_recording_has_its_times(bundle, eager, tmp_path):
    from dataclasses import replace

    clip = Clip(write(tmp_path / "a.wav", noise(8)), (), 2.0, 5.0)
    scored = score_clip(replace(bundle, rules=eager), clip)
    assert scored.seconds == 3
    assert {event.start for event in scored.events} == {2.0}
    assert all(event.end == pytest.approx(5, abs=2 * COLUMN) for event in scored.events)


def test_clips_are_evaluated_with_their_backgrounds(bundle, eager, tmp_path):
    from dataclasses import replace

    path = write(tmp_path / "a.wav", noise(3))
    clips = [Clip(path, ("bell",)), Clip(path, ()), Clip(tmp_path / "no.wav", ("frog",))]
    *scored, missing = score_clips(replace(bundle, rules=eager), clips)
    assert isinstance(missing, AudioError)
    found = evaluate_clips(bundle, scored)
    assert (found.clips, found.backgrounds, found.background_alarms) == (1, 1, 1)
    assert found.false_alarms is not None
    assert found.false_alarms.hours == pytest.approx(3 / 3600)
    assert found.false_alarms.active == pytest.approx(1, abs=0.05)
    with pytest.raises(ArgumentError, match="no clips"):
        evaluate_clips(bundle, [])


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("hop", [None, 0.05, 2.2])
def test_random_cuts_change_nothing(each_bundle, tmp_path, rate, hop):
    path = write(tmp_path / "a.wav", noise(7, rate), rate)
    result = verify_recording(each_bundle, path, hop, seed=rate)
    assert result.good, result
    assert result.windows > 2


def test_a_gap_is_verified_too(bundle, tmp_path):
    x = noise(6)
    x[20000:20003] = np.nan
    result = verify_recording(bundle, write(tmp_path / "a.wav", x))
    assert result.good, result


def test_damage_is_verified_up_to_where_it_is_and_is_not_good(bundle, tmp_path):
    result = verify_recording(bundle, cut_flac(tmp_path / "a.flac"))
    assert result.windows > 10
    assert result.difference <= stream_check.ALLOWED
    assert (result.same_events, result.good) == (True, False)
    assert "cut off" in result.error
    assert not verify_recording(bundle, tmp_path / "no.wav").good


def test_what_differs_is_found(bundle, tmp_path, monkeypatch):
    original = stream_check.random_cuts
    monkeypatch.setattr(
        stream_check, "random_cuts", lambda x, n, rng: (1.01 * cut for cut in original(x, n, rng))
    )
    result = verify_recording(bundle, write(tmp_path / "a.wav", noise(7)))
    assert 1e-5 < result.difference < 1
    assert not result.good


def test_cuts_are_empty_single_and_long_and_lose_nothing():
    x = np.arange(100_000, dtype=np.float32)
    cuts = list(random_cuts(x, 5000, np.random.default_rng(0)))
    np.testing.assert_array_equal(np.concatenate(cuts), x)
    sizes = {cut.size for cut in cuts}
    assert {0, 1} <= sizes
    assert 3000 < max(sizes) <= 5000


def test_other_windows_are_infinitely_different():
    run = audiocnn.Scores(0.0, 1.0, 0.5, np.zeros((3, 2), np.float32))
    later = audiocnn.Scores(0.5, 1.0, 0.5, np.zeros((3, 2), np.float32))
    nan = audiocnn.Scores(0.0, 1.0, 0.5, np.full((3, 2), np.nan, np.float32))
    assert largest_difference([run], [run]) == 0
    assert largest_difference([], []) == 0
    for other in ([], [later], [run, run], [nan]):
        assert largest_difference([run], other) == float("inf")


def peak_memory(bundle: Path, path: Path, times: int) -> int:
    """Label a recording played over and over, in a process of its own; its peak in bytes."""
    script = f"""
import itertools, resource, numpy as np, audiocnn
from audiocnn.io.audio.blocks import Block
from audiocnn.inference import model_input
from audiocnn.labeling import label
original = model_input.read_blocks
def tiled(path, rate, **how):
    minute = list(original(path, rate, **how))
    for k in range({times}):
        for block in minute:
            yield Block(block.samples, k * 60 * rate + block.start, rate)
model_input.read_blocks = tiled
rows = [0]
def count(path, times, values): rows[0] += values.shape[1]
observers = label.Observers(windows=count, frames=count)
result = label.label_recording(audiocnn.load({str(bundle)!r}), {str(path)!r}, observers=observers)
assert not result.error, result.error
assert abs(result.coverage.seconds - 60 * {times}) < 1, result.coverage
assert rows[0] > 60 * {times}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.skipif(os.name == "nt", reason="the resource module is Unix's")
def test_ten_hours_need_no_more_memory_than_a_minute(bundle_folders, tmp_path):
    path = write(tmp_path / "minute.wav", noise(60))
    minute, ten_hours = (peak_memory(bundle_folders["cnn1d"], path, n) for n in (1, 600))
    assert ten_hours - minute < 50e6


def test_an_error_names_the_recording_as_the_user_did(bundle, tmp_path):
    (tmp_path / "empty.wav").touch()
    _, _, error = score_recording(bundle, tmp_path / "empty.wav", name="s3://bucket/x.wav")
    assert error.startswith("s3://bucket/x.wav is empty")
    with pytest.raises(AudioError) as raised, about(tmp_path / "x"):
        raise AudioError(f"{tmp_path / 'x'} has no end")
    assert raised.value.path == str(tmp_path / "x")
    assert str(raised.value.renamed("y")) == "y has no end"
    assert str(AudioError("no device").renamed("y")) == "no device"


@pytest.mark.parametrize("kind", ["joined", "unclosed", "cut and joined", "extended"])
def test_scored_and_skipped_seconds_are_what_the_bytes_hold(bundle, tmp_path, kind):
    data = write(tmp_path / "part.wav", noise(4.0), subtype="PCM_16").read_bytes()
    at = data.index(b"data") + 4
    unclosed = data[:at] + bytes(4) + data[at + 4 :]
    path = tmp_path / "a.wav"
    path.write_bytes({
        "joined": data + data,
        "unclosed": unclosed,
        "cut and joined": data[: len(data) // 2 // 4 * 4] + data,
        "extended": data + np.random.default_rng(0).bytes(RATE),  # half a second of samples
    }[kind])  # fmt: skip
    result = label_recording(bundle, path)
    held = {"joined": 8.0, "unclosed": 4.0, "cut and joined": 6.0, "extended": 4.5}[kind]
    assert total(result) == pytest.approx(result.coverage.seconds, abs=1e-6)
    assert total(result) == pytest.approx(held, abs=0.01)
    assert not result.error
