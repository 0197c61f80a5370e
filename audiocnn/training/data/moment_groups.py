"""Where a class is in one recording only: judged at other moments of what was learnt from.

    clips     --normal--  --faulty--------------------  --normal--
    moments       0            1      2      3      4        5

Clips of one recording belong together, for a model knows a room and a day when it meets
them again. Who has a single recording has no such judge yet. By moments, what overlaps
stays together and nothing else does; a class with one clip has it cut. The figures say
how well the recording was learnt, and little of a new one, and that is said with them.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.groups import BY_MOMENT
from audiocnn.training.data.splits import Length

PIECES = 4  # that the only clip of a class is cut into
FLATTERS = (
    "at other moments of the recordings that the network had learnt from (expect less of a new one)"
)


def with_moments(clips: Sequence[Clip], length: Length) -> list[Clip]:
    """Return clips a column `BY_MOMENT`, equal for those that overlap in a recording.

    Parameters
    ----------
    clips
        Of any recordings.
    length
        Seconds of a recording; None if it does not say.

    Returns
    -------
    list of Clip
        More, if there were classes whose clips all overlap in one recording: these are
        cut into `PIECES`, unless the recording does not say how long it is.
    """
    found = [replace(clip, end=clip.end or length(clip.path)) for clip in clips]
    of = _moments(found)
    seen: dict[str, set[str]] = defaultdict(set)
    for clip, moment in zip(found, of, strict=True):
        for label in clip.labels:
            seen[label].add(moment)
    cut = {next(iter(moments)) for moments in seen.values() if len(moments) == 1}
    spans: dict[str, tuple[float, float]] = {}
    for clip, moment in zip(found, of, strict=True):
        start, end = spans.get(moment, (math.inf, 0.0))
        spans[moment] = min(start, clip.start), max(end, clip.end or math.inf)
    made: list[Clip] = []
    for clip, before, moment in zip(found, clips, of, strict=True):
        start, end = spans[moment]
        if moment not in cut or math.isinf(end):
            made.append(replace(before, columns={**before.columns, BY_MOMENT: moment}))
            continue
        edges = [start + (end - start) * k / PIECES for k in range(PIECES + 1)]
        for at, piece in enumerate(_pieces(clip, edges)):
            if piece is not None:
                columns = {**clip.columns, BY_MOMENT: f"{moment}.{at}"}
                made.append(replace(piece, columns=columns))
    return made


def _moments(clips: Sequence[Clip]) -> list[str]:
    """Name the moment of each clip; those that overlap in a recording share one."""
    names = [""] * len(clips)
    path, until, number = Path(), 0.0, 0
    for k in sorted(range(len(clips)), key=lambda k: (str(clips[k].path), clips[k].start)):
        clip = clips[k]
        if clip.path != path:
            path, until, number = clip.path, 0.0, 0
        number += clip.start >= until
        until = max(until, math.inf if clip.end is None else clip.end)
        names[k] = f"{path} {number}"
    return names


def _pieces(clip: Clip, edges: Sequence[float]) -> Iterator[Clip | None]:
    """Return what of a clip lies between each edge and the next; None for nothing."""
    assert clip.end is not None, "clips of unknown length are not cut"
    for low, high in itertools.pairwise(edges):
        start, end = max(clip.start, low), min(clip.end, high)
        yield replace(clip, start=start, end=end) if start < end else None
