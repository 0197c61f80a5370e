"""Recordings that FFmpeg decodes, through PyAV (``audiocnn[av]``): MP4, MPEG-TS, Matroska, AAC.

Containers stamp their packets with times. They are kept: samples begin where their stamps
say, and where stamps jump ahead, samples are missing.

    stamps    5.00  5.02  5.04              9.00  9.02
    samples   nan...|=====|=====|=====|nan ...|=====|     the picture began at 0, sound at 5 s
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import AudioError
from audiocnn.io.audio.byte_ranges import Extent, ExtentFile
from audiocnn.io.audio.joined import joined_source
from audiocnn.io.audio.layout import movie_layout
from audiocnn.io.audio.notes import TRACKS, Note
from audiocnn.io.audio.source import AudioInfo, Frames, Source

SLACK = 0.5  # seconds that less may come out than promised: containers round
PROMISES = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf"})  # others guess
JITTER = 0.05  # seconds by which stamps may be off: containers round to a millisecond or more
LONGEST_GAP = 86400.0  # seconds; a greater jump of the stamps is another clock
GAP_PIECE = 65536  # samples of a gap that are given at once


def open_av(path: Path, reason: str, stack: ExitStack) -> Source:
    """Open a recording with FFmpeg.

    Parameters
    ----------
    path
        The file.
    reason
        Why libsndfile could not open it.
    stack
        What is opened is closed with it.

    Raises
    ------
    AudioError
        If FFmpeg cannot open it either, or PyAV is not installed.
    """
    _refuse_text(path)
    try:
        import av  # noqa: F401
    except ImportError:
        raise AudioError(
            f"{path} is not a recording that libsndfile knows ({reason.rstrip('.')}):"
            " copy it again if it should be; for m4a, mp4, webm and other formats of FFmpeg,"
            " pip install 'audiocnn[av]'"
        ) from None
    layout = movie_layout(path)
    if layout.extents:
        parts = (functools.partial(_open, path, extent) for extent in layout.extents)
        return joined_source(path, tuple(parts), layout)
    return _open(path, Extent(0, path.stat().st_size), stack)


def _refuse_text(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(40)
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        raise AudioError(f"{path} is text, not sound: it begins with {head.decode()!r}")


def _open(path: Path, extent: Extent, stack: ExitStack) -> Source:
    import av

    raw = stack.enter_context(ExtentFile(path, extent))
    try:
        container: Any = stack.enter_context(av.open(raw))
    except (av.error.FFmpegError, OSError) as error:
        raise AudioError(
            f"{path} is not a recording that libsndfile or FFmpeg knows ({error.strerror}):"
            " copy it again"
        ) from error
    if not container.streams.audio:
        raise AudioError(f"{path} has no sound in it ({container.format.name})")
    stream = container.streams.audio[0]
    codec, name = stream.codec_context, container.format.name
    duration = _duration(container, stream)
    info = AudioInfo(
        codec.sample_rate,
        codec.channels,
        None,
        duration,
        name,
        codec.name,
        plain=False,
        stamped=True,
    )
    n = len(container.streams.audio)
    notes = (Note(TRACKS, f"has {n} sound tracks: the first is read"),) if n > 1 else ()
    source = Source(path, info, notes=notes)
    source.pieces = _pieces(source, av, container, stream)
    return source


def _duration(container: Any, stream: Any) -> float | None:
    """Return when the sound ends, if the container promises it; a picture may be longer."""
    import av

    if container.format.name not in PROMISES:
        return None
    begin = _begin(container)
    if stream.duration is not None:
        start = 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
        return start - begin + float(stream.duration * stream.time_base)
    if container.duration is None or len(container.streams) > 1:
        return None
    return float(container.duration / av.time_base)


def _begin(container: Any) -> float:
    """Return the stamp at which the recording begins: that of its earliest stream."""
    import av

    return max(0.0, (container.start_time or 0) / av.time_base)


def _pieces(source: Source, av: Any, container: Any, stream: Any) -> Iterator[Frames]:
    rate, channels = source.info.rate, source.info.channels
    begin, error = _begin(container), ""
    to_float = _Converter(av, rate, stream.codec_context.layout)
    try:
        for frame in container.decode(stream):
            stamp = None if frame.pts is None else float(frame.pts * frame.time_base) - begin
            gap = 0.0 if stamp is None else stamp - (source.n_frames + to_float.waiting) / rate
            if gap < -JITTER or gap > LONGEST_GAP:  # joined: its clock begins anew
                begin += gap
            elif gap > JITTER:
                yield from _given(source, to_float.rest())
                yield from _given(source, _missing(round(gap * rate), channels))
            yield from _given(source, to_float.convert(frame))
        yield from _given(source, to_float.rest())
    except av.error.FFmpegError as failure:
        error = f" ({failure.strerror})"
    seconds, promised = source.n_frames / rate, source.info.duration or 0
    if error or seconds + SLACK < promised:
        whole = f" of {promised:.3f} s" if promised else ""
        until = f"it could be read up to {seconds:.3f} s{whole}"
        source.damage = f"is cut off or damaged: {until}{error}"


class _Converter:
    """Frames of any rate, layout and type to float samples of one rate and layout."""

    def __init__(self, av: Any, rate: int, layout: Any) -> None:
        self._av, self._rate, self._layout = av, rate, layout
        self._resampler: Any = None
        self._form: Any = None
        self.waiting = 0  # samples that went in and have not come out

    def convert(self, frame: Any) -> Iterator[Frames]:
        form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if form != self._form:
            yield from self.rest()
            self._form = form
            self._resampler = self._av.AudioResampler("fltp", self._layout, self._rate)
        self.waiting += round(frame.samples * self._rate / frame.sample_rate)
        yield from self._taken(self._resampler.resample(frame))

    def rest(self) -> Iterator[Frames]:
        """Yield what the resampler has kept back."""
        if self._resampler is not None:
            yield from self._taken(self._resampler.resample(None))
        self._resampler, self._form, self.waiting = None, None, 0

    def _taken(self, parts: Any) -> Iterator[Frames]:
        for part in parts:
            self.waiting -= part.samples
            yield part.to_ndarray().T


def _given(source: Source, pieces: Iterator[Frames]) -> Iterator[Frames]:
    for piece in pieces:
        source.n_frames += len(piece)
        yield piece


def _missing(n: int, channels: int) -> Iterator[Frames]:
    for at in range(0, n, GAP_PIECE):
        yield np.full((min(GAP_PIECE, n - at), channels), np.nan, np.float32)
