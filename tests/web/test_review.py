"""Reviews without a browser: items, verdicts on the disk, undo, order, groups, the terminal."""

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from audiocnn.datasets.reviews import read_reviews
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.web.review.alike import by_variety, groups
from audiocnn.web.review.items import open_source
from audiocnn.web.review.review import Review
from audiocnn.web.review.terminal import TerminalReview
from audiocnn.web.review.verdicts import Verdict, VerdictFile, from_text, to_text
from tests.web.recordings import verdicts_in, write_run

RIGHT, WRONG = Verdict("right"), Verdict("wrong")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def test_a_run_and_its_list_beside_it(run: Path) -> None:
    review = Review(open_source(run))
    assert review.progress()["total"] == 20
    review.judge([3], Verdict("other", "owl"))
    item = review.items[3]
    listed = Path(f"{run}.review.csv")
    assert verdicts_in(listed) == [(item.row["start"], item.event.label, "owl")]
    (clip,) = read_reviews(listed, ["hum", "click", "owl"])  # what training reads
    assert clip.labels == ("owl",)
    assert (clip.start, clip.end) == (item.event.start, item.event.end)


def test_every_verdict_is_on_the_disk_at_once_and_a_new_review_goes_on(run: Path) -> None:
    review = Review(open_source(run))
    order = review.order("doubt")
    for n, number in enumerate(order[:7]):
        review.judge([number], RIGHT if n % 2 else WRONG)
        assert len(verdicts_in(Path(f"{run}.review.csv"))) == n + 1
    again = Review(open_source(run))
    assert again.progress()["judged"] == 7
    assert [again.items[n].verdict.kind for n in again.order("doubt")[:8]] == (
        ["wrong", "right"] * 3 + ["wrong", ""]
    )


def test_undo_takes_back_one_step_and_restores_what_was_before(run: Path) -> None:
    review = Review(open_source(run))
    assert review.undo() == []
    review.judge([1], WRONG)
    review.judge([1, 2, 3], RIGHT)
    assert review.undo() == [1, 2, 3]
    assert [review.items[n].verdict for n in (1, 2, 3)] == [WRONG, Verdict(), Verdict()]
    assert review.undo() == [1]
    assert verdicts_in(Path(f"{run}.review.csv")) == []


def test_a_verdict_that_cannot_be_written_is_not_given(run: Path, tmp_path: Path) -> None:
    review = Review(open_source(run, output=tmp_path / "gone" / "list.csv"))
    with pytest.raises(ArgumentError, match="cannot write"):
        review.judge([0], RIGHT)
    assert review.items[0].verdict == Verdict()
    assert review.undo() == []


def test_a_list_of_clips_is_filled_in_and_other_columns_stay(run: Path, tmp_path: Path) -> None:
    listed = tmp_path / "review.csv"
    listed.write_text(
        "clip,path,start,end,label,score,offset,verdict,note\n"
        f",{tmp_path}/night.flac,3.000000,3.500000,click,0.5,,,by hand\n"
        f",{tmp_path}/night.flac,10.4,10.9,hum,0.5,,right,\n"
    )
    review = Review(open_source(listed))
    assert review.progress()["judged"] == 1
    number = next(n for n, item in enumerate(review.items) if item.event.label == "click")
    review.judge([number], WRONG)
    assert verdicts_in(listed) == [("3.000000", "click", "wrong"), ("10.4", "hum", "right")]
    assert listed.read_text().splitlines()[1].endswith(",wrong,by hand")


@pytest.mark.parametrize("label", ["owl", "right", "Wrong", "=x", "a|b", "ü 🦉", 'q"q,', "<b>"])
def test_labels_of_any_kind_come_back(tmp_path: Path, label: str) -> None:
    verdict = Verdict("other", label)
    assert from_text(to_text(verdict)) == verdict
    path = tmp_path / "list.csv"
    key = ("a.wav", "1.000000", "2.000000", "hum")
    row = dict(zip(("path", "start", "end", "label"), key, strict=True))
    VerdictFile(path).put([(key, row, verdict)])
    assert VerdictFile(path).verdict(key) == verdict


