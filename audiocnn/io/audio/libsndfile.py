"""Files as libsndfile is to see them: read forward, and no longer than they say.

What its Python binding does around each read, and what it believes of an MP3's
length, lose samples. Nothing here knows what a recording is.
"""

from __future__ import annotations

import functools
import io
import os
import re
from pathlib import Path

import soundfile

ENDLESS = 1 << 50  # bytes or samples: more than there can be


class Unsought(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read forward, and moves only when told to.

    soundfile seeks to where it is after each read, which costs time, loses the
    end of a FLAC stream of unstated length, and in MP3 loses the decoder's
    memory: samples then differ by up to 0.6 from those of one long read.
    """

    def __init__(self, file: str | Path | io.RawIOBase) -> None:
        """Open a file; names need not be text."""
        named = not isinstance(file, io.RawIOBase) and os.name != "nt"
        super().__init__(os.fsencode(file) if named else file)  # type: ignore[arg-type]

    def seekable(self) -> bool:
        """Say no, and soundfile never seeks."""
        return False


class Unending(io.FileIO):
    """A file whose end is out of sight.

    libsndfile stops at the length that mpg123 estimates from the file's size
    where an MP3 does not state it: a variable bit rate can lose four fifths.
    From this size the estimate is absurd, so it is known to be one.
    """

    _at_end = False

    def at_last_frame(self) -> bool:
        """Tell whether all has been read but for a part of a frame and a tag."""
        return super().tell() + 2048 >= os.fstat(self.fileno()).st_size

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move, or pretend to: the end is asked for only to learn the size."""
        self._at_end = (offset, whence) == (0, 2)
        return ENDLESS if self._at_end else super().seek(offset, whence)

    def tell(self) -> int:
        """Give the position, or the pretended end."""
        return ENDLESS if self._at_end else super().tell()


def states_length(path: Path) -> bool:
    """Tell whether the first frame of an MP3 is a header that counts the frames."""
    with path.open("rb") as file:
        head = file.read(10)
        while head[:3] == b"ID3":  # a tag, its size in four times seven bits
            size = functools.reduce(lambda high, low: high << 7 | low, head[6:10])
            file.seek(size + (10 if head[5] & 0x10 else 0), os.SEEK_CUR)
            head = file.read(10)
        frame = head + file.read(4096)
    found = re.search(rb"(?:Xing|Info)...(.)|VBRI", frame, re.DOTALL)
    return found is not None and (found[1] is None or bool(found[1][0] & 1))
