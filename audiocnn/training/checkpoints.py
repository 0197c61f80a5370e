"""Checkpoints that are whole or not there, and of this training or refused.

A fit's folder holds ``fit.json``, which says of what config and data it is, and
``last.ckpt`` after the last whole epoch. Going on from there gives the same network
as never having stopped, so the two must be of one training: anything else is refused,
and what differs is named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from audiocnn.errors import DatasetError
from audiocnn.io.files.atomic import replacing
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import Stored
from audiocnn.training.data.sampler import Examples

CHECKPOINT = "last.ckpt"
OVER = "the fit is over"
DONE = "held_out.npz"  # what a fit that is over said of the clips that it left out


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there; reads no pickled code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write; a process that is killed here leaves the one before."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read tensors, numbers and text alone."""
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return loaded


class KeepLast(Checkpoint):
    """Writes a checkpoint after each epoch, when all others have noted what they note."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CHECKPOINT

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write it."""
        trainer.save_checkpoint(self.path)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note whether this epoch was the last: by epochs, or by patience."""
        over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        checkpoint[OVER] = bool(over)


def finished(checkpoint: Path | None) -> dict[str, torch.Tensor] | None:
    """Return the (averaged) weights of a checkpoint after which nothing was to come."""
    if checkpoint is None:
        return None
    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights: dict[str, torch.Tensor] | None = loaded["state_dict"] if loaded[OVER] else None
    return weights


def claim(folder: Path, what: Mapping[str, Any]) -> Path | None:
    """Make a folder this fit's own, or find that it is.

    Parameters
    ----------
    folder
        Of the fit; made if missing.
    what
        What makes the fit what it is, see `describe`.

    Returns
    -------
    Path or None
        The checkpoint to go on from, if there is one.

    Raises
    ------
    DatasetError
        If it holds an unfinished fit of something else; says what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, checkpoint, done = (folder / name for name in ("fit.json", CHECKPOINT, DONE))
    wanted = json.loads(json.dumps(what))
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        there = {}
    if there != wanted and (checkpoint.exists() or done.exists()):
        differing = list(_differences(there, wanted)) or ["nothing is known of it"]
        raise DatasetError(
            f"{folder} holds an unfinished training of something else "
            f"({'; '.join(differing[:5])}): repeat the command that it is of to finish it, or "
            "delete that folder to begin anew"
        )
    if there != wanted:
        with replacing(path) as part:
            part.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    if not checkpoint.exists():
        return None
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of it
        raise DatasetError(
            f"{checkpoint} is damaged ({type(error).__name__}): delete it, and the same command "
            "begins this fit anew"
        ) from error
    return checkpoint


def describe(
    examples: Examples, config: TrainingConfig, start: Mapping[str, torch.Tensor] | None = None
) -> dict[str, Any]:
    """Describe what makes a fit what it is: config, sounds, labels, first weights."""
    what: dict[str, Any] = {
        "recipe": config.described(),
        "sounds": _digest_of(examples.waveforms, examples.members),
        "labels": _digest(examples.targets[examples.members]),
        "background": "none"
        if examples.backgrounds is None
        else _digest_of(examples.backgrounds, examples.background_members),
        "torch": torch.__version__,
    }
    if start is not None:
        what["weights"] = _digest(*(start[name].cpu().numpy() for name in sorted(start)))
    return what


def _digest_of(waves: Stored, members: np.ndarray[Any, Any]) -> str:
    return _digest(*waves.digest(), members)


def _digest(*arrays: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in here | there:
            if there.get(key) != here.get(key):
                yield from _differences(
                    there.get(key), here.get(key), f"{name}.{key}" if name else key
                )
    else:
        yield f"{name} was {there}, is {here}"
