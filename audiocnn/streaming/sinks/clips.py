"""The sound of each event as a FLAC file, with some of what came before and after.

    folder/dog/2026-11-23T02-50-34.120Z_dog_0.93.flac

    ---pre---|=====event=====|---post---
             onset           offset    ^ written here, or when the sound ends

The sound after an event has not been heard when the event is told. So the sink
takes what is there at once, before the ring of recent sound moves on, and fetches
the rest as it comes. Lost samples are never spliced over: a clip ends before them.
The folder is kept within its limits: the oldest clips go first. Only files whose
names are of this form are ever deleted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.sinks.names import safe_name
from audiocnn.streaming.sinks.sink import Wants, format_message

CLIP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z_[a-z0-9_-]+\.flac")
PATIENCE = 5.0  # seconds that sound after an event may be late
LOOK = 600.0  # seconds between two looks for clips that are too old

Audio = Callable[[float, float], tuple[NDArray[np.float32], int, float]]


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


class ClipError(AudiocnnError):
    """The sound of an event could not be saved."""


ROOMY, EVENTS = ClipLimits(), Wants(("event",))


@dataclass(eq=False)
class _Pending:
    """A clip of which not all has been heard."""

    message: Mapping[str, Any]
    audio: Audio
    begin: float
    end: float
    deadline: float  # time.monotonic()
    rate: int = 0
    pieces: list[NDArray[np.float32]] = field(default_factory=list)

    def fetch(self) -> bool:
        """Take what has come; True if nothing more will."""
        n_samples = sum(len(piece) for piece in self.pieces)
        have = self.begin + n_samples / self.rate if self.pieces else self.begin
        samples, rate, start = self.audio(have, self.end)
        if len(samples):
            if not self.pieces:
                self.begin, self.rate = start, rate
            elif rate != self.rate or start - have > 1.5 / rate:
                return True  # samples were lost: the clip ends before them
            self.pieces.append(np.array(samples, np.float32))  # a copy: the ring moves on
            have = start + len(samples) / rate
        missing = self.end - have
        return missing * (rate or 1) < 1 or time.monotonic() >= self.deadline


class Clips:
    """Save the sound of each event.

    Parameters
    ----------
    folder
        Gets a folder for each label; made if need be.
    pre, post
        Seconds before the onset and after the end.
    longest
        Seconds of one clip at most; of a longer event its beginning.
    limits
        What the folder may hold.
    wants
        Which events; other messages are ignored.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If a value is out of range, or the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        pre: float = 2.0,
        post: float = 2.0,
        longest: float = 30.0,
        limits: ClipLimits = ROOMY,
        wants: Wants = EVENTS,
        name: str = "clips",
    ) -> None:
        if pre < 0 or post < 0 or longest <= 0:
            raise ArgumentError(f"{name}: pre and post must be 0 or more, longest above 0")
        self.name, self.wants = name, wants
        self._folder = Path(folder).expanduser().absolute()
        self._pre, self._post, self._longest, self._limits = pre, post, longest, limits
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._kept = sorted(_find_clips(self._folder), key=lambda clip: clip.made)
        except OSError as error:
            raise ArgumentError(
                f"{name}: {self._folder} is no folder to write to: {error}"
            ) from error
        self._pending: list[_Pending] = []
        self._looked_at = -LOOK

    def handle(self, message: Mapping[str, Any]) -> None:
        """Begin a clip."""
        if message.get("type") != "event":
            return
        if not callable(message.get("audio")):
            raise ArgumentError("an event came without its sound: clips need the key `audio`")
        begin = max(0.0, float(message["start"]) - self._pre)
        end = min(float(message["end"]) + self._post, begin + self._longest)
        deadline = time.monotonic() + self._post + PATIENCE
        self._pending.append(_Pending(message, message["audio"], begin, end, deadline))
        self.tick()

    def tick(self) -> None:
        """Fetch what has come; write the clips that are complete."""
        self._fetch_all(last=False)
        if time.monotonic() - self._looked_at >= LOOK:
            self._looked_at = time.monotonic()
            self._delete_old()

    def close(self) -> None:
        """Write what there is of the clips that are not complete."""
        self._fetch_all(last=True)

    def _fetch_all(self, last: bool) -> None:
        """Fetch for each clip; write it if it is complete, or this is the last chance."""
        pending, self._pending, troubles = self._pending, [], []
        for clip in pending:
            try:
                if clip.fetch() or last:
                    self._write(clip)
                else:
                    self._pending.append(clip)
            except Exception as error:  # of this clip; the others are saved
                reason = getattr(error, "strerror", None) or error
                troubles.append(f"no clip of {clip.message.get('label')!r}: {reason}")
        if troubles:
            raise ClipError("; ".join(troubles))

    def _write(self, clip: _Pending) -> None:
        if not clip.pieces:
            raise ClipError("its sound is no longer there")
        data = _encode(clip)
        free = shutil.disk_usage(self._folder).free
        if free - len(data) < self._limits.keep_free:
            raise ClipError(f"{free / 1e6:.0f} MB are left on the disk of {self._folder}")
        path = self._path_for(clip.message)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        self._kept.append(_Kept(path, len(data), time.time()))
        self._delete_old()

    def _path_for(self, message: Mapping[str, Any]) -> Path:
        label = safe_name(str(message.get("label", "")))
        stem = f"{_file_time(message.get('time'))}_{label}"
        if isinstance(score := message.get("score"), float | int | np.floating):
            stem += f"_{round(100 * float(score)):03d}"
        path, n = self._folder / label / f"{stem}.flac", 1
        while path.exists():  # the clock was set back
            path, n = path.with_name(f"{stem}_{n}.flac"), n + 1
        return path

    def _delete_old(self) -> None:
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


def _encode(clip: _Pending) -> bytes:
    """FLAC, 16 bits, in memory: only then does a full disk raise what it is."""
    import soundfile  # here, so that the command line starts quickly

    samples = np.nan_to_num(np.concatenate(clip.pieces), posinf=1.0, neginf=-1.0)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        clip.rate,
        1 if samples.ndim == 1 else samples.shape[1],
        "PCM_16",
        format="FLAC",
    ) as file:
        details = json.loads(format_message(clip.message))
        file.comment = json.dumps({**details, "clip_start": clip.begin}, ensure_ascii=False)
        file.write(np.clip(samples, -1.0, 1.0))
    return buffer.getvalue()


def _file_time(text: object) -> str:
    """Write a time so that it can stand in a file's name, in UTC."""
    try:
        when = datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        when = datetime.now(UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}.{when.microsecond // 1000:03d}Z"
