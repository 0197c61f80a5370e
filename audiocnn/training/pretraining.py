"""What sounds without labels can teach a network: which recording a window is from.

A few hundred labelled clips are minutes of sound. Backgrounds are hours, and nobody
has to say what they are: to tell thousands of recordings apart, window by window,
through noise, masks and other colours, a trunk has to learn what sounds are made of.
The labelled clips are then learnt from there. The labels of no clip take part.

It must never know the dataset that it prepares for, so it is done once for all folds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocnn.engine import make_grid
from audiocnn.errors import DatasetError
from audiocnn.models.classifier import Classifier, TrunkSpec
from audiocnn.training.augment import hide, vary_power
from audiocnn.training.augment_samples import vary_samples
from audiocnn.training.batches import stretch
from audiocnn.training.cache import Waveforms
from audiocnn.training.frontend import MelPower
from audiocnn.training.recipe import Recipe

LONGEST = 30.0  # seconds; longer recordings are drawn no more often
SMOOTHING = 0.05
TRIES = 5  # to find a window that is not silent


class _Recordings(nn.Module):
    """A trunk, and a row of scores for each recording from mean and maximum over time."""

    def __init__(self, model: Classifier, n_recordings: int) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(2 * model.n_features, n_recordings)

    def forward(self, frames: Tensor) -> Tensor:
        """Score normalised frames (B, P, M, T)."""
        columns = self.model.trunk(frames.contiguous(memory_format=torch.channels_last))
        columns = columns.float()
        return self.head(torch.cat((columns.mean(-1), columns.amax(-1)), 1))  # type: ignore[no-any-return]


def pretrain(
    waves: Waveforms,
    recipe: Recipe,
    n_classes: int,
    folder: Path,
    *,
    epochs: int = 12,
    progress: Callable[[int, int, float], None] | None = None,
) -> Classifier:
    """Teach a network to tell recordings apart, or go on where that was interrupted.

    Parameters
    ----------
    waves
        Recordings without labels; the more and the more varied, the better.
    recipe
        Network, window, batch, learning rate, augmentation, seed and precision.
    n_classes
        Labels of the network that this is the beginning of.
    folder
        For the checkpoint of the last epoch; made if missing.
    epochs
        An epoch draws as many windows as there is sound.
    progress
        Called after each epoch with epochs done, epochs in all and the loss.

    Returns
    -------
    Classifier
        Its trunk has learnt, its head has not; normalised by these recordings.

    Raises
    ------
    DatasetError
        If fewer than two of the recordings can be heard.
    """
    audible = [
        k
        for k in range(len(waves.scales))
        if waves.clip_levels(k).max(initial=0) > 10 ** (recipe.silence_db / 10)
    ]
    if len(audible) < 2:
        raise DatasetError(
            f"{len(audible)} audible recordings without labels; at least 2 are needed"
        )
    torch.manual_seed(recipe.seed)
    spec = TrunkSpec(recipe.arch, recipe.size, 1, recipe.front.n_mels, n_classes, recipe.pools,
                     recipe.pooling)  # fmt: skip
    task = _Recordings(Classifier(spec, recipe.dropout), len(audible))
    task.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grid = make_grid(
        recipe.front, task.model.receptive_field, task.model.stride, recipe.window, recipe.hop
    )
    source = _Windows(waves, np.array(audible), recipe, grid.window_samples)
    return _run(task, source, recipe, folder, epochs, progress).eval()


class _Windows:
    """Draws windows of recordings, long ones more often, but not as much as they are longer."""

    def __init__(
        self, waves: Waveforms, members: NDArray[np.int64], recipe: Recipe, n_window: int
    ) -> None:
        self.waves, self.members, self.recipe, self.n_window = waves, members, recipe, n_window
        lengths = np.diff(waves.starts)[members]
        self.share = np.cumsum(np.sqrt(np.minimum(lengths, LONGEST * waves.rate)))
        self.n_batches = max(1, round(lengths.sum() / n_window / recipe.batch))

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Give samples (B, N), and which of the members each row is from (B,)."""
        n = self.recipe.batch
        samples = np.zeros((n, self.n_window), np.float32)
        members = np.zeros(n, np.int64)
        for row in range(n):
            for _ in range(TRIES):
                at = np.searchsorted(self.share, rng.random() * self.share[-1], side="right")
                members[row] = min(int(at), self.share.size - 1)
                samples[row] = self._window(int(self.members[members[row]]), rng)
                if np.mean(samples[row] ** 2) > 10 ** (self.recipe.silence_db / 10):
                    break
        return torch.from_numpy(samples), torch.from_numpy(members)

    def _window(self, clip: int, rng: np.random.Generator) -> NDArray[np.float32]:
        largest = self.recipe.augmentation.speed
        speed = largest ** rng.uniform(-1, 1) if rng.random() < 0.5 else 1.0
        n_read, length = round(self.n_window * speed), self.waves.length(clip)
        start = int(rng.integers(0, max(1, length - n_read + 1)))
        x = stretch(self.waves.read(clip, start, n_read), self.n_window)
        # A short one anywhere in the window, and silence around it.
        return np.roll(x, rng.integers(0, n_read - length)) if length < n_read else x


