from pathlib import Path

import numpy as np
import pytest

from audiocnn.datasets.manifest import Clip
from audiocnn.datasets.reviews import Cut, write_reviews
from audiocnn.errors import DatasetError
from audiocnn.inference.events import Event
from audiocnn.training.data.reviewed import add_reviews, held_with_background, reviewed_in_words
from audiocnn.training.data.splits import Split
from audiocnn.training.run_results import NEVER


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Write verdicts on events of a recording in the dataset, and of two that are not."""
    cuts = []
    for n, source in enumerate(["b.wav", "night.wav", "rain.wav", "night.wav"]):
        (tmp_path / f"{n}.flac").touch()
        event = Event("owl", n, n + 1.0, 0.9, str(tmp_path / source))
        cuts.append(Cut(f"{n}.flac", event, 2.0))
    write_reviews(cuts, tmp_path / "review.csv")
    head, *lines = (tmp_path / "review.csv").read_text().splitlines()
    verdicts = ["right", "WRONG", "fox", "wrong"]
    told = [line + verdict for line, verdict in zip(lines, verdicts, strict=True)]
    (tmp_path / "review.csv").write_text("\n".join([head, *told]) + "\n")
    return tmp_path / "review.csv"


def test_they_are_learnt_from_and_not_judged_on(listed: Path) -> None:
    folder = listed.parent
    clips = [
        Clip(folder / "a.wav", ("owl",), columns={"fold": "1"}),
        Clip(folder / "b.wav", ("fox",), columns={"fold": "2"}),
    ]
    split = Split(np.array([NEVER, 0]), False, np.array([1, 0]))
    found, new = add_reviews(clips, split, [listed], ["fox", "owl"])
    assert found[:2] == clips
    assert [clip.path.name for clip in found[2:]] == ["0.flac", "1.flac", "2.flac", "3.flac"]
    assert [clip.labels for clip in found[2:]] == [("owl",), (), ("fox",), ()]
    assert new.part.tolist() == [NEVER, 0, 0, NEVER, NEVER, NEVER], "b.wav is held out, all of it"
    assert new.group.tolist() == [1, 0, 0, 2, 3, 2], "what comes of one recording is together"
    assert found[2].columns["fold"] == "2"
    assert new.judged(0).tolist() == [1], "what was reviewed is not"
    assert new.n_held == 1
    assert new.crossed is False
    said = "4 reviewed sounds beside them, 2 of which are none of the classes"
    assert reviewed_in_words(found[2:]) == said


def test_they_bring_no_new_classes(listed: Path) -> None:
    split = Split(np.array([0]), False, np.array([0]))
    with pytest.raises(DatasetError, match=r"review\.csv:4: the verdict 'fox' is neither"):
        add_reviews([Clip(Path("a.wav"), ("owl",))], split, [listed], ["owl"])


def test_they_are_held_out_with_the_clip_in_which_they_lie(listed: Path) -> None:
    path = listed.parent / "night.wav"
    clips = [Clip(path, ("owl",), 0.0, 2.5), Clip(path, ("fox",), 2.5, 9.0)]
    split = Split(np.array([0, 1]), True, np.array([0, 0]))
    _, new = add_reviews(clips, split, [listed], ["fox", "owl"])
    assert new.part.tolist() == [0, 1, NEVER, 0, NEVER, 1]  # at 1 to 2 s, and at 3 to 4 s


def test_they_are_held_out_with_the_background_in_which_they_were_found(listed: Path) -> None:
    folder = listed.parent
    clips = [Clip(folder / "a.wav", ("owl",)), Clip(folder / "c.wav", ("fox",))]
    split = Split(np.array([0, 1]), True, np.array([0, 1]))
    found, new = add_reviews(clips, split, [listed], ["fox", "owl"])
    background = [Clip(folder / "night.wav", (), 0.0, 2.0), Clip(folder / "night.wav", (), 2.0)]
    held = held_with_background(found, new, background, np.array([1, 0]))
    assert held.part.tolist() == [0, 1, NEVER, 1, NEVER, 0]
    assert [held.judged(part).tolist() for part in (0, 1)] == [[0], [1]]
