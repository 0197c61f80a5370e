"""Models extended from their stored features: a class added, wrong events corrected.

What a training on a backbone leaves in the bundle (``embeddings.npz``) stands for the
recordings it was made from. New sounds are embedded by the bundle's own network, put
beside it, and the head is fitted and judged again: seconds, whatever the model's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip
from audiocnn.datasets.manifest import labels_of
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.bundle import CLIPS, Bundle, load
from audiocnn.inference.bundle_writer import check_free
from audiocnn.inference.installed import folder_of
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.data.splits import FOLDS, Split
from audiocnn.training.data.training_set import store_for
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.embedding import ClipWindows, Embedder
from audiocnn.training.heads.feature_set import FeatureSet, joined_windows, read_features
from audiocnn.training.heads.fitting import deal
from audiocnn.training.heads.train import train_on_features
from audiocnn.training.preparation import Progress, only_training
from audiocnn.training.run_results import NEVER, read_config, save_training

FEWEST = 2  # clips of a class: one to fit on and one to judge by


@dataclass(frozen=True, eq=False)
class StoredTraining:
    """A model with a head, and what it was fitted on.

    Parameters
    ----------
    folder
        Of the bundle.
    model
        The bundle.
    config
        How its head was made.
    data
        The features of its training windows, in at least two parts.
    """

    folder: Path
    model: Bundle
    config: HeadConfig
    data: FeatureSet


def open_stored(model: str | Path) -> StoredTraining:
    """Load a model that can be extended.

    Raises
    ------
    BundleError
        If it has no head, or no features of its training windows.
    """
    bundle, folder = load(model), folder_of(model)
    if bundle.head is None or "recipe" not in bundle.card:
        raise BundleError(
            f"{bundle.name} has no head: only models made by `audiocnn train --backbone` can be "
            "extended; train it anew on a backbone, or with --from"
        )
    data = read_features(folder / CLIPS)
    config = read_config(bundle.card["recipe"])
    if not isinstance(config, HeadConfig):
        raise BundleError(f"{bundle.name}: its card does not describe a head; train it again")
    hidden = bundle.head.layers[0][1].size if len(bundle.head.layers) > 1 else 0
    return StoredTraining(folder, bundle, replace(config, hidden=hidden), in_parts(data, config))


def in_parts(data: FeatureSet, config: HeadConfig) -> FeatureSet:
    """Deal clips and background to parts for a cross-validation, if they are in none."""
    n = len(data.split.parts)
    if data.split.crossed and n > 1:
        return data
    n = int(min(FOLDS, np.unique(data.split.group).size))
    part = deal(data.clips, data.split.group, n, config.seed)
    split = Split(part, True, data.split.group, data.split.n_judged)
    return replace(data, split=split, background_part=np.arange(data.background_part.size) % n)


def add_class(
    model: str | Path,
    clips: Sequence[Clip],
    out: str | Path,
    *,
    overwrite: bool = False,
    reading: SignalReadOptions | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Add classes to a model, or clips to its classes, without the old recordings.

    Parameters
    ----------
    model
        Name or folder of a model that was trained on a backbone.
    clips
        Labelled clips; of each new class at least two.
    out
        Folder of the new bundle.
    overwrite
        Whether a bundle there may be replaced.
    reading
        How signals other than sound are read.
    progress
        Called with a line at each step.

    Returns
    -------
    Bundle
        With the new classes. All of its figures come from a new cross-validation, of the
        stored features and the new clips.

    Raises
    ------
    ArgumentError, BundleError, DatasetError
        If a class has too few clips, the model cannot be extended, or a clip cannot be read.
    """
    report = progress or (lambda line: None)
    check_free(out, overwrite=overwrite)
    stored = open_stored(model)
    new = [label for label in labels_of(clips) if label not in stored.model.labels]
    for label in new:
        n = sum(label in clip.labels for clip in clips)
        if n < FEWEST:
            raise ArgumentError(
                f"{label!r} has {n} clip: a class takes {FEWEST} or more, one to fit on and one to "
                "judge by; five are a start"
            )
    run = Path(out).with_name(Path(out).name + ".run")
    with only_training(run):
        data = with_clips(stored, clips, (*stored.data.labels, *new), run, reading)
        report(
            f"{len(clips)} clips beside {len(stored.data.clips)} stored ones; new: "
            f"{', '.join(new) or 'no class, more clips of known ones'}"
        )
        bundle, training = train_on_features(
            data, stored.model, stored.config, None, Path(out), str(stored.folder),
            stored.folder, report,
        )  # fmt: skip
        save_training(training, run)
    return bundle


def with_clips(
    stored: StoredTraining,
    clips: Sequence[Clip],
    labels: tuple[str, ...],
    run: Path,
    reading: SignalReadOptions | None = None,
    *,
    judged: bool = True,
) -> FeatureSet:
    """Embed clips and put them behind the stored ones.

    Parameters
    ----------
    stored
        The model and its features.
    clips
        What is added.
    labels
        Classes of the result.
    run
        Folder for what is decoded meanwhile.
    reading
        How signals other than sound are read.
    judged
        Whether figures are measured on the new clips too; else they are only fitted on,
        and in no part.
    """
    data, config = stored.data, stored.config
    store = store_for(config, reading or SignalReadOptions(), run / "sound")
    waves = store(clips)
    parts = data.split.parts
    own = np.unique([str(clip.path) for clip in clips], return_inverse=True)[1]
    groups = own.astype(np.int64) + int(data.split.group.max(initial=-1)) + 1
    part = np.full(len(clips), NEVER)
    if judged:
        n = min(len(parts), int(np.unique(own).size))
        # Parts are dealt from the last on: with fewer clips than parts, some get none.
        part = np.array(parts)[deal(clips, groups, n, config.seed) if n > 1 else 0 * own]
    embedder = Embedder(stored.model, config, run / "embeddings")
    plain = _only(embedder.plain(waves), data.poolings)
    varied = _only(embedder.varied(waves, part, None), data.poolings)
    n_old = len(data.clips)
    n_judged = n_old if data.split.n_judged is None else data.split.n_judged
    # Judged clips come first: new ones stand before the verdicts of earlier corrections.
    at = n_judged if judged else n_old
    order = np.concatenate([np.arange(at), np.arange(n_old, n_old + len(clips)),
                            np.arange(at, n_old)])  # fmt: skip
    everything = (*data.clips, *clips)
    split = Split(
        np.concatenate([data.split.part, part])[order], True,
        np.concatenate([data.split.group, groups])[order],
        n_judged + len(clips) if judged else n_judged, data.split.named and not judged,
    )  # fmt: skip
    return replace(
        data, clips=tuple(everything[k] for k in order.tolist()), labels=labels, split=split,
        plain=_renumbered(joined_windows([data.plain, plain], [0, n_old]), order),
        varied=_renumbered(joined_windows([data.varied, varied], [0, n_old]), order),
    )  # fmt: skip


def _renumbered(windows: ClipWindows, order: NDArray[np.intp]) -> ClipWindows:
    """Sort windows by the new places of their clips; ``order`` lists the clips of now."""
    clip = np.argsort(order)[windows.clip]
    rows = np.argsort(clip, kind="stable")
    return ClipWindows(
        {name: values[rows] for name, values in windows.features.items()}, clip[rows],
        windows.begins[rows], windows.ends[rows], windows.power[rows],
    )  # fmt: skip


def _only(windows: ClipWindows, poolings: Sequence[str]) -> ClipWindows:
    return replace(windows, features={name: windows.features[name] for name in poolings})
