"""Mel scales and the triangular filters on them, in the forms that known networks use.

References
----------
.. [1] D. O'Shaughnessy, Speech Communication: Human and Machine, 1987: the formula of HTK
   and Kaldi.
.. [2] M. Slaney, Auditory Toolbox, 1998: linear up to 1 kHz, logarithmic above, as librosa
   implements it.
.. [3] Kaldi, feat/mel-computations.cc: filters are triangles over mel, not over Hz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SCALES = ("htk", "slaney", "kaldi")
_BREAK, _PER_HZ = 1000.0, 3 / 200  # Slaney: mel per Hz below the break
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(f: Array, scale: str) -> Array:
    """Convert frequencies in Hz to mel.

    Parameters
    ----------
    f
        Hz, 0 or more.
    scale
        ``"htk"`` and ``"kaldi"``: 2595 log10(1 + f / 700) [1]_; ``"slaney"`` [2]_.
    """
    if scale != "slaney":
        return np.asarray(2595 * np.log10(1 + f / 700))
    high = _BREAK * _PER_HZ + np.log(np.maximum(f, _BREAK) / _BREAK) / _LOG_STEP
    return np.where(f < _BREAK, f * _PER_HZ, high)


def mel_to_hz(mel: Array, scale: str) -> Array:
    """Convert mel to Hz; the inverse of `hz_to_mel`."""
    if scale != "slaney":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    edge = _BREAK * _PER_HZ
    high = _BREAK * np.exp(_LOG_STEP * (np.maximum(mel, edge) - edge))
    return np.where(mel < edge, mel / _PER_HZ, high)


def triangles(
    n_bins: int, rate: float, n_mels: int, f_min: float, f_max: float, scale: str = "htk",
    area_norm: bool = False,
) -> NDArray[np.float32]:  # fmt: skip
    """Compute triangular filters, evenly spaced on a mel scale.

    Parameters
    ----------
    n_bins
        Bins of the spectrum, from 0 Hz to half the rate.
    rate
        Samples per second.
    n_mels
        Number of filters.
    f_min, f_max
        Hz at which the first filter begins and the last one ends.
    scale
        ``"htk"`` and ``"slaney"``: triangles over Hz, between points that are even on that
        scale; ``"kaldi"``: triangles over mel [3]_, also those of TensorFlow.
    area_norm
        Whether a filter's area over Hz is 1, as in librosa's ``norm="slaney"``; its peak
        is 1 otherwise.

    Returns
    -------
    array (n_bins, n_mels)
    """
    bins = np.linspace(0, rate / 2, n_bins)
    low, high = (float(hz_to_mel(np.asarray(f), scale)) for f in (f_min, f_max))
    points = np.linspace(low, high, n_mels + 2)
    hz = mel_to_hz(points, scale)
    x, edges = (hz_to_mel(bins, scale), points) if scale == "kaldi" else (bins, hz)
    rising = (x[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - x[:, None]) / np.diff(edges)[1:]
    found = np.maximum(0, np.minimum(rising, falling))
    if area_norm:
        found *= 2 / (hz[2:] - hz[:-2])
    return np.asarray(found, np.float32)
