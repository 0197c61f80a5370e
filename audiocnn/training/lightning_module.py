"""What Lightning is to fit: the network, its front end, the variation, the loss.

The dropout, the augmentation and the order of windows all draw from seeds that come
with the batch, so a step is the same whatever ran before it. With several processes
each takes its share of every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from audiocnn.networks.classifier import Classifier, TrunkSpec, window_logits
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.sampler import (
    Array,
    Batch,
    Examples,
    audible_starts,
    count_batches,
    epoch_batches,
)
from audiocnn.training.torch_frontend import hide_frames, torch_front_end

HEAVIEST = 10.0  # how much more a rare class may count, with balance="loss"
HELD_OUT_WINDOWS = 128  # that a curve is measured on: enough to see, a twentieth of the cost


class Fit(pl.LightningModule):
    """One training: network, front end, augmentation and loss.

    Parameters
    ----------
    config
        How to train.
    n_classes
        Number of labels.
    weights
        (C,) how much a positive window of each label counts; 1 for all if None.
    """

    def __init__(
        self, config: TrainingConfig, n_classes: int, weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.model = Classifier(trunk_spec(config, n_classes), config.dropout)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.front = torch_front_end(config.front)
        self.weights = torch.ones(n_classes) if weights is None else weights

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, at: int) -> Batch:
        """Leave it: the arrays are moved in the step."""
        return batch

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Vary, classify, compare."""
        a = self.config.augmentation
        share, n_shares = self.global_rank, self.trainer.world_size
        rng = torch.Generator().manual_seed(batch.seed + share)
        samples, under, targets = (
            torch.from_numpy(x[share::n_shares]).to(self.device)
            for x in (batch.samples, batch.under, batch.targets)
        )
        with torch.no_grad():
            frames, targets = self.front.varied(samples, under, targets, a, rng)
            frames = hide_frames((frames - self.model.mean) * self.model.scale, a, rng)
            frames = frames / self.model.scale + self.model.mean
        torch.manual_seed(batch.seed + share)  # dropout draws from the global generator
        logits = window_logits(self.model(frames.contiguous(memory_format=torch.channels_last)))
        smooth = self.config.label_smoothing
        targets = targets * (1 - smooth) + smooth / (targets.shape[1] + 1)
        # Gradients are averaged over processes, whose shares differ by a window at most.
        value = self.loss(logits, targets).sum() * (n_shares / len(batch.targets))
        self.log(
            "loss", value, on_step=False, on_epoch=True, batch_size=len(batch.targets),
            sync_dist=n_shares > 1,
        )  # fmt: skip
        return value

    def validation_step(self, batch: Batch, index: int) -> None:
        """Measure plain windows that the network is not fitted on, with averaged weights."""
        frames = self.front.plain(torch.from_numpy(batch.samples).to(self.device))
        targets = torch.from_numpy(batch.targets).to(self.device)
        logits = window_logits(self.model(frames))
        right = targets.gather(1, logits.argmax(1, keepdim=True)).float().mean()
        loss = self.loss(logits, targets).sum(1).mean()
        for name, value in (("held_out_loss", loss), ("held_out_accuracy", right)):
            self.log(name, value, batch_size=len(targets))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return binary cross-entropies (B, C)."""
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), targets, reduction="none", pos_weight=self.weights.to(logits.device)
        )

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle of the learning rate; no decay on scales and offsets."""
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        n_steps = max(8, int(self.trainer.estimated_stepping_batches))  # a cycle needs as many
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.config.learning_rate, n_steps, pct_start=0.25
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def trunk_spec(config: TrainingConfig, n_classes: int) -> TrunkSpec:
    """Return which network a config makes."""
    front = config.front
    return TrunkSpec(
        config.arch, config.size, front.planes, front.n_bands, n_classes, config.pools,
        config.pooling, config.kernel,
    )  # fmt: skip


def class_weights(examples: Examples, config: TrainingConfig) -> Tensor:
    """Describe how much a positive of each class counts: more for the rarer, at most tenfold."""
    counts = examples.targets[examples.members].sum(0)
    weights = np.clip(counts.max() / np.maximum(counts, 1), 1, HEAVIEST)
    return torch.from_numpy(weights if config.balance == "loss" else np.ones_like(weights))


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return the update of an average of weights that forgets its random beginning.

    Notes
    -----
    After n steps the average keeps ``min(decay, (1 + n) / (10 + n))`` of itself, so
    that it is of use in short fits too: with a constant 0.98, a third of it would
    still be the first weights after 55 steps.
    """

    @torch.no_grad()
    def update(averages: Any, current: Any, n_before: Any) -> None:
        n = int(n_before)
        share = 1 - min(decay, (1 + n) / (10 + n))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, share)
        else:  # counts of batches
            for mean, now in zip(averages, current, strict=True):
                mean.copy_(now)

    return update


class Epochs(pl.LightningDataModule):
    """Gives the batches of the epoch that the trainer is in, and fixed held-out windows.

    Parameters
    ----------
    examples, config, n_window
        See `epoch_batches`.
    held_out
        Clips that a curve is measured on; may be empty.
    """

    def __init__(
        self, examples: Examples, config: TrainingConfig, n_window: int, held_out: NDArray[np.int64]
    ) -> None:
        super().__init__()
        self.examples, self.config, self.n_window = examples, config, n_window
        self.n_batches = count_batches(examples, config, n_window)
        self.plain = list(plain_windows(examples, config, n_window, held_out))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the epoch that the trainer is in."""
        assert self.trainer is not None
        return DataLoader(_Epoch(self, self.trainer.current_epoch), batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the held-out windows; none where no clip is held out."""
        return DataLoader(self.plain, batch_size=None)  # type: ignore[arg-type]


class _Epoch(IterableDataset[Batch]):
    def __init__(self, epochs: Epochs, epoch: int) -> None:
        self.epochs, self.epoch = epochs, epoch

    def __iter__(self) -> Iterator[Batch]:
        e = self.epochs
        return one_ahead(epoch_batches(e.examples, e.config, e.n_window, self.epoch))

    def __len__(self) -> int:
        return self.epochs.n_batches


def one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Return the same batches, each drawn in a thread while the one before is computed on."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def plain_windows(
    examples: Examples, config: TrainingConfig, n_window: int, clips: NDArray[np.int64]
) -> Iterator[Batch]:
    """Cut windows from clips, spread over their audible parts; at most `HELD_OUT_WINDOWS`."""
    waves, cut = examples.waveforms, []
    for clip in clips[:: max(1, -(-len(clips) // HELD_OUT_WINDOWS))].tolist():
        starts = audible_starts(
            waves.clip_levels(clip), waves.length(clip), n_window, waves.step,
            config.silence_db, config.faint_db,
        )  # fmt: skip
        n = min(starts.size, max(1, HELD_OUT_WINDOWS // len(clips)), 4)
        cut += [(clip, int(s)) for s in starts[np.linspace(0, starts.size - 1, n).astype(int)]]
    for at in range(0, len(cut), config.batch):
        part = cut[at : at + config.batch]
        samples = np.stack([waves.read(clip, start, n_window) for clip, start in part])
        targets: Array = examples.targets[[clip for clip, _ in part]]
        yield Batch(samples, np.zeros((0, 0), np.float32), targets, 0)
