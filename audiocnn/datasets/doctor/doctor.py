"""The dataset doctor: faults of a dataset, found before training.

    layout -> every recording examined once -> findings, errors first

Most bad models are bad data: a source on both sides of a split, a label on the wrong clip,
a class that was recorded with another microphone. Each finding names the files and says
what to do; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiocnn.datasets.doctor.audio_checks import Examined
from audiocnn.datasets.doctor.check_cache import examine_all
from audiocnn.datasets.doctor.duplicates import about_groups, about_twins, find_twins
from audiocnn.datasets.doctor.examiners import examiner_for
from audiocnn.datasets.doctor.findings import (
    ERROR,
    NOTE,
    WARNING,
    Finding,
    Place,
    span_of,
)
from audiocnn.datasets.doctor.label_findings import about_labels, about_predictions
from audiocnn.datasets.groups import BY_MOMENT, BY_NAME, suggest_groups
from audiocnn.datasets.layouts import list_clips
from audiocnn.datasets.manifest import Clip, filter_clips, labels_of
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.reader import find_recordings
from audiocnn.io.files.tables import no_column
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions

SEVERITIES = (ERROR, WARNING, NOTE)
NOT_TAKEN = "write it in a format that is read (docs/files.md), or move it away"


@dataclass(frozen=True)
class Report:
    """The result of a check.

    Parameters
    ----------
    clips, backgrounds
        How many have a label, and how many have none.
    recordings
        How many files.
    seconds
        Of all clips.
    classes
        Recordings by class.
    findings
        Errors first.
    """

    clips: int
    backgrounds: int
    recordings: int
    seconds: float
    classes: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether something must be mended before figures mean anything."""
        return any(finding.severity == ERROR for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "findings": [finding.as_dict() for finding in self.findings]}


def check_dataset(
    data: str | Path,
    *,
    where: Mapping[str, Collection[str]] | None = None,
    group: str | None = None,
    predictions: str | Path | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Report:
    """Examine a dataset.

    Parameters
    ----------
    data
        As in `read_manifest`.
    where
        Only these clips.
    group
        Column whose equal values must stay together, or ``name`` for the groups that the
        names of files suggest; with it, a group in two folds is an error.
    predictions
        CSV of scores, see `about_predictions`.
    cache, workers, progress
        See `examine_all`.
    reading
        How signals other than sound are read; recordings of sound are taken for such if it
        says anything.

    Raises
    ------
    DatasetError
        If the data cannot be understood at all.
    ArgumentError
        If an option makes no sense.
    """
    path = Path(data)
    notes: list[str] = []
    clips, faults = list_clips(path, reading, note=notes.append)
    clips = filter_clips(path, clips, where or {})
    if group == BY_MOMENT and not any(BY_MOMENT in clip.columns for clip in clips):
        group = None  # parts of one recording: nothing that could be in two places
    for clip in clips if group and group != BY_NAME else ():
        if group not in clip.columns:
            raise no_column(str(clip.path), str(group), clip.columns)
    if group == BY_NAME and suggest_groups(clips) is None:
        raise no_column(str(path), group, clips[0].columns if clips else ())
    files = list(dict.fromkeys(clip.path for clip in clips))
    examiner = examiner_for(clips, reading)
    if cache is not None and not examiner.is_sound:
        raise ArgumentError(f"{cache}: only what is measured of sound is kept in a cache")
    found = examine_all(
        files, look=examiner, cache=cache if examiner.is_cached else None, workers=workers,
        progress=progress,
    )  # fmt: skip
    whole = not where and examiner.is_sound
    findings = [
        *_about_layout(path, clips, faults, whole=whole),
        *(Finding("annotations", WARNING, note, NOT_TAKEN) for note in notes),
        *examiner.findings(clips, found),
    ]  # fmt: skip
    findings += about_twins(clips, find_twins(found))
    findings += about_groups(clips, group, found)
    findings += about_labels(clips)
    if predictions is not None:
        findings += about_predictions(clips, predictions)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return _report(clips, found, findings)


def _about_layout(
    data: Path, clips: Sequence[Clip], faults: Sequence[str], whole: bool
) -> Iterator[Finding]:
    """Report faults of the layout, and recordings that no table or folder labels."""
    for fault in faults:
        what, _, advice = fault.partition(": ")
        yield Finding("layout", ERROR, fault, advice or what)
    folder = data if data.is_dir() else data.parent
    if not whole or not (data.is_file() or _has_table(folder)):
        return
    named = {clip.path.resolve() for clip in clips}
    try:
        there = [path for path in find_recordings([folder]) if path.resolve() not in named]
    except AudioError:
        there = []
    if there:
        yield Finding(
            "unlabelled", WARNING, f"{len(there)} recordings lie in {folder} and are in no row",
            "add rows for them (an empty label is background), or move them away",
            tuple(Place(str(path)) for path in there),
        )  # fmt: skip


def _has_table(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("clips.csv", "metadata.csv", "metadata.jsonl"))


def _report(
    clips: Sequence[Clip], found: Mapping[Path, Examined], findings: Sequence[Finding]
) -> Report:
    labelled = [clip for clip in clips if clip.labels]
    spans = (span_of(c, found[c.path]) for c in clips if not found[c.path].error)
    seconds = sum(max(0.0, end - start) for start, end in spans)
    classes = {
        label: len({clip.path for clip in clips if label in clip.labels})
        for label in labels_of(clips)
    }
    return Report(
        len(labelled), len(clips) - len(labelled), len(found), seconds, classes, tuple(findings)
    )
