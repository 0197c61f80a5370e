"""A dataset as a head sees it: features of windows, labels, and who is held out when.

All of a training after the embedding works on this alone, so what is stored of it in a
bundle (``embeddings.npz``) is enough to add a class or to correct the model without the
recordings. Paths of recordings are not stored.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip, targets_of
from audiocnn.errors import BundleError
from audiocnn.io.files.numpy_files import UNREADABLE
from audiocnn.training.data.splits import Split
from audiocnn.training.heads.embedding import ClipWindows, concatenate

FORMAT = 1
MOST_STORED = 12_000  # windows in a bundle: some 20 MB


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Windows of labelled clips and of background, and how they are split.

    Parameters
    ----------
    clips, labels
        K clips, and the C classes.
    split
        Who is held out when.
    plain, varied
        Sliding windows of the clips, and varied ones that are only fitted on.
    background, background_part
        Sounds that are none of the classes, and the part in which each is held out.
    quiet
        Sliding windows of those; None if there are none.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    split: Split
    plain: ClipWindows
    varied: ClipWindows
    background: tuple[Clip, ...]
    background_part: NDArray[np.int64]
    quiet: ClipWindows | None

    @property
    def targets(self) -> NDArray[np.float32]:
        """(K, C) 1 where a clip has a label."""
        return targets_of(self.clips, self.labels)

    @property
    def poolings(self) -> tuple[str, ...]:
        """The poolings for which there are features."""
        return tuple(self.plain.features)


def chosen_windows(
    windows: ClipWindows, kept: NDArray[np.bool_], pooling: str | None = None
) -> ClipWindows:
    """Return the windows of the clips (K,) that are kept, numbered anew."""
    rows, number = kept[windows.clip], np.cumsum(kept) - 1
    names = windows.features if pooling is None else (pooling,)
    return ClipWindows(
        {name: windows.features[name][rows] for name in names}, number[windows.clip[rows]],
        windows.begins[rows], windows.ends[rows], windows.power[rows],
    )  # fmt: skip


def reduced(data: FeatureSet, pooling: str, most: int = MOST_STORED) -> FeatureSet:
    """Return the features of one pooling, and of at most so many windows: whole clips.

    Clips take two thirds of the room, and of each class in turn.
    """
    quiet = data.quiet
    n_clips = data.plain.clip.size + data.varied.clip.size
    room = most if quiet is None else most - min(most // 3, quiet.clip.size)
    counts = np.bincount(data.plain.clip, minlength=len(data.clips))
    counts += np.bincount(data.varied.clip, minlength=len(data.clips))
    kept = np.ones(len(data.clips), bool) if n_clips <= room else _within(
        counts, room, _in_turn(data.clips)
    )  # fmt: skip
    left = most - int(counts[kept].sum())
    kept_quiet = np.zeros(len(data.background), bool)
    if quiet is not None:
        number = np.bincount(quiet.clip, minlength=len(data.background))
        kept_quiet = _within(number, left, range(len(data.background)))
    split = replace(
        data.split, part=data.split.part[kept], group=data.split.group[kept],
        n_judged=int(kept[: data.split.n_judged].sum()),
    )  # fmt: skip
    return FeatureSet(
        tuple(clip for clip, keep in zip(data.clips, kept, strict=True) if keep), data.labels,
        split, chosen_windows(data.plain, kept, pooling),
        chosen_windows(data.varied, kept, pooling),
        tuple(c for c, keep in zip(data.background, kept_quiet, strict=True) if keep),
        data.background_part[kept_quiet],
        None if quiet is None else chosen_windows(quiet, kept_quiet, pooling),
    )  # fmt: skip


def joined_windows(parts: Sequence[ClipWindows], first: Sequence[int]) -> ClipWindows:
    """Put windows of several lists of clips together; ``first`` is added to the clips of each."""
    return concatenate([replace(p, clip=p.clip + n) for p, n in zip(parts, first, strict=True)])


def feature_bytes(data: FeatureSet) -> bytes:
    """Serialise a feature set as NPZ, features in half precision, without pickle."""
    described = {
        "format": FORMAT,
        "labels": list(data.labels),
        "clips": [list(clip.labels) for clip in data.clips],
        "crossed": data.split.crossed,
        "n_judged": data.split.n_judged,
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "json": np.array(json.dumps(described)), "part": data.split.part, "group": data.split.group,
        "background_part": data.background_part,
    }  # fmt: skip
    for name, windows in (("plain", data.plain), ("varied", data.varied), ("quiet", data.quiet)):
        if windows is not None:
            arrays |= _as_arrays(name, windows)
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]
    return written.getvalue()


def read_features(path: Path) -> FeatureSet:
    """Read what `feature_bytes` returned.

    Raises
    ------
    BundleError
        If there is no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        described = json.loads(str(arrays["json"]))
        if described["format"] != FORMAT:
            raise BundleError(f"{path}: has format {described['format']}, known is {FORMAT}")
        split = Split(arrays["part"], described["crossed"], arrays["group"], described["n_judged"])
        part = arrays["background_part"]
        none = Path()  # recordings are not named
        return FeatureSet(
            tuple(Clip(none, tuple(labels)) for labels in described["clips"]),
            tuple(described["labels"]),
            split, _from_arrays("plain", arrays), _from_arrays("varied", arrays),
            tuple(Clip(none, ()) for _ in part), part,
            _from_arrays("quiet", arrays) if "quiet clip" in arrays else None,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise BundleError(
            f"{path} is missing: the model was made without embeddings of its training clips; "
            "train it again with --backbone, from the recordings"
        ) from error
    except (KeyError, TypeError, *UNREADABLE) as error:
        raise BundleError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); get the model anew"
        ) from error


def _as_arrays(name: str, windows: ClipWindows) -> dict[str, NDArray[np.generic]]:
    limit = np.finfo(np.float16).max
    features: dict[str, NDArray[np.generic]] = {
        f"{name} features {pooling}": np.clip(values, -limit, limit).astype(np.float16)
        for pooling, values in windows.features.items()
    }
    others = ("clip", "begins", "ends", "power")
    return features | {f"{name} {other}": getattr(windows, other) for other in others}


def _from_arrays(name: str, arrays: dict[str, NDArray[np.generic]]) -> ClipWindows:
    start = f"{name} features "
    features = {
        key.removeprefix(start): np.asarray(values, np.float32)
        for key, values in arrays.items() if key.startswith(start)
    }  # fmt: skip
    others = ("clip", "begins", "ends", "power")
    return ClipWindows(features, *(arrays[f"{name} {other}"] for other in others))  # type: ignore


def _in_turn(clips: Sequence[Clip]) -> list[int]:
    """Order clips so that each class has its turn."""
    seen: dict[tuple[str, ...], int] = {}
    turns = []
    for clip in clips:
        turns.append(seen.get(clip.labels, 0))
        seen[clip.labels] = turns[-1] + 1
    return [int(k) for k in np.argsort(turns, kind="stable")]


def _within(
    counts: NDArray[np.int64], room: int, order: Sequence[int] | range
) -> NDArray[np.bool_]:
    """Keep clips in an order as long as their windows find room."""
    kept = np.zeros(counts.size, bool)
    for k in order:
        if counts[k] <= room:
            kept[k], room = True, room - int(counts[k])
    return kept
