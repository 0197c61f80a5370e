"""Defaults of a training: front end, windows, network, schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import AudioError, DatasetError
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.io.audio.reader import audio_info
from audiocnn.training.config import TrainingConfig

LOOKED_AT = 50  # clips
# How long to train: as many windows in all as serve a few hundred clips well, within
# limits; many clips need to be seen less often, few clips are quickly seen often. Half of
# it where training goes on from a bundle.
PASSES, FEWEST, MOST = 100_000, 12, 100


@dataclass(frozen=True)
class Look:
    """What a sample of the clips is like.

    Parameters
    ----------
    rate
        Median sampling rate, Hz.
    durations
        Seconds, of the sample.
    n_clips
        Of which it is a sample.
    """

    rate: int
    durations: tuple[float, ...]
    n_clips: int

    def windows(self, window: float) -> int:
        """Say about how many windows of so many seconds an epoch draws."""
        each = [min(8.0, max(1.0, length / window + 1)) for length in self.durations]
        return round(float(np.mean(each)) * self.n_clips)


def look_at(clips: Sequence[Clip]) -> Look:
    """Open a sample of the clips."""
    rates, durations, last = [], [], None
    for clip in clips[:: max(1, len(clips) // LOOKED_AT)]:
        try:
            info = audio_info(clip.path)
        except AudioError as error:  # decoding will name it, with all others that are bad
            last = error
            continue
        end = clip.end if clip.end is not None else info.duration
        rates.append(info.rate)
        if end is not None:  # some containers do not say how long they are
            durations.append(min(end, info.duration or end) - clip.start)
    if not rates:
        raise DatasetError(f"none of the clips can be read, for instance: {last}")
    return Look(int(np.median(rates)), tuple(durations) or (1.0,), len(clips))


def default_front(rate: int) -> MelSpec:
    """Propose a front end for recordings at ``rate``: frames of 12.5 ms, 40 or 64 bands.

    Parameters
    ----------
    rate
        Of the recordings, Hz. Above 32 kHz it is brought down to that.
    """
    rate = min(rate, 32000)
    hop = max(1, round(rate / 80))
    n_fft = 2 ** int(np.ceil(np.log2(2.2 * hop)))
    return MelSpec(rate, n_fft, hop, 64 if rate >= 16000 else 40, 50.0, rate / 2)


def default_config(
    clips: Sequence[Clip], look: Look | None = None, **chosen: Any
) -> TrainingConfig:
    """Propose a config for clips: rate and window are read off a sample of them.

    Parameters
    ----------
    clips
        What is to be trained on.
    look
        What is known of them; None to look.
    chosen
        Fields of `TrainingConfig` that were asked for.
    """
    look = look or look_at(clips)
    length = float(np.median(look.durations))
    window = chosen.get("window") or min(2.0, max(0.8, round(length * 1.2, 1)))
    windows = look.windows(window)
    passes = PASSES / 2 if chosen.get("start") else PASSES
    most = MOST // 2 if chosen.get("start") else MOST
    proposed: Mapping[str, Any] = {
        "epochs": max(FEWEST, min(most, round(passes / windows))),
        "batch": max(16, min(64, 2 ** int(np.log2(max(16, windows / 8))))),
        "front": default_front(look.rate), "window": window, "hop": window / 4,
        "pools": 3 if window >= 1.5 else 2, "clip_score": "mean",
    }  # fmt: skip
    return TrainingConfig(**{**proposed, **chosen})
