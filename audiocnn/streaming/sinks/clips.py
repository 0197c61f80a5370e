"""The sound of each event as a FLAC file, with some of what came before and after.

    ---pre---|=====event=====|---post---
             onset           offset    ^ written here, or when the sound ends

The sound after an event has not been heard when the event is told. So the sink
takes what is there at once, before the ring of recent sound moves on, and fetches
the rest as it comes. Lost samples are never spliced over: a clip ends before them.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.streaming.sinks.base import MessageFilter, format_message
from audiocnn.streaming.sinks.clip_folder import ClipError, ClipFolder, ClipLimits

PATIENCE = 5.0  # seconds that sound after an event may be late
MOST = 20  # clips that wait at once: of 30 s at 48 kHz, 115 MB of memory
LOOK = 600.0  # seconds between two looks for clips that are too old

Audio = Callable[[float, float], tuple[NDArray[np.float32], int, float]]

ROOMY, EVENTS = ClipLimits(), MessageFilter(("event",))


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
        wants: MessageFilter = EVENTS,
        name: str = "clips",
    ) -> None:
        if pre < 0 or post < 0 or longest <= 0:
            raise ArgumentError(f"{name}: pre and post must be 0 or more, longest above 0")
        self.name, self.wants = name, wants
        self._pre, self._post, self._longest = pre, post, longest
        folder = Path(folder).expanduser().absolute()
        try:
            self._folder = ClipFolder(folder, limits)
        except OSError as error:
            raise ArgumentError(f"{name}: {folder} is no folder to write to: {error}") from error
        self._pending: list[_Pending] = []
        self._looked_at = -LOOK

    def handle(self, message: Mapping[str, Any]) -> None:
        """Begin a clip."""
        if message.get("type") != "event":
            return
        if not callable(message.get("audio")):
            raise ArgumentError("an event came without its sound: clips need the key `audio`")
        if len(self._pending) >= MOST:
            raise ClipError(f"no clip of {message.get('label')!r}: {MOST} wait to be written")
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
            self._folder.prune()

    def close(self) -> None:
        """Write what there is of the clips that are not complete."""
        self._fetch_all(last=True)

    def _fetch_all(self, last: bool) -> None:
        """Fetch for each clip; write it if it is complete, or this is the last chance."""
        pending, self._pending, troubles = self._pending, [], []
        for clip in pending:
            try:
                if clip.fetch() or last:
                    self._folder.save(clip.message, _encode(clip))
                else:
                    self._pending.append(clip)
            except Exception as error:  # of this clip; the others are saved
                reason = getattr(error, "strerror", None) or error
                troubles.append(f"no clip of {clip.message.get('label')!r}: {reason}")
        if troubles:
            raise ClipError("; ".join(troubles))


def _encode(clip: _Pending) -> bytes:
    """FLAC, 16 bits, in memory: only then does a full disk raise what it is."""
    import soundfile  # here, so that the command line starts quickly

    if not clip.pieces:
        raise ClipError("its sound is no longer there")
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
