"""The sound of each event as a FLAC file, with some of what came before and after.

    ---pre---|=====event=====|---post---
             onset           offset    ^ written here, or when the session ends

The sound after an event has not been received when the event is reported. The sink
fetches what is available at once, before the ring buffer moves on, and the rest as it
comes. Lost samples are never spliced over: a clip ends before them.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import EventMessage, Message, format_message
from audiocnn.streaming.session import SoundFetcher, SpeechFound
from audiocnn.streaming.sinks.base import MessageFilter
from audiocnn.streaming.sinks.clip_folder import ClipError, ClipFolder, ClipLimits
from audiocnn.streaming.units import Seconds

PATIENCE = 15.0  # seconds that the sound after an event may be late
MAX_PENDING = 20  # clips that wait at once: of 30 s at 48 kHz, 115 MB of memory
PRUNE = 600.0  # seconds between two searches for clips that are too old

DEFAULT_LIMITS, EVENTS = ClipLimits(), MessageFilter(("event",))


@dataclass(eq=False)
class _Pending:
    """A clip of which not all sound has been received."""

    message: EventMessage
    fetch_sound: SoundFetcher
    begin: float
    end: float
    deadline: float  # time.monotonic()
    rate: float = 0
    parts: list[NDArray[np.float32]] = field(default_factory=list)

    def fetch(self) -> bool:
        """Take what has been received; True if it is all."""
        n_samples = sum(len(part) for part in self.parts)
        have = self.begin + n_samples / self.rate if self.parts else self.begin
        samples, rate, start = self.fetch_sound(have, self.end)
        if len(samples):
            if not self.parts:
                self.begin, self.rate = start, rate
            elif rate != self.rate or start - have > 1.5 / rate:
                return True  # samples were lost: the clip ends before them
            self.parts.append(np.array(samples, np.float32))  # a copy: the ring moves on
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
        Limits of the folder.
    sound_of
        Gives the sound that an event's clip is cut from; None if there is none. Not a setting.
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
        pre: Seconds = 2.0,
        post: Seconds = 2.0,
        longest: Seconds = 30.0,
        limits: ClipLimits = DEFAULT_LIMITS,
        sound_of: Callable[[EventMessage], SoundFetcher | None] | None = None,
        wants: MessageFilter = EVENTS,
        name: str = "clips",
    ) -> None:
        if pre < 0 or post < 0 or longest <= 0:
            raise ArgumentError(f"{name}: pre and post must be 0 or more, longest above 0")
        self.name, self.wants = name, wants
        self._pre, self._post, self._longest = pre, post, longest
        self._sound_of = sound_of or (lambda message: None)
        folder = Path(folder).expanduser().absolute()
        try:
            self._folder = ClipFolder(folder, limits)
        except OSError as error:
            raise ArgumentError(f"{name}: {folder} is no folder to write to: {error}") from error
        self._pending: list[_Pending] = []
        self.n_delivered = 0  # clips written
        self._pruned_at = -PRUNE

    def path_of(self, message: EventMessage) -> str | None:
        """Give the path that an event's clip will have; None if it will not be kept."""
        if not self.wants.take(message) or self._sound_of(message) is None:
            return None
        return str(self._folder.reserve(message))

    def handle(self, message: Message) -> None:
        """Begin a clip."""
        if not isinstance(message, EventMessage):
            return
        fetch = self._sound_of(message)
        if fetch is None:
            raise ClipError(f"no clip of {message.label!r}: {message.source!r} keeps no sound")
        if len(self._pending) >= MAX_PENDING:
            self._folder.release(message)
            raise ClipError(f"no clip of {message.label!r}: {MAX_PENDING} wait to be written")
        begin = max(0.0, message.start - self._pre)
        end = min(message.end + self._post, begin + self._longest)
        deadline = time.monotonic() + self._post + PATIENCE
        self._pending.append(_Pending(message, fetch, begin, end, deadline))
        self.tick()

    def tick(self) -> None:
        """Fetch new sound; write the clips that are complete."""
        self._fetch_all(last=False)
        if time.monotonic() - self._pruned_at >= PRUNE:
            self._pruned_at = time.monotonic()
            self._folder.prune()

    def close(self) -> None:
        """Write what was received of the clips that are not complete."""
        self._fetch_all(last=True)

    def _fetch_all(self, last: bool) -> None:
        """Fetch for each clip; write it if it is complete, or this is the last chance."""
        pending, self._pending, troubles = self._pending, [], []
        for clip in pending:
            try:
                if clip.fetch() or last:
                    self._folder.save(clip.message, _encode(clip))
                    self.n_delivered += 1
                else:
                    self._pending.append(clip)
            except SpeechFound:
                self._folder.release(clip.message)
            except Exception as error:  # of this clip; the others are saved
                self._folder.release(clip.message)
                reason = getattr(error, "strerror", None) or error
                troubles.append(f"no clip of {clip.message.label!r}: {reason}")
        if troubles:
            raise ClipError("; ".join(troubles))


def _encode(clip: _Pending) -> bytes:
    """FLAC, 16 bits, in memory: only then does a full disk raise what it is."""
    import soundfile  # here, so that the command line starts quickly

    if not clip.parts:
        raise ClipError("its sound is no longer available")
    samples = np.nan_to_num(np.concatenate(clip.parts), posinf=1.0, neginf=-1.0)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        round(clip.rate),
        1 if samples.ndim == 1 else samples.shape[1],
        "PCM_16",
        format="FLAC",
    ) as file:
        details = msgspec.json.decode(format_message(clip.message))
        file.comment = msgspec.json.encode({**details, "clip_start": clip.begin}).decode()
        file.write(np.clip(samples, -1.0, 1.0))
    return buffer.getvalue()
