"""The README does what it says: its Python runs, its commands are there, its demo is this one."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import audiocnn
from audiocnn.cli.main import build_parser
from audiocnn.streaming.config import change_rules, read_settings
from tests import test_demo_signals

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = sorted(
    {
        line[line.index("audiocnn ") :].partition(" #")[0].strip()
        for kind, block in BLOCKS
        if kind == "sh"
        for line in block.splitlines()
        if re.search(r"(^|\| )audiocnn ", line)
    }
)


@pytest.mark.parametrize("code", [block for kind, block in BLOCKS if kind == "python"])
def test_its_python_runs(code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Event(label=" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_there(command):
    args = build_parser().parse_args(shlex.split(command)[1:])
    assert args.verb


def test_the_demo_prints_what_it_shows():
    shown = next(block for kind, block in BLOCKS if not kind and "clock_tick" in block)
    done = subprocess.run(
        [sys.executable, "-m", "audiocnn", "label", "data/demo.flac", "--table"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        assert " ".join(line.split()[:3]) in " ".join(shown.split())


def test_its_settings_can_be_read(tmp_path):
    (text,) = (block for kind, block in BLOCKS if kind == "toml")
    (tmp_path / "settings.toml").write_text(text)
    settings = read_settings(tmp_path / "settings.toml")
    change_rules(settings, audiocnn.load("environment").rules)
    assert len(settings.sinks) == 4


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"^[A-Z_]{5,}$", TEXT, re.MULTILINE)
    for path in re.findall(r"`((?:scripts|data|tests|audiocnn)/[\w./-]+)`", TEXT):
        assert (ROOT / path).exists(), path


def test_its_signals_are_those_of_the_test():
    block = next(block for kind, block in BLOCKS if kind == "sh" and "make_demo_signals" in block)
    assert block.splitlines() == list(test_demo_signals.COMMANDS)
