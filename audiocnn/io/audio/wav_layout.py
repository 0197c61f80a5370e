"""WAV, AIFF and AU files whose headers do not say how much sound they hold.

    RIFF size  WAVE  fmt ...  data size | samples ............................... | LIST ...
                                   |--- size ---|  wrapped, zero or never updated

Sizes in a WAV are 32 bits, written last by the recorder. They wrap round at 4 GiB, stay at
zero or at a placeholder if the recorder was killed, and say nothing of a second recording
that was appended. What follows the stated samples is therefore looked at: chunks (tags) are
left alone, another header begins another recording, and anything else is sound.

References
----------
Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991 (RIFF).
EBU Tech 3306, RF64: An extended File Format for Audio, 2009 (``ds64``).
Apple, Audio Interchange File Format AIFF-C, 1991.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from audiocnn.io.audio.byte_ranges import Extent, FileBytes, Layout
from audiocnn.io.audio.notes import HEADER, Note
from audiocnn.io.recording import MAGIC

RIFFS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<", b"FORM": ">"}
WAVES, AIFFS = (b"WAVE",), (b"AIFF", b"AIFC")
WRAP = 1 << 32
PLACEHOLDERS = (0, 1 << 31, WRAP)  # what recorders write while they do not know the length
NEAR = 8192  # bytes: a placeholder may count the header
LARGEST_HEADER = 1 << 20  # bytes of chunks before the samples that are copied
FEWEST = 2048  # bytes: less than that is padding if it is all zeros
AU_HEADER = 24
KNOWN_CHUNKS = frozenset({
    b"DISP", b"FLLR", b"ID3 ", b"JUNK", b"LIST", b"PAD ", b"PEAK", b"_PMX", b"acid", b"axml",
    b"bext", b"chna", b"cue ", b"fact", b"guan", b"iXML", b"id3 ", b"inst", b"junk", b"smpl",
    b"umid", b"wamd",
})  # fmt: skip


@dataclass(frozen=True)
class _Data:
    """A chunk of samples: where its samples begin, and how long the header says they are."""

    start: int
    size: int


@dataclass(frozen=True)
class _Form:
    """One RIFF or FORM: its chunks before the samples, and the samples."""

    start: int
    order: str
    kind: bytes
    chunks: tuple[tuple[bytes, bytes], ...]
    data: _Data

    @property
    def is_wave(self) -> bool:
        return self.kind in WAVES

    def chunk(self, name: bytes) -> bytes:
        return next((body for found, body in self.chunks if found == name), b"")

    @property
    def block(self) -> int:
        """Bytes of a sample of all channels; 1 if the header does not say."""
        if self.is_wave:
            body = self.chunk(b"fmt ")
            return max(1, _integer(self.order, body[12:14]))
        body = self.chunk(b"COMM")
        if len(body) < 8:
            return 1
        channels, bits = _integer(">", body[:2]), _integer(">", body[6:8])
        return max(1, channels * ((bits + 7) // 8))

    @property
    def is_plain(self) -> bool:
        """Whether bytes are samples, so that any number of them can be read."""
        if self.is_wave:
            tag = self.chunk(b"fmt ")[:2]
            return tag in (struct.pack(self.order + "H", t) for t in (1, 3, 6, 7, 0xFFFE))
        return self.kind == b"AIFF" or self.chunk(b"COMM")[18:22] in (b"NONE", b"sowt", b"fl32")


def wav_layout(file: FileBytes) -> Layout | None:
    """Find the sound in a WAV, RF64 or AIFF file; None if it is another kind of file."""
    form = _read_form(file, 0)
    if form is None:
        return None
    extents: list[Extent] = []
    notes: list[Note] = []
    unread = ""
    plain = True
    while form is not None:
        end, follower = _true_end(file, form)
        if end != form.data.start + form.data.size and not _is_short(file, form):
            plain = False
            notes += _note(form, end)
            head = _header(form, end - form.data.start)
            extents.append(Extent(form.data.start, end, head))
        else:
            extents.append(Extent(form.start, min(file.size, end)))
        for more in _further_data(file, end, follower):
            extents.append(Extent(more.start, more.start + more.size, _header(form, more.size)))
        if follower is None and MAGIC.match(file.read(end, 64)):
            unread = f"has another recording in {file.size - end:,} bytes behind it: not read"
        form = _read_form(file, follower) if follower is not None else None
    if plain and len(extents) == 1:
        return Layout(unread=unread)
    return Layout(tuple(extents), unread, tuple(notes))


def au_layout(file: FileBytes) -> Layout | None:
    """Find the sound in an AU file; None if it is another kind of file."""
    extents: list[Extent] = []
    at = 0
    while True:
        header = file.read(at, AU_HEADER)
        if len(header) < AU_HEADER or header[:4] != b".snd":
            break
        offset, size = struct.unpack(">II", header[4:12])
        begin = at + max(AU_HEADER, offset)
        end = file.size if size == WRAP - 1 or begin + size > file.size else begin + size
        follower = end if file.read(end, 4) == b".snd" else None
        if follower is None and file.size - end >= FEWEST:
            end = file.size
        head = header[:4] + struct.pack(">II", AU_HEADER, WRAP - 1) + header[12:]
        extents.append(Extent(begin, end, head))
        if follower is None:
            if len(extents) == 1 and (size == WRAP - 1 or begin + size >= end):
                return Layout()
            break
        at = follower
    return Layout(tuple(extents)) if extents else None


def _read_form(file: FileBytes, start: int) -> _Form | None:
    """Read the header that begins at ``start``; None if there is none with samples."""
    header = file.read(start, 12)
    order = RIFFS.get(header[:4])
    if order is None or header[8:12] not in (*WAVES, *AIFFS):
        return None
    name_of_data = b"data" if header[8:12] in WAVES else b"SSND"
    chunks: list[tuple[bytes, bytes]] = []
    large = None
    at = start + 12
    while at + 8 <= file.size and at - start < LARGEST_HEADER:
        name, size = struct.unpack(order + "4sI", file.read(at, 8))
        if name == b"ds64" and size >= 16:
            (large,) = struct.unpack("<Q", file.read(at + 16, 8))
        if name == name_of_data:
            begin = at + 8
            if name == b"SSND":
                (offset,) = struct.unpack(">I", file.read(at + 8, 4).ljust(4, b"\0"))
                begin, size = at + 16 + offset, size - 8 - offset
            elif size == WRAP - 1 and large is not None:
                size = large
            data = _Data(begin, max(0, size))
            return _Form(start, order, header[8:12], tuple(chunks), data)
        if size < 1 << 16:
            chunks.append((name, file.read(at + 8, size)))
        at += 8 + size + size % 2
    return None


def _true_end(file: FileBytes, form: _Form) -> tuple[int, int | None]:
    """Return where the samples of a form end, and where the next form begins, if one does."""
    data = form.data
    stated = data.start + data.size
    for end in range(stated, file.size + 1, WRAP):
        is_end, follower = _after(file, end, form.order)
        if is_end:
            return end, follower
    # What follows is not a chunk: the samples go on, up to another header or to the end.
    for found in file.find_all(b"WAVEfmt ", data.start) if form.is_wave else ():
        if _read_form(file, found - 8) is not None:
            return found - 8, found - 8
    return file.size, None


def _after(file: FileBytes, at: int, order: str) -> tuple[bool, int | None]:
    """Look at what stands behind the stated end of the samples.

    Returns
    -------
    is_end
        False if what stands there is samples.
    follower
        Where the next form begins, if one does.
    """
    rest = file.read(at, FEWEST + 1)
    if len(rest) < 8 or (len(rest) <= FEWEST and not any(rest)) or _is_text(rest):
        return True, None
    for here in (at, at + 1):  # chunks begin at even places, but not in all files
        while here + 8 <= file.size:
            header = file.read(here, 12)
            if header[:4] in RIFFS and header[8:12] in (*WAVES, *AIFFS):
                return True, here
            if header[:3] in (b"TAG", b"ID3") or header[:8] == b"APETAGEX":
                return True, None
            if MAGIC.match(file.read(here, 64)):
                return True, None
            name, size = struct.unpack(order + "4sI", header[:8])
            if here + 8 + size > file.size and name not in KNOWN_CHUNKS:
                break
            if not (name.isascii() and name.decode("ascii").isprintable()):
                break
            here += 8 + size + size % 2
        else:
            return True, None
    return False, None


def _is_text(rest: bytes) -> bool:
    return rest.isascii() and rest.decode("ascii").replace("\n", "").replace("\r", "").isprintable()


def _further_data(file: FileBytes, end: int, follower: int | None) -> Iterator[_Data]:
    """Yield further chunks of samples in the same form, which some loggers write."""
    last = file.size if follower is None else follower
    at = end + end % 2
    while at + 8 <= last:
        name, size = struct.unpack("<4sI", file.read(at, 8))
        if not (name.isascii() and name.decode("ascii").isprintable()) or at + 8 + size > last:
            return
        if name == b"data" and size:
            yield _Data(at + 8, size)
        at += 8 + size + size % 2


def _is_short(file: FileBytes, form: _Form) -> bool:
    """Return whether fewer samples are there than the header says: decoders report that."""
    return form.data.start + form.data.size > file.size or not form.is_plain


def _note(form: _Form, end: int) -> Iterator[Note]:
    """Say that a header states fewer samples than there are, unless it is a placeholder."""
    size = form.data.size
    if not any(abs(size - placeholder) <= NEAR for placeholder in PLACEHOLDERS):
        rate = _rate(form)
        stated, found = (n / form.block / rate for n in (size, end - form.data.start))
        if end < form.data.start + size:
            why = "it is cut off, and another recording follows"
        else:
            why = "sizes beyond 4 GiB, or a recorder that was interrupted; read to its end"
        text = f"holds {found:.2f} s, though its header says {stated:.2f} s: {why}"
        yield Note(HEADER, text)


def _rate(form: _Form) -> float:
    if form.is_wave:
        body = form.chunk(b"fmt ")
        return max(1, _integer(form.order, body[4:8]))
    body = form.chunk(b"COMM")[8:18]
    if len(body) < 10:
        return 1.0
    exponent, mantissa = _integer(">", body[:2]), _integer(">", body[2:])
    return max(1.0, mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63))


def _header(form: _Form, n: int) -> bytes:
    """Write the header of a form that holds ``n`` bytes of samples."""
    n -= n % form.block
    if not form.is_wave:
        comm = form.chunk(b"COMM")
        comm = comm[:2] + struct.pack(">I", min(WRAP - 1, n // form.block)) + comm[6:]
        body = form.kind + _chunk(">", b"FVER", form.chunk(b"FVER")) * (form.kind == b"AIFC")
        body += _chunk(">", b"COMM", comm)
        body += b"SSND" + struct.pack(">III", min(WRAP - 1, n + 8), 0, 0)
        return b"FORM" + struct.pack(">I", min(WRAP - 1, len(body) + n)) + body
    fmt = _chunk(form.order, b"fmt ", form.chunk(b"fmt "))
    if n + 1024 < WRAP:
        body = b"WAVE" + fmt + b"data" + struct.pack(form.order + "I", n)
        name = b"RIFX" if form.order == ">" else b"RIFF"
        return name + struct.pack(form.order + "I", len(body) + n) + body
    sizes = struct.pack("<QQQI", n + 36 + len(fmt) + 24, n, n // form.block, 0)
    body = b"WAVE" + _chunk("<", b"ds64", sizes) + fmt + b"data" + struct.pack("<I", WRAP - 1)
    return b"RF64" + struct.pack("<I", WRAP - 1) + body


def _integer(order: str, body: bytes) -> int:
    return int.from_bytes(body, "little" if order == "<" else "big")


def _chunk(order: str, name: bytes, body: bytes) -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2)
