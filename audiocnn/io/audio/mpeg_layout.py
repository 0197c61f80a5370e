"""MP3 files, frame by frame: how long they are, where their form changes, what is no MP3.

    |ID3| Info | frame | frame | ... | frame | frame | TAG |      44.1 kHz stereo, then 22.05 mono
               [ one extent ......... ][ another ... ]

A stream of MPEG audio has no header: every frame states its form, and streams are joined,
cut and spliced as they are. Decoders stop where the form changes, or where the first
recording's header says that it ends. So all frames are visited (not decoded), and each
stretch of one form becomes an extent of its own.

References
----------
ISO/IEC 11172-3:1993, 2.4.1.3 and 2.4.2.3 (frame header); ISO/IEC 13818-3:1998 (lower rates).
G. Bouvigne and M. Hegemann, MP3 Info Tag revision 1: the ``Xing`` and ``Info`` headers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout
from audiocnn.io.audio.tags import tag_size

BITRATES = {  # kbit/s by index, from 1 on
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by version (2 stands for 2.5 too) and layer
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
NEAR_JUNK = 4096  # bytes: a broken frame and its neighbours, which decoders pass over
STRAGGLERS = 4  # frames that a header may have miscounted
CHUNK = 1 << 20
REACH = 4096  # bytes that a frame and its header need at most


@dataclass(frozen=True)
class _Form:
    """What must stay the same within an extent."""

    rate: int
    channels: int
    version: int
    layer: int
    samples: int


@dataclass
class _Stretch:
    """Frames of one form, one behind the other."""

    form: _Form
    start: int
    end: int
    frames: int = 0
    counted: int | None = None  # frames, as its header says; it counts neither itself nor more
    has_header: bool = False


@dataclass
class _Walk:
    """The stretches found so far, and the bytes between them that are no frames."""

    stretches: list[_Stretch] = field(default_factory=list)
    junk: int = 0
    seconds_before_junk: float = 0.0


def mpeg_layout(file: FileBytes) -> Layout:
    """Find the stretches of one form in a file of MPEG audio.

    Returns
    -------
    Layout
        Without extents if the file is one stretch whose header, if any, counts all its frames.
    """
    walk = _walk(file)
    stretches = _without_stragglers(walk.stretches)
    unread = ""
    if walk.junk > NEAR_JUNK:
        unread = (
            f"has {walk.junk:,} bytes that are no MP3 frames, the first after "
            f"{walk.seconds_before_junk:.3f} s: they are not read, and times behind them are "
            "uncertain"
        )
    seconds = sum(s.frames * s.form.samples / s.form.rate for s in stretches)
    if len(stretches) < 2:
        return Layout(unread=unread, seconds=seconds)
    return Layout(
        tuple(
            Extent(
                s.start, s.end, endless=s.counted is None, rate=s.form.rate,
                channels=s.form.channels, frames=s.frames * s.form.samples,
            )
            for s in stretches
        ),
        unread,
        seconds=seconds,
    )  # fmt: skip


def _without_stragglers(stretches: list[_Stretch]) -> list[_Stretch]:
    """Leave out the few frames by which some encoders' headers are wrong."""
    kept: list[_Stretch] = []
    for stretch in stretches:
        if kept and _is_straggler(stretch, kept[-1]):
            kept[-1].end = stretch.end
        elif stretch.frames:
            kept.append(stretch)
    return kept


def _is_straggler(stretch: _Stretch, last: _Stretch) -> bool:
    few = stretch.frames <= STRAGGLERS and not stretch.has_header
    return few and last.form == stretch.form and last.counted is not None


