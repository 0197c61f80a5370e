"""Features of all windows of a dataset, computed once and kept on disk.

Clips go through the bundle's own pipeline, so a head is fitted on what it will be given
later. They are embedded in groups, each of which is a file named by all that it depends
on: the network, the windows, the sounds, the variation. A training that was stopped finds
the files of the groups that were done; a changed dataset computes those that changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.inference.bundle import Bundle, checksum
from audiocnn.inference.engine import Grid
from audiocnn.inference.pipeline import Pipeline
from audiocnn.io.audio.blocks import Block
from audiocnn.io.files.atomic import replacing
from audiocnn.io.files.numpy_files import UNREADABLE
from audiocnn.training.data.audio_cache import Stored
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.variants import Backgrounds, varied_windows

Array = NDArray[np.float32]
Count = Callable[[int, int], None]  # clips that are done, and in all
VERSION = 1
GROUP = 64  # clips a file
SAMPLED = 6  # clips by which the time is estimated
THREAD_GAIN = 0.7  # of a further thread: decoded sound and Python are shared
BLOCK = 60  # seconds of a clip that are in memory at once
WIDEST = 2048  # features up to which the columns of a window are also concatenated
VARIED_APART = 2  # windows between two varied ones in the stream that they are embedded in


@dataclass(frozen=True, eq=False)
class ClipWindows:
    """The windows of many clips.

    Parameters
    ----------
    features
        By pooling, (W, F).
    clip
        (W,) which clip each window is of.
    begins, ends
        (W,) seconds from the beginning of the clip, without padding.
    power
        (W,) mean power of each window.
    """

    features: dict[str, Array]
    clip: NDArray[np.int64]
    begins: Array
    ends: Array
    power: Array


@dataclass(frozen=True, eq=False)
class Embedder:
    """What computes features, and keeps them.

    Parameters
    ----------
    backbone
        The bundle whose network gives embeddings; its window and hop are those of the
        new model.
    config
        How the head is made.
    folder
        Where the files lie; made if missing.
    threads
        Clips that are embedded at once; all processors if None.
    """

    backbone: Bundle
    config: HeadConfig
    folder: Path
    threads: int | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The path from samples to embeddings."""
        return self.backbone.pipeline()

    @property
    def poolings(self) -> tuple[str, ...]:
        """The poolings that are worth trying: of one column there is a single one."""
        size, width = self.pipeline.grid.size, self.backbone.opened.n_embeddings
        if size == 1 or self.pipeline.network.skip is not None:
            return ("mean",)
        short = size * width <= WIDEST
        return ("mean", "mean+max", "concat") if short else ("mean", "mean+max")

    @property
    def _pooling(self) -> str:
        """How the pipeline pools, before `_pooled` tries the others."""
        return "mean" if self.poolings == ("mean",) else "concat"

    def plain(self, stored: Stored, count: Count | None = None) -> ClipWindows:
        """Embed the sliding windows of all clips."""
        return self._all(stored, "plain", lambda k: self._windows_of(stored, k), count)

    def varied(
        self,
        stored: Stored,
        parts: NDArray[np.int64],
        backgrounds: Backgrounds | None,
        count: Count | None = None,
    ) -> ClipWindows:
        """Embed varied windows of all clips, each mixed with background of its own part.

        Parameters
        ----------
        stored
            The clips.
        parts
            (K,) in which each is held out.
        backgrounds
            What is mixed in.
        count
            Called with the clips that are done, and their number.
        """
        mixed = () if backgrounds is None else (backgrounds.part, *backgrounds.waveforms.digest())
        what = json.dumps([asdict(self.config.variation), self.config.seed]) + digest(parts, *mixed)

        def embed(k: int) -> ClipWindows:
            n = self.pipeline.grid.window_samples
            windows = list(varied_windows(stored, k, int(parts[k]), n, backgrounds, self.config))
            return self._varied_of(k, windows)

        return self._all(stored, what, embed, count)

    def _all(
        self, stored: Stored, what: str, embed: Callable[[int], ClipWindows], count: Count | None
    ) -> ClipWindows:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = digest(*stored.digest()) + what + self._key()
        n, done, found = stored.starts.size - 1, 0, []
        pipeline = self.pipeline  # opened here, before threads share it
        assert pipeline.network is self.backbone.opened
        with ThreadPoolExecutor(self.threads or n_processors()) as pool:
            for first in range(0, n, GROUP):
                clips = range(first, min(n, first + GROUP))
                name = hashlib.sha256(f"{key} {first}".encode()).hexdigest()[:24]
                path = self.folder / f"{name}.npz"
                windows = read_windows(path)
                if windows is None:
                    windows = concatenate(list(pool.map(embed, clips)))
                    write_windows(windows, path)
                found.append(windows)
                done += len(clips)
                if count:
                    count(done, n)
        return concatenate(found)

    def _key(self) -> str:
        """Identify what the features of a window depend on beside its samples."""
        c, b = self.config, self.backbone
        limits = (c.silence_db, c.faint_db)
        windows = (b.window, b.hop, b.network.short)
        return f"{VERSION} {GROUP} {checksum(b)} {windows} {self.poolings} {limits}"

    def pace(self, stored: Stored) -> float:
        """Measure how many seconds of sound are embedded in a second, all threads together.

        A few clips of the middle are embedded for it, once each; 0 where there are none.
        """
        middle = stored.starts.size // 2
        seconds, began = 0.0, time.monotonic()
        for clip in range(middle, min(middle + SAMPLED, stored.starts.size - 1)):
            self._windows_of(stored, clip)
            seconds += stored.length(clip) / stored.rate
        spent = time.monotonic() - began
        threads = 1 + THREAD_GAIN * ((self.threads or n_processors()) - 1)
        return threads * seconds / spent if seconds else 0.0

    def n_kept(self) -> int:
        """Return how many files of embeddings a training that was stopped has left."""
        return len(list(self.folder.glob("*.npz"))) if self.folder.exists() else 0

    def features(self, blocks: Iterable[Block]) -> dict[str, Array]:
        """Embed the windows of a stream: by pooling, (W, F)."""
        return self._pooled(self._embed(blocks)[0])

    def _windows_of(self, stored: Stored, clip: int) -> ClipWindows:
        grid = self.pipeline.grid
        values, begins = self._embed(clip_blocks(stored, clip, grid))
        first = np.rint(begins * grid.rate).astype(np.int64)
        ends = np.minimum(first + grid.window_samples, stored.length(clip))
        power = [
            stored.power(clip, a, b - a) / grid.window_samples
            for a, b in zip(first.tolist(), ends.tolist(), strict=True)
        ]
        return ClipWindows(
            self._pooled(values), np.full(begins.size, clip), begins.astype(np.float32),
            (ends / grid.rate).astype(np.float32), np.array(power, np.float32),
        )  # fmt: skip

    def _varied_of(self, clip: int, windows: Sequence[Array]) -> ClipWindows:
        """Embed windows of one clip, each a segment of its own in one stream."""
        grid = self.pipeline.grid
        apart = VARIED_APART * grid.window_samples
        blocks = (Block(x, at * apart, grid.rate) for at, x in enumerate(windows))
        values, begins = self._embed(blocks)
        power = np.array([np.mean(np.square(x)) for x in windows], np.float32)
        assert values.shape[1] == len(windows), "a window gives one vector"
        times = begins.astype(np.float32)
        return ClipWindows(self._pooled(values), np.full(len(windows), clip), times, times, power)

    def _embed(self, blocks: Iterable[Block]) -> tuple[Array, NDArray[np.float64]]:
        """Return the columns of each window, one after the other (S D, W), and its begin.

        The mean over its columns (D, W), where that is the only pooling.
        """
        runs = list(self.pipeline.embeddings(blocks, self._pooling))
        if not runs:
            columns = 1 if self._pooling == "mean" else self.pipeline.grid.size
            width = columns * self.backbone.opened.n_embeddings
            return np.zeros((width, 0), np.float32), np.zeros(0)
        values = np.concatenate([run.values for run in runs], axis=1)
        return values, np.concatenate([run.times[0] for run in runs])

    def _pooled(self, values: Array) -> dict[str, Array]:
        """Pool columns (S D, W) in each way that is tried, as `Head.features` does."""
        if self._pooling == "mean":
            return {"mean": np.ascontiguousarray(values.T)}
        grid, width = self.pipeline.grid, self.backbone.opened.n_embeddings
        columns = values.reshape(grid.size, width, values.shape[1])
        mean = columns.mean(axis=0, dtype=np.float64).astype(np.float32).T
        found = {"mean": mean}
        if "mean+max" in self.poolings:
            found["mean+max"] = np.hstack((mean, columns.max(axis=0).T))
        if "concat" in self.poolings:
            found["concat"] = np.ascontiguousarray(values.T)
        return found


