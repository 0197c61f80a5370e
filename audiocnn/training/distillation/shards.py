"""Windows made and answered in advance, so that training spends its time on the network.

A shard is a folder of arrays for `PER_SHARD` windows: the student's
frames (a byte a value, 0.36 dB fine) and the teachers' answers (float16). A shard whose
folder has its final name is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocnn.frontend.log_mel import MelSpec, log_mel
from audiocnn.training.distillation.mixtures import N
from audiocnn.training.distillation.speech_teacher import N_EMBEDDING as N_SPEECH
from audiocnn.training.distillation.speech_teacher import SpeechTeacher
from audiocnn.training.distillation.teacher import Teacher

FRONT = MelSpec(rate=32000, n_fft=1024, hop=400, n_mels=64, f_min=50.0, f_max=16000.0, floor=1e-8)
LOWEST, PER_STEP = -18.6, 12.0  # natural logarithm of power at byte 0; bytes per unit
PER_SHARD, AT_ONCE = 2048, 64
SPEECH = 0  # index of AudioSet's class Speech
IS_SPEECH = 0.4  # its probability from which the speech teacher is asked, too


class Shard(NamedTuple):
    """Arrays of a shard's windows.

    Attributes
    ----------
    frames
        (W, 64, T) uint8.
    embeddings, probabilities
        (W, 896) and (W, 527) float16, of the teacher.
    speech
        (S, K, 96) float16, of the speech teacher, for the windows in ``spoken``.
    spoken
        (S,) indices of windows.
    """

    frames: NDArray[np.uint8]
    embeddings: NDArray[np.float16]
    probabilities: NDArray[np.float16]
    speech: NDArray[np.float16]
    spoken: NDArray[np.int64]


def to_bytes(frames: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round log-mel values to bytes."""
    return np.asarray(np.clip(np.rint((frames - LOWEST) * PER_STEP), 0, 255), np.uint8)


def column_ends(receptive_field: int, stride: int) -> NDArray[np.float64]:
    """Give the seconds at which the columns of a 2 s window end."""
    n_frames = (N - FRONT.n_fft) // FRONT.hop + 1
    n = (n_frames - receptive_field) // stride + 1
    last = receptive_field - 1 + stride * np.arange(n)
    return np.asarray((last * FRONT.hop + FRONT.n_fft) / FRONT.rate)


def answered(
    samples: NDArray[np.float32],
    teacher: Teacher,
    speech_teacher: SpeechTeacher | None = None,
    ends: NDArray[np.float64] | None = None,
) -> Shard:
    """Ask the teachers about windows.

    Parameters
    ----------
    samples
        (W, 64,000).
    teacher, speech_teacher
        Of sound, and of speech if it is to be asked.
    ends
        (K,) seconds: ends of the columns that learn from the speech teacher.
    """
    answers = teacher(samples)
    frames = np.stack([to_bytes(log_mel(x, FRONT)[0]) for x in samples])
    spoken = np.flatnonzero(answers.probabilities[:, SPEECH] > IS_SPEECH)
    speech = np.empty((0, 0 if ends is None else ends.size, N_SPEECH), np.float16)
    if speech_teacher is None or ends is None:
        spoken = spoken[:0]
    elif spoken.size:
        given = speech_teacher(samples[spoken], FRONT.rate, ends)
        speech = given.astype(np.float16)
    return Shard(
        frames,
        answers.embeddings.astype(np.float16),
        answers.probabilities.astype(np.float16),
        speech,
        spoken,
    )


def joined(shards: Sequence[Shard]) -> Shard:
    """Put shards together."""
    starts = np.cumsum([0, *(len(s.frames) for s in shards[:-1])])
    return Shard(
        np.concatenate([s.frames for s in shards]),
        np.concatenate([s.embeddings for s in shards]),
        np.concatenate([s.probabilities for s in shards]),
        np.concatenate([s.speech for s in shards]),
        np.concatenate([s.spoken + at for s, at in zip(shards, starts, strict=True)]),
    )


def make_shard(
    draw: Callable[[], NDArray[np.float32]],
    ask: Callable[[NDArray[np.float32]], Shard],
    n: int = PER_SHARD,
) -> Shard:
    """Make ``n`` windows and answer them.

    Parameters
    ----------
    draw
        Gives a window (64,000,).
    ask
        Gives what the teachers answer for windows (W, 64,000).
    """
    sizes = [min(AT_ONCE, n - at) for at in range(0, n, AT_ONCE)]
    return joined([ask(np.stack([draw() for _ in range(size)])) for size in sizes])


def write_shard(folder: Path, make: Callable[[], Shard]) -> None:
    """Make a shard and write it, unless it exists."""
    if folder.is_dir():
        return
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, array in make()._asdict().items():
        np.save(part / f"{name}.npy", array)
    part.rename(folder)


def read_shard(folder: Path) -> Shard:
    """Read a shard into memory."""
    return Shard(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in Shard._fields))
