"""What a model costs on this machine: measured once, and kept in the cache.

The figure is how many seconds of decoded sound one core scores in a second, at the
model's own window and hop. It is kept by the model's checksum and the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from pathlib import Path

import numpy as np

from audiocnn.inference.bundle import Bundle, checksum, grid_of
from audiocnn.inference.embeddings import embed
from audiocnn.inference.installed import cache_folder
from audiocnn.inference.pipeline import listen
from audiocnn.io.audio.blocks import Block
from audiocnn.io.files.atomic import replacing

WINDOWS = 16  # scored in a measurement
REPEATS = 3
LEAST = 4.0  # seconds of sound in a measurement


def measure_cost(bundle: Bundle) -> float:
    """Measure how many times real time a model runs on one core, and keep it."""
    grid = grid_of(bundle)
    seconds = max(LEAST, WINDOWS * grid.hop)
    n = round(seconds * grid.rate) + grid.window_samples
    samples = bundle.front.example(n, np.random.default_rng(0))
    run = listen if bundle.labels else embed
    took = []
    for length in (grid.window_samples, *[n] * REPEATS):  # the first call allocates
        begin = time.process_time()  # whatever else runs on the machine
        for _ in run(bundle, [Block(samples[..., :length], 0, bundle.rate)]):
            pass
        took.append(time.process_time() - begin)
    speed = round(n / grid.rate / max(1e-9, min(took[1:])), 1)
    with contextlib.suppress(OSError):  # a cache that cannot be written is none
        _keep(bundle, speed)
    return speed


def known_cost(bundle: Bundle) -> float | None:
    """Return what `measure_cost` found on this machine; None if it was not called yet."""
    found = _read().get(_key(bundle))
    return float(found) if isinstance(found, int | float) else None


def _keep(bundle: Bundle, speed: float) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = _read() | {_key(bundle): speed}
    with replacing(path) as part:
        part.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _path() -> Path:
    return cache_folder() / "costs.json"


def _key(bundle: Bundle) -> str:
    machine = f"{platform.node()} {platform.machine()} {os.cpu_count()}"
    return f"{checksum(bundle)[:16]} {bundle.window:g} {bundle.hop:g} {machine}"


def _read() -> dict[str, object]:
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
