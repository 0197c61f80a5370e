"""The folder of clips: file names, atomic writing, and limits.

    folder/dog/2026-11-23T02-50-34.120Z_garden_dog_093.flac      time, source, label, score

The oldest clips are deleted first. Only files whose names are of this form are ever deleted.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.io.files.atomic import is_left_over, replacing
from audiocnn.io.files.safe_names import safe_name
from audiocnn.streaming.messages import EventMessage
from audiocnn.streaming.units import Age, Size

CLIP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z_[a-z0-9_-]+\.flac")


class ClipError(AudiocnnError):
    """The sound of an event could not be saved."""


@dataclass(frozen=True)
class ClipLimits:
    """Limits of the folder of clips; 0 for no limit.

    Parameters
    ----------
    per_label
        Clips of each label.
    max_age
        Seconds.
    max_size
        Bytes, all clips together.
    keep_free
        Bytes that must stay free on the disk, or no clip is written.

    Raises
    ------
    ArgumentError
        If one is negative.
    """

    per_label: int = 200
    max_age: Age = 0.0
    max_size: Size = 1_000_000_000
    keep_free: Size = 100_000_000

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
        Limits of the folder.

    Raises
    ------
    OSError
        If it cannot be made or read.
    """

    def __init__(self, folder: Path, limits: ClipLimits) -> None:
        self._folder, self._limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = sorted(_find_clips(folder), key=lambda clip: clip.made)
        self._reserved: dict[str, Path] = {}  # of events by id, until the clip is written
        self._guard = threading.Lock()

    def reserve(self, message: EventMessage) -> Path:
        """Choose the path of an event's clip; the same one each time until it is written.

        Safe to call from any thread.
        """
        with self._guard:
            if message.id not in self._reserved:
                self._reserved[message.id] = self._path_for(message)
            return self._reserved[message.id]

    def release(self, message: EventMessage) -> None:
        """Give up the path of a clip that will not be written."""
        with self._guard:
            self._reserved.pop(message.id, None)

    def save(self, message: EventMessage, data: bytes) -> Path:
        """Write a clip, whole or not at all; then delete what exceeds the limits.

        Raises
        ------
        ClipError
            If the disk would have too little space left.
        OSError
            If it cannot be written.
        """
        path = self.reserve(message)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            if free - len(data) < self._limits.keep_free:
                raise ClipError(f"{free / 1e6:.0f} MB are left on the disk of {self._folder}")
            with replacing(path) as part:
                part.write_bytes(data)
        finally:
            self.release(message)
        self._kept.append(_Kept(path, len(data), time.time()))
        self.prune()
        return path

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

    def _path_for(self, message: EventMessage) -> Path:
        label = safe_name(message.label)
        names = [_file_time(message.time), *filter(None, [message.source]), label]
        stem = "_".join([names[0], *(safe_name(name) for name in names[1:])])
        if message.score is not None:
            stem += f"_{round(100 * message.score):03d}"
        path, n = self._folder / label / f"{stem}.flac", 1
        while path.exists() or path in self._reserved.values():  # the clock was set back
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
    for path in folder.glob("*/.*"):  # of a process that was killed
        if is_left_over(path) and CLIP.search(path.name):
            path.unlink(missing_ok=True)
    return clips


def _file_time(text: str) -> str:
    """Write a time so that it can stand in a file's name, in UTC."""
    try:
        when = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        when = datetime.now(UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}.{when.microsecond // 1000:03d}Z"
