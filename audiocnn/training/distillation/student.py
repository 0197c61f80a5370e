"""The student, and its training against the teachers' answers.

The student is an ordinary `Classifier` of AudioSet's 527 classes. Three linear maps of its
columns, which training alone needs, are measured against the teachers:

    mean of the columns   -> mn04's standardised embedding       squared error
    window's logits       -> mn04's probabilities                cross-entropy
    each column           -> speech_embedding, standardised      squared error, where spoken

The learning rate follows the time that has been spent out of the time that was granted, so
a run ends on time on any machine; it is stopped and continued at will.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocnn.networks.classifier import Classifier, TrunkSpec, window_logits
from audiocnn.training.distillation.shards import (
    FRONT,
    LOWEST,
    PER_STEP,
    Shard,
    joined,
    read_shard,
)
from audiocnn.training.distillation.speech_teacher import N_EMBEDDING as N_SPEECH
from audiocnn.training.distillation.teacher import N_CLASSES, N_EMBEDDING

BATCH = 64
TRAIN = "train-"  # with what the names of shards for training begin
SHARDS_AT_ONCE = 6
CLASS_WEIGHT, SPEECH_WEIGHT = 20.0, 2.0


@dataclass(frozen=True)
class Scales:
    """Means and scales by which embeddings and frames are standardised, from one shard."""

    frames: tuple[Tensor, Tensor]
    embedding: tuple[Tensor, Tensor]
    speech: tuple[Tensor, Tensor]


def to_frames(values: Tensor) -> Tensor:
    """Turn bytes (B, M, T) into log-mel frames (B, 1, M, T)."""
    return (values.float() / PER_STEP + LOWEST)[:, None]


def scales_of(shard: Shard) -> Scales:
    """Measure what is standardised."""

    def of(x: NDArray[Any], axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        values = torch.from_numpy(x.astype(np.float32))
        return values.mean(axes), 1 / (values.std(axes) + 1e-3)

    frames = shard.frames[:512].astype(np.float32) / PER_STEP + LOWEST
    return Scales(of(frames, (0, 2)), of(shard.embeddings, (0,)), of(shard.speech, (0, 1)))


class Student(nn.Module):
    """Network and the maps to what the teachers give.

    Parameters
    ----------
    size
        Of the trunk.
    scales
        Fixed numbers; part of the state.
    """

    def __init__(self, size: str, scales: Scales) -> None:
        super().__init__()
        spec = TrunkSpec("cnn2d1d", size, 1, FRONT.n_mels, N_CLASSES)
        self.network = Classifier(spec, dropout=0.0)
        n = self.network.n_features
        self.to_embedding, self.to_speech = nn.Linear(n, N_EMBEDDING), nn.Conv1d(n, N_SPEECH, 1)
        mean, scale = scales.frames
        self.network.mean.copy_(mean[None, None, :, None])
        self.network.scale.copy_(scale[None, None, :, None])
        for name, (mean, scale) in (("embedding", scales.embedding), ("speech", scales.speech)):
            self.register_buffer(f"{name}_mean", mean)
            self.register_buffer(f"{name}_scale", scale)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give embedding (B, 896), logits (B, 527) and speech embeddings (B, K, 96)."""
        network = self.network
        features = network.trunk((frames - network.mean) * network.scale)
        logits = window_logits(network.columns(features))
        speech = self.to_speech(features).transpose(1, 2)
        return self.to_embedding(features.mean(-1)), logits, speech

    def _standardised(self, name: str, values: Tensor) -> Tensor:
        mean, scale = getattr(self, f"{name}_mean"), getattr(self, f"{name}_scale")
        return torch.as_tensor((values - mean) * scale)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Measure a batch; gives the loss and its parts."""
        embedding, logits, speech = self(batch.frames)
        wanted = self._standardised("embedding", batch.embeddings)
        parts = {
            "embedding": (embedding - wanted).square().mean(),
            "classes": nn.functional.binary_cross_entropy_with_logits(logits, batch.probabilities),
        }
        total = parts["embedding"] + CLASS_WEIGHT * parts["classes"]
        if len(batch.spoken):
            wanted = self._standardised("speech", batch.speech)
            given = speech[batch.spoken][:, speech.shape[1] - wanted.shape[1] * 2 + 1 :: 2]
            parts["speech"] = (given - wanted).square().mean()
            share = len(batch.spoken) / len(batch.frames)
            total = total + SPEECH_WEIGHT * share * parts["speech"]
        return total, {name: float(part.detach()) for name, part in parts.items()}


@dataclass(frozen=True)
class Batch:
    """Windows with what the teachers gave for them, as tensors."""

    frames: Tensor
    embeddings: Tensor
    probabilities: Tensor
    speech: Tensor
    spoken: Tensor


def to_batch(shard: Shard, chosen: NDArray[np.int64]) -> Batch:
    """Take windows out of a shard."""
    place = np.full(len(shard.frames), -1)
    place[shard.spoken] = np.arange(len(shard.spoken))
    rows = place[chosen]
    return Batch(
        to_frames(torch.from_numpy(shard.frames[chosen])),
        torch.from_numpy(shard.embeddings[chosen].astype(np.float32)),
        torch.from_numpy(shard.probabilities[chosen].astype(np.float32)),
        torch.from_numpy(shard.speech[rows[rows >= 0]].astype(np.float32)),
        torch.from_numpy(np.flatnonzero(rows >= 0)),
    )


def batches(folder: Path, rng: np.random.Generator) -> Iterator[Batch]:
    """Draw batches without end; shards that are added later are found in the next pass."""
    while True:
        names = sorted(folder.glob(f"{TRAIN}*[0-9]"))
        rng.shuffle(names)
        for at in range(0, len(names), SHARDS_AT_ONCE):
            some = joined([read_shard(p) for p in names[at : at + SHARDS_AT_ONCE]])
            order = rng.permutation(len(some.frames))
            for place in range(0, len(order) - BATCH + 1, BATCH):
                yield to_batch(some, order[place : place + BATCH])


def varied(batch: Batch, generator: torch.Generator) -> Tensor:
    """Change level and bands a little, which does not change the sounds in it."""
    x = batch.frames
    n, _, bands, _ = x.shape
    gain = (torch.rand(n, 1, 1, 1, generator=generator) - 0.6) * 3
    tilt = torch.randn(n, 1, 1, 1, generator=generator) * torch.linspace(-0.6, 0.6, bands)[:, None]
    x = torch.log(torch.exp(x + gain + tilt) + FRONT.floor)
    width = torch.randint(1, 8, (n,), generator=generator)
    start = (torch.rand(n, generator=generator) * (bands - width)).long()
    place = torch.arange(bands)
    masked = (place >= start[:, None]) & (place < (start + width)[:, None])
    masked &= torch.rand(n, 1, generator=generator) < 0.3
    return torch.where(masked[:, None, :, None], x.mean((2, 3), keepdim=True), x)


def one_cycle(progress: float, peak: float) -> float:
    """Give the learning rate at a share of the time: up for 5 %, then down along a cosine."""
    if progress < 0.05:
        return peak * (0.05 + 0.95 * progress / 0.05)
    done = min(1.0, (progress - 0.05) / 0.95)
    return peak * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass
class Run:
    """A training with all that is needed to go on with it."""

    student: Student
    average: Student
    optimizer: torch.optim.Optimizer
    seconds: float = 0.0
    steps: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        part = path.with_suffix(".part")
        torch.save(
            {
                "student": self.student.state_dict(), "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(), "seconds": self.seconds,
                "steps": self.steps,
            }, part,
        )  # fmt: skip
        part.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seconds, self.steps = state["seconds"], state["steps"]


def start_run(size: str, scales: Scales, peak: float, seed: int = 0) -> Run:
    """Begin a training."""
    torch.manual_seed(seed)
    student, average = Student(size, scales), Student(size, scales)
    average.load_state_dict(student.state_dict())
    decayed = [p for p in student.parameters() if p.ndim > 1]
    others = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return Run(student, average, torch.optim.AdamW(groups, lr=peak))


def _update_average(run: Run) -> None:
    decay = min(0.999, (1 + run.steps) / (10 + run.steps))
    with torch.no_grad():
        for kept, new in zip(
            run.average.state_dict().values(), run.student.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def fit(
    run: Run, folder: Path, checkpoint: Path, minutes: float, peak: float, report: Any = print
) -> None:
    """Train until the minutes are spent.

    Parameters
    ----------
    run
        New, or loaded; changed.
    folder
        Of shards.
    checkpoint
        Written every three minutes and at the end.
    minutes
        In all, those before a continuation included.
    peak
        Highest learning rate.
    report
        Called with a line every 200 steps.
    """
    generator = torch.Generator().manual_seed(run.steps)
    source = batches(folder, np.random.default_rng(run.steps))
    last = saved = time.monotonic()
    sums: dict[str, list[float]] = {}
    run.student.train()
    while run.seconds < 60 * minutes:
        batch = next(source)
        rate = one_cycle(run.seconds / (60 * minutes), peak)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        changed = Batch(varied(batch, generator), *list(vars(batch).values())[1:])
        loss, parts = run.student.loss(changed)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.student.parameters(), 2.0)
        run.optimizer.step()
        run.steps += 1
        _update_average(run)
        now = time.monotonic()
        run.seconds, last = run.seconds + now - last, now
        for name, part in parts.items():
            sums.setdefault(name, []).append(part)
        if run.steps % 200 == 0:
            means = ", ".join(f"{name} {np.mean(part):.4f}" for name, part in sums.items())
            report(f"{run.seconds / 60:.1f} min, step {run.steps}, rate {rate:.5f}: {means}")
            sums.clear()
        if now - saved > 180:
            run.save(checkpoint)
            saved = time.monotonic()
    run.save(checkpoint)
