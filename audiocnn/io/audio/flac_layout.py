"""FLAC files that hold several recordings, and what of them is no FLAC.

A FLAC stream states how many samples it has, and decoders stop there. Each of its frames
carries its number, so a few frames read here and there tell whether the file is one stream:

    one      frame  0 ....... 40 ........ 80 ....... 120      numbers grow up to the end
    joined   frame  0 ... 30 ... 60 | 0 ....... 30 ..... 60   they begin anew

Only if they do not grow is the whole file searched for the beginnings of streams.

References
----------
RFC 9639, Free Lossless Audio Codec (FLAC), 2024: sections 8 (metadata) and 9.1 (frame header).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout
from audiocnn.io.audio.tags import skip_tags

MAGIC = b"fLaC\x00\x00\x00\x22"  # a stream begins with STREAMINFO, 34 bytes
STREAM_INFO = 34
PROBES = 8  # places at which frames are looked for
WINDOW = 1 << 16  # bytes that are searched for a frame at each place
BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608,
               **{code: 256 << (code - 8) for code in range(8, 16)}}  # fmt: skip
SAMPLE_BITS = {0: 0, 1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}


@dataclass(frozen=True)
class _Stream:
    """What STREAMINFO says."""

    start: int
    rate: int
    channels: int
    bits: int
    frames: int
    block: int

    @property
    def largest(self) -> int:
        """Bytes of a frame that is not compressed."""
        return 64 + self.block * self.channels * (self.bits + 8) // 8


def flac_layout(file: FileBytes) -> Layout | None:
    """Find the streams in a FLAC file; None if it is another kind of file."""
    start = skip_tags(file, 0)
    first = _read_stream(file, start)
    if first is None:
        return None
    if _is_one(file, first):
        return Layout()
    streams = [first]
    for at in file.find_all(MAGIC, start + 4):
        if (stream := _read_stream(file, at)) is not None:
            streams.append(stream)
    ends = [stream.start for stream in streams[1:]] + [file.size]
    behind = _behind_last_frame(file, streams[-1])
    unread = f"has {behind:,} bytes behind its sound that are no FLAC" if behind else ""
    if len(streams) == 1:
        return Layout(unread=unread)
    return Layout(
        tuple(
            Extent(s.start, end, rate=s.rate, channels=s.channels, frames=s.frames)
            for s, end in zip(streams, ends, strict=True)
        ),
        unread,
    )


def _read_stream(file: FileBytes, at: int) -> _Stream | None:
    header = file.read(at, 8 + STREAM_INFO)
    if len(header) < 8 + STREAM_INFO or header[:4] != b"fLaC" or header[4] & 0x7F:
        return None
    info = header[8:]
    packed = int.from_bytes(info[10:18], "big")
    rate, channels = packed >> 44, (packed >> 41 & 7) + 1
    bits, frames = (packed >> 36 & 31) + 1, packed & ((1 << 36) - 1)
    block = int.from_bytes(info[2:4], "big")
    return _Stream(at, rate, channels, bits, frames, block) if rate and block else None


def _is_one(file: FileBytes, stream: _Stream) -> bool:
    """Return whether frames here and there are those of one stream that ends with the file."""
    if not stream.frames:  # unknown: the decoder reads to the end of the file
        return file.find(MAGIC, stream.start + 4) < 0
    last = _last_frame(file, stream)
    if last is None or abs(last[1] - stream.frames) > stream.block:
        # It is cut off, which the decoder reports, unless another recording follows.
        return file.find(MAGIC, stream.start + 4) < 0 and last is not None
    size = last[0] - stream.start
    before = -1
    for probe in range(1, PROBES):
        found = next(_frames(file, stream, stream.start + size * probe // PROBES), None)
        if found is None:
            continue
        if found[1] < before:
            return False
        before = found[1]
    return _behind_last_frame(file, stream) == 0


def _behind_last_frame(file: FileBytes, stream: _Stream) -> int:
    """Return how many bytes follow the last frame; 0 if they may be the frame itself."""
    last = _last_frame(file, stream)
    begin = stream.start if last is None else last[0]
    behind = file.size - begin
    if behind <= stream.largest + 256 or not any(file.read(file.size - 4096, 4096)):
        return 0
    return behind


def _last_frame(file: FileBytes, stream: _Stream) -> tuple[int, int] | None:
    """Return where the last frame begins, and the number of the sample that follows it."""
    step = max(WINDOW, 2 * stream.largest)
    for begin in range(file.size - step, stream.start - step, -step):
        found = list(_frames(file, stream, max(stream.start + 42, begin), step + 16))
        if found:
            return found[-1]
    return None


def _frames(
    file: FileBytes, stream: _Stream, at: int, window: int = WINDOW
) -> Iterator[tuple[int, int]]:
    """Yield where frames begin from a place on, and the number of the sample behind each."""
    data = file.read(at, window)
    found = data.find(b"\xff")
    while found >= 0:
        if (end := _parse_frame(data[found : found + 16], stream)) is not None:
            yield at + found, end
        found = data.find(b"\xff", found + 1)


def _parse_frame(header: bytes, stream: _Stream) -> int | None:
    """Return the number of the sample behind a frame; None if there is no frame header."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    code, bits = header[2] >> 4, SAMPLE_BITS.get(header[3] >> 1 & 7)
    mode = header[3] >> 4
    channels = mode + 1 if mode < 8 else 2
    if bits is None or bits not in (0, stream.bits) or channels != stream.channels or mode > 10:
        return None
    number, size = _utf8_number(header[4:11])
    if size == 0:
        return None
    at = 4 + size
    if code in (6, 7):
        n = int.from_bytes(header[at : at + code - 5], "big") + 1
        at += code - 5
    elif code in BLOCK_SIZES:
        n = BLOCK_SIZES[code]
    else:
        return None
    at += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return None
    first = number if header[1] & 1 else number * stream.block
    return first + n


def _utf8_number(text: bytes) -> tuple[int, int]:
    """Read a number coded as UTF-8 codes characters; return it and its bytes, 0 if it is none."""
    lead = text[0]
    if lead < 0x80:
        return lead, 1
    size = 8 - (lead ^ 0xFF).bit_length()
    if not 2 <= size <= 7 or len(text) < size or any(b & 0xC0 != 0x80 for b in text[1:size]):
        return 0, 0
    number = lead & (0x7F >> size)
    for byte in text[1:size]:
        number = number << 6 | byte & 0x3F
    return number, size


def _crc8(data: bytes) -> int:
    """Compute the checksum of a frame header: polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
