"""Which windows a step of training sees, drawn from seeds alone.

Every draw comes from a generator made of (seed, epoch), so an epoch is the same
whether the training ran through or was interrupted before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import Stored

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """Clips to train on, and sounds that are none of the classes.

    Parameters
    ----------
    waveforms
        The clips.
    targets
        (K, C) 1 where a clip has a label.
    members
        Which of the clips to use.
    backgrounds
        Sounds without any of the labels; None for none.
    background_members
        Which of those to use.
    """

    waveforms: Stored
    targets: Array
    members: NDArray[np.int64]
    backgrounds: Stored | None
    background_members: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Windows for one step: samples (B, N), targets (B, C), and what may lie under them.

    ``under`` (B, N) is background to be mixed in; zeros where there is none.
    ``seed`` begins the generator of the augmentation on the device.
    """

    samples: Array
    under: Array
    targets: Array
    seed: int


def audible_starts(
    levels: Array, length: int, n_window: int, step: int, silence_db: float, faint_db: float
) -> NDArray[np.int64]:
    """Return where in a clip a window may begin so that there is something to hear.

    Parameters
    ----------
    levels
        (L,) mean powers of the clip, each of ``step`` samples.
    length, n_window
        Samples of the clip and of a window.
    step
        Samples between the places where a window may begin.
    silence_db, faint_db
        A window must lie above ``silence_db`` relative to full scale, and above
        ``faint_db`` relative to the clip's loudest window.

    Returns
    -------
    array (K,)
        Samples; empty if the clip is silent. A clip that is shorter than a
        window has at most one start, 0.
    """
    per_window = max(1, n_window // step)
    sums = np.concatenate(([0.0], np.cumsum(levels.astype(np.float64))))
    n = max(1, levels.size - per_window + 1)
    ends = np.minimum(np.arange(n) + per_window, levels.size)
    power = (sums[ends] - sums[:n]) / per_window
    limit = max(10 ** (silence_db / 10), power.max() * 10 ** (faint_db / 10))
    starts: NDArray[np.int64] = np.flatnonzero(power >= limit).astype(np.int64) * step
    last = max(0, length - n_window)
    inside = starts[starts <= last] if last else starts[:1]
    return inside if inside.size else np.full(min(1, starts.size), last)  # audible at its very end


def epoch_batches(
    examples: Examples, config: TrainingConfig, n_window: int, epoch: int
) -> Iterator[Batch]:
    """Draw one epoch.

    Each clip comes as often as its audible part holds windows (at most eight
    times), classes are brought to equal numbers by drawing the rarer ones again,
    and backgrounds are strewn between them.
    """
    rng = np.random.default_rng([config.seed, epoch])
    starts = _starts(examples, config, n_window)
    drawn = _balanced(examples, starts, config, n_window, rng)
    n_background = _n_background(examples, config, len(drawn))
    order = rng.permutation(len(drawn) + n_background)
    for part in np.array_split(order, _n_batches(order.size, config)):
        yield _draw_batch([drawn[i] if i < len(drawn) else None for i in part],
                          examples, starts, config, n_window, rng)  # fmt: skip


def count_batches(examples: Examples, config: TrainingConfig, n_window: int) -> int:
    """Count the batches of an epoch: it is the same for all."""
    starts = _starts(examples, config, n_window)
    n = len(_balanced(examples, starts, config, n_window, np.random.default_rng(0)))
    return _n_batches(n + _n_background(examples, config, n), config)


def _n_batches(n_rows: int, config: TrainingConfig) -> int:
    return max(1, round(n_rows / config.batch))


def _n_background(examples: Examples, config: TrainingConfig, n_drawn: int) -> int:
    there = examples.backgrounds is not None and examples.background_members.size
    return round(n_drawn * config.backgrounds) if there else 0


def _starts(
    examples: Examples, config: TrainingConfig, n_window: int
) -> dict[int, NDArray[np.int64]]:
    waves = examples.waveforms
    return {
        int(k): audible_starts(
            waves.clip_levels(k), waves.length(k), n_window, waves.step,
            config.silence_db, config.faint_db,
        )
        for k in examples.members
    }  # fmt: skip


def _balanced(
    examples: Examples, starts: dict[int, NDArray[np.int64]], config: TrainingConfig, n_window: int,
    rng: np.random.Generator,
) -> list[int]:  # fmt: skip
    """List the clips of an epoch, each as often as it is to be drawn."""
    step = examples.waveforms.step
    times = {
        k: min(8, max(1, round(s.size * step / n_window + 1))) for k, s in starts.items() if s.size
    }
    drawn = [k for k, n in times.items() for _ in range(n * config.draws)]
    if config.balance != "sampling":
        return drawn
    counts = sum(examples.targets[k] for k in drawn)
    wanted = np.max(counts, initial=0)
    for label in range(examples.targets.shape[1]):
        of_label = [k for k in times if examples.targets[k, label]]
        missing = min(wanted - counts[label], 4 * len(of_label) * config.draws) if of_label else 0
        drawn += rng.choice(of_label, int(missing)).tolist() if missing > 0 else []
    return drawn


def _draw_batch(
    clips: Sequence[int | None], examples: Examples, starts: dict[int, NDArray[np.int64]],
    config: TrainingConfig, n_window: int, rng: np.random.Generator,
) -> Batch:  # fmt: skip
    a = config.augmentation
    shape = (len(clips), *examples.waveforms.read(0, 0, 0).shape[:-1], n_window)
    samples = np.zeros(shape, np.float32)
    under = np.zeros(shape, np.float32)  # not zeros_like, which writes them
    targets = np.zeros((len(clips), examples.targets.shape[1]), np.float32)
    for row, clip in enumerate(clips):
        # Half of the windows keep their speed: most sound is not changed in the world.
        speed = a.speed ** rng.uniform(-1, 1) if a.speed > 1 and rng.random() < 0.5 else 1.0
        if clip is None:
            samples[row] = _background(examples, n_window, rng, speed)
            continue
        targets[row] = examples.targets[clip]
        samples[row] = clip_window(examples.waveforms, clip, starts[clip], n_window, rng, speed)
        if rng.random() < a.roll and examples.waveforms.length(clip) > n_window:
            samples[row] = np.roll(samples[row], rng.integers(n_window), axis=-1)
        if rng.random() < a.background:
            snr = rng.uniform(*a.background_snr_db)
            under[row] = at_snr(_background(examples, n_window, rng, 1.0), samples[row], snr)
    return Batch(samples, under, targets, int(rng.integers(2**62)))


def clip_window(
    waves: Stored, clip: int, starts: NDArray[np.int64], n_window: int,
    rng: np.random.Generator, speed: float,
) -> Array:  # fmt: skip
    """Cut a window where the clip is audible, or place a short clip in silence."""
    length, n_read = waves.length(clip), round(n_window * speed)
    if length > n_read:
        start = int(rng.choice(starts)) + int(rng.integers(-1, 2) * waves.step / 2)
        return stretch(waves.read(clip, min(max(0, start), length - n_read), n_read), n_window)
    # Half of the short clips stand at the window's beginning, as a file does;
    # the others anywhere, also cut by at most a quarter, as in a stream.
    whole = stretch(waves.read(clip, 0, length), max(1, round(length / speed)))
    offset, n = 0, whole.shape[-1]
    if rng.random() < 0.5:
        cut = n // 4
        offset = int(rng.integers(-cut, max(1 - cut, n_window - n + cut)))
    out = np.zeros((*whole.shape[:-1], n_window), np.float32)
    a, b = max(0, offset), min(n_window, offset + n)
    out[..., a:b] = whole[..., a - offset : b - offset]
    return out


def _background(examples: Examples, n_window: int, rng: np.random.Generator, speed: float) -> Array:
    waves = examples.backgrounds
    if waves is None or not examples.background_members.size:
        return np.zeros((*examples.waveforms.read(0, 0, 0).shape[:-1], n_window), np.float32)
    # Long recordings more often than short ones, but not as much as they are longer.
    share = np.cumsum(np.sqrt(np.diff(waves.starts)[examples.background_members]))
    at = np.searchsorted(share, rng.random() * share[-1], side="right")
    clip = int(examples.background_members[min(at, share.size - 1)])
    n_read = round(n_window * speed)
    start = int(rng.integers(0, max(1, waves.length(clip) - n_read + 1)))
    return stretch(waves.read(clip, start, n_read), n_window)


def at_snr(background: Array, samples: Array, snr_db: float) -> Array:
    """Scale a background to lie ``snr_db`` under the samples."""
    own, other = float(np.mean(samples**2)), float(np.mean(background**2))
    if own == 0 or other == 0:
        return np.zeros_like(background)
    return background * np.float32(np.sqrt(own / other) * 10 ** (-snr_db / 20))


def stretch(x: Array, n: int) -> Array:
    """Return ``n`` samples of the same signal: faster or slower, higher or lower (linear)."""
    if x.shape[-1] == n:
        return x
    if x.ndim > 1:
        return np.stack([stretch(row, n) for row in x])
    return np.interp(np.linspace(0, x.size - 1, n), np.arange(x.size), x).astype(np.float32)
