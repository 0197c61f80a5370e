"""What a training of signals other than sound takes where nobody chose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.training.config import Augmentation, TrainingConfig
from audiocnn.training.data.signal_dataset import Recorded

FRONTS = ("raw", "log-spectrum")
LONGEST = 4096  # samples of a window that the raw front end is proposed for
FRAMES = 128  # in a window of a spectrum
BATCH = 32  # windows a step
STEPS = {"raw": 1000, "log-spectrum": 400}  # of a fit: hundreds of clips need no more
FEWEST, MOST = 8, 60  # epochs: with few clips, each draws them several times


def signal_front(stored: Recorded, kind: str | None) -> RawSpec | SpectrumSpec:
    """Propose a front end: samples as they are, or spectra where clips are long.

    Parameters
    ----------
    stored
        The clips.
    kind
        ``"raw"`` or ``"log-spectrum"``; None to choose.
    """
    lengths = np.diff(stored.starts)
    n = float(np.median(lengths))
    kind = kind or ("raw" if n <= LONGEST else "log-spectrum")
    offset, scale = stored.spread()
    if kind == "raw":
        return RawSpec(stored.rate, stored.names, offset, scale)
    if kind != "log-spectrum":
        raise ArgumentError(f"front must be {' or '.join(FRONTS)} for signals, got {kind!r}")
    n_window = min(n, 4 * LONGEST)
    n_fft = int(2 ** np.clip(np.round(np.log2(n_window / 32)), 5, 8))
    hop = int(np.clip(round(n_window / FRAMES), 1, n_fft // 2))
    return SpectrumSpec(stored.rate, n_fft, hop, stored.names, offset, scale)


def signal_window(stored: Recorded, front: FrontEnd) -> float:
    """Propose a window, in seconds: a whole clip, up to a limit."""
    lengths = np.diff(stored.starts)
    longest = LONGEST if front.n_samples == 1 else FRAMES * front.hop + front.n_samples
    whole = min(float(lengths.max()), 2 * float(np.median(lengths)))
    return float(max(8.0, min(whole, longest))) / front.rate


def count_windows(stored: Recorded, window: float) -> int:
    """Say about how many windows of so many seconds an epoch draws."""
    each = np.diff(stored.starts) / (window * stored.rate)
    return round(float(np.clip(each, 1, 8).sum()))


def signal_config(stored: Recorded, kind: str | None = None, **chosen: Any) -> TrainingConfig:
    """Propose a config for signals.

    Parameters
    ----------
    stored
        The clips: their number, length, rate and channels decide.
    kind
        Of front end, ``"raw"`` or ``"log-spectrum"``; None to choose.
    chosen
        Fields of `TrainingConfig` that were asked for.
    """
    front = chosen.get("front") or signal_front(stored, kind)
    window = chosen.get("window") or signal_window(stored, front)
    windows = count_windows(stored, window)
    batch = int(min(BATCH, max(8, 2 ** int(np.log2(max(2, windows / 2))))))
    passes = max(FEWEST, STEPS[front.kind] * batch / windows)
    draws = math.ceil(passes / MOST)
    usual = float(np.median(np.diff(stored.starts)))
    proposed: Mapping[str, Any] = {
        "front": front, "window": window, "hop": window / 4, "clip_score": "mean",
        "epochs": round(passes / draws), "draws": draws, "batch": batch,
        **_network(front, round(min(window * front.rate, usual))),
        "augmentation": Augmentation(
            speed=1.05, roll=0.0, background=0.25, gain_db=(-1.0, 1.0), mixup=0.3, tilt_db=0.0,
            band_limit=0.0, freq_masks=0, time_masks=1, time_mask=0.1,
        ),
    }  # fmt: skip
    return TrainingConfig(**{**proposed, **chosen})


def _network(front: FrontEnd, n_window: int) -> dict[str, Any]:
    """Choose a network whose columns see no more than a usual window's samples."""
    if front.n_samples == 1:  # a sample is a frame
        from audiocnn.networks.cnn1d import shape_for  # PyTorch, which heads do without

        pools, kernel = shape_for(n_window)
        return {"arch": "cnn1d", "pools": pools, "kernel": kernel}
    n_frames = max(1, (n_window - front.n_samples) // front.hop + 1)
    return {"arch": "cnn2d", "pools": sum(n_frames >= n for n in (40, 80, 160))}


def signal_in_words(stored: Recorded, config: TrainingConfig) -> str:
    """Describe what was proposed, and from what."""
    front = config.front
    n = round(config.window * front.rate)
    unit = f"{stored.rate:g} Hz" if stored.rate_known else "1 sample a second (no file says more)"
    n_names = len(stored.names)
    return (
        f"{n_names} channel{'s' * (n_names > 1)} ({', '.join(stored.names[:8])}"
        f"{' ...' if n_names > 8 else ''}) at {unit}; front end: {front.summary()}; windows of "
        f"{n} samples ({config.window:g} s), {config.hop:g} s apart"
    )
