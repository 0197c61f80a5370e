"""README and docs are correct: their code runs, their commands parse, what they name exists."""

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import audiocnn
from audiocnn.cli.main import build_parser
from audiocnn.streaming.config import change_rules, read_settings
from tests import test_demo_signals

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LIMIT = 6 * 1024  # bytes of the README


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return the language and the text of every fenced block."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def all_of(language: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each block of a language, over all pages."""
    for path in PAGES:
        found = [text for kind, text in blocks(path) if kind == language]
        yield from ((f"{path.name}-{n}", text) for n, text in enumerate(found, start=1))


def commands() -> list[str]:
    """Return every command line of `audiocnn` in the shell blocks and in table cells."""
    lines = [line for _, text in all_of("sh") for line in text.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"^\| `(audiocnn [^`]+)`", README.read_text(encoding="utf-8"), re.M)
    found = (re.search(r"(?:^|\| )(audiocnn [^|>&]+)", line.partition(" #")[0]) for line in lines)
    return sorted({match[1].strip() for match in found if match})


@pytest.mark.parametrize(("place", "code"), list(all_of("python")), ids=lambda x: x[:20])
def test_python_runs(place: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{place}: {done.stderr}"


def test_the_readme_prints_events() -> None:
    (code,) = (text for kind, text in blocks(README) if kind == "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Event(label=" in done.stdout


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command)[1:])
    assert args.verb or args.version


def test_the_demo_prints_what_the_readme_shows() -> None:
    shown = next(text for kind, text in blocks(README) if not kind and "score" in text)
    done = subprocess.run(
        [sys.executable, "-m", "audiocnn", "label", "data/demo.flac", "--table"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        assert " ".join(line.split()[:3]) in " ".join(shown.split())


@pytest.mark.parametrize(("place", "text"), list(all_of("toml")), ids=lambda x: x[:20])
def test_settings_can_be_read(place: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(text)
    settings = read_settings(tmp_path / "settings.toml")
    change_rules(settings, audiocnn.load("environment").rules)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"^[A-Z_]{5,}$", text, re.MULTILINE), "something is left to fill in"
    for name in re.findall(r"`((?:scripts|data|tests|audiocnn|docs)/[\w./-]+)[`:]", text):
        assert (ROOT / name).exists(), name
    for package in re.findall(
        r"`((?:cli|io|frontend|networks|inference|zoo|annotations|datasets"
        r"|evaluation|training|labeling|streaming|web)/[\w./]+)`",
        text,
    ):
        assert (ROOT / "audiocnn" / package).exists(), package
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (path.parent / link).exists(), link


def test_objects_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = re.findall(r"`(audiocnn(?:\.\w+)+)`", text)
    assert names
    for name in names:
        module, _, rest = name.rpartition(".")
        if rest[0].isupper() or not (ROOT / Path(*name.split("."))).with_suffix(".py").exists():
            owner = importlib.import_module(module) if _is_module(module) else None
            assert owner is not None, name
            assert hasattr(owner, rest), name


def _is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def test_the_package_diagram_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/draw_packages", "--check"], cwd=ROOT, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= LIMIT


def test_the_commands_for_signals_are_those_of_the_test() -> None:
    block = next(text for _, text in all_of("sh") if "make_demo_signals" in text)
    assert block.splitlines() == list(test_demo_signals.COMMANDS)
