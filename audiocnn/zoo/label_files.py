"""Lists of class labels, as networks are published with them.

A text file with a label a line; a CSV with a column ``display_name``, ``label`` or
``name`` (AudioSet, YAMNet); lines of an index and a label (Teachable Machine); or the text
file that TensorFlow's metadata tools put behind a TFLite file, as a zip archive.
"""

from __future__ import annotations

import collections
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.io.files.tables import read_table

COLUMNS = ("display_name", "label", "name")
LARGEST = 1 << 24  # bytes of a list inside a TFLite file


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read labels in the order of a network's outputs.

    Parameters
    ----------
    path
        A text file, or a CSV whose header names one of `COLUMNS`.

    Returns
    -------
    tuple
        Different and not empty.

    Raises
    ------
    ArgumentError
        If it cannot be read, has an empty line between labels, or a label twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path}: cannot be read as a list of labels: {error}") from error
    header = text.partition("\n")[0].strip().casefold().split(",")
    column = next((name for name in COLUMNS if name in header and len(header) > 1), None)
    if column is None:
        return parse_labels(text, str(path))
    rows = [
        {key.casefold(): value for key, value in row.items()}[column] for _, row in read_table(path)
    ]
    return _checked(rows, str(path))


def parse_labels(text: str, name: str) -> tuple[str, ...]:
    """Read labels from lines, with or without their index before them."""
    lines = [line.strip() for line in text.strip("\n").splitlines()]
    numbered = [re.fullmatch(r"(\d+)[\s:,]+(\S.*)", line) for line in lines]
    if lines and all(match and int(match[1]) == i for i, match in enumerate(numbered)):
        lines = [match[2] for match in numbered if match]
    return _checked(lines, name)


def labels_within(content: bytes) -> tuple[str, ...]:
    """Read the labels that are packed behind a TFLite file; none if there are none.

    Raises
    ------
    BundleError
        If there is such a list, and it is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            lists = [e for e in archive.infolist() if e.filename.endswith(".txt")]
            if len(lists) != 1 or lists[0].file_size > LARGEST:
                return ()
            return parse_labels(archive.read(lists[0]).decode("utf-8"), lists[0].filename)
    except zipfile.BadZipFile:
        return ()
    except (OSError, UnicodeDecodeError, ValueError, zlib.error, NotImplementedError) as error:
        raise BundleError(f"the list of labels in the TFLite file is damaged: {error}") from error


def _checked(labels: Sequence[str], name: str) -> tuple[str, ...]:
    for number, label in enumerate(labels, start=1):
        if not label:
            raise ArgumentError(f"{name}: label {number} is empty; every output needs one")
    twice = [label for label, n in collections.Counter(labels).items() if n > 1]
    if twice:
        raise ArgumentError(
            f"{name}: label {twice[0]!r} is there twice; every output needs its own"
        )
    if not labels:
        raise ArgumentError(f"{name}: contains no labels")
    return tuple(labels)
