"""A model corrected by verdicts on its own events: `audiocnn improve`.

    reviews of recordings A, B, C   ->  A, B are fitted on, C is kept apart
    old model, corrected model      ->  compared on stored clips (out of fold), background,
                                        and the reviews of C
    the model that is written       ->  fitted on all reviews

A verdict is never judged by a head that was fitted on its recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.reviews import read_reviews
from audiocnn.errors import DatasetError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import check_free
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration, calibrate
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.embedding import ClipWindows
from audiocnn.training.heads.extend import StoredTraining, open_stored, with_clips
from audiocnn.training.heads.feature_set import FeatureSet, chosen_windows
from audiocnn.training.heads.fitting import HeadFit, fit_head
from audiocnn.training.heads.train import train_on_features
from audiocnn.training.metrics import HeldOut, Judgement, judge
from audiocnn.training.preparation import Progress, only_training
from audiocnn.training.run_results import save_training

APART = 3  # one recording in so many is kept apart, where reviews come from two or more


@dataclass(frozen=True)
class Compared:
    """One class, before and after.

    Parameters
    ----------
    label
        The class.
    clips, found_before, found_after
        Held-out clips of the class, and how many of them are found.
    wrong, wrong_before, wrong_after
        Reviews kept apart in which the class was detected wrongly, and how many of them
        are still given it.
    right, right_before, right_after
        The same of events that were right.
    """

    label: str
    clips: int
    found_before: int
    found_after: int
    wrong: int
    wrong_before: int
    wrong_after: int
    right: int
    right_before: int
    right_after: int

    def __str__(self) -> str:
        """Say it in a sentence."""
        parts = []
        if self.clips:
            parts.append(
                f"finds {self.found_after} of {self.clips} held-out clips (before: "
                f"{self.found_before})"
            )
        if self.wrong:
            parts.append(
                f"{self.wrong_after} of {self.wrong} false alarms in reviews kept apart are left "
                f"(before: {self.wrong_before})"
            )
        if self.right:
            parts.append(
                f"{self.right_after} of {self.right} right events there are still found (before: "
                f"{self.right_before})"
            )
        return f"{self.label}: " + ("; ".join(parts) or "nothing to compare on")


def improve(
    model: str | Path,
    reviews: Sequence[str | Path],
    out: str | Path,
    *,
    overwrite: bool = False,
    reading: SignalReadOptions | None = None,
    progress: Progress | None = None,
) -> tuple[Bundle, list[Compared]]:
    """Fit the head of a model anew, with verdicts on its events beside its own clips.

    Parameters
    ----------
    model
        Name or folder of a model that was trained on a backbone.
    reviews
        Lists of events with verdicts, see `audiocnn.datasets.reviews`.
    out
        Folder of the new bundle.
    overwrite
        Whether a bundle there may be replaced.
    reading
        How signals other than sound are read.
    progress
        Called with a line at each step.

    Returns
    -------
    bundle, comparison
        The new model, and old against new class by class.

    Raises
    ------
    DatasetError, BundleError, ArgumentError
        If a list cannot be used, the model has no head, or ``out`` is taken.
    """
    report = progress or (lambda line: None)
    check_free(out, overwrite=overwrite)
    stored = open_stored(model)
    labels = stored.model.labels
    clips = [
        in_context(clip, stored.config.window)
        for path in reviews for clip in read_reviews(path, labels)
    ]  # fmt: skip
    if not clips:
        raise DatasetError("the lists have no verdicts")
    recordings = np.unique([c.columns["recording"] for c in clips], return_inverse=True)[1]
    apart = kept_apart(recordings.astype(np.int64))
    run = Path(out).with_name(Path(out).name + ".run")
    with only_training(run):
        everything = with_clips(stored, clips, labels, run, reading, judged=False)
        report(f"{len(clips)} verdicts of {recordings.max() + 1} recordings; {int(apart.sum())} "
               "kept apart to compare by")  # fmt: skip
        compared = compare(stored, everything, clips, apart)
        bundle, training = train_on_features(
            everything, stored.model, stored.config, None, Path(out), str(stored.folder),
            stored.folder, report,
        )  # fmt: skip
        save_training(training, run)
    return bundle, compared


def in_context(clip: Clip, window: float) -> Clip:
    """Widen an event that is shorter than a window to one, with the sound around it."""
    if clip.end is None or clip.end - clip.start >= window:
        return clip
    start = max(0.0, (clip.start + clip.end - window) / 2)
    return replace(clip, start=start, end=start + window)


def kept_apart(recordings: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the verdicts (R,) to compare by: of every third recording; of one alone, none."""
    n = int(recordings.max(initial=-1)) + 1
    return np.asarray(recordings % APART == APART - 1 if n >= APART else recordings == 1)


