"""Scores of labelled clips, and figures from them: the core of `audiocnn evaluate`.

A clip is scored by the same pipeline as a recording, and its windows are pooled to one
score per label. Windows without energy are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip, split_by
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.evaluation.calibration_error import measure_reliability
from audiocnn.evaluation.group_bootstrap import group_bounds
from audiocnn.evaluation.intervals import false_alarms
from audiocnn.evaluation.metrics import (
    SILENCE_POWER,
    Evaluation,
    clip_score,
    evaluate,
    one_hot,
)
from audiocnn.inference.bundle import Bundle, grid_of, require_labels
from audiocnn.inference.engine import Grid
from audiocnn.inference.events import Event, find_events
from audiocnn.inference.model_input import read_part
from audiocnn.inference.windows import Calibration, calibrate
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions


@dataclass(frozen=True, eq=False)
class ScoredClip:
    """Scores and events of a model in a clip.

    Parameters
    ----------
    clip
        The clip.
    scores
        (C,) the bundle's mean or maximum over the windows that have energy.
    events
        Detected by the bundle's rules; times refer to the recording.
    seconds
        Length of the clip.
    bare
        (C,) like ``scores``, from the sigmoid of uncalibrated logits.
    """

    clip: Clip
    scores: NDArray[np.float32]
    events: tuple[Event, ...]
    seconds: float
    bare: NDArray[np.float32]


def score_clip(
    bundle: Bundle, clip: Clip, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> ScoredClip:
    """Score a clip, which is read into memory as a whole.

    Parameters
    ----------
    bundle, clip
        The model, and the clip.
    reading
        How a signal other than sound is read.

    Raises
    ------
    AudioError
        If it cannot be read, or lacks samples.
    """
    blocks = list(read_part(clip.path, bundle.front, clip.start, clip.end, reading))
    grid = grid_of(bundle)
    bare = list(require_labels(bundle).pipeline().uncalibrated.scores(blocks))
    runs = [replace(run, values=calibrate(run.values, bundle.calibration)) for run in bare]
    begins = np.concatenate([run.times[0] for run in runs])
    audible = np.ones(begins.size, bool)  # a signal at rest carries information, silence does not
    if bundle.front.sound:
        audible = window_power(blocks[0].samples, begins, grid) >= SILENCE_POWER
    events = tuple(
        replace(event, start=event.start + clip.start, end=(event.end or 0.0) + clip.start)
        for event in find_events(runs, bundle.rules, source=str(clip.path))
    )
    plain = Calibration((1.0,) * len(bundle.labels), (0.0,) * len(bundle.labels))
    before = [calibrate(run.values, plain) for run in bare]
    scores, uncalibrated = (
        clip_score(np.concatenate(values, axis=1), bundle.clip_score, audible)
        for values in ([run.values for run in runs], before)
    )
    seconds = sum(block.samples.shape[-1] for block in blocks) / bundle.rate
    return ScoredClip(clip, scores, events, seconds, uncalibrated)


def window_power(
    samples: NDArray[np.float32], begins: NDArray[np.float64], grid: Grid
) -> NDArray[np.float64]:
    """Return the mean power (W,) of windows that begin at ``begins`` seconds; full scale is 1."""
    sums = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    first = np.rint(begins * grid.rate).astype(np.int64)
    last = np.minimum(first + grid.window_samples, samples.size)
    return np.asarray((sums[last] - sums[first]) / np.maximum(1, last - first))


def score_clips(
    bundle: Bundle, clips: Iterable[Clip], reading: SignalReadOptions = DEFAULT_OPTIONS
) -> Iterator[ScoredClip | AudioError]:
    """Score clips in turn; yield the error of one that cannot be read."""
    for clip in clips:
        try:
            yield score_clip(bundle, clip, reading)
        except AudioError as error:
            yield error


def evaluate_clips(
    bundle: Bundle, scored: list[ScoredClip], group: str | None = None
) -> Evaluation:
    """Compare scores and events with the clips' labels.

    Parameters
    ----------
    bundle
        The model.
    scored
        What it said, of at least one clip. Clips without a label are background:
        any event in them is a false alarm.
    group
        A column: bounds are given by drawing clips with one value of it together.

    Raises
    ------
    ArgumentError
        If there is no clip, or one has a label that the model does not know, or there is
        one group only.
    DatasetError
        If there is no such column.
    """
    if not scored:
        raise ArgumentError("no clips to evaluate on")
    scores, bare = (np.stack(rows) for rows in zip(*((s.scores, s.bare) for s in scored),
                                                   strict=True))  # fmt: skip
    truth = [s.clip.labels for s in scored]
    result = evaluate(
        scores,
        truth,
        [{event.label for event in s.events} for s in scored],
        bundle.labels,
        [rule.on for rule in bundle.rules.values()],
    )
    targets = one_hot(truth, bundle.labels)
    result = replace(result, reliability=measure_reliability(scores, bare, targets))
    if group is not None:
        names = [""] * len(scored)
        for value, members in split_by([s.clip for s in scored], group).items():
            for at in members.tolist():
                names[at] = value or str(scored[at].clip.path)
        found, number = np.unique(np.array(names), return_inverse=True)
        if len(found) < 2:
            raise ArgumentError(f"bounds by groups take at least two groups, got {found.tolist()}")
        result = replace(result, group_bounds=group_bounds(scores, targets, number))
    backgrounds = [s for s in scored if not s.clip.labels]
    if not backgrounds:
        return result
    events = [event for s in backgrounds for event in s.events]
    return replace(result, false_alarms=false_alarms(events, sum(s.seconds for s in backgrounds)))
