"""How long a training will take: a few steps, measured before it starts.

What a step costs depends on the machine and what else it does, so it is measured and not
computed: the first windows are varied, classified and learnt from as in the training, by
a network that is thrown away.
"""

from __future__ import annotations

import itertools
import statistics
import time

import torch

from audiocnn.inference.engine import make_grid
from audiocnn.networks.classifier import window_logits
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.sampler import Batch, count_batches, epoch_batches
from audiocnn.training.data.training_set import TrainingSet
from audiocnn.training.lightning_module import Fit
from audiocnn.training.torch_frontend import hide_frames

WARM_UP, TIMED = 2, 5  # steps


def estimate_seconds(m: TrainingSet[TrainingConfig]) -> float:
    """Estimate the seconds of all fits of a training.

    Parameters
    ----------
    m
        What is trained on, and how.

    Returns
    -------
    float
        For the fits alone; decoding is done already, and judging takes little.
    """
    examples, config = m.without(None), m.config
    torch.manual_seed(config.seed)
    task = Fit(config, len(m.labels))
    model = task.model
    n_window = make_grid(
        config.front, model.receptive_field, model.stride, config.window, config.hop
    ).window_samples
    step = measure_step(task, m, n_window)
    n_steps = count_batches(examples, config, n_window) * config.epochs
    n_parts = len(m.split.parts) if m.split.crossed else 0
    fits = n_parts * (1 - 1 / n_parts) + 1 if n_parts else 1
    return step * n_steps * fits


def measure_step(task: Fit, m: TrainingSet[TrainingConfig], n_window: int) -> float:
    """Measure the seconds of one step: the slower of drawing a batch and learning from it."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-4)
    batches = epoch_batches(m.without(None), m.config, n_window, 0)
    drawn, learnt = [], []
    began = time.monotonic()
    for batch in itertools.islice(batches, WARM_UP + TIMED):
        ready = time.monotonic()
        _learn(task, batch, optimizer)
        done = time.monotonic()
        drawn.append(ready - began)
        learnt.append(done - ready)
        began = done
    some = slice(WARM_UP if len(learnt) > WARM_UP else 0, None)
    return max(statistics.median(drawn[some]), statistics.median(learnt[some]))


def _learn(task: Fit, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
    a, model = task.config.augmentation, task.model
    rng = torch.Generator().manual_seed(batch.seed)
    samples, under, targets = map(torch.from_numpy, (batch.samples, batch.under, batch.targets))
    with torch.no_grad():
        frames, targets = task.front.varied(samples, under, targets, a, rng)
        frames = hide_frames((frames - model.mean) * model.scale, a, rng)
        frames = frames / model.scale + model.mean
    logits = window_logits(model(frames.contiguous(memory_format=torch.channels_last)))
    optimizer.zero_grad()
    task.loss(logits, targets).sum().div(len(targets)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
