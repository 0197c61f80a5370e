"""An index of embeddings on disk, for search by example: written in segments, resumable.

    index.json             model, its checksum, hop, window, number of features
    00000.vectors.npy      (n, D) float16: a row for each window
    00000.times.npy        (n, 2) float64: begin and end of each window, seconds
    00000.json             the recordings of these rows; written last, so that a segment
                           counts when it is complete
    00000.norms.npy        (n,) float32: norm of each row once standardised
    statistics.npy         (2, D) float64: mean and standard deviation of all rows

Vectors are compared after standardising each feature over the whole index: features of a
network have means that all sounds share, which would make all of them look alike. Rows of
a recording that was embedded again since are ignored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import AudiocnnError, DatasetError
from audiocnn.io.files.atomic import replacing
from audiocnn.io.files.locks import alone
from audiocnn.labeling.embedding_tasks import EmbeddedRecording
from audiocnn.labeling.fingerprints import FileFingerprint

FORMAT = 1
HEADER = "index.json"
STATISTICS = "statistics.npy"
SEGMENT_ROWS = 1 << 17  # windows in a segment, about
SEGMENT_SECONDS = 60.0  # of work in a segment: what a killed run loses at most
BLOCK_ROWS = 512  # rows converted at once: they stay in the processor's cache
BUSY = "another run is writing it"


class IndexSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What determines the vectors of an index.

    Parameters
    ----------
    model, checksum
        Name or folder of the model, and checksum of what it computes.
    hop, window
        Seconds between windows, and length of one.
    features
        Length D of a vector.
    channel
        Which channel of sound is read; None for the mean of all.
    format
        Version of the files.
    """

    model: str
    checksum: str
    hop: float
    window: float
    features: int
    channel: int | None = None
    format: int = FORMAT


class IndexedRecording(msgspec.Struct, frozen=True):
    """A recording in a segment; its rows follow those of its predecessor.

    Parameters
    ----------
    path
        As the user named it.
    rows
        Number of its windows.
    size, mtime_ns, digest
        Its fingerprint.
    error
        Why it could not be read (to its end); empty if it could.
    """

    path: str
    rows: int
    size: int = -1
    mtime_ns: int = 0
    digest: str = ""
    error: str = ""

    @property
    def fingerprint(self) -> FileFingerprint:
        """Fingerprint of the file that was read."""
        return FileFingerprint(self.size, self.mtime_ns, self.digest)


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of an index, memory-mapped.

    Parameters
    ----------
    number
        Its number.
    recordings
        In the order of their rows.
    first
        (R,) first row of each recording.
    live
        (n,) whether a row counts; False where its recording was embedded again later.
    vectors
        (n, D) float16.
    times
        (n, 2) seconds.
    """

    number: int
    recordings: tuple[IndexedRecording, ...]
    first: NDArray[np.int64]
    live: NDArray[np.bool_]
    vectors: NDArray[np.float16]
    times: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmbeddingIndex:
    """An index, opened for reading.

    Parameters
    ----------
    folder
        Where it is.
    settings
        What determines its vectors.
    segments
        In the order in which they were written.
    """

    folder: Path
    settings: IndexSettings
    segments: tuple[Segment, ...]

    @property
    def n_rows(self) -> int:
        """Number of windows that count."""
        return sum(int(segment.live.sum()) for segment in self.segments)

    def statistics(self) -> NDArray[np.float64]:
        """Return mean and standard deviation (2, D) of all rows.

        Raises
        ------
        DatasetError
            If the index was never completed.
        """
        path = self.folder / STATISTICS
        if not path.exists():
            raise DatasetError(
                f"{self.folder} is incomplete: run the same `audiocnn embed` again, it goes on "
                "where it was"
            )
        return np.asarray(np.load(path, allow_pickle=False))

    def norms(self, segment: Segment) -> NDArray[np.float32]:
        """Return the norm (n,) of each standardised row of a segment."""
        path = self.folder / f"{segment.number:05}.norms.npy"
        return np.asarray(np.load(path, allow_pickle=False))


def is_index(path: str | Path) -> bool:
    """Return whether a folder is an index of embeddings."""
    return (Path(path) / HEADER).is_file()


def open_index(folder: str | Path) -> EmbeddingIndex:
    """Open an index for reading.

    Raises
    ------
    DatasetError
        If there is none, or it is damaged or of a later version.
    """
    folder = Path(folder)
    settings = _read_settings(folder)
    segments = [_open_segment(folder, path) for path in _segment_files(folder)]
    latest = {
        recording.path: (number, at)
        for number, segment in enumerate(segments)
        for at, recording in enumerate(segment.recordings)
    }
    for number, segment in enumerate(segments):
        for at, recording in enumerate(segment.recordings):
            if latest[recording.path] != (number, at):
                first = segment.first[at]
                segment.live[first : first + recording.rows] = False
    return EmbeddingIndex(folder, settings, tuple(segments))


class IndexWriter:
    """Adds recordings to an index; see `writing_index`."""

    def __init__(self, folder: Path, settings: IndexSettings) -> None:
        self.folder, self.settings = folder, settings
        files = _segment_files(folder)
        self._number = 1 + max((int(path.stem) for path in files), default=-1)
        self._pending: list[EmbeddedRecording] = []
        self._began = time.monotonic()
        #: Recordings that are in the index.
        self.recordings: Mapping[str, IndexedRecording] = {
            recording.path: recording for path in files for recording in _read_recordings(path)
        }

    def add(self, found: EmbeddedRecording) -> None:
        """Add a recording; it is on disk once its segment is complete."""
        self._pending.append(found)
        rows = sum(len(each.begins) for each in self._pending)
        if rows >= SEGMENT_ROWS or time.monotonic() - self._began > SEGMENT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the recordings that were added as a segment."""
        if not self._pending:
            return
        name = self.folder / f"{self._number:05}"
        empty = np.empty((0, self.settings.features), np.float16)
        vectors = [each.vectors for each in self._pending if len(each.begins)]
        times = [np.stack((each.begins, each.ends), axis=1) for each in self._pending]
        _save(f"{name}.vectors.npy", np.concatenate([empty, *vectors]))
        _save(f"{name}.times.npy", np.concatenate(times))
        rows = [
            IndexedRecording(each.path, len(each.begins), each.fingerprint.size,
                             each.fingerprint.mtime_ns, each.fingerprint.digest, each.error)
            for each in self._pending
        ]  # fmt: skip
        with replacing(f"{name}.json") as part:
            part.write_bytes(msgspec.json.encode(rows))
        self._pending.clear()
        self._number, self._began = self._number + 1, time.monotonic()


