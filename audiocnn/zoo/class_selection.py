"""Choosing among hundreds of classes by names that people write.

Case, spaces, underscores and punctuation do not matter. A name may be

- a label, or one of the names that a label consists of: ``bowed string instrument``,
  ``man speaking`` for "Male speech, man speaking", ``Turdus merula`` or ``common
  blackbird`` for "Turdus merula_Common Blackbird";
- a class of AudioSet that has classes below it: then those are chosen too, as far as the
  model has them. ``Domestic animals, pets`` is no output of any network, but Dog and Cat
  are. ``=Dog`` chooses Dog alone;
- nothing that is known: refused, with what is near.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, load
from audiocnn.zoo.audioset import children, descendants

EXACT = "="  # before a name: without what is below it
SHOWN = 5  # near names in a message


def choose_classes(labels: Sequence[str], wanted: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Find the labels that a user means.

    Parameters
    ----------
    labels
        Of the model.
    wanted
        Names with commas between them, or a text file with a name a line; empty lines and
        what follows a ``#`` at the start of a line are skipped. A name with a comma in it
        needs no quotes. Or a sequence of names.

    Returns
    -------
    tuple
        Labels, in the model's order.

    Raises
    ------
    ArgumentError
        If a name fits no class or several, or nothing is named.

    Examples
    --------
    >>> choose_classes(("Dog", "Bark", "Male speech, man speaking"), "dog, man_speaking")
    ('Dog', 'Bark', 'Male speech, man speaking')
    """
    index = _Index(labels)
    if isinstance(wanted, str | Path):
        names = _read_names(wanted) if _is_file(wanted) else _split(str(wanted), index)
    else:
        names = list(wanted)
    if not names:
        raise ArgumentError(f"no classes are named in {str(wanted)!r}: give names, or a file")
    chosen: set[str] = set()
    for name in names:
        chosen |= index.find(name)
    return tuple(label for label in labels if label in chosen)


def load_classes(
    model: str | Path, wanted: str | Path | Sequence[str] | None, *, accelerator: str = "cpu"
) -> Bundle:
    """Load a model with some of its classes; with all of them if ``wanted`` is None.

    Parameters
    ----------
    model, accelerator
        As for `audiocnn.load`.
    wanted
        As for `choose_classes`.
    """
    bundle = load(model, accelerator=accelerator)
    return bundle if wanted is None else bundle.select(choose_classes(bundle.labels, wanted))


class _Index:
    """The labels of a model by everything that they may be called."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels
        self.whole = {normalize(label): label for label in reversed(labels)}
        self.parts: dict[str, set[str]] = {}
        for label in labels:
            for part in re.split(r"[_,;()/]", label):
                if key := normalize(part):
                    self.parts.setdefault(key, set()).add(label)
        known = set(labels)
        self.groups: dict[str, set[str]] = {}
        for group in children():
            if below := known & (descendants(group) | {group}):
                self.groups[normalize(group)] = below

    def knows(self, name: str) -> bool:
        key = normalize(name)
        return key in self.whole or key in self.groups or key in self.parts

    def find(self, name: str) -> set[str]:
        """Labels that a name means; at least one."""
        exact = name.lstrip().startswith(EXACT)
        key = normalize(name)
        if key in self.whole:
            return {self.whole[key]} | (set() if exact else self.groups.get(key, set()))
        if key in self.groups and not exact:
            return self.groups[key]
        found = self.parts.get(key, set())
        if len(found) == 1:
            label = next(iter(found))
            return {label} | (set() if exact else self.groups.get(normalize(label), set()))
        if found:
            raise ArgumentError(
                f"{name.strip()!r} is part of {len(found)} classes: {_some(found)}; write one in "
                "full"
            )
        raise ArgumentError(self._unknown(name.strip(), key))

    def _unknown(self, name: str, key: str) -> str:
        titles = {**{k: min(v) for k, v in self.parts.items()}, **self.whole}
        titles = {**{k: k for k in self.groups}, **titles}
        inside = [title for k, title in titles.items() if key and f" {key} " in f" {k} "]
        near = inside or [titles[k] for k in difflib.get_close_matches(key, titles, n=SHOWN)]
        hint = (
            f"did you mean {_some(dict.fromkeys(near))}?"
            if near
            else "audiocnn info MODEL \
--json lists them"
        )
        return f"the model has no class {name!r} among its {len(self.labels):,}; {hint}"


def normalize(name: str) -> str:
    """Give what remains of a name when case and punctuation do not count.

    Examples
    --------
    >>> normalize(" Fire_engine, fire truck (siren) ")
    'fire engine fire truck siren'
    """
    return " ".join(re.findall(r"\w+", name.casefold().replace("_", " ")))


def _some(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _is_file(wanted: str | Path) -> bool:
    try:
        return Path(wanted).is_file()
    except (OSError, ValueError):  # too long for a path
        return False


def _read_names(path: str | Path) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path}: cannot be read as a list of classes: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _split(wanted: str, index: _Index) -> list[str]:
    """Part a list at its commas, but not at those within a label."""
    parts = wanted.split(",")
    names: list[str] = []
    begin = 0
    while begin < len(parts):
        for end in range(len(parts), begin, -1):
            joined = ",".join(parts[begin:end]).strip()
            if end == begin + 1 or normalize(joined) in index.whole | index.groups:
                break
        if joined:
            names.append(joined)
        begin = end
    return names
