"""Fitting a network with Lightning: from examples and a recipe to weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from audiocnn.engine import make_grid
from audiocnn.errors import DatasetError
from audiocnn.models.classifier import Classifier, TrunkSpec, window_logits
from audiocnn.training.augment import hide, vary_power
from audiocnn.training.augment_samples import vary_samples
from audiocnn.training.batches import Batch, Examples, epoch_batches
from audiocnn.training.frontend import MelPower
from audiocnn.training.recipe import Recipe


class Fit(pl.LightningModule):
    """One training: network, front end, augmentation and loss.

    Parameters
    ----------
    recipe
        How to train.
    n_classes
        Number of labels.
    """

    def __init__(self, recipe: Recipe, n_classes: int) -> None:
        super().__init__()
        self.recipe = recipe
        spec = TrunkSpec(
            recipe.arch, recipe.size, 1, recipe.front.n_mels, n_classes, recipe.pools,
            recipe.pooling,
        )  # fmt: skip
        self.model = Classifier(spec, recipe.dropout)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mel = MelPower(recipe.front)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, at: int) -> Batch:
        """Leave it: the arrays are moved in the step."""
        return batch

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Vary, classify, compare."""
        a = self.recipe.augmentation
        rng = torch.Generator().manual_seed(batch.seed)
        samples, under, targets = (
            torch.from_numpy(x).to(self.device) for x in (batch.samples, batch.under, batch.targets)
        )
        with torch.no_grad():
            power = self.mel(vary_samples(samples, under, a, self.recipe.front.rate, rng))
            power, targets = vary_power(power, targets, a, rng)
            frames = (self.mel.log(power)[:, None] - self.model.mean) * self.model.scale
            frames = hide(frames[:, 0], a, rng)[:, None] / self.model.scale + self.model.mean
        torch.manual_seed(batch.seed)  # dropout draws from the global generator
        logits = window_logits(self.model(frames.contiguous(memory_format=torch.channels_last)))
        smooth = self.recipe.label_smoothing
        targets = targets * (1 - smooth) + smooth / (targets.shape[1] + 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), targets, reduction="none"
        )
        value = loss.sum(1).mean()
        self.log("loss", value, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(logits))
        return value

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle of the learning rate; no decay on scales and offsets."""
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.recipe.learning_rate, int(self.trainer.estimated_stepping_batches),
            pct_start=0.25,
        )  # fmt: skip
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Epochs(pl.LightningDataModule):
    """Gives the batches of the epoch that the trainer is in."""

    def __init__(self, examples: Examples, recipe: Recipe, n_window: int) -> None:
        super().__init__()
        self.examples, self.recipe, self.n_window = examples, recipe, n_window
        self.n_batches = sum(1 for _ in epoch_batches(examples, recipe, n_window, 0))

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        return DataLoader(_Epoch(self, epoch), batch_size=None)


class _Epoch(IterableDataset[Batch]):
    def __init__(self, epochs: _Epochs, epoch: int) -> None:
        self.epochs, self.epoch = epochs, epoch

    def __iter__(self) -> Iterator[Batch]:
        e = self.epochs
        return epoch_batches(e.examples, e.recipe, e.n_window, self.epoch)

    def __len__(self) -> int:
        return self.epochs.n_batches


def measure_bands(
    examples: Examples, recipe: Recipe, n_window: int, mel: MelPower
) -> tuple[Tensor, Tensor]:
    """Measure mean and standard deviation of each band over the training clips.

    Returns
    -------
    mean, scale
        Each (1, 1, M, 1); ``scale`` is one over the deviation.
    """
    frames = [
        mel.log(mel(torch.from_numpy(batch.samples)))
        for batch in epoch_batches(examples, recipe, n_window, 0)
    ]
    joined = torch.cat([f.transpose(0, 1).flatten(1) for f in frames], dim=1)
    mean, deviation = joined.mean(1), joined.std(1)
    return mean.view(1, 1, -1, 1), 1 / (deviation.view(1, 1, -1, 1) + 0.1)


def fit(
    examples: Examples,
    recipe: Recipe,
    folder: Path,
    *,
    progress: Callable[[int, int, float], None] | None = None,
) -> Classifier:
    """Train a network, or go on where an interrupted training stood.

    Parameters
    ----------
    examples
        What to learn from.
    recipe
        How.
    folder
        For the checkpoint of the last epoch; made if missing.
    progress
        Called after each epoch with epochs done, epochs in all and the loss.

    Returns
    -------
    Classifier
        On the CPU, in evaluation mode, with averaged weights.

    Raises
    ------
    DatasetError
        If there is nothing audible to train on, or the loss is no number.
    """
    if not examples.members.size or not examples.targets[examples.members].any():
        raise DatasetError("there are no labelled clips to train on")
    pl.seed_everything(recipe.seed, verbose=False)
    task = Fit(recipe, examples.targets.shape[1])
    grid = make_grid(
        recipe.front, task.model.receptive_field, task.model.stride, recipe.window, recipe.hop
    )
    n_window = grid.window_samples
    task.model.mean, task.model.scale = measure_bands(examples, recipe, n_window, task.mel)
    folder.mkdir(parents=True, exist_ok=True)
    callbacks: list[pl.Callback] = [
        ModelCheckpoint(folder, filename="unused", save_last=True, save_top_k=0),
        _Watch(progress),
    ]
    if recipe.averaging:
        callbacks.append(EMAWeightAveraging(decay=recipe.averaging))
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer = pl.Trainer(
            max_epochs=recipe.epochs, accelerator="auto", devices=1, logger=False,
            callbacks=callbacks, enable_progress_bar=False, enable_model_summary=False,
            precision=recipe.precision,  # type: ignore[arg-type]
            reload_dataloaders_every_n_epochs=1, gradient_clip_val=1.0,
        )  # fmt: skip
        last = folder / "last.ckpt"
        trainer.fit(
            task, datamodule=_Epochs(examples, recipe, n_window),
            ckpt_path=last if last.exists() else None,
        )  # fmt: skip
    task.model.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return task.model.eval()


class _Watch(pl.Callback):
    """Reports each epoch; stops a training that has come to nothing."""

    def __init__(self, progress: Callable[[int, int, float], None] | None) -> None:
        self.progress = progress

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["loss"])
        if not np.isfinite(loss):
            raise DatasetError(
                f"the loss became {loss} in epoch {trainer.current_epoch + 1}: "
                "lower the learning rate, or check the data with: audiocnn check"
            )
        if self.progress:
            self.progress(trainer.current_epoch + 1, trainer.max_epochs or 0, loss)
