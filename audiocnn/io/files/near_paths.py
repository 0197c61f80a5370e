"""Paths that a table gives nearly right: written on another system, found on this one.

A path may differ from that of the file in the form of its accented letters (macOS writes them
decomposed), in its separators (Windows writes backslashes), in upper and lower case (Windows
and macOS do not care), and in the encoding of the table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

NEAR_ENCODING = "cp1252"  # what spreadsheets on Windows write


def find_near(path: Path) -> Path | None:
    """Find the one file that a path most likely means.

    Parameters
    ----------
    path
        As it is written.

    Returns
    -------
    Path or None
        The path itself if it exists; else the file whose path differs in form, separators,
        case or encoding alone; None if there is no such file, or several.
    """
    if _exists(path):
        return path
    for written in _spellings(str(path)):
        if _exists(Path(written)):
            return Path(written)
    found = {near for written in _spellings(str(path)) for near in _in_folders(Path(written))}
    return found.pop() if len(found) == 1 else None


def why_missing(path: Path) -> str:
    """Say what may be wrong with the path of a file that is not there, as the end of a sentence."""
    text = str(path)
    if _is_escaped(text):
        shown = text.encode("utf-8", "surrogateescape")
        return f"; the path is not UTF-8 ({shown!r}): save the table as UTF-8"
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    similar = sorted(p.name for p in path.parent.iterdir() if p.stem.lower() == path.stem.lower())
    return f"; there is {similar[0]}" if similar else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or a NUL
        return False


def _is_escaped(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _spellings(text: str) -> Iterator[str]:
    """Yield other ways to write a path."""
    texts = [text]
    if "\\" in text:
        texts.append(text.replace("\\", "/"))
    if _is_escaped(text):
        raw = text.encode("utf-8", "surrogateescape")
        texts += [raw.decode(NEAR_ENCODING, "replace").replace("\\", "/")]
    for one in texts:
        yield one
        for form in ("NFC", "NFD"):
            if not _is_escaped(one):
                yield unicodedata.normalize(form, one)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _in_folders(path: Path) -> Iterator[Path]:
    """Yield the files whose path is the same but for case and form, folder by folder."""
    anchor, *rest = path.parts or ("",)
    places = [Path(anchor)] if path.is_absolute() else [Path()]
    for part in rest if path.is_absolute() else path.parts:
        following = []
        for place in places:
            if part in (".", "..") or _exists(place / part):
                following.append(place / part)
                continue
            try:
                names = [entry.name for entry in place.iterdir()]
            except OSError:
                continue
            following += [place / name for name in names if _folded(name) == _folded(part)]
        places = following
    yield from places
