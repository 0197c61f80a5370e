"""What a training works with: clips, their sound, who is held out, how to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import targets_of
from audiocnn.datasets.manifest import Clip
from audiocnn.errors import DatasetError
from audiocnn.inference.model_input import find_for
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import Stored, cached_waveforms
from audiocnn.training.data.reviewed import held_with_background
from audiocnn.training.data.sampler import Examples
from audiocnn.training.data.signal_cache import cached_signals, require_fit
from audiocnn.training.data.splits import Length, Split, split_background
from audiocnn.training.heads.config import HeadConfig

if TYPE_CHECKING:  # it imports PyTorch, which heads on backbones do not need
    from audiocnn.networks.classifier import Classifier


Config = TypeVar("Config", TrainingConfig, HeadConfig)


@dataclass(frozen=True)
class TrainingSet(Generic[Config]):
    """All that a training works with, once it is read and decoded.

    Parameters
    ----------
    clips, labels, targets
        The dataset, its classes, and (K, C) which clip has which.
    split
        Who is held out when.
    waveforms
        Of the clips.
    background, background_part, background_waveforms
        Sounds that are none of the classes; no clips and None without any.
    config
        How to train.
    start
        The network to go on from; None for random weights.
    """

    clips: list[Clip]
    labels: tuple[str, ...]
    targets: NDArray[np.float32]
    split: Split
    waveforms: Stored
    background: list[Clip]
    background_part: NDArray[np.int64]
    background_waveforms: Stored | None
    config: Config
    start: Classifier | None

    def without(self, part: int | None) -> Examples:
        """Return what is learnt from when a part is held out; all for None."""
        return Examples(
            self.waveforms, self.targets, np.flatnonzero(self.split.part != part),
            self.background_waveforms, np.flatnonzero(self.background_part != part),
        )  # fmt: skip


Store = Callable[[Sequence[Clip]], Stored]


def store_for(
    config: TrainingConfig | HeadConfig, reading: SignalReadOptions, folder: Path
) -> Store:
    """Return what reads clips once, for a config's front end, and keeps them in a folder."""
    front = config.front
    if front.sound:
        return lambda clips: cached_waveforms(
            clips, round(front.rate), folder, channel=reading.channel
        )
    n_window = round(config.window * front.rate)

    def store(clips: Sequence[Clip]) -> Stored:
        found = cached_signals(clips, reading, folder, wanted=front.names)
        require_fit(found, front)
        return found.torch_front_end(front, n_window)

    return store


def gather(
    clips: list[Clip], labels: tuple[str, ...], split: Split, background: str | Path | None,
    config: Config, start: Classifier | None, store: Store, length: Length,
) -> TrainingSet[Config]:  # fmt: skip
    """Read everything once, and refuse what nothing can be learnt from."""
    others: list[Clip] = []
    part, other_waves = np.zeros(0, np.int64), None
    if background is not None:
        found = [Clip(path, ()) for path in find_for([background], config.front)]
        others, part = split_background(found, split, length)
        split = held_with_background(clips, split, others, part)
        other_waves = store(others)
    if len(labels) == 1 and not others and all(clip.labels for clip in clips):
        raise DatasetError(
            f"there is one class only ({labels[0]}), and nothing that is not it: to detect a "
            "single sound, give sounds that are none of it with --background FOLDER, or rows "
            "of the CSV with an empty label"
        )
    waves = store(clips)
    targets = targets_of(clips, labels)
    limit = 10 ** (config.silence_db / 10)
    loud = np.array([waves.clip_levels(k).max() >= limit for k in range(len(clips))])
    for label, has in zip(labels, targets.T > 0, strict=True):
        if not loud[has].any():
            raise DatasetError(
                f"all {int(has.sum())} clips of {label!r} are silent (below "
                f"{config.silence_db:g} dB of full scale): record them again, or leave the "
                "class out with --where"
            )
    return TrainingSet(
        clips, labels, targets, split, waves, others, part, other_waves, config, start
    )
