"""What a training of signals other than sound takes where nobody chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiocnn.engine import make_grid
from audiocnn.errors import ArgumentError
from audiocnn.fronts import RawSpec, SpectrumSpec
from audiocnn.training.recipe import Augmentation, Recipe
from audiocnn.training.recorded import Recorded

FRONTS = ("raw", "log-spectrum")
LONGEST = 4096  # samples of a window that the raw front end is proposed for
FRAMES = 128  # in a window of a spectrum
FEWEST, MOST = 40, 400  # epochs
PASSES = 60_000  # windows, in all epochs


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


def signal_window(stored: Recorded, front: RawSpec | SpectrumSpec) -> float:
    """Propose a window, in seconds: a whole clip, up to a limit."""
    lengths = np.diff(stored.starts)
    longest = LONGEST if isinstance(front, RawSpec) else FRAMES * front.hop + front.n_fft
    whole = min(float(lengths.max()), 2 * float(np.median(lengths)))
    return float(max(8.0, min(whole, longest))) / front.rate


def count_windows(stored: Recorded, window: float) -> int:
    """Say about how many windows of so many seconds an epoch draws."""
    each = np.diff(stored.starts) / (window * stored.rate)
    return round(float(np.clip(each, 1, 8).sum()))


def signal_recipe(stored: Recorded, kind: str | None = None, **chosen: Any) -> Recipe:
    """Propose a recipe for signals.

    Parameters
    ----------
    stored
        The clips: their number, length, rate and channels decide.
    kind
        Of front end, ``"raw"`` or ``"log-spectrum"``; None to choose.
    chosen
        Fields of `Recipe` that were asked for.
    """
    front = chosen.get("front") or signal_front(stored, kind)
    window = chosen.get("window") or signal_window(stored, front)
    windows = count_windows(stored, window)
    raw = isinstance(front, RawSpec)
    proposed: Mapping[str, Any] = {
        "front": front, "arch": "cnn1d" if raw else "cnn2d", "window": window,
        "hop": window / 4, "pools": 1, "clip_score": "mean",
        "epochs": int(np.clip(round(PASSES / windows), FEWEST, MOST)),
        "batch": int(np.clip(2 ** int(np.log2(max(8, windows / 8))), 8, 64)),
        "augmentation": Augmentation(
            speed=1.05, roll=0.0, background=0.25, gain_db=(-1.0, 1.0), mixup=0.3, tilt_db=0.0,
            band_limit=0.0, freq_masks=0, time_masks=1, time_mask=0.1,
        ),
    }  # fmt: skip
    recipe = Recipe(**{**proposed, **chosen})
    make_grid(front, 1, 1, recipe.window, recipe.hop)  # a window that cannot be is refused here
    return recipe


def signal_in_words(stored: Recorded, recipe: Recipe) -> str:
    """Say what was proposed, and from what."""
    front = recipe.front
    n = round(recipe.window * front.rate)
    unit = f"{stored.rate:g} Hz" if stored.rate_known else "1 sample a second (no file says more)"
    how = (
        "samples as they are (raw)"
        if isinstance(front, RawSpec)
        else f"log spectra of {front.n_fft} samples, {front.hop} apart"
        if isinstance(front, SpectrumSpec)
        else "log-mel"
    )
    return (
        f"{len(stored.names)} channels ({', '.join(stored.names[:8])}"
        f"{' ...' if len(stored.names) > 8 else ''}) at {unit}; front end: {how}; windows of "
        f"{n} samples ({recipe.window:g} s), {recipe.hop:g} s apart"
    )
