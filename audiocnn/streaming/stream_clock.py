"""UTC times of the samples of a stream.

A sound card's clock runs a little fast or slow, and what it hands over comes late by
some milliseconds, now more, now less, never early. So the time of a sample is taken
from the promptest chunk of the last seconds, again and again: it follows the drift
and not the jitter.
"""

from __future__ import annotations

from datetime import UTC, datetime

ANEW = 10.0  # seconds after which the promptest chunk is looked for again
JUMP = 1.0  # seconds off by which the wall clock must have been set


class StreamClock:
    """Seconds since a stream began, to UTC.

    Parameters
    ----------
    began
        UTC at which the stream began, seconds since 1970, until a chunk brings its time.
    """

    def __init__(self, began: float) -> None:
        self._offset = began  # of UTC to seconds of the stream
        self._promptest: float | None = None
        self._since = 0.0
        self._anchored = False

    def note(self, seconds: float, time: float | None, *, anew: bool = False) -> None:
        """Note that the sample at ``seconds`` was heard at ``time``.

        Parameters
        ----------
        seconds
            Of the stream.
        time
            UTC; None if that is not known.
        anew
            Whether what was known before no longer holds: after a gap.
        """
        if time is None:
            return
        offset = time - seconds
        if anew or not self._anchored or abs(offset - self._offset) > JUMP:
            self._offset, self._anchored = offset, True
            self._promptest, self._since = None, seconds
        elif offset < self._offset:  # it cannot have been heard before it sounded
            self._offset = offset
        self._promptest = offset if self._promptest is None else min(self._promptest, offset)
        if seconds - self._since >= ANEW:
            self._offset, self._promptest, self._since = self._promptest, None, seconds

    def at(self, seconds: float) -> float:
        """Give UTC, in seconds since 1970."""
        return self._offset + seconds

    def text(self, seconds: float) -> str:
        """Give UTC as ISO 8601 writes it, in milliseconds."""
        time = datetime.fromtimestamp(self.at(seconds), UTC)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
