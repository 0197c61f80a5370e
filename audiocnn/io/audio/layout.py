"""Where in a file its sound lies, by the kind of file that its first bytes show."""

from __future__ import annotations

import functools
from pathlib import Path

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout
from audiocnn.io.audio.chunk_layout import chunk_layout
from audiocnn.io.audio.flac_layout import flac_layout
from audiocnn.io.audio.mpeg_layout import mpeg_layout
from audiocnn.io.audio.ogg_layout import ogg_layout
from audiocnn.io.audio.wav_layout import au_layout, wav_layout

PLAIN = Layout()
FINDERS = (wav_layout, flac_layout, ogg_layout, au_layout, chunk_layout)


def layout_of(path: Path, is_mpeg: bool = False) -> Layout:
    """Find the sound in a file.

    Parameters
    ----------
    path
        The file.
    is_mpeg
        Whether it is known to be MPEG audio, which has no header of its own.

    Returns
    -------
    Layout
        Without extents if a decoder may be given the file as it is.
    """
    found = path.stat()
    return _layout_of(path, is_mpeg, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=16)  # a recording is opened several times: header, samples, parts
def _layout_of(path: Path, is_mpeg: bool, size: int, mtime_ns: int) -> Layout:
    with FileBytes(path) as file:
        for find in FINDERS:
            if (layout := find(file)) is not None:
                return layout
        return mpeg_layout(file) if is_mpeg else PLAIN


def movie_layout(path: Path) -> Layout:
    """Find the movies in an MP4 file: each begins with a box ``ftyp``, and readers stop at one.

    References
    ----------
    ISO/IEC 14496-12:2022, 4.2 (boxes) and 4.3 (``ftyp``).
    """
    with FileBytes(path) as file:
        if file.read(4, 4) != b"ftyp":
            return PLAIN
        starts, at = [], 0
        while at + 8 <= file.size:
            header = file.read(at, 16)
            size = int.from_bytes(header[:4], "big")
            if header[4:8] == b"ftyp":
                starts.append(at)
            if size == 1:
                size = int.from_bytes(header[8:16], "big")
            if size < 8:  # 0: to the end of the file
                break
            at += size
        if len(starts) < 2:
            return PLAIN
        ends = [*starts[1:], file.size]
    return Layout(tuple(Extent(start, end) for start, end in zip(starts, ends, strict=True)))
