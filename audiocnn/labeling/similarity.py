"""Exact search for the windows of an index that are most similar to an example.

The score of a row is the cosine of the angle between the standardised row and the
standardised example. With z = (v - mean) * scale and a unit vector u of the example,

    score = u . z / |z| = (w . v - w . mean) / |z|,    w = u * scale,

so that one product over the float16 rows as they are stored suffices; |z| is stored.

NumPy's conversion of float16 takes several times as long as that product
(scripts/bench_search). Shifting the bits into those of a float32 is exact and fast: sign,
exponent and fraction keep their order, and the exponent's other bias is a factor of 2**112,
which is multiplied into ``w``. (`as_float16` writes no subnormal values, which would be
exact as well, but slow on some processors.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.labeling.embedding_index import BLOCK_ROWS, EmbeddingIndex, Segment, scale_of

BIAS = np.float32(2.0**112)  # exponents of float32 are biased by 127, those of float16 by 15
KEPT_BITS = np.int32(-0x70002000)  # 0x8FFFE000: sign, 5 bits of exponent, 10 of fraction
TASK_ROWS = 1 << 16  # rows that a thread scores at once


@dataclass(frozen=True)
class Match:
    """A window of a recording.

    Parameters
    ----------
    path
        The recording.
    start, end
        Seconds.
    score
        Similarity to the example, -1 to 1.
    """

    path: str
    start: float
    end: float
    score: float


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording, in seconds; ``end`` None: to its end."""

    path: str
    start: float = 0.0
    end: float | None = None


def find_similar(
    index: EmbeddingIndex,
    example: NDArray[np.float32],
    n: int,
    *,
    leave_out: Sequence[Stretch] = (),
) -> list[Match]:
    """Find the windows that are most similar to an example.

    Parameters
    ----------
    index
        Where to search; all of its rows are compared.
    example
        (D,) an embedding by the same model.
    n
        How many at most.
    leave_out
        Stretches of recordings to pass over, such as the example's own.

    Returns
    -------
    list of Match
        By descending score. Of windows of one recording that overlap, only the best.

    Raises
    ------
    ArgumentError
        If the example has another length, or ``n`` is less than 1.
    """
    if n < 1:
        raise ArgumentError(f"the number of matches must be at least 1, got {n}")
    if example.shape != (index.settings.features,):
        raise ArgumentError(
            f"the example has shape {example.shape}, and vectors of {index.folder} have "
            f"{index.settings.features} features"
        )
    scores = similarities(index, example)
    ends = np.cumsum([len(segment.vectors) for segment in index.segments])
    matches: list[Match] = []
    for row in _by_score(scores):
        at = int(np.searchsorted(ends, row, side="right"))
        segment = index.segments[at]
        match = _match(segment, row - int(ends[at]) + len(segment.vectors), float(scores[row]))
        if _is_left_out(match, leave_out) or any(_overlap(match, other) for other in matches):
            continue
        matches.append(match)
        if len(matches) == n:
            break
    return matches


def similarities(index: EmbeddingIndex, example: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the score (N,) of every row of an index; -inf where a row does not count."""
    mean, deviation = index.statistics()
    scale = scale_of(deviation)
    unit = (example.astype(np.float64) - mean) * scale
    unit /= max(float(np.linalg.norm(unit)), 1e-30)
    weights = unit * scale
    largest = max(float(np.abs(weights).max(initial=0.0)), 1e-30)
    weights /= largest  # so that the bias cannot overflow; norms are divided by it as well
    offset = float(weights @ mean)
    scaled = (weights * BIAS).astype(np.float32)
    scores = np.empty(sum(len(segment.vectors) for segment in index.segments), np.float32)
    tasks, at = [], 0
    for segment in index.segments:
        for first in range(0, len(segment.vectors), TASK_ROWS):
            rows = segment.vectors[first : first + TASK_ROWS]
            tasks.append((rows, scores[at + first : at + first + len(rows)]))
        at += len(segment.vectors)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # NumPy computes without the GIL
        list(threads.map(lambda task: _dot(task[0], scaled, task[1]), tasks))
    at = 0
    for segment in index.segments:
        part = scores[at : at + len(segment.vectors)]
        norms = index.norms(segment) / np.float32(largest)
        part -= np.float32(offset)
        np.divide(part, norms, out=part, where=norms > 0)
        part[(norms <= 0) & segment.live] = 0
        part[~segment.live] = -np.inf
        at += len(segment.vectors)
    return scores


def _dot(rows: NDArray[np.float16], weights: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Multiply float16 rows (n, D) by weights that hold the factor `BIAS`."""
    bits = rows.view(np.int16)
    buffer = np.empty((BLOCK_ROWS, rows.shape[1]), np.int32)
    for at in range(0, len(rows), BLOCK_ROWS):
        part = buffer[: min(BLOCK_ROWS, len(rows) - at)]
        np.copyto(part, bits[at : at + BLOCK_ROWS])
        np.left_shift(part, 13, out=part)
        np.bitwise_and(part, KEPT_BITS, out=part)
        np.dot(part.view(np.float32), weights, out=out[at : at + BLOCK_ROWS])


def _by_score(scores: NDArray[np.float32]) -> Iterator[int]:
    """Give rows by descending score, sorting only as many as are taken."""
    done, size = 0, 1024
    while done < len(scores):
        size = min(4 * size, len(scores))
        top = np.argpartition(-scores, size - 1)[:size] if size < len(scores) else np.arange(size)
        top = top[np.argsort(-scores[top], kind="stable")]
        for row in top[done:].tolist():
            if scores[row] == -np.inf:
                return
            yield row
        done = size


def _match(segment: Segment, row: int, score: float) -> Match:
    at = int(np.searchsorted(segment.first, row, side="right")) - 1
    start, end = segment.times[row].tolist()
    return Match(segment.recordings[at].path, start, end, score)


def _is_left_out(match: Match, stretches: Sequence[Stretch]) -> bool:
    return any(
        match.path == stretch.path
        and match.end > stretch.start
        and (stretch.end is None or match.start < stretch.end)
        for stretch in stretches
    )


def _overlap(one: Match, other: Match) -> bool:
    return one.path == other.path and one.start < other.end and other.start < one.end
