"""The folder of clips: names, whole files or none, and limits.

    folder/dog/2026-11-23T02-50-34.120Z_dog_093.flac

The oldest clips go first. Only files whose names are of this form are ever deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.io.files.safe_names import safe_name

CLIP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z_[a-z0-9_-]+\.flac")


class ClipError(AudiocnnError):
    """The sound of an event could not be saved."""


@dataclass(frozen=True)
class ClipLimits:
    """What the folder of clips may hold; 0 for no limit.

    Parameters
    ----------
    per_label
        Clips of each label.
    max_age
        Seconds.
    max_size
        Bytes, all clips together.
    keep_free
        Bytes that the disk must have left, or no clip is written.

    Raises
    ------
    ArgumentError
        If one is negative.
    """

    per_label: int = 200
    max_age: float = 0.0
    max_size: int = 1_000_000_000
    keep_free: int = 100_000_000

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value in vars(self).items():
            if value < 0:
                raise ArgumentError(f"{name} must be 0 or more, got {value}")


class ClipFolder:
    """Saves clips and keeps within limits.

    Parameters
    ----------
    folder
        Gets a folder for each label; made if need be.
    limits
        What it may hold.

    Raises
    ------
    OSError
        If it cannot be made or read.
    """

    def __init__(self, folder: Path, limits: ClipLimits) -> None:
        self._folder, self._limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = sorted(_find_clips(folder), key=lambda clip: clip.made)

    def save(self, message: Mapping[str, Any], data: bytes) -> None:
        """Write a clip, whole or not at all; then delete what is too much.

        Raises
        ------
        ClipError
            If the disk would have too little left.
        OSError
            If it cannot be written.
        """
        path = self._path_for(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free - len(data) < self._limits.keep_free:
            raise ClipError(f"{free / 1e6:.0f} MB are left on the disk of {self._folder}")
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        self._kept.append(_Kept(path, len(data), time.time()))
        self.prune()

    def prune(self) -> None:
        """Keep the folder within its limits, the oldest clips going first."""
        limits, now = self._limits, time.time()
        size = sum(clip.size for clip in self._kept)
        counts: dict[Path, int] = {}
        for clip in self._kept:
            counts[clip.path.parent] = counts.get(clip.path.parent, 0) + 1
        kept = []
        for clip in self._kept:
            label = clip.path.parent
            if (
                0 < limits.per_label < counts[label]
                or 0 < limits.max_size < size
                or 0 < limits.max_age < now - clip.made
            ):
                clip.path.unlink(missing_ok=True)
                counts[label] -= 1
                size -= clip.size
            else:
                kept.append(clip)
        self._kept = kept

    def _path_for(self, message: Mapping[str, Any]) -> Path:
        label = safe_name(str(message.get("label", "")))
        stem = f"{_file_time(message.get('time'))}_{label}"
        if isinstance(score := message.get("score"), float | int | np.floating):
            stem += f"_{round(100 * float(score)):03d}"
        path, n = self._folder / label / f"{stem}.flac", 1
        while path.exists():  # the clock was set back
            path, n = path.with_name(f"{stem}_{n}.flac"), n + 1
        return path


@dataclass(frozen=True)
class _Kept:
    path: Path
    size: int  # bytes
    made: float  # time.time()


def _find_clips(folder: Path) -> list[_Kept]:
    clips = []
    for path in folder.glob("*/*.flac"):
        if CLIP.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            found = path.stat()
            clips.append(_Kept(path, found.st_size, found.st_mtime))
    for path in folder.glob("*/*.part"):  # of a process that was killed
        if CLIP.fullmatch(path.with_suffix(".flac").name):
            path.unlink(missing_ok=True)
    return clips


def _file_time(text: object) -> str:
    """Write a time so that it can stand in a file's name, in UTC."""
    try:
        when = datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        when = datetime.now(UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}.{when.microsecond // 1000:03d}Z"
