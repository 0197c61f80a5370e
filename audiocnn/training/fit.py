"""Fitting a network with Lightning: from examples and a config to weights."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from audiocnn.errors import ArgumentError, AudiocnnError, DatasetError
from audiocnn.inference.engine import make_grid
from audiocnn.networks.classifier import Classifier
from audiocnn.training.checkpoints import KeepLast, WholeCheckpoints, claim, describe, finished
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.sampler import Examples, epoch_batches
from audiocnn.training.lightning_module import Epochs, Fit, class_weights, moving_average
from audiocnn.training.progress import Watch, Watcher
from audiocnn.training.torch_frontend import TorchFrontEnd

LOGS = ("csv", "tensorboard")
SURVEYED = 100  # batches that the statistics of the bands are taken from, at most
NO_CLIPS = np.zeros(0, np.int64)


def measure_bands(
    examples: Examples, config: TrainingConfig, n_window: int, front: TorchFrontEnd
) -> tuple[Tensor, Tensor]:
    """Measure mean and standard deviation of each band over the training clips.

    Returns
    -------
    mean, scale
        Each (1, P, M, 1); ``scale`` is one over the deviation.
    """
    n, total, squares = 0, torch.zeros(1).double(), torch.zeros(1).double()
    for batch in itertools.islice(epoch_batches(examples, config, n_window, 0), SURVEYED):
        frames = front.plain(torch.from_numpy(batch.samples)).double()
        n += frames.shape[0] * frames.shape[3]
        total = total + frames.sum((0, 3))
        squares = squares + frames.square().sum((0, 3))
    mean = total / n
    deviation = (squares / n - mean.square()).clamp(min=0).sqrt()
    return mean.float()[None, ..., None], (1 / (deviation + 0.1)).float()[None, ..., None]


def fit(
    examples: Examples,
    config: TrainingConfig,
    folder: Path,
    *,
    held_out: NDArray[np.int64] = NO_CLIPS,
    start: Classifier | None = None,
    name: str = "",
    watcher: Watcher | None = None,
    devices: int = 1,
    log: str = "csv",
) -> Classifier:
    """Train a network, or go on where an interrupted training stood.

    Parameters
    ----------
    examples
        What to learn from.
    config
        How.
    folder
        For the checkpoint of the last epoch and the curve; made if missing.
    held_out
        Clips of the examples that the held-out curve is measured on.
    start
        A network to go on from instead of random weights, see `starting`.
    name
        Of the fit, for its curve.
    watcher
        Called after each epoch.
    devices
        Processes on this machine, each with a GPU of its own where there are GPUs.
        Under torchrun its processes are used, on all machines.
    log
        ``"csv"``, or ``"tensorboard"`` for both.

    Returns
    -------
    Classifier
        On the CPU, in evaluation mode, with averaged weights.

    Raises
    ------
    DatasetError
        If there is nothing audible to train on, the loss is no number, or the folder
        holds an unfinished fit of something else.
    """
    _check(examples, config, devices, log)
    pl.seed_everything(config.seed, verbose=False)
    task = Fit(config, examples.targets.shape[1], class_weights(examples, config))
    grid = make_grid(
        config.front, task.model.receptive_field, task.model.stride, config.window, config.hop
    )
    if start is None:
        bands = measure_bands(examples, config, grid.window_samples, task.front)
        task.model.mean, task.model.scale = bands
    else:
        task.model.load_state_dict(start.state_dict())
    data = Epochs(examples, config, grid.window_samples, held_out)
    first = None if start is None else start.state_dict()
    checkpoint = claim(folder, describe(examples, config, first))
    weights = finished(checkpoint)
    if weights is not None:  # it was stopped after its last epoch
        task.load_state_dict(weights)
        return task.model.to(memory_format=torch.contiguous_format).eval()  # type: ignore
    with _quiet(), explained_failures(config):
        trainer = _trainer(config, folder, Watch(name, folder, watcher), devices, log, data)
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    task.model.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return task.model.eval()


def _trainer(
    config: TrainingConfig, folder: Path, watch: Watch, devices: int, log: str, data: Epochs
) -> pl.Trainer:
    callbacks: list[pl.Callback] = [KeepLast(folder), watch]
    if config.averaging:
        callbacks.append(WeightAveraging(multi_avg_fn=moving_average(config.averaging)))
    if config.patience and data.plain:
        callbacks.append(EarlyStopping("held_out_loss", patience=config.patience))
    n_processes, n_machines = processes(devices)
    return pl.Trainer(
        max_epochs=config.epochs, accelerator="auto", callbacks=callbacks,
        devices=devices, num_nodes=n_machines,
        strategy="ddp" if n_processes > 1 else "auto",
        precision=resolved_precision(config.precision),  # type: ignore[arg-type]
        logger=TensorBoardLogger(folder, "tensorboard", "") if log == "tensorboard" else False,
        limit_val_batches=None if data.plain else 0, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False, plugins=[WholeCheckpoints()],
        reload_dataloaders_every_n_epochs=1, gradient_clip_val=1.0, log_every_n_steps=10,
    )  # fmt: skip


def processes(devices: int) -> tuple[int, int]:
    """Count the processes that train together, and the machines they are on."""
    if not torch.distributed.is_torchelastic_launched():
        return devices, 1
    n, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return n, n // local


def resolved_precision(precision: str) -> str:
    """Choose where it says ``"auto"``: half the digits on a GPU, all of them elsewhere."""
    if precision != "auto":
        return precision
    if not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _check(examples: Examples, config: TrainingConfig, devices: int, log: str) -> None:
    if not examples.members.size or not examples.targets[examples.members].any():
        raise DatasetError("there are no labelled clips to train on")
    loudest = max(float(examples.waveforms.clip_levels(k).max()) for k in examples.members)
    if loudest < 10 ** (config.silence_db / 10):
        raise DatasetError(
            f"all {examples.members.size} clips are silent (below {config.silence_db:g} dB of "
            "full scale): check how they were recorded with: audiocnn check"
        )
    if log not in LOGS:
        raise ArgumentError(f"log must be csv or tensorboard, got {log!r}")
    if log == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise AudiocnnError("tensorboard is not installed; run: pip install tensorboard")
    n = processes(devices)[0]
    if devices < 1 or config.batch < 2 * n:
        raise ArgumentError(
            f"{n} devices share each batch of {config.batch} windows: take at least one device, "
            "and a --batch of at least two windows for each"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's own messages; `Watch` reports progress."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="torch")
        yield


@contextmanager
def explained_failures(config: TrainingConfig) -> Iterator[None]:
    """Turn failures of a fit, as of memory, into errors that say what to do."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:  # Lightning makes one of Ctrl-C
        raise KeyboardInterrupt from end
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise AudiocnnError(
            f"out of memory with batches of {config.batch} windows of {config.window:g} s, "
            f"{config.arch} {config.size}: try --batch {max(2, config.batch // 2)}, then a shorter "
            "--window or --size small, or end other programs"
        ) from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)


def _is_out_of_memory(error: Exception) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "can't allocate memory", "not enough memory")
    )
