"""Messages for tests of sinks: one session, numbered events, and the sound that clips need."""

from pathlib import Path
from typing import Any

from audiocnn.streaming.messages import (
    EventMessage,
    Gap,
    Heartbeat,
    Message,
    Onset,
    ScoresMessage,
    SessionMessage,
)
from audiocnn.streaming.sinks.clips import Clips

SOUND: list[tuple[Message, Any]] = []  # messages and where their clips get sound from
COMMON: dict[str, Any] = {"source": "garden", "host": "attic"}


def event(
    number: int = 0, *, type: str = "event", session: str = "s", audio: Any = None, **more: Any
) -> Any:
    """Make the event of a number, which begins at that second; or its onset."""
    time = f"2026-11-23T02:{number // 60 % 60:02d}:{number % 60:02d}.120Z"
    fields = {**COMMON, "time": time, "start": number + 0.25, "label": "dog", "score": 0.9, **more}
    fields["id"] = (
        session + ("" if fields["label"] == "dog" else fields["label"][:9]) + f"-{number}"
    )
    if type == "onset":
        fields.pop("end", None)
        return Onset(**fields)
    message = EventMessage(**{"end": number + 0.75, **fields})
    SOUND.append((message, audio))
    return message


def other(type: str, number: int = 1, *, session: str = "s", **more: Any) -> Any:
    """Make a message of another type."""
    fields = {**COMMON, "id": f"{session}-{type}{number}", "time": "2026-11-23T02:00:00Z", **more}
    if type == "gap":
        return Gap(**{"start": 0.0, "end": 1.0, "reason": "unplugged", **fields})
    if type == "scores":
        return ScoresMessage(**{"start": 0.0, "end": 1.0, "scores": {"dog": 0.5}, **fields})
    state = {"state": "listening", "end": 1.0, "heard": 1.0, "lost": 0.0, "windows": 1,
             "events": 0, "gaps": 0, **fields}  # fmt: skip
    return SessionMessage(**state) if type == "session" else Heartbeat(**state)


def number_of(id: str) -> int:
    """Give the number of an event by its id."""
    return int(id.rpartition("-")[2])


def clips(folder: str | Path, **options: Any) -> Clips:
    """Make a sink that gets the sound that `event` was given."""

    def sound_of(message: Message) -> Any:
        return next((audio for known, audio in SOUND if known is message), None)

    return Clips(folder, sound_of=sound_of, **options)
