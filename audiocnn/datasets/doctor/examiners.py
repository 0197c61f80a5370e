"""How recordings of a kind are examined, and what is found in them: one class a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.doctor.audio_checks import Examined, examine
from audiocnn.datasets.doctor.findings import Finding, about_files
from audiocnn.datasets.doctor.signal_checks import examine_signal
from audiocnn.datasets.doctor.signal_findings import about_signals
from audiocnn.io.signals.channels import SignalReadOptions


class Examiner(Protocol):
    """What the doctor needs to know of a kind of recordings; sent to worker processes."""

    @property
    def is_cached(self) -> bool:
        """Whether measurements can be kept for the next check."""

    @property
    def is_sound(self) -> bool:
        """Whether the recordings are sound."""

    def __call__(self, path: Path) -> Examined:
        """Examine one recording."""

    def findings(self, clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
        """Report findings on recordings, and compared with each other."""


@dataclass(frozen=True)
class SoundExaminer:
    """Examines sound: levels, clipping, band limits, fingerprints.

    Parameters
    ----------
    channel
        Which channel, counted from 0; the mean of all if None.
    """

    channel: int | None = None
    is_sound = True

    @property
    def is_cached(self) -> bool:
        """Whether the measurements are those of the mean of all channels."""
        return self.channel is None

    def __call__(self, path: Path) -> Examined:
        """Examine one recording."""
        return examine(path, self.channel)

    def findings(self, clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
        """Report findings on recordings, and compared with each other."""
        return about_files(clips, found)


@dataclass(frozen=True)
class SignalExaminer:
    """Examines other signals: channels, rates, missing values, units.

    Parameters
    ----------
    reading
        How they are read.
    """

    reading: SignalReadOptions
    is_sound = False
    is_cached = False

    def __call__(self, path: Path) -> Examined:
        """Examine one recording."""
        return examine_signal(path, self.reading)

    def findings(self, clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
        """Report findings on recordings, and compared with each other."""
        return about_signals(clips, found)


def examiner_for(clips: Sequence[Clip], reading: SignalReadOptions) -> Examiner:
    """Choose the examiner: for signals if one clip is such, or ``reading`` concerns signals."""
    if reading.is_for_signals or any(not clip.recording.is_sound for clip in clips):
        return SignalExaminer(reading)
    return SoundExaminer(reading.channel)
