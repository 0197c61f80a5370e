"""One recording only: other moments of it are the judge, and that is said."""

from pathlib import Path

import numpy as np
import pytest

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.groups import BY_MOMENT
from audiocnn.errors import DatasetError
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.training.data.moment_groups import FLATTERS, PIECES, with_moments
from audiocnn.training.train import train_bundle

ONE, TWO = Path("one.wav"), Path("two.wav")


def made(*clips, length=100.0):
    return with_moments([Clip(*clip) for clip in clips], lambda path: length)


def moments(clips):
    return [clip.columns[BY_MOMENT] for clip in clips]


def test_what_touches_is_two_moments_and_what_overlaps_is_one():
    clips = made(
        (ONE, ("a",), 0.0, 2.0), (ONE, ("b",), 2.0, 4.0), (ONE, ("a",), 3.0, 5.0),
        (ONE, ("b",), 6.0, 7.0), (TWO, ("a",), 0.0, 2.0),
    )  # fmt: skip
    assert len(clips) == 5
    first, second, third, fourth, other = moments(clips)
    assert second == third
    assert len({first, second, fourth, other}) == 4


def test_what_a_long_clip_overlaps_is_one_moment():
    clips = made((ONE, (), 0.0, 9.0), (ONE, ("a",), 1.0, 2.0), (ONE, ("a",), 5.0, 6.0),
                 (TWO, ("a",), 0.0, 1.0))  # fmt: skip
    assert len(set(moments(clips)[:3])) == 1
    assert len(set(moments(clips))) == 2


def test_the_only_clip_of_a_class_is_cut():
    clips = made((ONE, ("a",)), (TWO, ("b",), 10.0, 20.0), (TWO, ("c",), 30.0, 31.0),
                 (TWO, ("c",), 40.0, 41.0))  # fmt: skip
    a = [clip for clip in clips if clip.labels == ("a",)]
    assert [(clip.start, clip.end) for clip in a] == [(0, 25), (25, 50), (50, 75), (75, 100)]
    assert sum(clip.labels == ("b",) for clip in clips) == PIECES
    assert sum(clip.labels == ("c",) for clip in clips) == 2
    assert len(set(moments(clips))) == 2 * PIECES + 2


def test_clips_that_overlap_are_cut_at_the_same_times():
    clips = made((ONE, ("a",), 0.0, 8.0), (ONE, ("b",), 3.0, 5.0))
    assert [(c.labels, c.start, c.end) for c in clips] == [
        (("a",), 0, 2), (("a",), 2, 4), (("a",), 4, 6), (("a",), 6, 8),
        (("b",), 3, 4), (("b",), 4, 5),
    ]  # fmt: skip
    assert moments(clips)[1:3] == moments(clips)[4:]


def test_a_recording_that_does_not_say_how_long_it_is_stays_whole():
    clips = made((ONE, ("a",)), length=None)
    (clip,) = clips
    assert clip.end is None


def test_columns_and_ends_that_nobody_cuts_stay_as_they_are():
    clips = with_moments(
        [Clip(ONE, ("a",), columns={"who": "x"}), Clip(TWO, ("a",))], lambda path: 5.0
    )
    assert [clip.end for clip in clips] == [None, None]
    assert clips[0].columns["who"] == "x"


def write(path, rng, labels, seconds=6, rate=50):
    path.parent.mkdir(exist_ok=True)
    rows, n = ["time,x,activity"], 0
    for label, hertz in labels:
        for x in np.sin(np.arange(seconds * rate) * 2 * np.pi * hertz / rate):
            rows.append(f"{n / rate:.2f},{x + rng.normal(0, 0.1):.4f},{label}")
            n += 1
    path.write_text("\n".join(rows) + "\n")
    return path


def test_one_table_is_a_dataset_and_one_more_its_background(tmp_path):
    rng = np.random.default_rng(0)
    table = write(tmp_path / "day.csv", rng, [("slow", 1), ("fast", 5)] * 4 + [("", 3)])
    other = write(tmp_path / "other" / "still.csv", rng, [("", 0)], seconds=20)
    chosen = {"reading": SignalReadOptions(labels="activity"), "background": other.parent,
              "epochs": 2, "folds": 2}  # fmt: skip
    with pytest.raises(DatasetError, match="--group moment"):
        train_bundle(table, tmp_path / "model", **chosen)
    told = []
    bundle = train_bundle(
        table, tmp_path / "model", group=BY_MOMENT, progress=told.append, **chosen
    )
    assert FLATTERS in told[0]
    assert FLATTERS in bundle.card["judged"]
    assert (bundle.card["clips"], bundle.card["groups"]) == (8, 9)
    assert bundle.card["unlabelled"] == 1
    assert any("of 1 clips without a label it detects" in line for line in told)
    assert bundle.card["false_alarms"]["hours"] == pytest.approx(20 / 3600, abs=1e-4)
