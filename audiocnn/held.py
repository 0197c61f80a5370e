"""The last signal that was opened, held in memory: for whoever reads many parts of one file.

A table of a week with a label in every row is hundreds of clips; read from its beginning
for each, it would take hundreds of times as long. What is larger than `LIMIT` is not held.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiocnn.audio import audio_info
from audiocnn.channels import AS_IT_IS, Reading
from audiocnn.decoding import check_file
from audiocnn.series import file_of
from audiocnn.signals import Samples, Signal, is_signal_file, open_signal

LIMIT = 1 << 24  # values: 64 MiB


@contextmanager
def open_held(
    path: str | Path, reading: Reading = AS_IT_IS, wanted: Sequence[str] | None = None
) -> Iterator[Signal]:
    """Open a recording of any signal, at once if it is the one that was opened before.

    Parameters, what is yielded and what is raised are those of `open_signal`; of a
    recording that is held, damage anywhere is told at once.
    """
    file = file_of(path)
    check_file(file)
    stat = file.stat()
    names = None if wanted is None else tuple(wanted)
    held = _read(Path(path), stat.st_size, stat.st_mtime_ns, reading, names)
    if held is None:
        with open_signal(path, reading, wanted) as signal:
            yield signal
        return
    signal, samples = held
    yield replace(signal, parts=iter([(0, samples)]), missed=replace(signal.missed))


def length_of(path: Path, reading: Reading = AS_IT_IS) -> float | None:
    """Give the length of a recording of any signal, seconds; None if it does not say.

    Where nothing says the rate, a sample is a second, as for the clips of such files.
    """
    if not is_signal_file(file_of(path)):
        return audio_info(path).duration
    with open_held(path, reading) as signal:
        n: int = sum(piece.shape[1] for piece in signal.pieces)
        return n / (signal.rate or 1.0)


@functools.lru_cache(maxsize=1)
def _read(
    path: Path, size: int, mtime_ns: int, reading: Reading, wanted: tuple[str, ...] | None
) -> tuple[Signal, Samples] | None:
    n, parts = 0, []
    with open_signal(path, reading, wanted) as signal:
        for piece in signal.pieces:
            n += piece.size
            if n > LIMIT:
                return None
            parts.append(piece)
    whole = np.concatenate(parts, axis=1) if parts else np.empty((len(signal.names), 0), np.float32)
    whole.flags.writeable = False
    return signal, whole
