"""What a sink is: it takes messages somewhere; and what messages are.

    {"type": "event", "id", "time" (UTC), "start", "end", "label", "score"}

A sink knows its own place (a file, a broker) and nothing of queues, threads or
other sinks: `audiocnn.streaming.sinks.dispatcher` has those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from audiocnn.errors import ArgumentError, AudiocnnError, did_you_mean

TYPES = ("onset", "event", "gap", "scores", "heartbeat", "session")
LESSER = ("scores", "heartbeat")  # the first to go when a queue is full


class TryAgain(AudiocnnError):
    """A sink's place is away for now: the outlet calls again with the same message.

    Parameters
    ----------
    reason
        What is wrong, for the user.
    tries
        After so many in a row the message is given up; None for never.
    after
        Seconds to wait at least.
    soon
        Asking costs nothing: wait some seconds at most, however often it failed.
    """

    def __init__(
        self, reason: str, *, tries: int | None = None, after: float = 0.0, soon: bool = False
    ) -> None:
        super().__init__(reason)
        self.tries, self.after, self.soon = tries, after, soon


class Sink(Protocol):
    """Takes messages somewhere.

    `handle` makes one attempt of bounded length and raises what went wrong:
    `TryAgain` if the message should be kept. A sink may also have ``wants``
    (a `MessageFilter`: what it is given), ``tick()``, which its thread calls every `TICK`
    seconds between messages, and ``abort()``, called from another thread when the
    time to close is over.
    """

    @property
    def name(self) -> str:
        """How the sink is called in messages to the user."""

    def handle(self, message: Mapping[str, Any]) -> None:
        """Take one message; it must not be changed."""

    def close(self) -> None:
        """Finish; called once, in the sink's thread."""


@dataclass(frozen=True)
class MessageFilter:
    """Which messages a sink is given.

    Parameters
    ----------
    types
        Some of `TYPES`.
    labels
        Onsets and events of these labels only; empty for all.
    min_score
        Onsets and events of at least this score only, 0 to 1.

    Raises
    ------
    ArgumentError
        If a type is unknown or the score out of range.
    """

    types: Sequence[str] = ("onset", "event", "gap", "session")
    labels: Sequence[str] = ()
    min_score: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for name in self.types:
            if name not in TYPES:
                known = ", ".join(TYPES)
                raise ArgumentError(
                    f"no type of message {name!r}{did_you_mean(name, TYPES)}; there are: {known}"
                )
        if not 0 <= self.min_score <= 1:
            raise ArgumentError(f"min_score must be between 0 and 1, got {self.min_score}")

    def take(self, message: Mapping[str, Any]) -> bool:
        """Whether a message is wanted."""
        kind = message.get("type")
        if kind not in self.types:
            return False
        if kind not in ("onset", "event"):
            return True
        if self.labels and message.get("label") not in self.labels:
            return False
        return self.min_score <= 0 or (message.get("score") or 0.0) >= self.min_score


def format_message(message: Mapping[str, Any]) -> str:
    """Write a message as one line of JSON, without line end.

    Parameters
    ----------
    message
        Numbers may be NumPy's; those that are not finite become null. What is
        callable (``audio``) is left out.

    Returns
    -------
    str
        JSON, characters as they are.
    """
    return json.dumps(_plain(message), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items() if not callable(v)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):  # a lone surrogate cannot be written as UTF-8
        return value.encode("utf-8", "replace").decode("utf-8")
    return value if value is None or isinstance(value, bool | int) else str(value)
