"""Recordings that took no part in training, as shards: for choosing and for measuring."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiocnn.training.distillation.groups import ESC10_TRAINED_ON
from audiocnn.training.distillation.mixtures import N
from audiocnn.training.distillation.shards import AT_ONCE, FRONT, Shard, answered, joined
from audiocnn.training.distillation.teacher import Teacher

Array = NDArray[np.float32]
QUIET = 1e-4  # RMS below which a window is not asked about


def read_recording(path: Path) -> Array:
    """Read a recording as mono at the student's rate."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(1)
    return np.asarray(mono if rate == FRONT.rate else soxr.resample(mono, rate, FRONT.rate))


def windows_of(recordings: Iterable[Array]) -> Iterator[Array]:
    """Cut recordings into windows of 2 s, one after the other; the short are padded."""
    for x in recordings:
        padded = np.pad(x, (0, max(0, N - x.size)))
        for at in range(0, padded.size - N + 1, N):
            window = padded[at : at + N]
            if np.sqrt(np.mean(window**2)) > QUIET:
                yield window


def listed(table: Path, column: str, values: Iterable[str]) -> list[Path]:
    """List the recordings of a clips.csv whose column has one of the values."""
    wanted = set(values)
    with table.open(newline="", encoding="utf-8") as opened:
        rows = [row for row in csv.DictReader(opened) if row[column] in wanted]
    return [table.parent / row["path"] for row in rows]


def labelled(table: Path, folds: Iterable[str]) -> Iterator[tuple[Array, str]]:
    """Read the clips of folds, with their labels."""
    wanted = set(folds)
    with table.open(newline="", encoding="utf-8") as opened:
        rows = [row for row in csv.DictReader(opened) if row["fold"] in wanted]
    for row in rows:
        if row["source"] in ESC10_TRAINED_ON:
            continue
        samples = read_recording(table.parent / row["path"])
        yield np.pad(samples, (0, max(0, N - samples.size))), row["label"]


def ask_teacher(paths: Iterable[Path], teacher: Teacher) -> Shard:
    """Make a shard of recordings as they are, without the speech teacher."""
    windows = windows_of(read_recording(path) for path in paths)
    parts = []
    while batch := list(itertools.islice(windows, AT_ONCE)):
        parts.append(answered(np.stack(batch), teacher))
    return joined(parts)
