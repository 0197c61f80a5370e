"""Audio fingerprints: finding the same sound re-encoded, cut, louder or at another rate.

    log bands over time -> signs of differences -> a 24-bit word every 16 ms

A word tells how energy is spread over neighbouring bands and moments, not how loud it is,
so it outlives gain, codecs and resampling. Equal words at a constant distance in time
propose that two recordings hold the same sound, at once for all of them by sorting. Then
the waveforms decide: laid over each other they correlate, and two takes of the same thing,
however alike, do not. So proposing may be generous, and nothing rests on its threshold.

References
----------
J. Haitsma and T. Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002: signs of
differences of band energies, which this follows in shorter windows and words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.frontend.log_mel import MelSpec, stream_log_mel

PRINT_RATE = 8000  # Hz: what survives nearly every codec
STEP = 128  # samples between words
BITS = 24
SPEC = MelSpec(PRINT_RATE, 1024, STEP, BITS + 1, 150.0, 3600.0, 1e-9)
BACK = 4  # words between the moments that are compared
QUIET = 50.0  # dB below a recording's loudest frame, where nothing is printed
COMMON = 40  # occurrences from which on a word says nothing
VOTES = 3
ALIKE = 0.8  # correlation of waveforms that are one sound

Words = NDArray[np.uint32]


class Printer:
    """Computes the fingerprint words of a recording, a chunk at a time."""

    def __init__(self) -> None:
        self._tail = np.empty(0, np.float32)
        self._frames: list[NDArray[np.float32]] = []

    def take(self, samples: NDArray[np.float32]) -> None:
        """Take samples at `PRINT_RATE`, in pieces of any length."""
        frames, self._tail = stream_log_mel(self._tail, samples, SPEC)
        if frames.shape[-1]:
            self._frames.append(frames[0])

    def result(self) -> tuple[Words, NDArray[np.int32]]:
        """Return the words and their times, in steps of `STEP` samples; none of silence."""
        if not self._frames:
            return np.empty(0, np.uint32), np.empty(0, np.int32)
        bands = np.concatenate(self._frames, axis=1)
        slope = bands[:-1] - bands[1:]
        bits = slope[:, BACK:] > slope[:, :-BACK]
        words = (bits * (1 << np.arange(BITS, dtype=np.uint32))[:, None]).sum(0, dtype=np.uint32)
        loud = bands.max(axis=0)[BACK:]
        # Bands at their floor differ by rounding alone.
        audible = (loud > loud.max(initial=-99) - QUIET / 4.343) & (loud > np.log(SPEC.floor) + 3)
        audible &= (words != 0) & (words != (1 << BITS) - 1)
        frames = np.flatnonzero(audible)
        return words[frames].astype(np.uint32), frames.astype(np.int32)


@dataclass(frozen=True)
class Proposal:
    """Two recordings that may hold the same sound.

    Parameters
    ----------
    a, b
        Their numbers, ``a < b``.
    lag
        Seconds by which the sound comes later in ``b``.
    votes
        Words that say so.
    """

    a: int
    b: int
    lag: float
    votes: int


def propose_twins(prints: Sequence[tuple[Words, NDArray[np.int32]]]) -> list[Proposal]:
    """Find recordings that share words at a constant distance in time.

    Parameters
    ----------
    prints
        Words and their times, by recording.

    Returns
    -------
    list of Proposal
        The best distance of each pair with `VOTES` or more, most votes first.

    Notes
    -----
    All words are sorted once; a word that occurs more than `COMMON` times is left out, so
    the cost is that of sorting: seconds for ten thousand clips.
    """
    words = np.concatenate([np.empty(0, np.uint32), *(w for w, _ in prints)])
    times = np.concatenate([np.empty(0, np.int32), *(t for _, t in prints)]).astype(np.int64)
    owner = np.repeat(np.arange(len(prints)), [len(w) for w, _ in prints])
    order = np.argsort(words, kind="stable")
    words, times, owner = words[order], times[order], owner[order]
    starts = np.flatnonzero(np.r_[True, words[1:] != words[:-1]]) if words.size else order
    sizes = np.diff(np.r_[starts, words.size])
    group = np.repeat(np.arange(len(starts)), sizes)
    few = sizes[group] <= COMMON
    words, times, owner = words[few], times[few], owner[few]
    pairs = []
    for distance in range(1, COMMON):
        same = np.flatnonzero(words[distance:] == words[:-distance])
        if not same.size:
            break
        a, b = owner[same], owner[same + distance]
        lag = times[same + distance] - times[same]
        other = a != b  # stable sorting keeps owners ascending within a word
        pairs.append(np.stack([a[other], b[other], lag[other]]))
    if not pairs:
        return []
    return _count_votes(np.concatenate(pairs, axis=1))


def _count_votes(pairs: NDArray[np.int64]) -> list[Proposal]:
    """Count equal distances, neighbouring ones together: sounds need not fall on a step."""
    votes: dict[tuple[int, int], tuple[int, int]] = {}
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    a, b, lag = found
    next_too = np.zeros_like(counts)
    near = (a[1:] == a[:-1]) & (b[1:] == b[:-1]) & (lag[1:] == lag[:-1] + 1)
    next_too[:-1][near] = counts[1:][near]
    total = counts + next_too
    for k in np.flatnonzero(total >= VOTES).tolist():
        key = (int(a[k]), int(b[k]))
        if total[k] > votes.get(key, (0, 0))[0]:
            votes[key] = (int(total[k]), int(lag[k]))
    proposals = [
        Proposal(*key, lag * STEP / PRINT_RATE, count) for key, (count, lag) in votes.items()
    ]
    return sorted(proposals, key=lambda p: (-p.votes, p.a, p.b))


def correlate(
    a: NDArray[np.float32], b: NDArray[np.float32], lag: float
) -> tuple[float, float, float]:
    """Return how well two waveforms correlate, and at which lag.

    Parameters
    ----------
    a, b
        Samples at `PRINT_RATE`.
    lag
        Seconds by which the sound comes later in ``b``, to within a few steps.

    Returns
    -------
    correlation
        Of the samples that overlap, -1 to 1, at the best lag near ``lag``; its size
        counts, as polarity says nothing.
    lag
        That lag, seconds.
    seconds
        How long they overlap.
    """
    around, best = 3 * STEP, (0.0, lag, 0.0)
    shift = round(lag * PRINT_RATE)
    x, y = a[max(0, -shift) :], b[max(0, shift) :]
    n = min(x.size, y.size)
    if n < PRINT_RATE // 20:
        return best
    x, y = x[:n].astype(np.float64), y[:n].astype(np.float64)
    size = 1 << (n + around).bit_length()
    cross = np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)), size)
    near = np.r_[np.arange(0, min(around, n)), np.arange(-min(around, n) + 1, 0)]
    k = int(near[np.argmax(np.abs(cross[near]))])
    x, y = (x[: n - k], y[k:]) if k >= 0 else (x[-k:], y[: n + k])
    scale = float(np.sqrt(x @ x) * np.sqrt(y @ y))
    value = float(x @ y) / scale if scale > 0 else 0.0
    return value, (shift + k) / PRINT_RATE, x.size / PRINT_RATE
