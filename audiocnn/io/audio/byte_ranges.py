"""Parts of a file as files of their own, for decoders that expect one recording a file.

    file      |header| samples .......... |header| samples ....... |tags|
    extents   [0 ........................][......................]

Decoders read one recording and ignore what follows it. Where a file holds several, or its
header states other sizes than the file has, a decoder is given an `ExtentFile`: a range of
bytes, with a corrected header in front of it if need be. Nothing here knows a format.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from audiocnn.io.audio.notes import Note

ENDLESS = 1 << 50  # bytes or samples: more than any file has
CHUNK = 1 << 20  # bytes that a search reads at once


@dataclass(frozen=True)
class Extent:
    """A range of bytes that decodes as one recording.

    Parameters
    ----------
    start, end
        Its bytes in the file.
    head
        Bytes that the decoder gets before them: a header with the true sizes.
    endless
        Whether the decoder must not learn the size, see `ExtentFile`.
    rate, channels
        Of its samples, where they are known from finding the extent; else 0.
    frames
        Samples per channel, or 0.
    """

    start: int
    end: int
    head: bytes = b""
    endless: bool = False
    rate: int = 0
    channels: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Layout:
    """Which bytes of a file are sound.

    Parameters
    ----------
    extents
        In order; none if the file can be handed to a decoder as it is.
    unread
        What of the file cannot be read, as the predicate of a sentence; empty if nothing.
    notes
        What the user should know although everything is read.
    seconds
        Length of the sound, where it was counted; else None.
    """

    extents: tuple[Extent, ...] = ()
    unread: str = ""
    notes: tuple[Note, ...] = ()
    seconds: float | None = None


class FileBytes:
    """Random access to the bytes of a file; use as a context manager.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> FileBytes:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def read(self, at: int, n: int) -> bytes:
        """Read up to ``n`` bytes from ``at`` on."""
        if at >= self.size or n <= 0:
            return b""
        self._file.seek(at)
        return self._file.read(n)

    def find(self, pattern: bytes, start: int = 0, end: int | None = None) -> int:
        """Return where a pattern first occurs within ``start`` to ``end``; -1 if nowhere."""
        return next(self.find_all(pattern, start, end), -1)

    def find_all(self, pattern: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Yield where a pattern occurs, in order; memory does not grow with the file."""
        end = self.size if end is None else min(end, self.size)
        keep = len(pattern) - 1
        at, tail = start, b""
        while at < end:
            data = tail + self.read(at, min(CHUNK, end - at))
            if len(data) == len(tail):
                return
            base, found = at - len(tail), data.find(pattern)
            while found >= 0:
                yield base + found
                found = data.find(pattern, found + 1)
            at = base + len(data)
            tail = data[-keep:] if keep else b""


class ExtentFile(io.RawIOBase):
    """An extent as a readable, seekable file.

    Where `Extent.endless` is set, the size is given as `ENDLESS`. libsndfile asks for the
    size of an MP3 to estimate its length; the estimate is then absurd and known to be one.

    Parameters
    ----------
    path
        The file.
    extent
        Which bytes of it.
    """

    def __init__(self, path: Path, extent: Extent) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._extent, self._at, self._at_end = extent, 0, False
        self._size = len(extent.head) + extent.end - extent.start
        self.name = os.fspath(path)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the current position on; return the number of bytes."""
        view = memoryview(buffer).cast("B")
        head = self._extent.head
        n = min(len(view), max(0, self._size - self._at))
        done = 0
        if self._at < len(head):
            done = min(n, len(head) - self._at)
            view[:done] = head[self._at : self._at + done]
        if done < n:
            self._file.seek(self._extent.start + self._at + done - len(head))
            done += self._file.readinto(view[done:n]) or 0
        self._at += done
        return done

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        if self._extent.endless:
            self._at_end = (offset, whence) == (0, 2)
            if self._at_end:
                return ENDLESS
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        """Return the position, or the pretended end."""
        return ENDLESS if self._at_end else self._at

    def at_last_frame(self) -> bool:
        """Return whether all has been read but for a part of an MP3 frame and a tag."""
        return self._at + 2048 >= self._size

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
