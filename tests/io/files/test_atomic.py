"""A file is there whole or not at all."""

import os

import pytest

from audiocnn.io.files.atomic import is_left_over, replacing


def test_what_is_written_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replacing(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
        assert part.parent == tmp_path
        assert is_left_over(part)
        assert not is_left_over(path)
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_was_there_stays_when_it_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail():
        with replacing(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_links_are_followed_and_writers_do_not_meet(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "a.txt")
    with replacing(tmp_path / "link.txt") as one, replacing(tmp_path / "link.txt") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "there" / "a.txt").read_text() == "one"
    assert (tmp_path / "link.txt").is_symlink()


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(OSError, match="No such file"), replacing(tmp_path / "no" / "a") as part:
        part.write_text("x")
