"""Training windows varied before they are embedded: background, gain, lost high bands.

A clip that is held out with a part is mixed with background of that part alone, so a head
that is fitted without the part has been given nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiocnn.training.data.audio_cache import Stored
from audiocnn.training.data.sampler import at_snr, audible_starts, clip_window
from audiocnn.training.heads.config import HeadConfig, Variation

Array = NDArray[np.float32]
LOWEST_CUT = 2000.0  # Hz, of a lost upper band
MOST = 8  # varied windows of a clip, for each copy


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """Sounds that are none of the classes, and in which part each is held out."""

    waveforms: Stored
    part: NDArray[np.int64]

    def window(self, part: int, n: int, rng: np.random.Generator) -> Array | None:
        """Return a window of n samples from the backgrounds of a part; None without any."""
        rows = np.flatnonzero(self.part == part)
        if not rows.size:
            return None
        lengths = np.diff(self.waveforms.starts)[rows]
        share = np.cumsum(np.sqrt(lengths))  # long ones more often, not as much as they are longer
        at = int(np.searchsorted(share, rng.random() * share[-1], side="right"))
        clip = int(rows[min(at, rows.size - 1)])
        start = int(rng.integers(0, max(1, self.waveforms.length(clip) - n + 1)))
        return self.waveforms.read(clip, start, n)


def varied_windows(
    waveforms: Stored,
    clip: int,
    part: int,
    n_window: int,
    backgrounds: Backgrounds | None,
    config: HeadConfig,
) -> Iterator[Array]:
    """Draw varied windows of a clip, each of ``n_window`` samples.

    Parameters
    ----------
    waveforms, clip
        The clips, and which of them.
    part
        In which the clip is held out; negative for none.
    n_window
        Samples of a window.
    backgrounds
        What is mixed in; None for nothing.
    config
        How; the seed, the clip and nothing else decide the draws.
    """
    variation, length = config.variation, waveforms.length(clip)
    rng = np.random.default_rng([config.seed, clip])
    starts = audible_starts(
        waveforms.clip_levels(clip), length, n_window, waveforms.step,
        config.silence_db, config.faint_db,
    )  # fmt: skip
    if not starts.size:
        return
    n = min(MOST, max(1, round(starts.size * waveforms.step / n_window + 1)))
    for _ in range(n * variation.copies):
        samples = clip_window(waveforms, clip, starts, n_window, rng, 1.0)
        yield vary(samples, part, waveforms.rate, backgrounds, variation, rng)


def vary(
    samples: Array,
    part: int,
    rate: float,
    backgrounds: Backgrounds | None,
    variation: Variation,
    rng: np.random.Generator,
) -> Array:
    """Mix background under a window, limit its band, change its level."""
    if backgrounds is not None and rng.random() < variation.background:
        under = backgrounds.window(part, samples.shape[-1], rng)
        if under is not None:
            samples = samples + at_snr(under, samples, rng.uniform(*variation.background_snr_db))
    if rng.random() < variation.band_limit and rate > 2 * LOWEST_CUT:
        samples = low_pass(samples, rate, LOWEST_CUT * (rate / 2 / LOWEST_CUT) ** rng.random())
    gain = 10 ** (rng.uniform(*variation.gain_db) / 20)
    return np.asarray(np.clip(samples * gain, -1, 1), np.float32)


def low_pass(samples: Array, rate: float, cut: float) -> Array:
    """Remove what lies above a frequency (Hz), with an edge of a tenth of it."""
    spectrum = scipy.fft.rfft(samples)
    frequency = np.arange(spectrum.shape[-1]) * rate / samples.shape[-1]
    edge = np.clip((1.1 * cut - frequency) / (0.1 * cut), 0, 1).astype(np.float32)
    return np.asarray(scipy.fft.irfft(spectrum * edge, samples.shape[-1]), np.float32)
