"""Sound level of a session, a message a minute; an observer of the session."""

from __future__ import annotations

import time

from audiocnn.frontend.sound_level import LevelSpec, LevelState, SoundLevel, finish, measure
from audiocnn.streaming.inputs.chunk import Samples
from audiocnn.streaming.session import Session

PERIOD = 60.0  # seconds of one message


class LevelMeter:
    """Measures what a session receives, by minutes of the clock.

    Parameters
    ----------
    session
        That is observed; it sends the messages.
    offset
        Calibration, see `LevelSpec`; None for levels re full scale.

    Raises
    ------
    ArgumentError
        If the sample rate is too low for a level.
    """

    def __init__(self, session: Session, offset: float | None) -> None:
        first = PERIOD - time.time() % PERIOD
        self._session = session
        self._spec = LevelSpec(session.rate, offset, PERIOD, first)
        self._state = LevelState()
        self.newest: SoundLevel | None = None

    def add(self, samples: Samples) -> None:
        """Measure a chunk."""
        done, self._state = measure(self._spec, self._state, samples)
        for level in done:
            self._report(level)

    def tick(self, session: Session) -> None:
        """Do nothing: levels are sent as their minutes end."""

    def close(self) -> None:
        """Send the level of the minute that has begun."""
        for level in finish(self._spec, self._state):
            self._report(level)
        self._state = LevelState()

    def _report(self, level: SoundLevel) -> None:
        self.newest = level
        self._session.report_level(level)
