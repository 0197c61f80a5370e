"""A lock keeps others out while its holder lives, and leaves nothing behind."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.io.files.locks import alone


def test_one_at_a_time(tmp_path):
    with (
        alone(tmp_path / "work", "someone is at it"),
        pytest.raises(AudiocnnError, match=r"work: someone is at it; wait for its end"),
        alone(tmp_path / "work", "someone is at it"),
    ):
        raise AssertionError("both are in")
    with alone(tmp_path / "work", "nobody is"):
        assert [path.name for path in tmp_path.iterdir()] == ["work-lock"]
    assert not list(tmp_path.iterdir())


def test_it_goes_with_an_error_too(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "work", ""):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_it_dies_with_its_holder(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from audiocnn.io.files.locks import alone\n"
        "with alone(Path(sys.argv[1]), ''):\n    print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "work")],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert holder.stdout
    holder.stdout.readline()
    with pytest.raises(AudiocnnError, match="held"), alone(tmp_path / "work", "held"):
        pass
    holder.kill()
    holder.communicate()
    with alone(tmp_path / "work", "held"):
        pass


def test_many_take_turns(tmp_path):
    """Who finds it taken comes again; nobody is ever in at the same time."""
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from audiocnn.errors import AudiocnnError; from audiocnn.io.files.locks import alone\n"
        "path = Path(sys.argv[1]); done = 0\n"
        "while done < 50:\n"
        "    try:\n"
        "        with alone(path, ''):\n"
        "            os.close(os.open(f'{path}.in', os.O_CREAT | os.O_EXCL))\n"
        "            os.unlink(f'{path}.in'); done += 1\n"
        "    except AudiocnnError:\n"
        "        time.sleep(0.001)\n"
    )
    begun = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "work")],
                         cwd=Path(__file__).parents[3])
        for _ in range(3)
    ]  # fmt: skip
    end = time.monotonic() + 60
    assert [process.wait(max(1, end - time.monotonic())) for process in begun] == [0, 0, 0]


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    with pytest.raises(ArgumentError, match="cannot write"), alone(tmp_path / "no" / "x", ""):
        pass
