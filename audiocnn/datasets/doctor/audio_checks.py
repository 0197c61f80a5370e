"""Measurements of one recording: format, level, bandwidth, clipping and fingerprints.

The dataset doctor's findings about sound are computed from these numbers. They are small,
so those of thousands of recordings fit in memory, and a cache makes a second check fast.
Labels are not used here: the measurements of a recording do not depend on them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocnn.datasets.doctor.fingerprints import PRINT_RATE, Printer
from audiocnn.errors import AudioError
from audiocnn.io.audio.notes import Note
from audiocnn.io.audio.reader import AudioInfo, audio_info, read_blocks

Samples = NDArray[np.float32]

LEVEL_STEP = 0.05  # seconds, over which the level is taken
N_FFT = 4096
SPECTRA = 400  # of a recording, at most: spread over it, they tell how wide it is
TOP = 0.01  # of the peak: the topmost bin of the amplitude's histogram
COARSE = 10  # levels of amplitude in the topmost fifth, below which steps hide a flat top
EDGE_DROP = 25.0  # dB, by which a band limit falls within EDGE_WIDTH
EDGE_WIDTH = 0.06  # of the edge's frequency
EMPTY_BELOW = 60.0  # dB under the strongest frequency, where all above an edge must lie


@dataclass(frozen=True)
class Examined:
    """The measurements of a recording.

    Parameters
    ----------
    error
        Why it could not be read; empty if it could. Then all else means little.
    bytes_hash, samples_hash
        Of the file, and of the samples it decodes to.
    rate, channels, duration
        Hz, count, seconds.
    peak, level, loudest, offset
        Largest magnitude and root mean square (without the offset) of samples, the
        same of the loudest `LEVEL_STEP` seconds, and the mean; full scale at 1.
    clipped
        Share of samples in flat tops, or beyond full scale.
    edge
        Hz at which the spectrum ends abruptly; half the rate if nowhere.
    notes
        What reading it has shown: a unit, channels in opposite phase, a wrong header.
    levels
        (L,) root mean square of every `LEVEL_STEP` seconds.
    prints, frames
        (F,) fingerprints and their times in steps, see `fingerprints`.
    """

    error: str = ""
    bytes_hash: str = ""
    samples_hash: str = ""
    rate: int = 0
    channels: int = 0
    duration: float = 0.0
    peak: float = 0.0
    level: float = 0.0
    loudest: float = 0.0
    offset: float = 0.0
    clipped: float = 0.0
    edge: float = 0.0
    notes: tuple[Note, ...] = ()
    levels: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    prints: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    frames: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))


def examine(path: str | Path, channel: int | None = None) -> Examined:
    """Decode a recording and measure it, in memory that grows little with its length.

    Returns
    -------
    Examined
        With ``error`` if it cannot be read (to its end): that is a finding like others.
    """
    path = Path(path)
    try:
        info = audio_info(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        meter = _Meter(info)
        notes: list[Note] = []
        for block in read_blocks(path, info.rate, seconds=30.0, channel=channel, note=notes.append):
            meter.take(block.samples)
    except (AudioError, OSError) as error:
        return Examined(error=str(error))
    return replace(meter.result(info, digest), notes=tuple(notes))


class _Meter:
    """Accumulates the measurements of `examine`, a block at a time."""

    def __init__(self, info: AudioInfo) -> None:
        self._rate, self._hash, self._n = info.rate, hashlib.sha256(), 0
        self._sum = self._square = self._over = 0.0
        self._peak = np.float32(0.0)
        # Magnitudes by hundredths of a decibel-like step: fine at the top, where clipping is.
        self._histogram = np.zeros(1 << 16, np.int64)
        self._step = max(1, round(LEVEL_STEP * info.rate))
        self._levels: list[Samples] = []
        self._rest = np.empty(0, np.float32)
        self._power, self._n_spectra = np.zeros(N_FFT // 2 + 1), 0
        self._stride = _stride(info)
        self._resampler = soxr.ResampleStream(info.rate, PRINT_RATE, 1, dtype="float32")
        self._printer = Printer()

    def take(self, x: Samples) -> None:
        self._hash.update(x.tobytes())
        self._n += x.size
        self._sum += float(x.sum(dtype=np.float64))
        self._square += float(np.square(x, dtype=np.float64).sum())
        size = np.abs(x)
        self._peak = max(self._peak, size.max(initial=0))
        self._over += float(np.count_nonzero(size > 1.0))
        self._histogram += np.bincount(
            np.minimum(size * 32768, 65535).astype(np.int64), minlength=1 << 16
        )
        joined = np.concatenate([self._rest, x])
        whole = joined.size // self._step * self._step
        steps = joined[:whole].reshape(-1, self._step)
        self._levels.append(np.sqrt(np.mean(np.square(steps), axis=1)))
        self._rest = joined[whole:]
        self._look(x)
        self._printer.take(self._resampler.resample_chunk(x))

    def _look(self, x: Samples) -> None:
        window = np.hanning(N_FFT).astype(np.float32)
        for at in range(0, x.size - N_FFT + 1, self._stride):
            self._power += np.square(np.abs(np.fft.rfft(x[at : at + N_FFT] * window)))
            self._n_spectra += 1

    def result(self, info: AudioInfo, digest: str) -> Examined:
        mean = self._sum / max(1, self._n)
        level = max(0.0, self._square / max(1, self._n) - mean**2) ** 0.5
        if self._rest.size:
            self._levels.append(np.sqrt(np.mean(np.square(self._rest), keepdims=True)))
        levels = np.concatenate(self._levels) if self._levels else np.empty(0, np.float32)
        self._printer.take(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        prints, frames = self._printer.result()
        return Examined(
            bytes_hash=digest,
            samples_hash=f"{info.rate} {self._hash.hexdigest()}",
            rate=info.rate,
            channels=info.channels,
            duration=self._n / info.rate,
            peak=float(self._peak),
            level=level,
            loudest=float(levels.max(initial=0)),
            offset=mean,
            clipped=self._clipped(),
            edge=_edge(self._power / max(1, self._n_spectra), info.rate),
            levels=levels.astype(np.float32),
            prints=prints,
            frames=frames,
        )

    def _clipped(self) -> float:
        """Share of samples at the top, where far more lie there than just below it.

        Of natural sound ever fewer samples are ever louder; of a sine 2.4 times as many
        lie in the topmost hundredth as in the next, of a clipped sound dozens of times.
        """
        top = max(1, int(self._peak * 32768))
        if top < 1000:  # too few steps to tell
            return 0.0
        width = max(1, round(TOP * top))
        if np.count_nonzero(self._histogram[round(0.8 * top) :]) < COARSE:
            return 0.0  # 8 bits, turned down: any few levels look flat
        first = self._histogram[max(0, top - width) :].sum()
        second = self._histogram[max(0, top - 2 * width) : max(0, top - width)].sum()
        flat = first / max(1, self._n) if first > 5 * max(1, second) else 0.0
        return float(max(flat, self._over / max(1, self._n)))


def _stride(info: AudioInfo) -> int:
    """Space spectra so that there are at most `SPECTRA` of them."""
    total = info.frames or int((info.duration or 600) * info.rate)
    return max(N_FFT // 2, total // SPECTRA)


def _edge(power: NDArray[np.float64], rate: int) -> float:
    """Find where a spectrum ends in a cliff, with nothing but a floor above.

    Natural sound falls off gently; a resampler's or a codec's filter cuts by tens of
    decibels within a few percent of its frequency.
    """
    if not power.any():
        return rate / 2
    db = 10 * np.log10(power + 1e-12 * power.max() + 1e-14)
    smooth = np.convolve(db, np.full(9, 1 / 9), mode="valid")
    n = smooth.size
    above = np.maximum.accumulate(smooth[::-1])[::-1]  # the most that there is from here up
    for at in range(n // 16, n - n // 32):
        end = min(n - 1, round(at * (1 + EDGE_WIDTH)) + 8)
        # What ends must be a band, not a line: the last partial of a hum is no filter's edge.
        below = np.median(smooth[min(round(at * (1 - EDGE_WIDTH)), at - 8) : at + 1])
        if below - above[end] >= EDGE_DROP and above[0] - above[end] >= EMPTY_BELOW:
            return float((at + 4) / (power.size - 1) * rate / 2)
    return rate / 2
