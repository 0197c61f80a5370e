"""Messages of live sessions: typed, immutable, with one JSON form.

    {"type": "event", "id": "6929a3f2-8c41d0-12", "source": "garden", "host": "attic",
     "time": "2026-11-28T10:00:02.450Z", "start": 2.45, "end": 4.1, "label": "dog",
     "score": 0.93, "clip": "/var/lib/audiocnn/clips/dog/2026-11-28T10-00-02.450Z_...flac"}

Every message names its source and host. An onset and the event that ends it share an id;
ids do not repeat between sessions, processes or machines. `time` is the UTC time of
`start` (of the message itself where there is no `start`); `start` and `end` are seconds
since the session began.
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import Any

import msgspec

from audiocnn.errors import ArgumentError


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=""):
    """What all messages have in common.

    Parameters
    ----------
    id
        Unique across sessions, processes and machines.
    source
        Name of the source.
    host
        Name of the machine.
    time
        UTC, ISO 8601 with milliseconds.
    """

    id: str
    source: str
    host: str
    time: str

    @property
    def type(self) -> str:
        """The tag of the JSON form: "onset", "event", "gap", "scores", "level", ..."""
        return str(self.__struct_config__.tag)


class Onset(Message, frozen=True, kw_only=True, tag="onset"):
    """A sound has begun.

    Parameters
    ----------
    start
        Seconds since the session began.
    end
        Always None.
    label
        Its class.
    score
        Highest score so far, 0 to 1.
    """

    start: float
    end: None = None
    label: str
    score: float | None


class EventMessage(Message, frozen=True, kw_only=True, tag="event"):
    """A sound has ended.

    Parameters
    ----------
    start, end
        Seconds since the session began.
    label
        Its class.
    score
        Highest score of the event, 0 to 1.
    clip
        Path of the file with its sound, where one is being kept; it is complete some seconds
        later, when the sound after the event has been received.
    """

    start: float
    end: float
    label: str
    score: float | None
    clip: str | None = None


class Gap(Message, frozen=True, kw_only=True, tag="gap"):
    """A stretch of the stream was lost.

    Parameters
    ----------
    start, end
        Seconds since the session began.
    label, score
        Always None: the columns of events.
    reason
        For the user.
    """

    start: float
    end: float
    label: None = None
    score: None = None
    reason: str


class ScoresMessage(Message, frozen=True, kw_only=True, tag="scores"):
    """The scores of one window.

    Parameters
    ----------
    start, end
        Seconds since the session began.
    scores
        Probability of each label.
    """

    start: float
    end: float
    scores: dict[str, float]


class LevelMessage(Message, frozen=True, kw_only=True, tag="level"):
    """Sound level of one period, A-weighted, time weighting F; see `frontend.sound_level`.

    Parameters
    ----------
    start, end
        Seconds since the session began.
    measured
        Seconds of it that were measured; the rest was lost.
    laeq, lafmax, l10, l90
        dB re 20 µPa if calibrated, else dB re full scale. None where nothing was measured.
    calibrated
        Whether the source has a calibration offset.
    """

    start: float
    end: float
    measured: float
    laeq: float | None
    lafmax: float | None
    l10: float | None
    l90: float | None
    calibrated: bool


class StatusMessage(Message, frozen=True, kw_only=True, tag=""):
    """State of a session: its begin, a sign of life, or its end.

    Parameters
    ----------
    state
        "listening", "lost" (nothing is received at the moment) or "ended".
    end
        Length of the stream so far, seconds.
    heard, lost
        Seconds that were received, and that were lost.
    windows, events, gaps
        Counts so far.
    load
        Share of one core that the process used since the message before.
    model, input, hop
        What runs: name of the bundle, of the device or file, seconds between windows.
    reason
        Why nothing is received, or why the session ended early; empty otherwise.
    """

    state: str
    end: float
    heard: float
    lost: float
    windows: int
    events: int
    gaps: int
    load: float = 0.0
    model: str = ""
    input: str = ""
    hop: float = 0.0
    reason: str = ""


class SessionMessage(StatusMessage, frozen=True, kw_only=True, tag="session"):
    """A session begins or ends."""


class Heartbeat(StatusMessage, frozen=True, kw_only=True, tag="heartbeat"):
    """A sign of life, at regular intervals."""


AnyMessage = Onset | EventMessage | Gap | ScoresMessage | LevelMessage | SessionMessage | Heartbeat
TYPES = ("onset", "event", "gap", "scores", "level", "heartbeat", "session")
_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)


def format_message(message: Message) -> str:
    """Write a message as one line of JSON, without line end.

    Returns
    -------
    str
        Characters as they are; numbers that are not finite become null.
    """
    try:
        data = msgspec.json.encode(message)
    except UnicodeEncodeError:  # a lone surrogate cannot be written as UTF-8
        data = msgspec.json.encode(_printable(msgspec.to_builtins(message)))
    return msgspec.json.format(data, indent=0).decode()


def parse_message(line: str | bytes) -> AnyMessage:
    """Read a message from its JSON form.

    Raises
    ------
    ArgumentError
        If it is not a message; says what is wrong.
    """
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArgumentError(f"not a message of a live session: {error}") from error


def values_of(message: Message) -> dict[str, Any]:
    """Give the fields of a message, with ``type`` first."""
    return {"type": message.type, **msgspec.structs.asdict(message)}


def new_session_id() -> str:
    """Make the beginning of a session's ids: the time and a random number, in hexadecimal."""
    return f"{int(time.time()):08x}-{secrets.token_hex(4)}"


def host_name() -> str:
    """Give this machine's name without its domain."""
    return socket.gethostname().split(".")[0] or "localhost"


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
