"""Window logits of clips, computed once, so that many event rules can be tried on them.

A day of ten classes at two windows a second takes 7 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import AudioError
from audiocnn.inference.bundle import Bundle, require_labels
from audiocnn.inference.model_input import read_for, read_part
from audiocnn.io.audio.blocks import Block
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

Array = NDArray[np.float32]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowLogits:
    """Window logits of clips; implements `audiocnn.evaluation.threshold_search.Windows`.

    Parameters
    ----------
    clips
        K gap-free segments: the clip that each belongs to.
    logits
        (C, W) of all windows, not calibrated.
    clip
        (W,) index of the segment of each window.
    begins, ends
        (W,) seconds in the recording, without padding.
    """

    clips: tuple[Clip, ...]
    logits: Array
    clip: NDArray[np.int64]
    begins: Times
    ends: Times


def clip_logits(
    bundle: Bundle, clip: Clip, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> list[WindowLogits]:
    """Compute the window logits of a clip, one result per gap-free segment.

    A whole recording is scored in constant memory.

    Parameters
    ----------
    bundle, clip
        The model, and the clip.
    reading
        How a signal other than sound is read.

    Raises
    ------
    AudioError
        If it cannot be read to its end.
    """
    blocks: Iterable[Block]
    if clip.start or clip.end is not None:
        blocks = read_part(clip.path, bundle.front, clip.start, clip.end, reading)
    else:
        blocks = read_for(clip.path, bundle.front, reading)
    out = []
    logits: list[Array] = []
    times: list[Times] = []
    for run in require_labels(bundle).pipeline().uncalibrated.scores(blocks):
        logits.append(run.values)
        times.append(run.times + clip.start)
        if run.last:
            begins, ends = np.concatenate(times, axis=1)
            segment = np.zeros(begins.size, np.int64)
            out.append(WindowLogits((clip,), np.concatenate(logits, axis=1), segment, begins, ends))
            logits, times = [], []
    return out


def clips_logits(
    bundle: Bundle, clips: Iterable[Clip], reading: SignalReadOptions = DEFAULT_OPTIONS
) -> Iterator[list[WindowLogits] | AudioError]:
    """Compute the window logits of clips in turn; yield the error of one that cannot be read."""
    for clip in clips:
        try:
            yield clip_logits(bundle, clip, reading)
        except AudioError as error:
            yield error


def concatenate(parts: Sequence[WindowLogits]) -> WindowLogits:
    """Concatenate tables; at least one."""
    n_before = np.cumsum([0, *(len(part.clips) for part in parts[:-1])])
    return WindowLogits(
        tuple(clip for part in parts for clip in part.clips),
        np.concatenate([part.logits for part in parts], axis=1),
        np.concatenate([part.clip + n for part, n in zip(parts, n_before, strict=True)]),
        np.concatenate([part.begins for part in parts]),
        np.concatenate([part.ends for part in parts]),
    )


def select_segments(windows: WindowLogits, wanted: NDArray[np.bool_]) -> WindowLogits:
    """Select segments by a mask (K,), and renumber them."""
    number = np.cumsum(wanted) - 1
    kept = wanted[windows.clip]
    return WindowLogits(
        tuple(clip for clip, keep in zip(windows.clips, wanted.tolist(), strict=True) if keep),
        windows.logits[:, kept], number[windows.clip[kept]],
        windows.begins[kept], windows.ends[kept],
    )  # fmt: skip
