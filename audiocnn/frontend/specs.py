"""The front ends that a bundle may name, and how they are read from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd, is_whole
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.frontend.waveform import WaveformSpec

Front = FrontEnd
KINDS: dict[str, type[FrontEnd]] = {
    front.kind: front for front in (MelSpec, RawSpec, SpectrumSpec, WaveformSpec)
}  # fmt: skip


def front_of(described: Mapping[str, Any]) -> FrontEnd:
    """Make a front end from what `FrontEnd.describe` returned.

    Raises
    ------
    ArgumentError
        If there is no such kind, or a value is missing or out of range.
    """
    values = dict(described)
    kind = KINDS.get(str(values.pop("kind", None)))
    if kind is None:
        raise ArgumentError(
            f"front end {described.get('kind')!r} is not known here, but {', '.join(KINDS)}"
        )
    whole = ("rate", "n_fft", "hop", "n_mels")
    if kind is MelSpec and not all(is_whole(values.get(name)) for name in whole):
        raise ArgumentError(f"rate, n_fft, hop and n_mels must be whole numbers, got {values}")
    values |= {name: tuple(values[name]) for name in ("names", "offset", "scale") if name in values}
    try:
        return kind(**values)
    except TypeError as error:
        raise ArgumentError(f"front end {kind.kind!r}: {error}") from error
