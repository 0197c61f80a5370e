"""Variation of samples in the training graph, before the spectrogram: (B, N) to (B, N).

What rooms, microphones, telephones and codecs do to a sound. Each function varies all
the rows that it is given; `vary_samples` says which those are. Draws come from the
generator that is passed in, on the CPU, so that a GPU sees the same ones. Silence
stays silent in all of them, so no label is ever given to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from audiocnn.training.config import Augmentation
from audiocnn.training.torchaudio_import import import_torchaudio

LOWEST = 20.0  # Hz; coloured noise is flat below
EARLY = 0.002  # seconds before the first reflection
GRAIN = 0.032  # seconds that a phase vocoder looks at together


def vary_samples(
    samples: Tensor, under: Tensor, a: Augmentation, rate: int, rng: torch.Generator
) -> Tensor:
    """Apply what the config switches on, in the order in which sound meets it.

    Pitch, polarity and room change the sound itself; the background is added to
    that, then noise; clipping and companding come last, as in a device.

    Parameters
    ----------
    samples, under
        (B, N) windows, and what lies under them, already at its level.
    a
        What is done, and how often.
    rate
        Samples per second.
    rng
        For all draws; on the CPU.

    Returns
    -------
    Tensor (B, N)
        New samples; what came in is left as it was.
    """
    x = samples.clone()
    _some(x, a.pitch, rng, lambda rows: change_pitch(rows, a.pitch_ratio, rate, rng))
    _some(x, a.reverb, rng, lambda rows: reverberate(rows, a.reverb_time, rate, rng))
    _some(x, a.polarity, rng, torch.neg)
    x += under
    _some(x, a.noise, rng, lambda rows: add_noise(rows, a.noise_snr_db, rate, rng))
    _some(x, a.clipping, rng, lambda rows: clip_peaks(rows, a.clipping_db, rng))
    _some(x, a.companding, rng, lambda rows: compand(rows, rng))
    return x


def _some(
    x: Tensor, probability: float, rng: torch.Generator, change: Callable[[Tensor], Tensor]
) -> None:
    """Change drawn rows of ``x`` in place; a probability of 0 costs and draws nothing."""
    if probability == 0:
        return
    rows = (torch.rand(x.shape[0], generator=rng) < probability).nonzero()[:, 0].to(x.device)
    if rows.numel():
        x[rows] = change(x[rows])


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, generator=rng)


def _power(x: Tensor) -> Tensor:
    return x.square().mean(1, keepdim=True)


def _at_power(x: Tensor, wanted: Tensor) -> Tensor:
    """Bring each row to a power; silence stays silent."""
    return x * (wanted / _power(x).clamp(min=1e-20)).sqrt()


def add_noise(
    samples: Tensor, snr_db: tuple[float, float], rate: int, rng: torch.Generator
) -> Tensor:
    """Add noise whose colour lies between white and brown, at a drawn distance.

    Parameters
    ----------
    samples
        (B, N).
    snr_db
        Range of the ratio of the row's power to the noise's, decibels.
    rate
        Samples per second.
    rng
        For all draws.

    Notes
    -----
    Power falls as ``f ** -slope`` above 20 Hz, ``slope`` even between 0 (white) and 2
    (brown). Drawn in the frequency domain, so one inverse FFT a row.
    """
    n_rows, n = samples.shape
    size = 1 << (n - 1).bit_length()
    slope, snr = _uniform(n_rows, 0, 2, rng), _uniform(n_rows, *snr_db, rng)
    drawn = torch.randn(n_rows, size // 2 + 1, 2, generator=rng).to(samples.device)
    frequency = torch.arange(size // 2 + 1, device=samples.device) * (rate / size)
    shape = (frequency / LOWEST).clamp(min=1) ** (-slope.to(samples.device) / 2)
    noise = torch.fft.irfft(torch.view_as_complex(drawn) * shape, size)[:, :n]
    return samples + _at_power(noise, _power(samples) * 10 ** (-snr.to(samples.device) / 10))


def room_responses(
    n_rows: int, time: tuple[float, float], rate: int, rng: torch.Generator
) -> Tensor:
    """Draw impulse responses of rooms: the direct sound, then noise that dies away.

    Parameters
    ----------
    n_rows
        How many.
    time
        Range of the reverberation time, seconds: after it the sound has fallen by
        60 dB.
    rate
        Samples per second.
    rng
        For all draws.

    Returns
    -------
    Tensor (n_rows, L)
        On the CPU; 1 at time 0, the rest with an energy of -15 to 0 dB.

    References
    ----------
    .. [1] M. R. Schroeder, New method of measuring reverberation time, JASA 37, 1965.
    """
    n = max(2, math.ceil(time[1] * rate))
    seconds = torch.arange(n) / rate
    decay = 10 ** (-3 * seconds / _uniform(n_rows, *time, rng))
    tail = torch.randn(n_rows, n, generator=rng) * decay * (seconds >= EARLY)
    tail[:, 0] = 0
    ratio = 10 ** (_uniform(n_rows, -15, 0, rng) / 10)
    energy = tail.square().sum(1, keepdim=True).clamp(min=1e-12)
    tail *= (ratio / energy).sqrt()
    tail[:, 0] = 1
    return tail


def reverberate(
    samples: Tensor, time: tuple[float, float], rate: int, rng: torch.Generator
) -> Tensor:
    """Put each row into a room of its own; its level stays.

    Parameters
    ----------
    samples
        (B, N).
    time
        Range of the reverberation time, seconds.
    rate
        Samples per second.
    rng
        For all draws.

    Notes
    -----
    Convolution by FFT; what sounds on after the row's end is cut off, what sounded
    before its beginning is not known.
    """
    response = room_responses(samples.shape[0], time, rate, rng).to(samples.device)
    n = samples.shape[1]
    size = 1 << (n + response.shape[1] - 2).bit_length()
    wet = torch.fft.irfft(torch.fft.rfft(samples, size) * torch.fft.rfft(response, size), size)
    return _at_power(wet[:, :n], _power(samples))


def clip_peaks(samples: Tensor, db: tuple[float, float], rng: torch.Generator) -> Tensor:
    """Cut off what exceeds a limit, a drawn number of decibels under the row's peak."""
    limit = samples.abs().amax(1, keepdim=True)
    limit = limit * 10 ** (-_uniform(samples.shape[0], *db, rng).to(samples.device) / 20)
    return samples.clamp(-limit, limit)


