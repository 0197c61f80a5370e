"""Measurements of one recording of another signal than sound.

The counterpart of `audio_checks`. Labels are not used here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiocnn.datasets.doctor.audio_checks import Examined
from audiocnn.errors import AudioError
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.io.signals.reader import Signal, open_signal

ROUNDING = 1e-6  # of a value: what float32 leaves of a constant


@dataclass(frozen=True)
class ExaminedSignal(Examined):
    """The measurements of a recording; those of `Examined` that concern sound stay empty.

    Parameters
    ----------
    names
        Of the channels.
    hertz
        Samples per second; None if nothing says it.
    missing
        Samples at which a channel or more has no value.
    means, deviations
        Of each channel.
    """

    names: tuple[str, ...] = ()
    hertz: float | None = None
    missing: int = 0
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def constant(self) -> tuple[str, ...]:
        """Channels that never change."""
        return tuple(
            name
            for name, mean, deviation in zip(self.names, self.means, self.deviations, strict=True)
            if deviation <= ROUNDING * abs(mean)
        )


def examine_signal(path: str | Path, reading: SignalReadOptions) -> Examined:
    """Read a recording and measure it.

    Returns
    -------
    ExaminedSignal
        With ``error`` if it cannot be read (to its end): that is a finding like others.
    """
    try:
        with open_signal(path, reading) as signal:
            return _measured(path, signal)
    except (AudioError, OSError) as error:
        return ExaminedSignal(error=str(error))


def _measured(path: str | Path, signal: Signal) -> ExaminedSignal:
    digest = hashlib.sha256(repr((signal.names, signal.rate)).encode())
    n = np.zeros(len(signal.names))
    sums = np.zeros((2, len(signal.names)))
    shift: np.ndarray | None = None  # a first value: the square of a large offset drowns the rest
    for at, part in signal.parts:
        digest.update(repr((at, part.shape)).encode() + part.tobytes())
        good = np.isfinite(part)
        if shift is None:
            shift = np.nan_to_num(part[:, :1].astype(np.float64))
        x = np.where(good, part.astype(np.float64) - shift, 0.0)
        n += good.sum(axis=1)
        sums += np.stack((x.sum(axis=1), (x**2).sum(axis=1)))
    assert shift is not None, "a signal without samples was refused"
    mean, square = sums / np.maximum(1, n)
    deviation = np.sqrt(np.maximum(0.0, square - mean**2))
    return ExaminedSignal(
        bytes_hash=str(path), samples_hash=digest.hexdigest(), channels=len(signal.names),
        duration=signal.n_samples / (signal.rate or 1.0), names=signal.names, hertz=signal.rate,
        missing=signal.missed.samples, means=tuple((mean + shift[:, 0]).tolist()),
        deviations=tuple(deviation.tolist()),
    )  # fmt: skip
