"""Recordings scored once, window by window, so that many rules can be tried on them.

What is kept is small: a day of ten classes at two windows a second takes 7 MB.
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
from audiocnn.inference.windows import window_times
from audiocnn.io.audio.blocks import Block
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

Array = NDArray[np.float32]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Heard:
    """Window logits of clips, as `audiocnn.evaluation.threshold_search.Windows` wants them.

    Parameters
    ----------
    clips
        K gap-free stretches: each the clip that it is (a part) of.
    logits
        (C, W) of all windows, not calibrated.
    clip
        (W,) which stretch each window is of.
    begins, ends
        (W,) seconds in the recording, the padding of a short one left out.
    """

    clips: tuple[Clip, ...]
    logits: Array
    clip: NDArray[np.int64]
    begins: Times
    ends: Times


def hear_clip(
    bundle: Bundle, clip: Clip, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> list[Heard]:
    """Score a clip, in constant memory if it is a whole recording; a result a stretch.

    Parameters
    ----------
    bundle, clip
        The model, and what to score.
    reading
        How a signal other than sound is read.

    Raises
    ------
    AudioError
        If it cannot be read (to its end).
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
        times.append(window_times(run) + clip.start)
        if run.last:
            begins, ends = np.concatenate(times, axis=1)
            stretch = np.zeros(begins.size, np.int64)
            out.append(Heard((clip,), np.concatenate(logits, axis=1), stretch, begins, ends))
            logits, times = [], []
    return out


def hear_clips(
    bundle: Bundle, clips: Iterable[Clip], reading: SignalReadOptions = DEFAULT_OPTIONS
) -> Iterator[list[Heard] | AudioError]:
    """Score clip after clip; one that cannot be read is its error."""
    for clip in clips:
        try:
            yield hear_clip(bundle, clip, reading)
        except AudioError as error:
            yield error


def joined(parts: Sequence[Heard]) -> Heard:
    """Put what was heard of several clips together; at least one."""
    n_before = np.cumsum([0, *(len(part.clips) for part in parts[:-1])])
    return Heard(
        tuple(clip for part in parts for clip in part.clips),
        np.concatenate([part.logits for part in parts], axis=1),
        np.concatenate([part.clip + n for part, n in zip(parts, n_before, strict=True)]),
        np.concatenate([part.begins for part in parts]),
        np.concatenate([part.ends for part in parts]),
    )


def some_of(heard: Heard, wanted: NDArray[np.bool_]) -> Heard:
    """Take some stretches (K,) alone, numbered anew."""
    number = np.cumsum(wanted) - 1
    windows = wanted[heard.clip]
    return Heard(
        tuple(clip for clip, keep in zip(heard.clips, wanted.tolist(), strict=True) if keep),
        heard.logits[:, windows], number[heard.clip[windows]],
        heard.begins[windows], heard.ends[windows],
    )  # fmt: skip
