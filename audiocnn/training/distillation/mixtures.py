"""Windows to learn from: recordings mixed, filtered, reverberated, at many levels.

A window is 2 s of one to three recordings. What is done to it is done before the teacher
listens, so its answer is right for what the student is given: a mixture is labelled as a
mixture.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
import soxr
from numpy.typing import NDArray

from audiocnn.training.distillation.sound_pool import RATE, SoundPool

Array = NDArray[np.float32]
N = 2 * RATE
# How often: several recordings, another speed, a room, a limited band.
MIXED, THIRD, RESAMPLED, ROOM, BAND = 0.6, 0.15, 0.3, 0.2, 0.25
SNR_DB = (-5.0, 20.0)
LEVEL_DB = (-50.0, -8.0)  # RMS of the window
FLOOR_DB = (-95.0, -55.0)  # of the noise of a microphone


def power_of(x: Array) -> float:
    """Mean power of the parts that sound: of the loudest tenths of a second."""
    parts = np.square(x[: x.size // 3200 * 3200]).reshape(-1, 3200).mean(1)
    return float(np.sort(parts)[-max(1, parts.size // 2) :].mean()) + 1e-12


def excerpt(pool: SoundPool, recording: int, rng: np.random.Generator) -> Array:
    """Cut a window out of a recording, at one of several speeds; place a short one anywhere."""
    speed = rng.uniform(0.8, 1.25) if rng.random() < RESAMPLED else 1.0
    wanted = int(N * speed) + 64
    room = int(pool.lengths[recording]) - wanted
    x = pool.samples(recording, int(rng.integers(0, room)) if room > 0 else 0, wanted)
    if speed != 1.0:
        x = soxr.resample(x, RATE * speed, RATE, quality="MQ")
    if x.size >= N:
        return x[:N]
    if x.size < N // 3 and rng.random() < 0.3:  # a short sound again and again
        gap = int(rng.uniform(0.02, 0.8) * RATE)
        x = np.tile(np.pad(x, (0, gap)), N // (x.size + gap) + 1)[:N]
    before = int(rng.integers(0, N - x.size + 1))
    return np.pad(x, (before, N - x.size - before))


def in_a_room(x: Array, rng: np.random.Generator) -> Array:
    """Convolve with noise that dies away in 0.1 to 0.9 s, after the direct sound."""
    t = np.arange(int(RATE * rng.uniform(0.1, 0.9)), dtype=np.float32)
    echo = rng.standard_normal(t.size, dtype=np.float32) * np.exp(-6.9 * t / t.size)
    echo[: RATE // 400] = 0
    echo *= rng.uniform(0.1, 0.8) / np.sqrt(np.sum(echo**2))
    echo[0] = 1
    size = scipy.fft.next_fast_len(N + t.size, real=True)
    spectrum = scipy.fft.rfft(x, size) * scipy.fft.rfft(echo, size)
    return np.asarray(scipy.fft.irfft(spectrum, size)[:N], np.float32)


def band_limited(x: Array, rng: np.random.Generator) -> Array:
    """Take away what a telephone, a small loudspeaker or a low sample rate would."""
    high = float(np.exp(rng.uniform(np.log(3400), np.log(14000))))
    x = np.asarray(scipy.signal.sosfilt(_low_pass(round(high, -2)), x), np.float32)
    if rng.random() < 0.3:
        low = float(np.exp(rng.uniform(np.log(60), np.log(400))))
        sos = scipy.signal.butter(2, low, "high", fs=RATE, output="sos")
        x = np.asarray(scipy.signal.sosfilt(sos, x), np.float32)
    return x


def _low_pass(high: float) -> NDArray[np.float64]:
    return np.asarray(scipy.signal.butter(6, high, "low", fs=RATE, output="sos"))


def make_window(
    pool: SoundPool, weights: NDArray[np.float64], rng: np.random.Generator, *, plain: bool = False
) -> Array:
    """Make a window.

    Parameters
    ----------
    pool
        The recordings.
    weights
        (R,) cumulative probabilities, the last one 1.
    rng
        Draws everything.
    plain
        One recording as it is, at its own level: for measuring.

    Returns
    -------
    array (64,000,)
    """

    def drawn() -> Array:
        return excerpt(pool, int(np.searchsorted(weights, rng.random())), rng)

    x = drawn()
    if plain:
        return x
    if rng.random() < ROOM:
        x = in_a_room(x, rng)
    for _ in range((rng.random() < MIXED) + (rng.random() < THIRD)):
        other = drawn()
        ratio = power_of(x) / power_of(other) * 10 ** (-rng.uniform(*SNR_DB) / 10)
        x = x + other * np.float32(np.sqrt(ratio))
    if rng.random() < BAND:
        x = band_limited(x, rng)
    level = 10 ** (rng.uniform(*LEVEL_DB) / 20) / np.sqrt(power_of(x))
    noise = rng.standard_normal(N, dtype=np.float32) * np.float32(
        10 ** (rng.uniform(*FLOOR_DB) / 20)
    )
    return np.clip(x * np.float32(level) + noise, -1, 1)
