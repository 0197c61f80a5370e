"""Groups stay together, classes are left to learn from, and what cannot be is said."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.training.data.splits import judging_parts, split_background, split_clips
from audiocnn.training.run_results import NEVER


def clips(n: int, classes: int = 2, groups: int = 0) -> list[Clip]:
    return [
        Clip(Path(f"{k}.wav"), (f"c{k % classes}",),
             columns={"who": f"g{k // classes % groups}" if groups else "", "fold": str(k % 3)})
        for k in range(n)
    ]  # fmt: skip


@given(st.integers(2, 6), st.integers(1, 3), st.integers(0, 99))
def test_groups_stay_together_and_every_clip_is_held_out_once(folds, classes, seed):
    made = clips(40, classes, groups=8)
    split = split_clips(made, windows=10, folds=folds, group="who", seed=seed)
    assert split.crossed
    assert split.parts == list(range(folds))
    for group in range(8):
        assert len({int(p) for p, g in zip(split.part, split.group, strict=True) if g == group}) < 2
    who = [clip.columns["who"] for clip in made]
    assert len(set(zip(who, split.group.tolist(), strict=True))) == 8


def test_little_data_is_cross_validated_and_much_is_not():
    assert split_clips(clips(40), windows=900).parts == [0, 1, 2, 3]
    large = split_clips(clips(40), windows=1100)
    assert not large.crossed
    assert (large.part != NEVER).sum() == 8  # a fifth
    assert split_clips(clips(6), windows=10).parts == [0, 1, 2]  # three clips of each class
    assert split_clips(clips(40), windows=1100, folds="2").parts == [0, 1]
    assert not split_clips(clips(40), windows=10, folds=1).crossed


def test_a_column_may_say_the_folds():
    made = clips(12)
    split = split_clips(made, windows=10, folds="fold")
    assert split.part.tolist() == [k % 3 for k in range(12)]
    with pytest.raises(ArgumentError, match=r"--folds who: the column has 0 value"):
        split_clips(made, windows=10, folds="who")
    with pytest.raises(DatasetError, match="'season'"):
        split_clips(made, windows=10, folds="season")


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"valid": {"fold": ["7"]}}, ArgumentError, "--valid fold=7 keeps 0 of 12 clips apart"),
        ({"valid": {"fold": ["0"]}, "folds": 3}, ArgumentError, "both say what is held out"),
        ({"folds": 0}, ArgumentError, "--folds takes 1 or more"),
        ({"folds": 13}, ArgumentError, "there are 12 groups"),
        ({"folds": 2, "group": "one"}, DatasetError, "c0, c1 have one one only"),
    ],
)
def test_what_cannot_be_is_said(how, error, message):
    made = [Clip(c.path, c.labels, columns={**c.columns, "one": "x"}) for c in clips(12)]
    with pytest.raises(error, match=message):
        split_clips(made, windows=10, **how)


def test_no_class_is_held_out_whole():
    made = [*clips(12), Clip(Path("x.wav"), ("rare",), columns={"fold": "0"})]
    with pytest.raises(DatasetError, match="too few clips: rare has one recording only"):
        split_clips(made, windows=10)
    with pytest.raises(DatasetError, match="all clips of 'rare' would be held out at once"):
        split_clips(made, windows=10, valid={"fold": ["0"]})


def test_what_is_judged_takes_no_part_in_choosing():
    made = clips(40, groups=10)
    crossed = split_clips(made, windows=10, folds=4, group="who")
    assert judging_parts(made, crossed, "who", 0) is crossed.part
    apart = split_clips(made, windows=10, folds=1, group="who")
    halves = judging_parts(made, apart, "who", 0)
    assert set(halves[apart.part != NEVER].tolist()) == {0, 1}
    assert (halves[apart.part == NEVER] == NEVER).all()
    for group in set(apart.group.tolist()):
        assert len(set(halves[apart.group == group].tolist())) == 1


def test_backgrounds_are_dealt_and_one_long_one_is_cut():
    def length(path):
        return 8.0

    made = clips(40)
    crossed = split_clips(made, windows=10, folds=4)
    apart = split_clips(made, windows=10, folds=1)
    many = [Clip(Path(f"b{k}.wav"), ()) for k in range(9)]
    assert split_background(many, crossed, length)[1].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert np.flatnonzero(split_background(many, apart, length)[1] == 0).tolist() == [4]
    parts, part = split_background([Clip(Path("long.wav"), ())], crossed, length)
    assert [(c.start, c.end) for c in parts] == [(0, 2), (2, 4), (4, 6), (6, None)]
    assert part.tolist() == [0, 1, 2, 3]
