"""Labels as names of files, folders and topics."""

from __future__ import annotations

import re
import zlib

RESERVED = {"aux", "con", "nul", "prn", *(f"com{i}" for i in range(10)),
            *(f"lpt{i}" for i in range(10))}  # fmt: skip  # devices, to Windows
LONGEST = 60  # bytes, so that a time and a number still fit beside it


def safe_name(label: str) -> str:
    """Convert a label to a name that every file system and broker accepts.

    Parameters
    ----------
    label
        Any text.

    Returns
    -------
    str
        Letters, digits, ``-`` and ``_``, in lower case; where more than spaces and
        case had to change, with a checksum, so that two labels stay two names.

    Examples
    --------
    >>> safe_name("Dog bark")
    'dog_bark'
    >>> safe_name("../etc")
    'etc-44ab8fbd'
    """
    kept = label.strip().lower().replace(" ", "_")
    name = re.sub(r"[^a-z0-9_-]+", "_", kept).strip("_-")[:LONGEST]
    if name and name == kept and name not in RESERVED:
        return name
    checksum = zlib.crc32(label.encode("utf-8", "surrogatepass"))
    return f"{name or 'label'}-{checksum:08x}"
