"""One recording to its events: constant memory, and every second accounted for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.errors import ArgumentError
from audiocnn.labeling.recordings import label_recording, score_clip, with_threshold

RATE = 8000


@pytest.fixture(scope="module")
def bundle(bundle_folders):
    return audiocnn.load(bundle_folders["cnn2d"])


def write(path: Path, seconds: float, rate: int = RATE) -> Path:
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * rate)), rate, "FLOAT")
    return path


def test_every_second_is_accounted_for(bundle, tmp_path):
    path = write(tmp_path / "a.wav", 5)
    result = label_recording(bundle, path, rules=with_threshold(dict(bundle.rules), 0.01))
    assert result.seconds == pytest.approx(5)
    assert result.scored == pytest.approx(5, abs=0.05)
    assert (result.lost, result.padded, result.error) == (0, 0, "")
    assert {event.source for event in result.events} == {str(path)}


def test_a_hop_longer_than_the_window_scores_less(bundle, tmp_path):
    result = label_recording(bundle, write(tmp_path / "a.wav", 20), hop=4.0)
    assert 5 < result.scored < 7  # a second in four, and the end


def test_gaps_are_counted_and_part_the_events(bundle, tmp_path):
    path = write(tmp_path / "a.wav", 6)
    x, _ = soundfile.read(path)
    x[3 * RATE : 3 * RATE + 400] = np.inf
    soundfile.write(path, x, RATE, "FLOAT")
    result = label_recording(bundle, path, rules=with_threshold(dict(bundle.rules), 0.01))
    assert result.lost == pytest.approx(0.05)
    assert result.seconds == pytest.approx(5.95)
    assert len(result.events) == 2 * len(bundle.labels)


def test_the_windows_told_are_the_scores_of_the_stream(bundle, tmp_path):
    path, told = write(tmp_path / "a.wav", 4), []
    label_recording(bundle, path, on_windows=lambda name, times, values: told.append(values))
    blocks = audiocnn.read_blocks(path, bundle.rate)
    expected = [run.values for run in audiocnn.listen(bundle, blocks)]
    np.testing.assert_array_equal(np.concatenate(told, 1), np.concatenate(expected, 1))


def test_a_clip_has_scores_energy_and_events(bundle, tmp_path):
    path = write(tmp_path / "a.wav", 3)
    x, _ = soundfile.read(path)
    x[: 2 * RATE] = 0
    soundfile.write(path, x, RATE, "FLOAT")
    values, audible, events = score_clip(bundle, path)
    assert values.shape == (3, audible.size)
    assert not audible[0]
    assert audible[-1]
    assert all(event.label in bundle.labels for event in events)


def test_another_threshold_keeps_the_rest_of_the_rules(bundle):
    rules = with_threshold(dict(bundle.rules), 0.9)
    assert rules["bell"].on == 0.9
    assert rules["bell"].off == pytest.approx(0.9 * 0.5 / 0.51)
    assert rules["bell"].smooth == bundle.rules["bell"].smooth
    with pytest.raises(ArgumentError, match="got 0"):
        with_threshold(rules, 0)


def peak_memory(script: str) -> int:
    """Run Python code in a process of its own; its peak memory in bytes."""
    tail = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", script + tail], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


def test_memory_does_not_grow_with_the_recording(bundle_folders, tmp_path):
    # Ten hours at 4 kHz, tiled; the model's rate and the size of blocks decide about memory.
    minute = write(tmp_path / "minute.wav", 60, 4000)
    hours = tmp_path / "hours.wav"
    x, _ = soundfile.read(minute, dtype="float32")
    with soundfile.SoundFile(hours, "w", 4000, 1, "PCM_16") as file:
        for _ in range(600):
            file.write(x)
    script = (
        "import audiocnn; from audiocnn.labeling.recordings import label_recording;"
        f"r = label_recording(audiocnn.load({str(bundle_folders['cnn1d'])!r}), {{path!r}});"
        "assert not r.error"
    )
    short, long = (peak_memory(script.format(path=str(p))) for p in (minute, hours))
    assert long - short < 50e6