def _run(
    task: _Recordings, source: _Windows, recipe: Recipe, folder: Path, epochs: int,
    progress: Callable[[int, int, float], None] | None,
) -> Classifier:  # fmt: skip
    mel, model = MelPower(recipe.front), task.model
    rng = np.random.default_rng([recipe.seed, 2**31])
    frames = [mel.log(mel(source.draw(rng)[0])).transpose(0, 1).flatten(1) for _ in range(10)]
    bands = torch.cat(frames, dim=1)
    model.mean.copy_(bands.mean(1).view_as(model.mean))
    model.scale.copy_(1 / (bands.std(1).view_as(model.scale) + 0.1))
    learnt = [p for part in (model.trunk, task.head) for p in part.parameters()]
    groups = [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, epochs * source.n_batches, pct_start=0.2
    )
    parts: dict[str, Any] = {"task": task, "optimizer": optimizer, "schedule": schedule}
    for epoch in range(_resume(parts, folder), epochs):
        rng = np.random.default_rng([recipe.seed, epoch])
        losses = []
        for _ in range(source.n_batches):
            loss = _loss(task, mel, *source.draw(rng), recipe, int(rng.integers(2**62)))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        _keep(parts, folder, epoch + 1)
        if progress:
            progress(epoch + 1, epochs, float(np.mean(losses)))
    return model


def _loss(
    task: _Recordings, mel: MelPower, samples: Tensor, members: Tensor, recipe: Recipe, seed: int
) -> Tensor:
    a, rng = recipe.augmentation, torch.Generator().manual_seed(seed)
    targets = torch.nn.functional.one_hot(members, task.head.out_features).float()
    with torch.no_grad():
        power = mel(vary_samples(samples, torch.zeros(1, 1), a, recipe.front.rate, rng))
        power, targets = vary_power(power, targets, a, rng)
        frames = (mel.log(power)[:, None] - task.model.mean) * task.model.scale
        frames = hide(frames[:, 0], a, rng)[:, None]
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16-mixed"):
        scores = task(frames).float()
    targets = targets * (1 - SMOOTHING) + SMOOTHING / targets.shape[1]
    return -(targets * torch.log_softmax(scores, 1)).sum(1).mean()


def _resume(parts: dict[str, Any], folder: Path) -> int:
    """Put everything back as it was after the last whole epoch, and say how many were done."""
    path = folder / "pretraining.ckpt"
    if not path.exists():
        return 0
    stored = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    return int(stored["epoch"])


def _keep(parts: dict[str, Any], folder: Path, epoch: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "pretraining.tmp"
    torch.save(
        {name: part.state_dict() for name, part in parts.items()} | {"epoch": epoch}, temporary
    )
    temporary.replace(folder / "pretraining.ckpt")
