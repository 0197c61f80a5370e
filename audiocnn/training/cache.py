"""Decoded waveforms, memory-mapped, at the model's rate.

Decoding and resampling cost more than a small network's training step, so they
are done once: all clips lie one after the other in one file of 16-bit numbers,
each with a scale of its own (its peak), so quiet clips keep their resolution.
The operating system pages in what is used: a dataset may be larger than memory.
A cache is found again by what it was made of: paths, sizes, times and rate.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.audio import read_audio
from audiocnn.errors import AudioError, DatasetError
from audiocnn.manifest import Clip

VERSION = 1
LEVEL_STEP = 0.05  # seconds over which `levels` are taken


@dataclass(frozen=True)
class Waveforms:
    """The decoded clips of a dataset.

    Parameters
    ----------
    samples
        (N,) all clips end to end, int16, memory-mapped.
    starts
        (K + 1,) where each clip begins; the last entry is N.
    scales
        (K,) what full scale of a clip's numbers means.
    levels
        (L,) mean power of every `LEVEL_STEP` seconds of each clip.
    level_starts
        (K + 1,) where each clip's levels begin.
    rate
        Samples per second.
    """

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]
    scales: NDArray[np.float32]
    levels: NDArray[np.float32]
    level_starts: NDArray[np.int64]
    rate: int

    def read(self, clip: int, start: int, length: int) -> NDArray[np.float32]:
        """Give part of a clip, float32; zeros where it has none."""
        begin, end = self.starts[clip], self.starts[clip + 1]
        out = np.zeros(length, np.float32)
        a, b = max(begin, begin + start), min(end, begin + start + length)
        if b > a:
            at = a - begin - start
            out[at : at + b - a] = self.samples[a:b] * (self.scales[clip] / 32767)
        return out

    def length(self, clip: int) -> int:
        """Count the samples of a clip."""
        return int(self.starts[clip + 1] - self.starts[clip])

    def clip_levels(self, clip: int) -> NDArray[np.float32]:
        """Give the mean powers of a clip."""
        return self.levels[self.level_starts[clip] : self.level_starts[clip + 1]]


def cached_waveforms(
    clips: Sequence[Clip],
    rate: int,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Waveforms:
    """Decode clips, or find that it was done before.

    Parameters
    ----------
    clips
        What to decode; ``start`` and ``end`` are honoured.
    rate
        Samples per second.
    folder
        Where caches lie; made if missing.
    progress
        Called with clips done and in all.

    Raises
    ------
    DatasetError
        If clips cannot be read: all of them are named, not the first alone.
    """
    key = hashlib.sha256(f"{VERSION} {rate}".encode())
    missing: list[str] = []
    for clip in clips:
        try:
            stat = clip.path.stat()
        except OSError as error:
            missing.append(f"{clip.path}: {error.strerror}")
            continue
        what = (str(clip.path.resolve()), stat.st_size, stat.st_mtime_ns, clip.start, clip.end)
        key.update(repr(what).encode())
    _refuse(missing, len(clips))
    stem = folder / key.hexdigest()[:24]
    if not stem.with_suffix(".npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _decode(clips, rate, stem, progress)
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        arrays = {name: index[name] for name in index.files}
    pcm = stem.with_suffix(".pcm")  # of no clips at all it is empty, and cannot be mapped
    samples = np.memmap(pcm, np.int16, mode="r") if arrays["starts"][-1] else np.empty(0, np.int16)
    return Waveforms(samples, rate=rate, **arrays)


def _decode(
    clips: Sequence[Clip], rate: int, stem: Path, progress: Callable[[int, int], None] | None
) -> None:
    starts, scales, levels, level_starts, bad = [0], [], [], [0], []
    temporary = stem.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        for done, clip in enumerate(clips, 1):
            try:
                x = read_audio(clip.path, rate, start=clip.start, end=clip.end)
            except AudioError as error:
                bad.append(str(error))
                continue
            scale = float(np.abs(x).max(initial=0)) or 1.0
            file.write(np.rint(x * (32767 / scale)).astype("<i2").tobytes())
            power = _powers(x, max(1, round(rate * LEVEL_STEP)))
            starts.append(starts[-1] + x.size)
            scales.append(scale)
            levels.append(power)
            level_starts.append(level_starts[-1] + power.size)
            if progress:
                progress(done, len(clips))
    if bad:
        temporary.unlink()
        _refuse(bad, len(clips))
    temporary.replace(stem.with_suffix(".pcm"))
    index = stem.with_suffix(f".{os.getpid()}.npz.tmp")
    with index.open("wb") as file:
        np.savez(
            file,
            starts=np.array(starts, np.int64),
            scales=np.array(scales, np.float32),
            levels=np.concatenate(levels) if levels else np.empty(0, np.float32),
            level_starts=np.array(level_starts, np.int64),
        )
    index.replace(stem.with_suffix(".npz"))


def _refuse(bad: list[str], n_clips: int) -> None:
    """Name the clips that cannot be read, if there are any."""
    if bad:
        raise DatasetError(
            f"{len(bad)} of {n_clips} clips cannot be read; repair or remove them:\n"
            + "\n".join(bad[:20])
            + (f"\nand {len(bad) - 20} more" if len(bad) > 20 else "")
        )


def _powers(x: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Mean power of every ``step`` samples; the last part may be shorter."""
    if not x.size:
        return np.zeros(1, np.float32)
    edges = np.arange(0, x.size, step)
    counts = np.diff(np.append(edges, x.size))
    return (np.add.reduceat(x.astype(np.float64) ** 2, edges) / counts).astype(np.float32)
