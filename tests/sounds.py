"""Three kinds of sound that differ as real ones do, for tests that train on them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
KINDS = ("hiss", "knock", "whistle")


def sound(kind: str, rng: np.random.Generator, seconds: float = 1.0) -> np.ndarray:
    """Make a sound of one of the kinds, at `RATE`."""
    t = np.arange(round(RATE * seconds)) / RATE
    if kind == "whistle":
        x = np.sin(2 * np.pi * rng.uniform(900, 1400) * t + 3 * np.sin(2 * np.pi * 5 * t))
    elif kind == "hiss":
        x = np.diff(rng.standard_normal(t.size + 1))
    elif kind == "hum":  # none of the kinds: for backgrounds
        x = sum(np.sin(2 * np.pi * 50 * n * t + n) / n for n in range(1, 9))
    else:  # knock: decaying low bursts
        x = np.sin(2 * np.pi * rng.uniform(150, 250) * t) * np.exp(
            -12 * (t % rng.uniform(0.2, 0.3))
        )
    return (0.2 * rng.uniform(0.3, 1) * x + 1e-3 * rng.standard_normal(t.size)).astype(np.float32)


def make_dataset(
    folder: Path, each: int, kinds: Sequence[str] = KINDS, seconds: float = 1.0, seed: int = 0
) -> Path:
    """Write a folder of class folders with ``each`` clips a class."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for i in range(each):
            soundfile.write(folder / kind / f"{i}.wav", sound(kind, rng, seconds), RATE)
    return folder
