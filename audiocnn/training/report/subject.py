"""What a report is about: a training, its bundle and network, and the sounds again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import DatasetError
from audiocnn.inference.bundle import Bundle, grid_of, load
from audiocnn.inference.engine import Grid
from audiocnn.training.config import TrainingConfig
from audiocnn.training.report.sounds import Room, Samples, player, read_clip
from audiocnn.training.run_results import NEVER, Training, load_training

if TYPE_CHECKING:  # it imports PyTorch, which a report of a head does not need
    from audiocnn.networks.classifier import Classifier

EXAMPLES = 4  # classes that are looked at closely


@dataclass(frozen=True)
class Subject:
    """All that the sections of a report are made from.

    Parameters
    ----------
    training, bundle
        Of one training.
    network
        Of PyTorch; None where a head was trained on a backbone.
    findings
        Of the dataset doctor, as ``audiocnn check --json`` prints them: ``severity``,
        ``kind``, ``message``, ``advice`` and ``places`` (``path``, ``detail``); None if it
        was not asked.
    room
        What the page may hold of sound.
    """

    training: Training
    bundle: Bundle
    network: Classifier | None
    findings: Sequence[Mapping[str, Any]] | None = None
    room: Room = field(default_factory=Room)

    @property
    def trunk(self) -> Classifier:
        """The network, where one was trained."""
        assert self.network is not None, "sections on the network are not made for a head"
        return self.network

    @property
    def config(self) -> TrainingConfig:
        """How the network was trained, where one was."""
        assert isinstance(self.training.config, TrainingConfig)
        return self.training.config

    @property
    def rate(self) -> float:
        """Samples per second that the model takes."""
        return self.bundle.rate

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of all scores."""
        return self.training.labels

    @property
    def crossed(self) -> bool:
        """Whether the bundle's network was fitted on all clips, and others judged it."""
        return bool((self.training.fold != NEVER).all())

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Clips that were judged: held out, and not silent."""
        return np.flatnonzero(~np.isnan(self.training.scores[:, 0]))

    @cached_property
    def grid(self) -> Grid:
        """Where the windows lie."""
        return grid_of(self.bundle)

    @property
    def sound(self) -> bool:
        """Whether the model is one of sound."""
        return self.bundle.front.sound

    def read(self, clip: Clip, begin: float = 0.0) -> Samples | None:
        """Read the first seconds of a clip: (N,) of sound, (K, N) of other signals."""
        return read_clip(clip, self.bundle.front, self.grid.window, begin)

    def play(self, samples: Samples, gain: float | None = None) -> str:
        """Return a player; nothing for what is not sound."""
        return player(samples, round(self.rate), self.room, gain) if self.sound else ""

    def frames(self, samples: Samples) -> NDArray[np.float32]:
        """Return the frames (P, M, T) that the network takes."""
        return self.bundle.front.frames(samples)

    def energy(self, samples: Samples) -> NDArray[np.float64]:
        """Return the power (N,) of each sample, about the channels' means."""
        away = samples - self.bundle.front.padding(1)
        power = away.astype(np.float64) ** 2
        return power if power.ndim == 1 else np.asarray(power.sum(0))

    def examples(self) -> list[tuple[str, Samples]]:
        """Choose a sound for each of a few classes: judged right and sure, a window long.

        Where the network in the bundle was not fitted on all, they are clips that it has
        not heard.
        """
        t = self.training
        targets = t.targets
        chosen: list[tuple[str, Samples]] = []
        support = (targets[self.known] > 0).sum(0)
        for at in np.argsort(-support, kind="stable").tolist():
            own = self.known[targets[self.known, at] > 0]
            own = own[np.argsort(-t.scores[own, at], kind="stable")][:8]
            for k in own.tolist():
                samples = self.loudest(t.clips[k])
                if samples is not None:
                    chosen.append((self.labels[at], samples))
                    break
            if len(chosen) == EXAMPLES:
                break
        return chosen

    def loudest(self, clip: Clip) -> Samples | None:
        """Read the loudest window of a clip, padded if it is short; None if unreadable."""
        samples = self.read(clip)
        if samples is None or not samples.size:
            return None
        n, length = self.grid.window_samples, samples.shape[-1]
        if length <= n:
            return np.concatenate((samples, self.bundle.front.padding(n - length)), axis=-1)
        sums = np.concatenate(([0.0], np.cumsum(self.energy(samples))))
        starts = np.arange(0, length - n + 1, max(1, min(round(self.rate / 20), n // 8)))
        at = int(starts[np.argmax(sums[starts + n] - sums[starts])])
        return samples[..., at : at + n]

    def columns(self, samples: Samples) -> NDArray[np.float32]:
        """Return the network's columns (2, C, T') of a sound: evidence, and how much it counts."""
        import torch  # here: a report of a head does without

        frames = torch.from_numpy(self.frames(samples))[None]
        with torch.no_grad():
            return np.asarray(self.trunk(frames)[0].numpy())

    def probabilities(self, windows: Sequence[Samples]) -> NDArray[np.float64]:
        """Score windows (W of them, one window long each): (C, W), calibrated."""
        import torch

        logits = []
        for at in range(0, len(windows), 32):
            frames = np.stack([self.frames(x) for x in windows[at : at + 32]])
            with torch.no_grad():
                evidence, weight = self.trunk(torch.from_numpy(frames)).unbind(1)
            logits.append(((evidence * weight).sum(-1) / weight.sum(-1)).numpy())
        slope, offset = (
            np.array(v) for v in (self.bundle.calibration.slope, self.bundle.calibration.offset)
        )
        return np.asarray(1 / (1 + np.exp(-(slope * np.concatenate(logits) + offset))).T)


def open_subject(
    run: Path, model: Path, findings: Sequence[Mapping[str, Any]] | None = None
) -> Subject:
    """Read a run folder and its bundle.

    Raises
    ------
    DatasetError
        If the run holds no finished training, or the bundle is of another one.
    """
    training, bundle = load_training(run), load(model)
    if bundle.labels != training.labels:
        raise DatasetError(
            f"{model} has the labels {', '.join(bundle.labels)}, and {run} those of another "
            f"training ({', '.join(training.labels)}): name the bundle with --model"
        )
    if bundle.head is not None:
        return Subject(training, bundle, None, findings)
    from audiocnn.training.pack import load_network

    return Subject(training, bundle, load_network(bundle, model), findings)
