"""Lists of recordings as other systems and spreadsheets write them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from audiocnn.cli.label_options import listed_path


@pytest.mark.parametrize(
    ("there", "line"),
    [
        ("a b.wav", "a b.wav\r\n"),
        ("a b.wav", '"a b.wav"\r\n'),
        ("rec/a.wav", "rec\\a.wav\n"),
        ("rec/A.WAV", "rec/a.wav\n"),
        (unicodedata.normalize("NFD", "Käuz.wav"), unicodedata.normalize("NFC", "Käuz.wav")),
        ("gone.wav", "gone.wav\n"),
    ],
)
def test_a_line_of_a_list_finds_its_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(there).parent.mkdir(exist_ok=True)
    Path(there).touch()
    assert listed_path(line) == there


def test_what_is_not_there_stays_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert listed_path("none.wav\n") == "none.wav"
    assert listed_path("https://example.org/a.wav\n") == "https://example.org/a.wav"