def compare(
    stored: StoredTraining, everything: FeatureSet, clips: Sequence[Clip],
    apart: NDArray[np.bool_],
) -> list[Compared]:  # fmt: skip
    """Compare a head without any verdicts with one that has those not kept apart."""
    n_old, config = len(stored.data.clips), stored.config
    fitted = np.concatenate([np.ones(n_old, bool), ~apart])
    old, new = (
        _judged(data, config, stored.model)
        for data in (stored.data, _some_clips(everything, fitted))
    )
    windows = chosen_windows(everything.plain, ~fitted)
    before, after = (_detections(side, windows, int(apart.sum())) for side in (old, new))
    verdicts = [clip for clip, kept in zip(clips, apart.tolist(), strict=True) if kept]
    return [
        _compared(at, label, old[1], new[1], before, after, verdicts)
        for at, label in enumerate(stored.model.labels)
    ]


Side = tuple[HeadFit, Judgement]


def _judged(data: FeatureSet, config: HeadConfig, model: Bundle) -> Side:
    made = fit_head(data, config)
    held = HeldOut(
        made.held_out, data.split.part, data.split.group, data.targets, made.background,
        data.background_part, data.split.alike,
    )  # fmt: skip
    return made, judge(held, data.labels, config, model.pipeline().grid)


def _detections(side: Side, windows: ClipWindows, n: int) -> NDArray[np.bool_]:
    """Say in which clips (n, C) a head reaches the threshold of a class in any window."""
    made, judged = side
    logits = made.head.logits(windows.features[made.head.pooling].T)
    return above(logits, windows.clip, n, judged.calibration, judged.rules)


def above(
    logits: NDArray[np.float32], clip: NDArray[np.int64], n: int, calibration: Calibration,
    rules: Mapping[str, EventRule],
) -> NDArray[np.bool_]:  # fmt: skip
    """Return which of n clips have a window (C, W) at or above the threshold of each class."""
    limits = np.array([rule.on for rule in rules.values()])[:, None]
    found = np.zeros((n, len(rules)), bool)
    np.logical_or.at(found, clip, (calibrate(logits, calibration) >= limits).T)
    return found


def _compared(
    at: int, label: str, old: Judgement, new: Judgement, before: NDArray[np.bool_],
    after: NDArray[np.bool_], verdicts: Sequence[Clip],
) -> Compared:  # fmt: skip
    rows = [side.figures["per_class"][label] for side in (old, new)]
    n = rows[0]["n"]
    found = [round(n * (row["recall"] or 0)) for row in rows]
    detected = np.array([clip.columns["detected"] == label for clip in verdicts], bool)
    true = np.array([label in clip.labels for clip in verdicts], bool)
    wrong = ~true & detected
    counts = [int(x.sum()) for x in (wrong, wrong & before[:, at], wrong & after[:, at],
                                     true, true & before[:, at], true & after[:, at])]  # fmt: skip
    return Compared(label, n, found[0], found[1], *counts)


def _some_clips(data: FeatureSet, kept: NDArray[np.bool_]) -> FeatureSet:
    split = replace(data.split, part=data.split.part[kept], group=data.split.group[kept])
    return replace(
        data, clips=tuple(c for c, keep in zip(data.clips, kept.tolist(), strict=True) if keep),
        split=split, plain=chosen_windows(data.plain, kept),
        varied=chosen_windows(data.varied, kept),
    )  # fmt: skip
