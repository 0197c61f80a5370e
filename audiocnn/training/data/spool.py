"""Parts of a long recording, read in one pass over it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile

from audiocnn.datasets.clip import Clip
from audiocnn.errors import AudioError
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import read_blocks

Spool = SpooledTemporaryFile[bytes]
SPOOLED = 1 << 22  # bytes of a clip that are held in memory before it goes to disk


def spool_parts(
    path: Path, parts: Sequence[Clip], rate: int, folder: Path, channel: int | None = None
) -> Iterator[Spool | str]:
    """Read parts of one recording in one pass; give each in turn, or why it cannot be read.

    A part is given as soon as it and those before it are read, and closed afterwards:
    where parts follow each other, as they mostly do, neither memory nor the number of open
    files grows with the length of a recording. What a part holds goes to a file of its
    own once it is more than a minute or two.
    """
    reading = _Reading(path, parts, rate, folder)
    try:
        try:
            for block in read_blocks(path, rate, channel=channel):
                reading.take(block)
                while reading.is_next_whole():
                    yield reading.give()
                if block.start + block.samples.size >= max(reading.last):
                    break
        except AudioError as error:
            reading.break_off(str(error))
        while reading.given < len(parts):
            yield reading.give()
    finally:
        reading.close()


class _Reading:
    """Parts of a recording, as far as they are read."""

    def __init__(self, path: Path, parts: Sequence[Clip], rate: int, folder: Path) -> None:
        self.path, self.parts, self.rate, self.folder = path, parts, rate, folder
        self.first = [round(part.start * rate) for part in parts]
        self.last = [sys.maxsize if p.end is None else round(p.end * rate) for p in parts]
        self.at = self.first.copy()  # the sample that each waits for
        self.given = 0
        self._begun: dict[int, Spool] = {}
        self._faults: dict[int, str] = {}
        self._given: Spool | None = None

    def take(self, block: Block) -> None:
        """Put a block's samples where they belong."""
        end = block.start + block.samples.size
        for k in range(self.given, len(self.parts)):
            at, last = self.at[k], self.last[k]
            if k in self._faults or end <= self.first[k] or at >= last:
                continue
            if block.start > at:
                gap = f"{at / self.rate:.3f} to {min(block.start, last) / self.rate:.3f} s"
                self._faults[k] = f"{self.path} is not finite from {gap}: take another part of it"
                continue
            if k not in self._begun:
                spool = SpooledTemporaryFile(SPOOLED, dir=str(self.folder))  # noqa: SIM115, give closes it
                self._begun[k] = spool
            self._begun[k].write(block.samples[at - block.start : last - block.start].tobytes())
            self.at[k] = min(end, last)

    def is_next_whole(self) -> bool:
        """Return whether nothing more is to come of the part that is given next."""
        k = self.given
        return k < len(self.parts) and (k in self._faults or self.at[k] >= self.last[k])

    def give(self) -> Spool | str:
        """Return the next part; the one before is of no use any more."""
        if self._given is not None:
            self._given.close()
        k, self.given = self.given, self.given + 1
        self._given = self._begun.pop(k, None)
        if self._given is None or k in self._faults:
            start = self.parts[k].start
            nothing = f"{self.path}: no sample lies between {start:g} s and its end"
            return self._faults.get(k, nothing)
        return self._given

    def break_off(self, why: str) -> None:
        """Note why no part that is not whole will ever be."""
        self._faults |= {k: why for k in range(len(self.parts)) if self.at[k] < self.last[k]}

    def close(self) -> None:
        """Let go of all that was begun."""
        for spool in (*self._begun.values(), *([self._given] if self._given else [])):
            spool.close()
