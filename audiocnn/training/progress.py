"""Progress of a fit: reported after each epoch, and kept as a CSV.

The curve travels in the checkpoint, so a training that went on from there has the
whole of it.
"""

from __future__ import annotations

import csv
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from audiocnn.errors import DatasetError
from audiocnn.io.files.atomic import replacing
from audiocnn.training.checkpoints import CHECKPOINT
from audiocnn.training.lightning_module import Fit
from audiocnn.training.preparation import clock
from audiocnn.training.run_results import COLUMNS, Curve


@dataclass(frozen=True)
class Step:
    """Where a training stands.

    Parameters
    ----------
    fit
        ``"fold 2 of 4"``, ``"final"``; empty where there is one fit only.
    epoch, epochs
        Done, and in all of this fit.
    loss, held_out_loss
        Of this epoch; NaN where nothing is held out.
    pace
        Seconds an epoch takes.
    fits_left
        How many fits like this one follow.
    """

    fit: str
    epoch: int
    epochs: int
    loss: float
    held_out_loss: float
    pace: float
    fits_left: int = 0

    @property
    def left(self) -> float:
        """Seconds until all fits are done, if they take what this one takes."""
        return self.pace * (self.epochs - self.epoch + self.fits_left * self.epochs)

    def __str__(self) -> str:
        """Return a line."""
        beside = "" if math.isnan(self.held_out_loss) else f"  held out {self.held_out_loss:.3f}"
        name = f"{self.fit}  " if self.fit else ""
        line = f"{name}epoch {self.epoch}/{self.epochs}  loss {self.loss:.3f}{beside}"
        return line + (f"  {clock(self.left)} left" if self.left else "")


Watcher = Callable[[Step], None]


class Watch(pl.Callback):
    """Reports each epoch, keeps the curve, and stops a training that has diverged.

    Parameters
    ----------
    fit
        Its name, for the curve.
    folder
        Gets ``curve.csv``, rewritten after each epoch.
    watcher
        Called after each epoch.
    """

    def __init__(self, fit: str, folder: Path, watcher: Watcher | None) -> None:
        self.curve, self.folder, self.watcher = Curve(fit), folder, watcher
        self.began = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the curve to the checkpoint."""
        return {name: list(getattr(self.curve, name)) for name in COLUMNS}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the curve from the checkpoint."""
        self.curve = Curve(self.curve.name, **{n: tuple(v) for n, v in state_dict.items()})

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Look at the clock."""
        self.began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the figures of the epoch, and report them."""
        seen = {name: float(v) for name, v in trainer.callback_metrics.items() if name in COLUMNS}
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        if not math.isfinite(seen["loss"]) or not all_finite(module):
            (self.folder / CHECKPOINT).unlink(missing_ok=True)  # of no use to continue from
            assert isinstance(module, Fit)
            raise DatasetError(
                f"the training came to nothing in epoch {epoch} (loss {seen['loss']:g}): train "
                f"with a lower --learning-rate (a third of {module.config.learning_rate:g}), with "
                "--precision 32-true if it was another, or look for faults with: audiocnn check"
            )
        seen["learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        seen["seconds"] = time.monotonic() - self.began
        self.curve = self.curve.grown(**seen)
        if not trainer.is_global_zero:
            return
        write_curve(self.curve, self.folder / "curve.csv")
        if self.watcher:
            pace = statistics.median(self.curve.seconds[-10:])
            held_out = seen.get("held_out_loss", math.nan)
            self.watcher(Step(self.curve.name, epoch, epochs, seen["loss"], held_out, pace))


def all_finite(module: torch.nn.Module) -> bool:
    """Return whether every weight is a number."""
    return all(bool(torch.isfinite(p).all()) for p in module.parameters())


def write_curve(curve: Curve, path: Path) -> None:
    """Write a curve as CSV, a row an epoch; whole or not at all."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(["epoch", *COLUMNS])
        for epoch, row in enumerate(zip(*(getattr(curve, n) for n in COLUMNS), strict=True), 1):
            write([epoch, *("" if math.isnan(v) else repr(v) for v in row)])


def read_curve(path: Path, name: str) -> Curve:
    """Read what `write_curve` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Curve(name, **{n: tuple(float(r[n] or "nan") for r in rows) for n in COLUMNS})
