from pathlib import Path

import pytest

from audiocnn.datasets.manifest import Clip
from audiocnn.datasets.reviews import Cut, read_reviews, write_reviews
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.events import Event

LABELS = ("fox", "owl", "rain", "right")
HEAD = "clip,path,start,end,label,score,offset,verdict\n"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Write a list with the clips a.flac to e.flac, as `clips` does."""
    cuts = []
    for n, name in enumerate("abcde"):
        (tmp_path / f"{name}.flac").touch()
        event = Event("owl", 10.0 + n, 12.5 + n, 0.5, "rec/night, 1.wav")
        cuts.append(Cut(f"{name}.flac", event, 2.0))
    write_reviews(cuts, tmp_path / "review.csv")
    return tmp_path / "review.csv"


def fill(path: Path, *verdicts: str) -> None:
    head, *lines = path.read_text().splitlines()
    lines = [line + verdict for line, verdict in zip(lines, verdicts, strict=False)]
    path.write_text("\n".join([head, *lines]) + "\n")


def test_as_it_stands(listed: Path) -> None:
    first = listed.read_text().splitlines()[1]
    assert first == 'a.flac,"rec/night, 1.wav",10.000000,12.500000,owl,0.500000,2.000000,'


def test_verdicts_to_clips(listed: Path) -> None:
    fill(listed, "right", " WRONG ", "", "rain|fox", "=right")
    folder = listed.parent
    told = read_reviews(listed, LABELS)
    verdicts = ["right", "WRONG", "rain|fox", "=right"]
    assert [clip.columns["verdict"] for clip in told] == verdicts
    assert {clip.columns["recording"] for clip in told} == {"rec/night, 1.wav"}
    assert (told[1].columns["from"], told[1].columns["to"]) == ("11.0", "13.5")
    assert [(clip.path, clip.labels) for clip in told] == [
        (folder / "a.flac", ("owl",)),
        (folder / "b.flac", ()),
        (folder / "d.flac", ("rain", "fox")),
        (folder / "e.flac", ("right",)),
    ]
    assert {(clip.start, clip.end) for clip in told} == {(2.0, 4.5)}


def test_the_recording_stands_for_a_clip_that_is_gone(listed: Path) -> None:
    fill(listed, "right")
    recording = listed.parent / "night.wav"
    recording.touch()
    listed.write_text(listed.read_text().replace('"rec/night, 1.wav"', str(recording)))
    (listed.parent / "a.flac").unlink()
    (clip,) = read_reviews(listed, LABELS)
    assert (clip.path, clip.start, clip.end) == (recording, 10.0, 12.5)
    recording.unlink()
    with pytest.raises(DatasetError, match=r"review\.csv:2: neither the clip .*a\.flac nor the"):
        read_reviews(listed, LABELS)


def test_verdicts_are_never_written_over(listed: Path) -> None:
    with pytest.raises(ArgumentError, match=r"review\.csv is there, and may have verdicts in it"):
        write_reviews([], listed)


BAD = [
    (["", "rigth"], r"review\.csv:3: the verdict 'rigth' is neither right nor wrong nor a class "
                    r"\(did you mean 'right'\?\); the classes are fox, owl, rain, right"),
    (["ow"], r":2: the verdict 'ow' is neither .*did you mean 'owl'"),
    (["rain|"], r":2: the verdict 'rain\|' is neither"),
    (["Owl"], r":2: the verdict 'Owl' is neither .*did you mean 'owl'"),
    (["", ""], r"review\.csv has no verdicts: write right, wrong or the true label into its last"),
]  # fmt: skip


@pytest.mark.parametrize(("verdicts", "message"), BAD)
def test_typos_are_refused(listed: Path, verdicts: list[str], message: str) -> None:
    fill(listed, *verdicts)
    with pytest.raises(DatasetError, match=message):
        read_reviews(listed, LABELS)


ROWS = [
    ("a.flac,x,1,2,hawk,0.5,0,right\n", r":2: right, but 'hawk' is none of the classes; there are"),
    ("a.flac,x,2,1,owl,0.5,0,right\n", r":2: the end must lie after the start, found 2.0 to 1.0"),
    ("a.flac,x,1,2,owl,0.5,,right\n", r":2: offset must be a number, found ''"),
    (
        "a.flac,x,1,2,owl,0.5,0,right\na.flac,x,1,2,owl,0.5,0,wrong\n",
        r":3: 'wrong', but .*review\.csv:2 says 'right' of the same event",
    ),
]


@pytest.mark.parametrize(("rows", "message"), ROWS)
def test_bad_rows(listed: Path, rows: str, message: str) -> None:
    listed.write_text(HEAD + rows)
    with pytest.raises(DatasetError, match=message):
        read_reviews(listed, LABELS)


def test_what_is_wrong_needs_no_known_label(listed: Path) -> None:
    listed.write_text(HEAD + "a.flac,x,1,2,hawk,0.5,0,wrong\na.flac,x,1,2,hawk,0.5,0,wrong\n")
    (clip,) = read_reviews(listed, LABELS)
    assert isinstance(clip, Clip)
    assert clip.labels == ()


def test_lists_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("clip,path,start,end,label,score,verdict\n")
    with pytest.raises(DatasetError, match=r"x\.csv:1: no column 'offset'"):
        read_reviews(tmp_path / "x.csv", LABELS)
    with pytest.raises(DatasetError, match="no such file"):
        read_reviews(tmp_path / "nix.csv", LABELS)
