"""The recordings that scripts/gather_sounds collected, and how often each is drawn.

A recording is a stretch of its source's file of int16 samples, which is mapped into memory.
Recordings of one group (takes of one sound) are on the same side of the split: a tenth of
the groups, and a twentieth of the sources whole, are held out of training.
"""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import DatasetError

RATE = 32000
LONG = 20.0  # seconds from which a longer recording is not drawn more often
# Kinds of source that are drawn more often than their length: games hold little of them.
FACTORS = {"nature": 6.0, "animals": 4.0, "machines": 4.0, "alarms": 4.0, "speech": 2.0}
HELD_OUT_GROUPS, HELD_OUT_SOURCES = 10, 20  # one of so many


def is_held_out(source: str, group: str) -> bool:
    """Say whether a group of recordings is for measuring, by its name alone."""
    by_group = zlib.crc32(f"{source}|{group}".encode()) % HELD_OUT_GROUPS == 0
    return by_group or zlib.crc32(f"source {source}".encode()) % HELD_OUT_SOURCES == 0


@dataclass
class SoundPool:
    """All recordings below a folder.

    Attributes
    ----------
    sources, kinds, groups
        (R,) per recording.
    starts, lengths
        (R,) samples in the source's file.
    held_out
        (R,) True for measuring only.
    """

    folder: Path
    sources: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    starts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    held_out: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    _files: dict[str, NDArray[np.int16]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read the tables."""
        rows = []
        for table in sorted(self.folder.glob("*.csv")):
            if table.name != "sources.csv":
                with table.open(newline="", encoding="utf-8") as opened:
                    rows += list(csv.DictReader(opened))
        if not rows:
            raise DatasetError(
                f"{self.folder} has no tables of recordings: scripts/gather_sounds -o {self.folder}"
            )
        self.sources = [row["source"] for row in rows]
        self.kinds = [row["kind"] for row in rows]
        self.groups = [row["group"] for row in rows]
        self.starts = np.array([int(row["start"]) for row in rows])
        self.lengths = np.array([round(float(row["seconds"]) * RATE) for row in rows])
        self.held_out = np.array(
            [is_held_out(*pair) for pair in zip(self.sources, self.groups, strict=True)]
        )

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.sources)

    @property
    def hours(self) -> float:
        """Length of all recordings together."""
        return float(self.lengths.sum()) / RATE / 3600

    def samples(self, recording: int, offset: int, n: int) -> NDArray[np.float32]:
        """Read at most ``n`` samples of a recording, from ``offset`` on, full scale at 1."""
        source = self.sources[recording]
        if source not in self._files:
            path = self.folder / (source.replace("/", "+") + ".npy")
            self._files[source] = np.load(path, mmap_mode="r", allow_pickle=False)
        n = min(n, int(self.lengths[recording]) - offset)
        at = int(self.starts[recording]) + offset
        return self._files[source][at : at + n].astype(np.float32) / np.float32(32768)

    def base_weights(self) -> NDArray[np.float64]:
        """Weigh recordings by the root of their length, up to `LONG`, and by their kind."""
        factors = np.array([FACTORS.get(kind, 1.0) for kind in self.kinds])
        return np.asarray(np.sqrt(np.minimum(self.lengths / RATE, LONG)) * factors)


def balanced(
    weights: NDArray[np.float64], probabilities: NDArray[np.float32], power: float = 0.75
) -> NDArray[np.float64]:
    """Draw what is rare more often: weigh recordings by the classes that a teacher finds.

    Parameters
    ----------
    weights
        (R,) base weights.
    probabilities
        (R, C) of classes, by the teacher.
    power
        0 leaves the weights, 1 makes all classes alike.

    Returns
    -------
    array (R,)
        Sum 1.
    """
    share = (probabilities**2) / np.maximum((probabilities**2).sum(1, keepdims=True), 1e-6)
    mass = (share * weights[:, None]).sum(0)
    scarcity = (mass / mass.sum() + 1e-4) ** -power
    balanced = weights * (share * scarcity).sum(1)
    return np.asarray(balanced / balanced.sum())
