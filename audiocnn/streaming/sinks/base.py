"""The interface of sinks, and the filter of messages that each of them has.

A sink delivers messages to one place: a file, a database, a broker. It knows nothing of
queues, threads or other sinks: `audiocnn.streaming.sinks.dispatcher` has those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from audiocnn.errors import ArgumentError, AudiocnnError, did_you_mean
from audiocnn.streaming.messages import TYPES, EventMessage, Message, Onset

MINOR = ("scores", "heartbeat")  # the first to be dropped when a queue is full


class TryAgain(AudiocnnError):
    """A sink's destination is unavailable: the dispatcher calls again with the same message.

    Parameters
    ----------
    reason
        What is wrong, for the user.
    tries
        Attempts in a row after which the message is dropped; None for no limit.
    after
        Seconds to wait at least.
    soon
        Whether an attempt is cheap: wait some seconds at most, however often it failed.
    """

    def __init__(
        self, reason: str, *, tries: int | None = None, after: float = 0.0, soon: bool = False
    ) -> None:
        super().__init__(reason)
        self.tries, self.after, self.soon = tries, after, soon


class Sink(Protocol):
    """Delivers messages to one destination.

    `handle` makes one attempt of bounded length and raises what went wrong:
    `TryAgain` if the message should be kept. A sink may also have ``wants``
    (a `MessageFilter`), ``tick()``, which its thread calls every quarter of a second between
    messages, ``abort()``, called from another thread when the time to close is over, and
    ``n_delivered``, a count, where `handle` only begins what is delivered later.
    """

    @property
    def name(self) -> str:
        """Name of the sink in notes to the user."""

    def handle(self, message: Message) -> None:
        """Deliver one message."""

    def close(self) -> None:
        """Finish; called once, in the sink's thread."""


@dataclass(frozen=True)
class MessageFilter:
    """Which messages a sink receives.

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

    def take(self, message: Message) -> bool:
        """Whether a message passes."""
        if message.type not in self.types:
            return False
        if not isinstance(message, Onset | EventMessage):
            return True
        if self.labels and message.label not in self.labels:
            return False
        return self.min_score <= 0 or (message.score or 0.0) >= self.min_score