def clip_blocks(stored: Stored, clip: int, grid: Grid) -> Iterator[Block]:
    """Read a clip in blocks, as the front end takes it."""
    length, at_once = stored.length(clip), max(1, round(BLOCK * grid.rate))
    for at in range(0, length, at_once):
        yield Block(stored.recorded(clip, at, min(at_once, length - at)), at, grid.rate)


def n_processors() -> int:
    """Return the number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def concatenate(parts: Sequence[ClipWindows]) -> ClipWindows:
    """Put the windows of several groups of clips one after the other."""
    names = parts[0].features
    return ClipWindows(
        {name: np.concatenate([p.features[name] for p in parts]) for name in names},
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("clip", "begins", "ends", "power")
        ),
    )


def write_windows(windows: ClipWindows, path: Path) -> None:
    """Write as NPZ, whole or not at all."""
    features = {f"features {name}": values for name, values in windows.features.items()}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, clip=windows.clip, begins=windows.begins, ends=windows.ends,
                 power=windows.power, **features)  # type: ignore[arg-type]  # fmt: skip


def read_windows(path: Path) -> ClipWindows | None:
    """Read what `write_windows` wrote; None where there is no such file, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (FileNotFoundError, *UNREADABLE):
        return None
    features = {name.partition(" ")[2]: arrays.pop(name) for name in list(arrays) if " " in name}
    return ClipWindows(features, **arrays)


def digest(*arrays: NDArray[np.generic]) -> str:
    """Identify arrays by what they hold."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