def test_bad_verdicts() -> None:
    for kind, label in (("maybe", ""), ("other", ""), ("right", "owl"), ("other", "a\nb"),
                        ("other", "x" * 201)):  # fmt: skip
        with pytest.raises(ArgumentError):
            Verdict(kind, label)


def test_a_station_keeps_verdicts_in_its_database_and_in_the_list(tmp_path: Path) -> None:
    from tests.web.site import write_database

    history = write_database(tmp_path)
    review = Review(open_source(history.path))
    assert len(review.items) == 5
    number = next(n for n, item in enumerate(review.items) if item.id == "a")
    assert review.items[number].offset == 1.5
    review.judge([number], Verdict("other", "fox"))
    with sqlite3.connect(history.path) as connection:
        query = "SELECT verdict, verdict_label FROM events WHERE id = 'a'"
        assert connection.execute(query).fetchone() == ("other", "fox")
    assert [v for *_, v in verdicts_in(Path(f"{history.path}.review.csv"))] == ["fox"]
    history.judge("b", "right")  # on the page, meanwhile
    again = Review(open_source(history.path))
    assert {item.id: item.verdict.kind for item in again.items if item.verdict.kind} == {
        "a": "other", "b": "right",
    }  # fmt: skip


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        open_source(tmp_path / "nothing.csv")


def test_sounds_that_are_alike_are_in_one_group(tmp_path: Path) -> None:
    review = Review(open_source(write_run(tmp_path, 40)))
    assert review.group_of(0) is None
    with pytest.raises(ArgumentError, match="still being compared"):
        review.like(0)
    review.compare_sounds()
    members: dict[int, set[str]] = {}
    for number, item in enumerate(review.items):
        members.setdefault(review.group_of(number) or 0, set()).add(item.event.label)
    assert all(len(labels) == 1 for labels in members.values())
    labels = [review.items[n].event.label for n in review.order("variety")]
    assert sorted(review.order("variety")) == list(range(40))
    assert set(labels[:2]) == {"hum", "click"}  # the second is unlike the first
    like = [review.items[n].event.label for n in review.like(5)]
    assert like == [like[0]] * 20 + [like[-1]] * 20
    assert sorted(review.like(5)) == list(range(40))
    assert review.like(5)[0] == 5


def test_groups_follow_the_vectors_within_a_class() -> None:
    random = np.random.default_rng(0)
    centers = np.array([[5, 0, 0], [0, 5, 0]])
    vectors = np.repeat(centers, 12, axis=0) + 0.1 * random.standard_normal((24, 3))
    found = groups(vectors.astype(np.float32), ["a"] * 24)
    assert len(set(found[:12])) == len(set(found[12:])) == 1
    assert found[0] != found[12]
    order = by_variety(vectors.astype(np.float32), 3)
    assert order[0] == 3
    assert order[1] >= 12


def test_orders(run: Path) -> None:
    review = Review(open_source(run))
    items = review.items
    assert items[review.order("score")[0]].event.score == max(i.event.score for i in items)
    assert items[review.order("doubt")[0]].event.score == min(i.event.score for i in items)
    labels = [items[n].event.label for n in review.order("class")]
    assert labels == sorted(labels)
    times = [(items[n].event.source, items[n].event.start) for n in review.order("time")]
    assert times == sorted(times)
    with pytest.raises(ArgumentError, match="the order is one of"):
        review.order("chance")


def test_the_terminal(run: Path) -> None:
    review = Review(open_source(run))
    keys = iter("rwo?sxubrq")
    out = io.StringIO()
    TerminalReview(review, "doubt", lambda: next(keys), lambda labels: "owl", out).run()
    order = review.order("doubt")
    # r, w, other; skip one; undo the last ("owl"), back to the second, right; quit
    assert [review.items[n].verdict.kind for n in order[:5]] == ["right", "right", "", "", ""]
    text = out.getvalue()
    assert "^" in text
    assert "2 of 20 judged: 2 right, 0 wrong" in text