def _walk(file: FileBytes) -> _Walk:
    """Visit all frames."""
    walk = _Walk()
    at, base, data = 0, 0, b""
    while at < file.size:
        if at + REACH > base + len(data) and base + len(data) < file.size:
            base, data = at, file.read(at, CHUNK)
        head = data[at - base : at - base + 4]
        found = _frame(head)
        if found is not None and _continues(data, at - base, found, walk, file, at):
            form, size = found
            _take(walk, form, at, size, data[at - base : at - base + size])
            at += size
        elif size := tag_size(data[at - base : at - base + 32]):
            at += size
        else:
            following = _resynchronise(file, at + 1)
            _skip(walk, file, at, following)
            at = following
    return walk


def _continues(
    data: bytes, at: int, found: tuple[_Form, int], walk: _Walk, file: FileBytes, here: int
) -> bool:
    """Return whether a frame is one: of the form of those before, or followed by another."""
    form, size = found
    last = walk.stretches[-1] if walk.stretches else None
    if last is not None and last.form == form and last.end == here:
        return True
    follower = data[at + size : at + size + 32]
    if here + size >= file.size:
        return last is not None and here + size == file.size
    following = _frame(follower[:4])
    return (following is not None and following[0] == form) or tag_size(follower) > 0


def _take(walk: _Walk, form: _Form, at: int, size: int, frame: bytes) -> None:
    """Add a frame to the stretch that it continues, or begin another."""
    counted = _count_of(frame)
    last = walk.stretches[-1] if walk.stretches else None
    full = last is not None and last.counted is not None and last.frames >= last.counted
    if last is None or last.form != form or counted != -1 or full:
        header = counted != -1
        number = counted if header and counted is not None else None
        walk.stretches.append(_Stretch(form, at, at + size, 0 if header else 1, number, header))
        return
    last.end, last.frames = at + size, last.frames + 1


def _skip(walk: _Walk, file: FileBytes, at: int, following: int) -> None:
    """Count bytes that are no frame; zeros, and the broken frame at a cut, are nothing."""
    size = following - at
    is_cut = following >= file.size and size < REACH
    if is_cut or not any(file.read(at, min(size, CHUNK))):
        return
    if not walk.junk:
        walk.seconds_before_junk = sum(
            s.frames * s.form.samples / s.form.rate for s in walk.stretches
        )
    walk.junk += size
    if walk.stretches:  # decoders find the next frame by themselves
        walk.stretches[-1].end = following


def _resynchronise(file: FileBytes, at: int) -> int:
    """Return where the next two frames of one form begin, or the file's end."""
    while at < file.size:
        data = file.read(at, CHUNK + REACH)
        found = data.find(b"\xff")
        while 0 <= found < CHUNK:
            frame = _frame(data[found : found + 4])
            if frame is not None:
                following = _frame(data[found + frame[1] : found + frame[1] + 4])
                if following is not None and following[0] == frame[0]:
                    return at + found
            found = data.find(b"\xff", found + 1)
        at += CHUNK
    return file.size


def _frame(head: bytes) -> tuple[_Form, int] | None:
    """Parse a frame header: the form and the bytes of the frame; None if there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    return _parse(head[1], head[2], head[3] >> 6)


@functools.lru_cache(maxsize=1 << 12)
def _parse(second: int, third: int, mode: int) -> tuple[_Form, int] | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bitrate, rate_index = third >> 4, third >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate_index == 3:
        return None
    rate = RATES[version][rate_index]
    bits = 1000 * BITRATES[1 if version == 3 else 2, layer][bitrate - 1]
    padding = third >> 1 & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    size = (
        (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    )
    return _Form(rate, 1 if mode == 3 else 2, version, layer, samples), size


def _count_of(frame: bytes) -> int | None:
    """Return how many frames a header counts; None if it counts none, -1 if it is no header."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name, 4, 64)
        if at >= 0:
            has_count = len(frame) > at + 11 and frame[at + 7] & 1
            return int.from_bytes(frame[at + 8 : at + 12], "big") if has_count else None
    at = frame.find(b"VBRI", 4, 64)
    return int.from_bytes(frame[at + 14 : at + 18], "big") if at >= 0 else -1
