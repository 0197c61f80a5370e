"""The steps that all trainings share: lists of clips, groups, the lock on a run folder.

Imports no PyTorch: heads on backbones are trained without it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from audiocnn.datasets.groups import BY_MOMENT, with_groups
from audiocnn.datasets.manifest import Clip, labels_of, read_manifest
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.io.files.locks import alone
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.data.moment_groups import FLATTERS, with_moments
from audiocnn.training.data.splits import Length, Split

Progress = Callable[[str], None]


def is_first_process() -> bool:
    """Whether this is the process that judges, writes and reports; others train with it."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK")
    return not any(int(os.environ.get(name, "0")) for name in names)


def in_groups(clips: list[Clip], group: str | None, length: Length, report: Progress) -> list[Clip]:
    """Return clips the groups that were asked for, if they are no column of the data."""
    if group == BY_MOMENT and not any(BY_MOMENT in clip.columns for clip in clips):
        report(f"--group {BY_MOMENT}: judged {FLATTERS}")
        return with_moments(clips, length)
    return with_groups(clips, group, report)


@contextlib.contextmanager
def only_training(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder; processes that train together are one."""
    with contextlib.ExitStack() as stack:
        if is_first_process():
            try:
                run.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ArgumentError(f"cannot make the folder {run}: {error.strerror}") from error
            stack.enter_context(alone(run, "another training is writing it"))
        yield


def others(clips: Sequence[Clip]) -> bool:
    """Return whether clips are of other signals than sound, by their files."""
    return any(not clip.recording.is_sound for clip in clips)


def gather_clips(
    data: str | Path, where: Mapping[str, Collection[str]], reading: SignalReadOptions
) -> list[Clip]:
    """List what is trained on."""
    clips = read_manifest(data, where=where, reading=reading)
    if not labels_of(clips):
        raise DatasetError(f"{data}: none of the {len(clips)} clips has a label")
    return clips


def judged_how(split: Split, n_clips: int, group: str | None) -> str:
    """Describe how the figures came to be."""
    apart = FLATTERS if group == BY_MOMENT else "groups together"
    if split.crossed:
        return (
            f"{len(split.parts)}-fold cross-validation, {apart}: each clip was judged by "
            "a network that had not heard it; the network in the bundle was fitted on all"
        )
    return f"judged on {split.n_held} of {n_clips} clips, {apart}, that were kept apart"


def clock(seconds: float) -> str:
    """Write a time span as people do: 40 s, 3 min, 1.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
