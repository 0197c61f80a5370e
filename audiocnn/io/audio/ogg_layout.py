"""Ogg files that hold several recordings one behind the other.

An Ogg stream is a sequence of pages with a serial number and a position, and its first page
is marked. Decoders read the first stream of a file and ignore what was appended:

    one      |first| page  page  page  last|
    joined   |first| page  last|first| page  last|        also under the same serial number

The last page and a few between tell whether the file is one stream; only if they do not is
it searched for further first pages.

References
----------
RFC 3533, The Ogg Encapsulation Format Version 0, 2003.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout
from audiocnn.io.audio.tags import tag_size

MAGIC = b"OggS\x00"
HEADER = 27  # bytes of a page before its table of segments
BEGINS = 2  # flag of the first page of a stream
NO_POSITION = (1 << 64) - 1  # of a page in which no packet ends
LARGEST = 65307  # bytes of a page
PROBES = 8


@dataclass(frozen=True)
class _Page:
    start: int
    size: int
    begins: bool
    position: int
    serial: int

    @property
    def end(self) -> int:
        return self.start + self.size


def ogg_layout(file: FileBytes) -> Layout | None:
    """Find the streams in an Ogg file; None if it is another kind of file."""
    first = _read_page(file, 0)
    if first is None:
        return None
    serials, end_of_firsts = _group(file, first)
    if _is_one(file, serials, end_of_firsts):
        return _without_rest(file, 0)
    starts = [0]
    at = end_of_firsts
    for found in file.find_all(MAGIC + bytes([BEGINS]), end_of_firsts):
        page = _read_page(file, found)
        if found >= at and page is not None and page.begins:
            starts.append(found)
            _, at = _group(file, page)
    rest = _without_rest(file, starts[-1])
    if len(starts) == 1:
        return rest
    ends = [*starts[1:], rest.extents[-1].end if rest.extents else file.size]
    extents = tuple(Extent(start, end) for start, end in zip(starts, ends, strict=True))
    return Layout(extents, rest.unread)


def _without_rest(file: FileBytes, start: int) -> Layout:
    """Leave out what follows the last page of the stream from ``start`` on; tags are no loss."""
    last = _last_page(file, start)
    if last is None or last.end >= file.size:  # or it is cut off
        return Layout()
    end = last.end
    rest = file.read(end, LARGEST)
    is_tag = tag_size(rest[:32]) or not any(rest)
    unread = "" if is_tag else f"has {file.size - end:,} bytes behind its end that are no Ogg"
    return Layout((Extent(start, end),), unread)


def _read_page(file: FileBytes, at: int) -> _Page | None:
    header = file.read(at, HEADER)
    if len(header) < HEADER or header[:5] != MAGIC:
        return None
    table = file.read(at + HEADER, header[26])
    return _Page(
        at, HEADER + len(table) + sum(table), bool(header[5] & BEGINS),
        int.from_bytes(header[6:14], "little"), int.from_bytes(header[14:18], "little"),
    )  # fmt: skip


def _group(file: FileBytes, first: _Page) -> tuple[set[int], int]:
    """Read the first pages of streams that run beside each other: their serials, their end."""
    serials, page = set(), first
    while page.begins:
        serials.add(page.serial)
        following = _read_page(file, page.end)
        if following is None:
            return serials, page.end
        page = following
    return serials, page.start


def _is_one(file: FileBytes, serials: set[int], begin: int) -> bool:
    pages = list(_pages(file, max(begin, file.size - LARGEST - HEADER), file.size))
    if not pages or any(page.serial not in serials or page.begins for page in pages):
        return False
    if len(serials) > 1:  # streams beside each other have positions of their own
        return file.find(MAGIC + bytes([BEGINS]), begin) < 0
    before = -1
    for probe in range(PROBES):
        at = begin + (file.size - begin) * probe // PROBES
        known = (p for p in _pages(file, at, at + 2 * LARGEST) if p.position != NO_POSITION)
        page = next(known, None)
        if page is None:
            continue
        if page.serial not in serials or page.begins or page.position < before:
            return False
        before = page.position
    known_ends = [page.position for page in pages if page.position != NO_POSITION]
    return before <= max(known_ends, default=before)


def _last_page(file: FileBytes, start: int) -> _Page | None:
    step = 1 << 20
    for begin in range(max(start, file.size - step), start - step, -step):
        pages = list(_pages(file, max(start, begin), begin + step + HEADER))
        if pages:
            return pages[-1]
    return None


def _pages(file: FileBytes, start: int, end: int) -> Iterator[_Page]:
    """Yield the pages that begin within a range; what looks like one in a packet may be too."""
    for at in file.find_all(MAGIC, start, end):
        if (page := _read_page(file, at)) is not None:
            yield page
