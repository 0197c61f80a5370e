"""Tags that programs put around sound: ID3, APE, Lyrics3. They are no sound and are skipped.

References
----------
M. Nilsson, ID3 tag version 2.4.0, Main Structure, 2000; E. Kemp, ID3, 1996.
Hydrogenaudio Knowledgebase, APEv2 specification.
"""

from __future__ import annotations

import functools

from audiocnn.io.audio.byte_ranges import FileBytes

ID3V1 = 128  # bytes
APE_FOOTER = 32


def skip_tags(file: FileBytes, at: int) -> int:
    """Return where the tags that begin at ``at`` end; ``at`` itself if there is none."""
    while (size := tag_size(file.read(at, APE_FOOTER))) and at + size <= file.size:
        at += size
    return at


def tag_size(head: bytes) -> int:
    """Return the bytes of the tag that begins with ``head``; 0 if it begins with none."""
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
        size = functools.reduce(lambda high, low: high << 7 | low, head[6:10])
        return size + (20 if head[5] & 0x10 else 10)
    if head[:3] == b"TAG":
        return ID3V1
    if head[:8] == b"APETAGEX" and len(head) >= 24:
        size = int.from_bytes(head[12:16], "little")
        has_header = head[23] & 0x20  # its size counts the footer and not the header
        return size + APE_FOOTER if has_header else APE_FOOTER
    return 0
