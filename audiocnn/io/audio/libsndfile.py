"""Recordings that libsndfile decodes: WAV, FLAC, Ogg, Opus, MP3, AIFF and others.

libsndfile may end early without an error, so what the header promises is compared with what
was delivered. Damage is not raised here: the good part comes first, and ``Source.damage``
says what happened, so that a reader can finish what it has.
"""

from __future__ import annotations

import functools
import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiocnn.io.audio.byte_ranges import ENDLESS, Extent, ExtentFile
from audiocnn.io.audio.joined import joined_source
from audiocnn.io.audio.layout import layout_of
from audiocnn.io.audio.source import AudioInfo, Frames, Source

PIECE = 65536  # samples decoded at once, all channels together: 0.25 MiB
MP3_SLACK = 0.1  # seconds that an MP3 may lack: its header counts frames, not samples
MPEG_LAYERS = frozenset({"MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"})
CUT_SHORT = re.compile(
    r"^\s*(?:data|SSND|riff|Data Size)\s*: (?P<want>\d+) \(should be (?P<have>\d+)\)"
    r"|does not match value from 'ds64' chunk of (?P<frames>\d+)"
    r"|^Ogg ?: (?P<junk>Junk after the last page)",
    re.MULTILINE,
)  # how libsndfile's log says that less is there than the header promises


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read forward, and moves only when it is asked to.

    soundfile seeks to where it is after each read, which costs time, loses the
    end of a FLAC stream of unstated length, and in MP3 loses the decoder's
    memory: samples then differ by up to 0.6 from those of one long read.
    """

    def __init__(self, file: str | Path | io.RawIOBase) -> None:
        """Open a file; names need not be text."""
        named = not isinstance(file, io.RawIOBase) and os.name != "nt"
        super().__init__(os.fsencode(file) if named else file)  # type: ignore[arg-type]

    def seekable(self) -> bool:
        """Return False, so that soundfile never seeks."""
        return False


def open_sndfile(path: Path, stack: ExitStack) -> Source:
    """Open a recording with libsndfile.

    Parameters
    ----------
    path
        The file.
    stack
        What is opened is closed with it.

    Raises
    ------
    soundfile.LibsndfileError, TypeError
        If libsndfile does not know the format.
    """
    layout = layout_of(path)
    file = None
    if not layout.extents:
        file = stack.enter_context(ForwardFile(path))
        if file.format == "MP3":
            layout = layout_of(path, is_mpeg=True)
    if layout.extents:
        parts = (functools.partial(_open_extent, path, extent) for extent in layout.extents)
        return joined_source(path, tuple(parts), layout)
    assert file is not None, "a file without extents was opened"
    if file.format == "MP3" and not states_length(path):
        raw = ExtentFile(path, Extent(0, path.stat().st_size, endless=True))
        file = stack.enter_context(ForwardFile(stack.enter_context(raw)))
    return _source_of(path, file, layout.unread, layout.seconds)


def states_length(path: Path) -> bool:
    """Return whether the first frame of an MP3 is a header that counts the frames."""
    with path.open("rb") as file:
        head = file.read(10)
        while head[:3] == b"ID3":  # a tag, its size in four times seven bits
            size = functools.reduce(lambda high, low: high << 7 | low, head[6:10])
            file.seek(size + (10 if head[5] & 0x10 else 0), os.SEEK_CUR)
            head = file.read(10)
        frame = head + file.read(4096)
    found = re.search(rb"(?:Xing|Info)...(.)|VBRI", frame, re.DOTALL)
    return found is not None and (found[1] is None or bool(found[1][0] & 1))


def _open_extent(path: Path, extent: Extent, stack: ExitStack) -> Source:
    raw = stack.enter_context(ExtentFile(path, extent))
    return _source_of(path, stack.enter_context(ForwardFile(raw)))


def _source_of(path: Path, file: Any, unread: str = "", counted: float | None = None) -> Source:
    rate, frames = file.samplerate, file.frames if file.frames < ENDLESS >> 10 else None
    duration = counted if frames is None or rate < 1 else frames / rate
    cut = bool(unread or _cut_short(rate, file.frames, file.extra_info))
    info = AudioInfo(rate, file.channels, frames, duration, file.format, file.subtype, cut)
    source = Source(path, info)
    source.pieces = _pieces(source, file, unread)
    return source


def _pieces(source: Source, file: Any, unread: str) -> Iterator[Frames]:
    size = max(1024, PIECE // source.info.channels)
    error, n = "", 1
    while n and not error:
        # What libsndfile wrote before it failed is what is no longer NaN.
        piece = np.full((size, source.info.channels), np.nan, np.float32)
        try:
            n = len(file.read(out=piece))
        except soundfile.LibsndfileError as failure:
            error, n = _reason(failure), int(np.count_nonzero(~np.isnan(piece[:, -1])))
        source.n_frames += n
        yield piece[:n]
    source.damage = _damage(source, error, file.extra_info, file.name) or unread


def _reason(failure: soundfile.LibsndfileError) -> str:
    return str(failure.error_string).removeprefix("Error : ").rstrip(".")


def _damage(source: Source, error: str, log: str, file: Any) -> str:
    info, n = source.info, source.n_frames
    read = f"{n / info.rate:.3f} s"
    promised = f" of {info.duration:.3f} s" if info.duration is not None else ""
    if error and (info.frames is None or n < info.frames):
        if info.frames is None and isinstance(file, ExtentFile) and file.at_last_frame():
            return ""  # a stream that never said how long it is, cut wherever it was cut
        return f"is cut off or damaged: it could be read up to {read}{promised} ({error})"
    counts_frames = info.format == "MP3" or info.subtype in MPEG_LAYERS
    slack = MP3_SLACK * info.rate if counts_frames else 0
    if info.frames is not None and n + slack < info.frames:
        # Nothing says where: what comes after a hole inside would be timed too early.
        return f"is cut off or damaged: only {read}{promised} came out, so its times are uncertain"
    return _cut_short(info.rate, n, log)


def _cut_short(rate: int, n: int, log: str) -> str:
    """Interpret libsndfile's log on a recording that is cut off after ``n`` samples."""
    seconds = n / max(1, rate)
    read = f"it could be read up to {seconds:.3f} s"
    for line in CUT_SHORT.finditer(log):
        if line["junk"]:
            return f"is cut off within a page: {read}"
        part = n / int(line["frames"]) if line["frames"] else int(line["have"]) / int(line["want"])
        if not _is_placeholder(int(line["want"] or 0)):
            return f"is cut off: {read} of {seconds / part if part else 0:.3f} s"
    return ""


def _is_placeholder(n_bytes: int) -> bool:
    """Recognise the sizes that recorders write while they do not know the length yet."""
    return any(abs(n_bytes - size) <= 8192 for size in (1 << 31, 1 << 32))
