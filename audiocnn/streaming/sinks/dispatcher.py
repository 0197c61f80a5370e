"""Delivers messages to sinks: a queue and a thread for each sink.

    session --send--> queue -> thread -> sink     a file
                      queue -> thread -> sink     a broker that is unavailable

Listening must never wait for a disk or a network, so `SinkDispatcher.send` only queues. A
sink is called from its own thread, one message at a time, and makes one bounded
attempt; trying again is done here, in one place. While a sink is unavailable its
queue fills; when it is full the oldest message is dropped, scores and heartbeats before
events. Everything is counted. Trouble is reported when it begins and when it is over, not
each time.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.messages import Message
from audiocnn.streaming.sinks.base import MINOR, MessageFilter, Sink, TryAgain

TICK = 0.25  # seconds between two calls of a sink's `tick`
FIRST_PAUSE = 0.5  # seconds before a second try; doubled for each one after it
SOON = 2.0  # seconds between two tries that cost nothing
QUIET = 60.0  # seconds in which a sink's trouble is reported at most once


@dataclass
class SinkStatus:
    """State of a sink: messages handled, dropped from its queue, failed, and waiting."""

    handled: int = 0
    dropped: int = 0
    failed: int = 0
    waiting: int = 0
    reason: str = ""  # the last thing that went wrong
    away: bool = False  # it went wrong the last time


class SinkDispatcher:
    """Gives messages to several sinks, none of which can stop the others or the caller.

    Parameters
    ----------
    sinks
        Their names must differ. The dispatcher closes them.
    limit
        Messages that wait for a sink at most.
    wait
        Seconds for which `send` may wait while a queue is full: 0 for live input;
        more for recordings, which can wait.
    notify
        Called, from any thread, with a sentence for the user when a sink begins to
        fail, and when it works again.
    longest_pause
        Seconds between two tries at most.

    Raises
    ------
    ArgumentError
        If two sinks have one name, or a limit is less than 1.
    """

    def __init__(
        self,
        sinks: Iterable[Sink],
        *,
        limit: int = 1000,
        wait: float = 0.0,
        notify: Callable[[str], None] | None = None,
        longest_pause: float = 60.0,
    ) -> None:
        sinks = list(sinks)
        names = [sink.name for sink in sinks]
        if len(set(names)) < len(names):
            raise ArgumentError(f"two sinks have one name: {', '.join(names)}; give one a `name`")
        if limit < 1:
            raise ArgumentError(f"limit must be at least 1 message, got {limit}")
        self._wait = wait
        self._queues = [_SinkQueue(sink, limit, notify, longest_pause) for sink in sinks]

    def send(self, message: Message) -> None:
        """Put a message into the queue of each sink that wants it; never raises."""
        for queue in self._queues:
            queue.put(message, self._wait)

    def status(self) -> dict[str, SinkStatus]:
        """Give the state of each sink, by name."""
        return {queue.sink.name: queue.now() for queue in self._queues}

    def close(self, timeout: float = 5.0) -> dict[str, SinkStatus]:
        """Let the sinks take what waits, close them, and report how each did.

        Parameters
        ----------
        timeout
            Seconds, for all sinks together; what still waits then is dropped.
        """
        deadline = time.monotonic() + timeout
        for queue in self._queues:
            queue.finish(deadline)
        for queue in self._queues:
            queue.thread.join(max(0.0, deadline - time.monotonic()))
        for queue in self._queues:
            if queue.thread.is_alive():
                queue.abort()
        return self.status()

    def __enter__(self) -> SinkDispatcher:
        """Return the dispatcher itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()


