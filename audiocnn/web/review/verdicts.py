"""The file with a person's verdicts: the CSV that `audiocnn clips` makes and training reads.

    clip,path,start,end,label,score,offset,verdict
    ,rec/night.wav,12.500000,14.000000,owl,0.98,,right

Rows that the file already has stay as they are, but for their verdict; events that are
judged get a row. The whole file is replaced at each verdict, so it is complete whenever
the program ends.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from audiocnn.datasets.reviews import COLUMNS, RIGHT, WRONG
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.io.files.atomic import replacing
from audiocnn.io.files.tables import read_table

Key = tuple[str, str, str, str]  # recording, start, end, label: what identifies a row
NEEDED = ("path", "start", "end", "label", "verdict")


@dataclass(frozen=True)
class Verdict:
    """A person's verdict on an event.

    Parameters
    ----------
    kind
        "right", "wrong", or "other"; empty for nothing.
    label
        The true label, with "other".

    Raises
    ------
    ArgumentError
        If the kind is unknown, or a label is missing or given in vain.
    """

    kind: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in ("", RIGHT, WRONG, "other"):
            raise ArgumentError(f"a verdict is right, wrong or other, got {self.kind!r}")
        if (self.kind == "other") != bool(self.label):
            raise ArgumentError("the verdict 'other' needs the true label, and no other has one")
        if any(ord(letter) < 32 for letter in self.label) or len(self.label) > 200:
            raise ArgumentError("a label has at most 200 characters and no line breaks")


def to_text(verdict: Verdict) -> str:
    """Write a verdict as the list has it: a class that is called "right" becomes "=right"."""
    if verdict.kind != "other":
        return verdict.kind
    plain = verdict.label.lower() not in (RIGHT, WRONG) and not verdict.label.startswith("=")
    return verdict.label if plain else f"={verdict.label}"


def from_text(text: str) -> Verdict:
    """Read a verdict of the list."""
    text = text.strip()
    if text.lower() in (RIGHT, WRONG):
        return Verdict(text.lower())
    return Verdict("other", text.removeprefix("=")) if text else Verdict()


class VerdictFile:
    """A review list that is kept up to date.

    Parameters
    ----------
    path
        The CSV; it need not be there.

    Raises
    ------
    DatasetError
        If the file is no review list.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: tuple[str, ...] = COLUMNS
        self.rows: dict[Key, dict[str, str]] = {}
        if path.exists():
            for place, row in read_table(path, NEEDED):
                key = key_of(row["path"], row["start"], row["end"], row["label"], place)
                self.rows[key] = dict(row)
            first = next(iter(self.rows.values()), {})
            self.columns += tuple(name for name in first if name not in COLUMNS)

    def verdict(self, key: Key) -> Verdict:
        """Give the verdict on an event."""
        row = self.rows.get(key)
        return from_text(row["verdict"] or "") if row else Verdict()

    def put(self, verdicts: Iterable[tuple[Key, Mapping[str, str], Verdict]]) -> None:
        """Enter verdicts, and write the file.

        Parameters
        ----------
        verdicts
            The key of each event, the other columns of its row, and its verdict.

        Raises
        ------
        ArgumentError
            If the file cannot be written.
        """
        for key, columns, verdict in verdicts:
            known = self.rows.get(key)
            if known is None and not verdict.kind:
                continue
            row = self.rows.setdefault(key, dict(columns))
            row["verdict"] = to_text(verdict)
        try:
            with replacing(self.path) as part, part.open(
                "w", encoding="utf-8", errors="surrogateescape", newline=""
            ) as file:  # fmt: skip
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(self.columns)
                for row in self.rows.values():
                    writer.writerow([row.get(name) or "" for name in self.columns])
        except OSError as error:
            raise ArgumentError(f"cannot write {self.path}: {error.strerror}") from error


def key_of(path: str, start: str | float, end: str | float, label: str, place: str = "") -> Key:
    """Make the key of an event; times to the microsecond, as lists have them.

    Raises
    ------
    DatasetError
        If a time is no number.
    """
    try:
        return path, f"{float(start):.6f}", f"{float(end):.6f}", label
    except ValueError:
        raise DatasetError(f"{place}: start and end must be seconds") from None
