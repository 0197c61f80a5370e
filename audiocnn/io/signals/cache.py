"""Cache of the last opened signal, for repeated partial reads.

A table of a week with a label in every row is hundreds of clips; reading it from its
beginning for each would take hundreds of times as long. A signal of more than `LIMIT` values
is kept in a temporary file, or not at all if the disk is full.
"""

from __future__ import annotations

import functools
import itertools
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiocnn.io.audio.decoder import check_file
from audiocnn.io.audio.reader import audio_info
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.io.signals.reader import Samples, Signal, Whole, open_signal

LIMIT = 1 << 24  # values in memory: 64 MiB


@contextmanager
def open_held(
    path: str | Path | RecordingRef,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    wanted: Sequence[str] | None = None,
) -> Iterator[Signal]:
    """Open a recording of any signal, from the cache if it is the one that was opened last.

    Parameters, what is yielded and what is raised are those of `open_signal`; of a
    cached recording, damage anywhere is raised at once.
    """
    ref = RecordingRef.of(path)
    check_file(ref.file)
    stat = ref.file.stat()
    names = None if wanted is None else tuple(wanted)
    held = _read(ref, stat.st_size, stat.st_mtime_ns, reading, names)
    if held is None:
        with open_signal(ref, reading, wanted) as signal:
            yield signal
        return
    signal, whole = held
    yield replace(signal, whole=whole, missed=replace(signal.missed))


def length_of(
    path: str | Path | RecordingRef, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> float | None:
    """Return the length of a recording of any signal in seconds; None if it is unknown.

    Where nothing says the rate, a sample is a second, as for the clips of such files.
    """
    ref = RecordingRef.of(path)
    if ref.is_sound:
        return audio_info(ref.file).duration
    with open_held(ref, reading) as signal:
        for _ in signal.parts_since(sys.maxsize):  # what is not held is to be read
            pass
        return signal.n_samples / (signal.rate or 1.0)


@functools.lru_cache(maxsize=1)
def _read(
    ref: RecordingRef,
    size: int,
    mtime_ns: int,
    reading: SignalReadOptions,
    wanted: tuple[str, ...] | None,
) -> tuple[Signal, Whole] | None:
    starts: list[int] = []
    ends: list[int] = []

    def parts() -> Iterator[Samples]:
        end = 0
        for at, part in signal.parts:
            if at != end or not ends:
                starts.append(at)
                ends.append(ends[-1] if ends else 0)
            ends[-1] += part.shape[1]
            end = at + part.shape[1]
            yield part

    with open_signal(ref, reading, wanted) as signal:
        samples = _joined(parts(), len(signal.names))
    return None if samples is None else (signal, Whole(starts, ends, samples))


def _joined(parts: Iterator[Samples], channels: int) -> Samples | None:
    """Join parts to (K, N), in memory or in a file; None if both are full."""
    n, taken = 0, [np.empty((channels, 0), np.float32)]
    for part in parts:
        taken.append(part)
        n += part.size
        if n > LIMIT:
            return _on_disk(itertools.chain(taken, parts), channels)
    return np.concatenate(taken, axis=1)


def _on_disk(parts: Iterable[Samples], channels: int) -> Samples | None:
    try:
        with tempfile.TemporaryFile() as file:  # the map keeps it until it is let go
            for part in parts:
                file.write(np.ascontiguousarray(part.T, np.float32).tobytes())
            file.flush()
            return np.memmap(file, np.float32, "r").reshape(-1, channels).T
    except OSError:  # the disk is full
        return None
