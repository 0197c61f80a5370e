"""A small spectrogram of the newest sound and its level, for the terminal view and the page.

    pieces  |==|====|=|======|==|===|     any lengths
    ticks   |-----|-----|-----|-----|     50 ms, one short Fourier transform each
    columns |-----------|-----------|     some ticks, as many as the terminal's width asks for

It is made for the eye and for next to nothing: no overlap, no mel filters, the loudest
bin of each band. The network never sees it. Taking the loudest over bins,
ticks and bands keeps short and narrow sounds visible however small the picture is; lost
sound is NaN, which a maximum keeps as well.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
from numpy.typing import NDArray

TICK = 0.05  # seconds
N_BANDS = 48  # divided by 2, 4, 6, 8, 12, 16 and 24: the rows of a picture
QUIETEST = -120.0  # dBFS, where digital silence is drawn
LOUDEST_FLOOR = -65.0  # dBFS in one bin: a steady sound louder than this is not drawn dark
RANGES = 45.0, 75.0  # decibels from dark to bright, at least and at most
SETTLED = 6.0  # decibels by which the sound must change before all colours do

Decibels = NDArray[np.float32]


class Spectrum:
    """The last half minute or more of a stream, tick by tick.

    Parameters
    ----------
    rate
        Samples per second.
    seconds
        What a picture shows at least, once as much was heard.
    """

    def __init__(self, rate: float, seconds: float = 30.0) -> None:
        self.size = max(16, round(rate * TICK))
        self.tick = self.size / rate  # seconds
        self.seconds = seconds
        self.n_ticks = 0  # since the stream began
        self.low, self.high = -100.0, -40.0  # dBFS drawn dark, and bright
        self.f_min, self.f_max = rate / 400, min(rate / 2, 16000.0)
        if rate >= 4000:
            self.f_min = max(self.f_min, 60.0)
        self._starts = band_starts(rate, self.size, self.f_min, self.f_max)
        window = np.hanning(self.size + 1)[:-1]
        self._window = (window * 2 / window.sum()).astype(np.float32)
        self._ring: Decibels = np.full(
            (2 * math.ceil(seconds / self.tick), N_BANDS), -np.inf, np.float32
        )
        self._waiting: list[NDArray[np.float32]] = []
        self._n_waiting = 0
        self._n_settled = 0
        self._square, self._n_square, self._peak, self._n_lost = 0.0, 0, 0.0, 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take samples (N,); those that are not finite count as lost."""
        most = len(self._ring) * self.size
        samples = np.array(samples[-most:], np.float32)  # the caller may use its buffer again
        self._waiting.append(samples)
        self._n_waiting += len(samples)
        if self._n_waiting < self.size:
            return
        heard = np.concatenate(self._waiting)
        n = len(heard) // self.size
        self._waiting = [heard[n * self.size :]]
        self._n_waiting = len(heard) - n * self.size
        self._analyse(heard[: n * self.size].reshape(n, self.size)[-len(self._ring) :])

    def levels(self) -> tuple[float, float, bool, bool]:
        """Give the levels since the last call, and begin anew.

        Returns
        -------
        tuple
            The level (RMS) and the peak in dBFS, whether anything was received, and
            whether anything was lost.
        """
        level = decibels(self._square / self._n_square) if self._n_square else -math.inf
        levels = level, decibels(self._peak**2), self._n_square > 0, self._n_lost > 0
        self._square, self._n_square, self._peak, self._n_lost = 0.0, 0, 0.0, 0
        return levels

    def newest(self, since: int) -> tuple[int, Decibels]:
        """Give the ticks from number ``since`` on that are still kept.

        Returns
        -------
        first, values
            Number of the first tick, counted since the stream began; and (n, N_BANDS) dBFS,
            low frequencies first, NaN where sound was lost.
        """
        first = max(since, self.n_ticks - len(self._ring), 0)
        return first, self._ring[np.arange(first, self.n_ticks) % len(self._ring)]

    def ticks_per_column(self, width: int) -> int:
        """Give how many ticks a column shows, so that ``width`` columns show long enough."""
        return max(1, math.ceil(self.seconds / self.tick / max(1, width)))

    def picture(self, width: int, n_rows: int) -> Decibels:
        """Give the newest whole columns.

        Parameters
        ----------
        width
            Columns.
        n_rows
            A divisor of the number of bands.

        Returns
        -------
        NDArray
            (n_rows, width) dBFS, high frequencies first; NaN where sound was lost, -inf
            where none was expected yet.
        """
        per = self.ticks_per_column(width)
        width_heard = min(width, len(self._ring) // per)
        end = self.n_ticks // per * per  # columns stay whole as time goes on
        at = np.arange(end - width_heard * per, end) % len(self._ring)
        ticks, together = self._ring[at], N_BANDS // n_rows
        # Slice by slice: numpy's maximum over short axes takes ten times as long.
        columns = reduce(np.maximum, (ticks[i::per] for i in range(per)))
        rows = reduce(np.maximum, (columns[:, i::together] for i in range(together)))
        drawn = np.full((n_rows, width), -np.inf, np.float32)
        drawn[:, width - width_heard :] = rows.T[::-1]
        return drawn

    def _analyse(self, ticks: NDArray[np.float32]) -> None:
        good = np.isfinite(ticks).all(axis=1)
        ticks = np.clip(np.nan_to_num(ticks, nan=0.0), -8.0, 8.0)
        power = np.square(np.abs(np.fft.rfft(ticks * self._window)))
        bands = np.maximum.reduceat(power, self._starts, axis=1)[:, :N_BANDS]
        bands = 10 * np.log10(np.maximum(bands, 10 ** (QUIETEST / 10)))
        bands[~good] = np.nan
        self._ring[(self.n_ticks + np.arange(len(ticks))) % len(self._ring)] = bands
        self.n_ticks += len(ticks)
        sound = ticks[good].ravel()
        self._n_lost += len(ticks) - int(good.sum())
        if len(sound):
            self._square += float(np.dot(sound, sound))
            self._n_square += len(sound)
            self._peak = max(self._peak, float(sound.max()), -float(sound.min()))
        if self.n_ticks - self._n_settled >= 1 / TICK:
            self._n_settled = self.n_ticks
            self._settle()

    def _settle(self) -> None:
        """Choose what is drawn dark and bright; seldom, for then the whole picture changes."""
        heard = self._ring[np.isfinite(self._ring[:, 0])]
        heard = heard[heard > QUIETEST + 1]
        if not len(heard):
            return
        quiet, loud = (float(q) for q in np.percentile(heard, (30, 99.8)))
        low = min(quiet + 3, LOUDEST_FLOOR)  # a calm background
        if abs(low - self.low) > SETTLED:
            self.low = low
        shortest, longest = RANGES
        high = self.low + min(longest, max(shortest, loud - self.low))
        if abs(high - self.high) > SETTLED:
            self.high = high


def band_starts(rate: float, size: int, f_min: float, f_max: float) -> NDArray[np.intp]:
    """Give the first bin of each band, and of what lies above: equal steps on the mel scale.

    Returns
    -------
    NDArray
        (N_BANDS + 1,) bins, not descending. Where two are equal the band is that one bin.
    """
    low, high = (math.log1p(f / 700) for f in (f_min, f_max))
    edges = 700 * np.expm1(np.linspace(low, high, N_BANDS + 1))
    return np.minimum(np.round(edges * size / rate), size // 2).astype(np.intp)


def decibels(power: float) -> float:
    """Give a power, relative to full scale, in decibels."""
    return 10 * math.log10(max(power, 1e-12))


class Meter:
    """A level that rises at once and falls slowly, a peak that is held, a mark for clipping."""

    FALL = 24.0  # decibels a second
    HOLD = 2.0  # seconds for which a peak stays
    CLIPPING = -0.01  # dBFS
    REMEMBER = 3.0  # seconds for which clipping is shown
    SILENT = 1.0  # seconds without any sound after which there is no level

    def __init__(self) -> None:
        self.level = self.peak = QUIETEST
        self.clipping = False
        self.silenced = False  # sound is being lost, or nothing comes
        self._now, self._peak_at = -math.inf, -math.inf
        self._clipped_at, self._heard_at = -math.inf, math.inf

    @property
    def shown(self) -> tuple[float, float]:
        """The level and the held peak, in dBFS."""
        return self.level, self.peak

    def update(self, levels: tuple[float, float, bool, bool], now: float) -> None:
        """Take what `Spectrum.levels` gives, at the time ``now`` in seconds."""
        level, peak, heard, lost = levels
        fallen = self.FALL * max(0.0, min(10.0, now - self._now))
        self._now = now
        self.level = max(level, self.level - fallen, QUIETEST)
        if heard and peak >= self.peak:
            self.peak, self._peak_at = peak, now
        elif now - self._peak_at > self.HOLD:
            self.peak = max(QUIETEST, self.peak - fallen)
        if heard and peak >= self.CLIPPING:
            self._clipped_at = now
        self.clipping = now - self._clipped_at < self.REMEMBER
        if heard or self._heard_at == math.inf:
            self._heard_at = now
        self.silenced = lost or now - self._heard_at >= self.SILENT