def compand(samples: Tensor, rng: torch.Generator) -> Tensor:
    """Round to few levels on a logarithmic scale, as telephones do (mu-law, 5 to 8 bits).

    The scale is that of the row's peak. An error is in proportion to the sample.

    References
    ----------
    .. [1] ITU-T Recommendation G.711, 1988.
    """
    mu = 255.0
    bits = torch.randint(5, 9, (samples.shape[0], 1), generator=rng).to(samples.device)
    levels = (2.0 ** (bits - 1) - 1).to(samples.dtype)
    peak = samples.abs().amax(1, keepdim=True).clamp(min=1e-20)
    code = torch.log1p(mu * samples.abs() / peak) / math.log1p(mu)
    code = (code * levels).round() / levels
    return samples.sign() * torch.expm1(code * math.log1p(mu)) * (peak / mu)


def change_pitch(samples: Tensor, largest: float, rate: int, rng: torch.Generator) -> Tensor:
    """Make sounds higher or lower, and neither faster nor slower.

    Parameters
    ----------
    samples
        (B, N).
    largest
        Ratio of frequencies, above 1: one from 1 / largest to largest is drawn for
        all rows together.
    rate
        Samples per second.
    rng
        For the draw.

    Notes
    -----
    The level stays. A phase vocoder [1]_ makes the sound longer by the ratio, and
    reading it faster (linear) makes it as long as it was. It is much the dearest of
    them all: `Augmentation.speed` changes pitch and time together for next to nothing.

    References
    ----------
    .. [1] J. L. Flanagan, R. M. Golden, Phase vocoder, Bell System Technical
       Journal 45, 1966.
    """
    ratio = largest ** (2 * float(torch.rand((), generator=rng)) - 1)
    n, n_fft = samples.shape[1], 1 << round(math.log2(GRAIN * rate))
    hop = n_fft // 4
    window = torch.hann_window(n_fft, device=samples.device)
    spectrum = torch.stft(samples, n_fft, hop, window=window, return_complex=True,
                          pad_mode="constant")  # fmt: skip
    advance = torch.linspace(0, math.pi * hop, n_fft // 2 + 1, device=samples.device)[:, None]
    phase_vocoder = import_torchaudio().functional.phase_vocoder
    longer = torch.istft(phase_vocoder(spectrum, 1 / ratio, advance), n_fft, hop, window=window,
                         length=max(1, round(n * ratio)))  # fmt: skip
    read = torch.nn.functional.interpolate(longer[:, None], n, mode="linear", align_corners=True)
    return _at_power(read[:, 0], _power(samples))  # phases that do not fit take some away
