"""Numbers with units in settings: "90 days", "2 GB"; as types that say what they are.

A parameter of a sink that is annotated with one of these types takes such texts from a
settings file. In Python they are plain numbers: seconds and bytes.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "days": 86400.0}
BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
QUANTITY = re.compile(r"(\d+(?:\.\d+)?) *([A-Za-z]+)")

# A bare number of seconds is clear enough for short times. Ages and sizes need their unit:
# `max_age = 30` may mean days and `max_size = 1` gigabytes, and files are deleted by them.
Seconds = Annotated[float, msgspec.Meta(extra={"units": SECONDS, "bare": True})]
Age = Annotated[float, msgspec.Meta(extra={"units": SECONDS, "bare": False})]
Size = Annotated[int, msgspec.Meta(extra={"units": BYTES, "bare": False})]


def units_of(hint: Any) -> tuple[Mapping[str, float], bool]:
    """Give the units that a type takes, and whether it takes a bare number too."""
    for part in (hint, *typing.get_args(hint)):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra and "units" in meta.extra:
                return meta.extra["units"], bool(meta.extra["bare"])
    return {}, True


def parse_quantity(text: str, units: Mapping[str, float]) -> float | None:
    """Read a number with a unit; None if it is none, or the unit is another."""
    match = QUANTITY.fullmatch(text.strip())
    if match is None or match[2] not in units:
        return None
    return float(match[1]) * units[match[2]]
