"""W64 and CAF files, whose sizes have 64 bits: several in one, and bytes behind the last.

References
----------
Sonic Foundry, Wave 64 file format, 1999. Apple, Core Audio Format Specification 1.0, 2011.
"""

from __future__ import annotations

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout

W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
CAF = b"caff\x00\x01\x00\x00"
TO_THE_END = (1 << 64) - 1  # size of samples that are still being written


def chunk_layout(file: FileBytes) -> Layout | None:
    """Find the recordings in a W64 or CAF file; None if it is another kind of file."""
    extents: list[Extent] = []
    at, missing = 0, 0
    while (found := _recording(file, at)) is not None:
        extent, missing = found
        extents.append(extent)
        at = extent.end
    if not extents:
        return None
    unread = f"is cut off: {missing:,} bytes are missing at its end" if missing else ""
    if any(file.read(at, 1 << 16)):
        unread = f"has {file.size - at:,} bytes behind its sound that are not read"
    is_plain = at == file.size and len(extents) == 1 and not extents[0].head
    return Layout(() if is_plain else tuple(extents), unread)


def _recording(file: FileBytes, start: int) -> tuple[Extent, int] | None:
    """Return the recording that begins at ``start``, and how many bytes of it are missing."""
    head = file.read(start, 24)
    if head.startswith(W64) and len(head) == 24:
        size = int.from_bytes(head[16:24], "little")  # decoders report what is missing
        return Extent(start, min(file.size, start + size) if size > 24 else file.size), 0
    if not head.startswith(CAF):
        return None
    at = start + len(CAF)
    while len(head := file.read(at, 12)) == 12 and not head.startswith(CAF):
        if not head[:4].isascii():
            break
        size = int.from_bytes(head[4:], "big")
        if size == TO_THE_END:
            return Extent(start, file.size), 0
        if at + 12 + size > file.size:
            # libsndfile refuses a chunk that is not complete: it is given the size that is left.
            left = max(0, file.size - at - 12)
            corrected = file.read(start, at - start) + head[:4] + left.to_bytes(8, "big")
            return Extent(at + 12, file.size, corrected), size - left
        at += 12 + size
    return Extent(start, min(file.size, at)), 0
