"""References to recordings, and whether a recording is sound or another signal.

Most files are one recording. An archive of time series holds many, and each of them is a
recording of its own; its name is the file's name and the number of the series from 0::

    night.flac          RecordingRef(file=Path("night.flac"), member=None)
    X_TEST.ts#12        RecordingRef(file=Path("X_TEST.ts"), member=12)

Text (event files, manifests, the command line) holds names; code that opens, locates or
compares recordings parses them once with `RecordingRef.of`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

ARCHIVE_SUFFIX = ".ts"
SERIES_SUFFIXES = frozenset({ARCHIVE_SUFFIX, ".npy", ".npz"})
SIGNAL_SUFFIXES = SERIES_SUFFIXES | {".csv", ".tsv", ".parquet"}

MEMBER = re.compile(r"(?P<file>.+)#(?P<number>\d+)")
HEAD_SIZE = 4096  # bytes that are read to identify the content of a file
PACKET_SIZES = (188, 192, 204)  # bytes of an MPEG-TS packet: plain, with time stamps, with parity
SYNC_BYTE = 0x47
MAGIC = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64)....WAVE|fLaC|OggS|ID3[\x02-\x04]|FORM....AIF[FC]|riff\x2e\x91"
    rb"|\x1a\x45\xdf\xa3|....ftyp|wvpk|caff\x00\x01|\.snd\x00\x00",
    re.DOTALL,
)  # how files of sound begin
FRAME = re.compile(rb"\xff[\xe2\xe3\xf1-\xf5\xf9-\xfd]")  # of MP3 or AAC; UTF-16 has ff fe


@dataclass(frozen=True, order=True)
class RecordingRef:
    """A recording: a file, or one series of a file that holds many.

    Parameters
    ----------
    file
        The file that can be opened, copied and compared.
    member
        Number of the series in the file, from 0; None if the file is one recording.

    Examples
    --------
    >>> RecordingRef.of("archive/X_TEST.ts#12")
    RecordingRef(file=PosixPath('archive/X_TEST.ts'), member=12)
    >>> str(RecordingRef.of("night.flac"))
    'night.flac'
    """

    file: Path
    member: int | None = None

    @classmethod
    def of(cls, name: str | Path | RecordingRef) -> RecordingRef:
        """Parse the name of a recording; a reference is returned unchanged.

        An existing file whose own name looks like that of a series is that file.
        """
        if isinstance(name, RecordingRef):
            return name
        path = Path(name)
        found = MEMBER.fullmatch(path.name) if "#" in path.name else None
        if not found or Path(found["file"]).suffix.lower() not in SERIES_SUFFIXES or path.exists():
            return cls(path)
        return cls(path.with_name(found["file"]), int(found["number"]))

    def __str__(self) -> str:
        """Return the name as it appears in tables and messages."""
        return str(self.file) if self.member is None else f"{self.file}#{self.member}"

    @property
    def path(self) -> Path:
        """The name as a path: of a series, it is not the path of an existing file."""
        return Path(str(self))

    @property
    def suffix(self) -> str:
        """The suffix of the file, in lower case."""
        return self.file.suffix.lower()

    @property
    def is_sound(self) -> bool:
        """Whether the recording is sound; False for tables, arrays and archives of series.

        Names decide, except where the content contradicts them: an MPEG transport stream
        named ``.ts`` is sound, and so is a WAV file named ``.csv``.
        """
        if self.suffix not in SIGNAL_SUFFIXES:
            return True
        return self.member is None and begins_like_sound(self.file)


def begins_like_sound(path: Path) -> bool:
    """Return whether a file begins as formats of sound do; False if it cannot be read."""
    try:
        found = path.stat()
        return _begins_like_sound(path, found.st_size, found.st_mtime_ns)
    except OSError:
        return False


@functools.lru_cache(maxsize=1024)
def _begins_like_sound(path: Path, size: int, mtime_ns: int) -> bool:
    if not path.is_file():  # a pipe would block
        return False
    with path.open("rb") as file:
        head = file.read(HEAD_SIZE)
    return bool(MAGIC.match(head) or FRAME.match(head)) or is_transport_stream(head)


def is_transport_stream(head: bytes) -> bool:
    """Return whether bytes are packets of MPEG-TS; the first packet may be incomplete."""
    for size in PACKET_SIZES:
        if len(head) < 4 * size:
            continue
        for start in range(size):
            packets = head[start::size]
            if packets and all(byte == SYNC_BYTE for byte in packets):
                return True
    return False