class _SinkQueue:
    """One sink, its queue and its thread."""

    def __init__(
        self,
        sink: Sink,
        limit: int,
        notify: Callable[[str], None] | None,
        longest_pause: float,
    ) -> None:
        self.sink, self._limit, self._notify, self._longest = sink, limit, notify, longest_pause
        self._wants: MessageFilter | None = getattr(sink, "wants", None)
        self._tick: Callable[[], None] | None = getattr(sink, "tick", None)
        self._queue: deque[Message] = deque()
        self._changed = threading.Condition()
        self._deadline: float | None = None  # set when closing
        self._status = SinkStatus()
        self._n_at_trouble: int | None = -1
        self._reported_at, self._is_reported = -math.inf, False
        self.thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)
        self.thread.start()

    def put(self, message: Message, wait: float) -> None:
        if self._wants is not None and not self._wants.take(message):
            return
        full = False
        with self._changed:
            if wait > 0 and len(self._queue) >= self._limit:
                self._changed.wait_for(lambda: len(self._queue) < self._limit, wait)
            if self._deadline is not None:
                self._status.dropped += 1
                return
            if full := len(self._queue) >= self._limit:
                kinds = [waiting.type in MINOR for waiting in self._queue]
                del self._queue[kinds.index(True) if True in kinds else 0]
                self._status.dropped += 1
            self._queue.append(message)
            self._changed.notify_all()
        if full:
            self._trouble(f"cannot keep up: of {self._limit} waiting messages the oldest go")

    def now(self) -> SinkStatus:
        with self._changed:
            return replace(self._status, waiting=len(self._queue))

    def finish(self, deadline: float) -> None:
        with self._changed:
            self._deadline = deadline
            self._changed.notify_all()

    def abort(self) -> None:
        with contextlib.suppress(Exception):
            getattr(self.sink, "abort", lambda: None)()
        with self._changed:
            self._drop_all()

    def _run(self) -> None:
        while (message := self._next()) is not None:
            self._deliver(message)
        self._guard(self.sink.close)

    def _next(self) -> Message | None:
        """Wait for a message, ticking; None when it is time to close."""
        while True:
            with self._changed:
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self._drop_all()
                if self._queue:
                    message = self._queue.popleft()
                    self._changed.notify_all()
                    break
                if self._deadline is not None:
                    return None
                self._changed.wait(TICK if self._tick else None)
            if self._tick:
                self._guard(self._tick)
        if self._tick:
            self._guard(self._tick)
        return message

    def _deliver(self, message: Message) -> None:
        tries = 0
        while True:
            try:
                self.sink.handle(message)
            except TryAgain as error:
                tries += 1
                self._trouble(f"{error}; trying again")
                if tries != error.tries and self._pause(tries, error):
                    continue
                self._status.failed += 1
            except Exception as error:  # whatever a sink does, the others go on
                self._status.failed += 1
                self._trouble(_sentence(error))
            else:
                self._status.handled += 1
                self._well()
            return

    def _pause(self, tries: int, error: TryAgain) -> bool:
        """Wait before the next try; False if there is no time for one."""
        longest = min(self._longest, SOON) if error.soon else self._longest
        pause = max(error.after, min(longest, FIRST_PAUSE * 2.0 ** min(tries - 1, 30)))
        until = time.monotonic() + pause
        while True:
            now = time.monotonic()
            with self._changed:
                if self._deadline is not None:  # closing: quickly, while there is time
                    until = min(until, now + TICK)
                    if until >= self._deadline:
                        return False
                if now >= until:
                    return True
                self._changed.wait(min(until - now, TICK if self._tick else math.inf))
            if self._tick:
                self._guard(self._tick)

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # as above
            self._status.failed += not isinstance(error, TryAgain)
            self._trouble(_sentence(error))
        else:
            if self._n_delivered() is not None and self._status.away:
                self._well()

    def _n_delivered(self) -> int | None:
        """Give how much the sink has delivered; None if `handle` itself delivers."""
        n: int | None = getattr(self.sink, "n_delivered", None)
        return n

    def _drop_all(self) -> None:
        self._status.dropped += len(self._queue)
        self._queue.clear()

    def _trouble(self, reason: str) -> None:
        self._status.reason, self._status.away = reason, True
        self._n_at_trouble = self._n_delivered()
        if time.monotonic() - self._reported_at >= QUIET:
            self._reported_at, self._is_reported = time.monotonic(), True
            self._say(reason)

    def _well(self) -> None:
        """Note that the sink works: it has delivered something since the trouble began."""
        n = self._n_delivered()
        if n is not None and n == self._n_at_trouble:
            return
        self._status.away = False
        if self._is_reported:
            self._is_reported = False
            self._say("works again")

    def _say(self, sentence: str) -> None:
        if self._notify is not None:
            with contextlib.suppress(Exception):
                self._notify(f"{self.sink.name}: {sentence}")


def _sentence(error: Exception) -> str:
    """Describe an error; with its class, unless its message was written for the user."""
    return str(error) if isinstance(error, AudiocnnError) else f"{type(error).__name__}: {error}"