@contextlib.contextmanager
def writing_index(folder: str | Path, settings: IndexSettings) -> Iterator[IndexWriter]:
    """Open an index to add recordings; it is created if it is missing.

    What was added before an exception stays in the index, which a later call completes.

    Raises
    ------
    AudiocnnError
        If another run is writing it, or it cannot be written.
    DatasetError
        If it belongs to another model or hop.
    """
    folder = Path(folder)
    if folder.exists() and not is_index(folder) and any(folder.iterdir()):
        raise DatasetError(f"{folder} is a folder with other files: name another one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / HEADER, BUSY):
            if is_index(folder):
                _check_settings(folder, settings)
            else:
                with replacing(folder / HEADER) as part:
                    part.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
            writer = IndexWriter(folder, settings)
            try:
                yield writer
            finally:
                writer.flush()
            _complete(folder)
    except OSError as error:
        raise AudiocnnError(f"cannot write {folder}: {error.strerror or error}") from error


def _complete(folder: Path) -> None:
    """Compute statistics over all rows, and each row's norm."""
    index = open_index(folder)
    n, total, squares = 0, np.zeros(index.settings.features), np.zeros(index.settings.features)
    for segment in index.segments:
        for rows in _blocks(segment.vectors, segment.live):
            n += len(rows)
            total += rows.sum(axis=0)
            squares += np.square(rows).sum(axis=0)
    mean = total / max(n, 1)
    deviation = np.sqrt(np.maximum(squares / max(n, 1) - mean**2, 0))
    _save(folder / STATISTICS, np.stack((mean, deviation)))
    scale = scale_of(deviation)
    for segment in index.segments:
        blocks = _blocks(segment.vectors, np.ones(len(segment.vectors), bool))
        norms = [np.linalg.norm((rows - mean) * scale, axis=1) for rows in blocks]
        _save(
            folder / f"{segment.number:05}.norms.npy",
            np.concatenate([np.empty(0), *norms]).astype(np.float32),
        )


def scale_of(deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what features are multiplied by; features that never change count nothing."""
    floor = 1e-4 * float(deviation.max(initial=0.0))
    varies = deviation > floor
    return np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)


def _blocks(vectors: NDArray[np.float16], live: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    for at in range(0, len(vectors), 1 << 14):
        rows = vectors[at : at + (1 << 14)][live[at : at + (1 << 14)]]
        if len(rows):
            yield rows.astype(np.float64)


def _read_settings(folder: Path) -> IndexSettings:
    path = folder / HEADER
    try:
        found: IndexSettings = msgspec.json.decode(path.read_bytes(), type=IndexSettings)
    except FileNotFoundError:
        raise DatasetError(
            f"no index in {folder}: make one with: audiocnn embed RECORDINGS -o {folder}"
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if found.format > FORMAT:
        raise DatasetError(
            f"{folder} has format {found.format}, this version of audiocnn reads up to {FORMAT}; "
            "update it with: pip install -U audiocnn"
        )
    return found


def _check_settings(folder: Path, now: IndexSettings) -> None:
    before = _read_settings(folder)
    names = ("checksum", "hop", "window", "features", "channel")
    differ = [name for name in names if getattr(before, name) != getattr(now, name)]
    if differ:
        values = "; ".join(f"{n} {getattr(before, n)} there, {getattr(now, n)} now" for n in differ)
        raise DatasetError(
            f"{folder} was made with model {before.model!r} and other settings ({values}): name "
            "another folder"
        )


def _segment_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.stem.isdecimal())


def _read_recordings(path: Path) -> Sequence[IndexedRecording]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[IndexedRecording])
    except (OSError, msgspec.MsgspecError) as error:
        raise DatasetError(f"{path} cannot be read: {error}; remove it, and embed again") from error


def _open_segment(folder: Path, path: Path) -> Segment:
    recordings = tuple(_read_recordings(path))
    try:
        vectors, times = (
            np.load(folder / f"{path.stem}.{what}.npy", mmap_mode="r", allow_pickle=False)
            for what in ("vectors", "times")
        )
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder}: segment {path.stem} is damaged ({error})") from error
    counts = np.array([recording.rows for recording in recordings], np.int64)
    if not len(vectors) == len(times) == counts.sum():
        raise DatasetError(f"{folder}: segment {path.stem} is damaged: its files do not agree")
    first = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    return Segment(int(path.stem), recordings, first, np.ones(len(vectors), bool), vectors, times)


def _save(path: str | Path, array: NDArray[np.generic]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, array, allow_pickle=False)
