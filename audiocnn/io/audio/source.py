"""An open recording: what its header says, its samples a piece at a time, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.audio.notes import Note

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says.

    Parameters
    ----------
    rate
        Samples per second; of joined recordings, the highest of their rates.
    channels
        Number of channels; of joined recordings, the largest of their numbers.
    frames
        Samples per channel; None if the header does not say.
    duration
        Seconds; None if the header does not say.
    format, subtype
        The container and the coding, as the decoder calls them.
    cut
        Whether the decoder saw at once that less is there than the header promises.
    plain
        Whether libsndfile can open the file itself and seek in it. False where the header
        is wrong, or several recordings are joined: `open_recording` reads those forward.
    stamped
        Whether a container stamps its packets with times: gaps are missing packets then.
    """

    rate: int
    channels: int
    frames: int | None
    duration: float | None
    format: str
    subtype: str
    cut: bool = False
    plain: bool = True
    stamped: bool = False


@dataclass
class Source:
    """An open recording; ``n_frames`` and ``damage`` are updated while ``pieces`` are taken.

    Parameters
    ----------
    path, info
        The file and its header.
    pieces
        (N, channels) arrays of samples, full scale at 1, in order; NaN where the container's
        time stamps say that samples are missing.
    n_frames
        Samples per channel so far.
    damage
        What is wrong with it, as a predicate, once the pieces have ended; empty if nothing.
    notes
        What the user should know although all of it can be read.
    """

    path: Path
    info: AudioInfo
    pieces: Iterator[Frames] = field(default_factory=lambda: iter(()))
    n_frames: int = 0
    damage: str = ""
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a header without a rate or channels."""
        if self.info.rate < 1 or self.info.channels < 1:
            raise AudioError(f"{self.path}: a header without a rate or channels: {self.info}")
