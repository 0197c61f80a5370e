"""A labelled clip: a recording or a part of one, and its labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.io.recording import RecordingRef


@dataclass(frozen=True)
class Clip:
    """A recording, or a part of one, with its labels.

    Parameters
    ----------
    path
        The recording.
    labels
        Its classes; none of them for background.
    start, end
        Seconds; ``end`` is None for the end of the recording.
    columns
        The other columns of its row in the manifest.
    """

    path: Path
    labels: tuple[str, ...]
    start: float = 0.0
    end: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the times."""
        end = math.inf if self.end is None else self.end
        if not (math.isfinite(self.start) and 0 <= self.start < end):
            raise ArgumentError(f"a clip needs 0 <= start < end, got {self.start} and {self.end}")

    @property
    def recording(self) -> RecordingRef:
        """The recording that ``path`` names: a file, or a series in a file of many."""
        return RecordingRef.of(self.path)


def targets_of(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.float32]:
    """Return (K, C): 1 where a clip has a label; labels that are not listed are left out."""
    at = {label: i for i, label in enumerate(labels)}
    targets = np.zeros((len(clips), len(labels)), np.float32)
    for row, clip in enumerate(clips):
        for label in clip.labels:
            if label in at:
                targets[row, at[label]] = 1
    return targets
