"""`audiocnn train --backbone`: a classifier head on a network that is trained already.

    read the clips -> decide who is held out -> decode once -> embed windows, plain and
    varied -> choose and fit heads by cross-validation -> judge -> write the bundle

The judging, the card, what is left in the run folder and the report are those of every
training. No PyTorch is imported. Embeddings lie in the run folder until the training is
done, so the same command continues one that was stopped.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip, labels_of
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import check_free, save
from audiocnn.inference.installed import folder_of
from audiocnn.io.signals.cache import length_of
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.training.data.reviewed import add_reviews, reviewed_in_words
from audiocnn.training.data.splits import Split, judging_parts, split_clips
from audiocnn.training.data.training_set import TrainingSet, gather, store_for
from audiocnn.training.defaults import Look, look_at
from audiocnn.training.heads.compare import (
    Trial,
    best_of,
    clearly_better,
    compare_backbones,
    general_backbones,
)
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.defaults import head_config, open_backbone, with_windows
from audiocnn.training.heads.embedding import ClipWindows, Embedder
from audiocnn.training.heads.feature_set import FeatureSet, feature_bytes, reduced
from audiocnn.training.heads.fitting import HeadFit, fit_head
from audiocnn.training.heads.rocket import ROCKET, rocket_backbone
from audiocnn.training.heads.variants import Backgrounds
from audiocnn.training.metrics import HeldOut, judge
from audiocnn.training.model_card import head_card, in_words
from audiocnn.training.preparation import (
    Progress,
    clock,
    gather_clips,
    in_groups,
    judged_how,
    only_training,
    others,
)
from audiocnn.training.run_results import Training, save_training

AUTO = "auto"  # the backbone: the best at hand
WEIGHTS = "weights.safetensors"  # of a backbone that can be trained further


def train_head(
    data: str | Path,
    out: str | Path,
    backbone: str | Path,
    *,
    where: Mapping[str, Collection[str]] | None = None,
    valid: Mapping[str, Collection[str]] | None = None,
    folds: int | str | None = None,
    group: str | None = None,
    background: str | Path | None = None,
    reviews: Sequence[str | Path] = (),
    cache: str | Path | None = None,
    reading: SignalReadOptions | None = None,
    seed: int = 0,
    overwrite: bool = False,
    keep_embeddings: bool = True,
    compare: bool = False,
    use_length: bool = False,
    progress: Progress | None = None,
    **chosen: Any,
) -> Bundle:
    """Train a head on a backbone and write both as a bundle.

    Parameters
    ----------
    data, out, where, valid, folds, group, background, reviews, cache, reading, overwrite
        As for `audiocnn.training.train.train_bundle`.
    backbone
        Name of a shipped or installed model, or the folder of a bundle, whose network gives
        embeddings; ``"auto"``: the one at hand that is best in a quick cross-validation;
        ``"rocket"``: fixed kernels, for signals other than sound.
    seed
        Of all draws.
    keep_embeddings
        Whether the bundle gets ``embeddings.npz``: features of the training windows, with
        which `audiocnn add-class` and `improve` work without the recordings.
    compare
        Whether other backbones at hand are tried on a sample of the clips, so that one
        that is clearly better can be named.
    use_length
        Whether the length of a series means something; with ``"rocket"``.
    progress
        Called with a line at each step.
    chosen
        Fields of `HeadConfig` and `Variation`: ``hidden``, ``window``, ``hop``, ``copies``.

    Returns
    -------
    Bundle
        As written; its card has the figures.

    Raises
    ------
    DatasetError, ArgumentError, BundleError
        If the data, the choices or the backbone cannot be used.
    AudiocnnError
        If another training is at work in ``out.run``.
    """
    report = progress or (lambda line: None)
    check_free(out, overwrite=overwrite)
    if background is not None and not Path(background).exists():
        raise ArgumentError(f"no such file or folder of background: {background}")
    run = Path(out).with_name(Path(out).name + ".run")
    reading = reading or SignalReadOptions()
    length = functools.partial(length_of, reading=reading)
    base = None if backbone in (AUTO, ROCKET) else open_backbone(backbone)
    clips = in_groups(gather_clips(data, where or {}, reading), group, length, report)
    if base is not None:
        _check_kind(clips, base)
    sounds = Path(cache) if cache else run / "sound"
    with only_training(run):
        look = None if others(clips) else look_at(clips)
        if backbone == ROCKET:
            window = chosen.pop("window", None)
            base = rocket_backbone(
                clips, reading, sounds, seed, report, window, use_length=use_length
            )
            keep_embeddings = compare = False  # ten thousand numbers a window
        elif base is None:
            base = _best_backbone(clips, group, look, seed, report)
            backbone, compare = base.name, False
        config = head_config(base, look, seed=seed, **chosen)
        split = split_clips(clips, windows=0, valid=valid, folds=folds, group=group, seed=seed)
        labels = labels_of(clips)
        report(_plan(clips, labels, split, config))
        if compare and look is not None:
            _compare_with_others(clips, split, look, backbone, seed, report)
        if reviews:
            n = len(clips)
            clips, split = add_reviews(clips, split, reviews, labels)
            report(reviewed_in_words(clips[n:]))
        store = store_for(config, reading, sounds)
        m = gather(clips, labels, split, background, config, None, store, length)
        model = with_windows(base, config.window, config.hop)
        embedder = Embedder(model, config, (Path(cache) if cache else run) / "embeddings")
        features = embed_all(m, embedder, report)
        bundle, training = train_on_features(
            features, model, config, group, Path(out), str(data), backbone, report,
            keep_embeddings=keep_embeddings,
        )  # fmt: skip
        save_training(training, run)
        for folder in () if cache else (sounds, run / "embeddings"):
            shutil.rmtree(folder, ignore_errors=True)
        return bundle


def embed_all(m: TrainingSet[HeadConfig], embedder: Embedder, report: Progress) -> FeatureSet:
    """Embed clips, plain and varied, and background."""
    began = time.monotonic()
    seconds = _seconds(m.waveforms) + (
        0.0 if m.background_waveforms is None else _seconds(m.background_waveforms)
    )
    report(_announcement(embedder, m, seconds))
    step = _Steps(report, seconds)
    plain = embedder.plain(m.waveforms, step.of("clips", _seconds(m.waveforms)))
    quiet: ClipWindows | None = None
    backgrounds = None
    if m.background_waveforms is not None:
        waves = m.background_waveforms
        quiet = embedder.plain(waves, step.of("background", _seconds(waves)))
        backgrounds = Backgrounds(waves, m.background_part)
    varied = embedder.varied(m.waveforms, m.split.part, backgrounds)
    n = plain.clip.size + varied.clip.size + (0 if quiet is None else quiet.clip.size)
    report(f"{n} windows embedded in {time.monotonic() - began:.0f} s")
    return FeatureSet(
        tuple(m.clips), m.labels, m.split, plain, varied, tuple(m.background),
        m.background_part, quiet,
    )  # fmt: skip


def train_on_features(
    data: FeatureSet,
    model: Bundle,
    config: HeadConfig,
    group: str | None,
    out: Path,
    source: str,
    backbone: str | Path,
    report: Progress,
    *,
    keep_embeddings: bool = True,
) -> tuple[Bundle, Training]:
    """Fit and judge a head, and write the bundle.

    Parameters
    ----------
    data
        Features, labels and parts.
    model
        The backbone, set to the windows of the new model.
    config
        How the head is made.
    group
        Column by which clips belong together, for what is said of the judging.
    out, source
        Folder of the bundle, and what it was trained on.
    backbone
        Where its weights lie, if it can be trained further.
    report
        Called with a line at each step.
    keep_embeddings
        Whether the bundle gets the features.
    """
    began = time.monotonic()
    made = fit_head(data, config)
    report(f"head: {made.choice.best} (chosen by cross-validation; "
           f"{time.monotonic() - began:.0f} s)")  # fmt: skip
    part = judging_parts(data.clips, data.split, group, config.seed)
    held = HeldOut(
        made.held_out, part, data.split.group, data.targets, made.background,
        data.background_part, data.split.alike,
    )  # fmt: skip
    judged = judge(held, data.labels, config, model.pipeline().grid)
    figures = {
        **judged.figures, "judged": judged_how(data.split, len(data.clips), group),
        "head": head_figures(made),
    }  # fmt: skip
    card = head_card(figures, data.labels, config, model, out.name)
    bundle = replace(
        model, labels=data.labels, rules=dict(judged.rules), calibration=judged.calibration,
        clip_score=config.clip_score, head=made.head, name=out.name,
        card={k: v for k, v in card.items() if k != "readme"},
    )  # fmt: skip
    stored = feature_bytes(reduced(data, made.head.pooling)) if keep_embeddings else None
    save(bundle, out, _weights(backbone), card["readme"], stored)
    for line in [figures["judged"], *in_words(figures, data.labels)]:
        report(line)
    training = Training(
        source, data.labels, config, data.clips, data.split.part, made.held_out, judged.scores,
        (), judged.calibration, judged.rules, data.background, made.background, figures,
        data.split.group, clip_means(data.plain, made.head.pooling, len(data.clips)),
    )  # fmt: skip
    return bundle, training


def clip_means(windows: ClipWindows, pooling: str, n_clips: int) -> NDArray[np.float32]:
    """Return the mean features (K, F) of each clip; NaN for one without windows."""
    features = windows.features[pooling]
    edges = np.searchsorted(windows.clip, np.arange(n_clips + 1))
    found = np.full((n_clips, features.shape[1]), np.nan, np.float32)
    for k, (first, last) in enumerate(itertools.pairwise(edges.tolist())):
        if last > first:
            found[k] = features[first:last].mean(axis=0)
    return found


def head_figures(made: HeadFit) -> dict[str, Any]:
    """Describe a head in plain values: how it was chosen, and against what."""
    best = made.choice.best
    by_pooling = {
        c.pooling: round(min(v for k, v in made.choice.losses.items() if k.pooling == c.pooling), 4)
        for c in made.choice.losses
    }
    return {
        "pooling": best.pooling, "hidden": best.hidden, "l2": best.strength,
        "features": int(made.head.offset.size), "loss_by_pooling": by_pooling,
    }  # fmt: skip


def _best_backbone(
    clips: Sequence[Clip], group: str | None, look: Look | None, seed: int, report: Progress
) -> Bundle:
    """Choose the backbone at hand that is best on a sample of the clips."""
    if look is None:
        raise DatasetError(
            "the backbones at hand take sound, and the data are other signals: give "
            f"--backbone {ROCKET}"
        )
    names = general_backbones()
    if not names:
        raise ArgumentError(
            "no general backbone is at hand: install one (`audiocnn models get mn04`), or train "
            "a network of your own with --arch cnn2d"
        )
    if len(names) == 1:
        return open_backbone(names[0])
    split = split_clips(clips, windows=0, group=group, seed=seed)
    trials = compare_backbones(clips, split.group, look, names, seed)
    best = best_of(trials)
    report(f"backbone {best.name}: {_in_words(trials)}")
    return open_backbone(best.name)


def _compare_with_others(
    clips: Sequence[Clip], split: Split, look: Look, backbone: str | Path, seed: int,
    report: Progress,
) -> None:  # fmt: skip
    """Name another backbone at hand, if a quick cross-validation says that it is better."""
    others = [name for name in general_backbones() if name != str(backbone)]
    if not others:
        return
    trials = compare_backbones(clips, split.group, look, [backbone, *others], seed)
    better = clearly_better(trials[0], trials[1:])
    if better is not None:
        report(
            f"warning: {better.name} does better on a sample: {_in_words(trials)}; "
            f"try --backbone {better.name}"
        )


def _in_words(trials: Sequence[Trial]) -> str:
    n = trials[0].right.size
    return ", ".join(f"{t.name} {100 * t.accuracy:.0f} %" for t in trials) + f" of {n} clips"


def _announcement(embedder: Embedder, m: TrainingSet[HeadConfig], seconds: float) -> str:
    """Say how long the embedding will take, by a few clips, or that it continues."""
    if (n := embedder.n_kept()) > 0:
        return f"continuing with embeddings that are kept already ({n} files)"
    pace = embedder.pace(m.waveforms)
    if not pace:
        return "embedding the clips"
    # A varied window is embedded alone, plain ones overlap.
    grid = embedder.pipeline.grid
    share = grid.hop / grid.window if grid.size == 1 else 1.0
    varied = m.config.variation.copies * _seconds(m.waveforms) * share
    return (
        f"about {clock((seconds + varied) / pace)} to embed {seconds + varied:.0f} s of sound, "
        "by a few clips measured here, and some seconds for the head"
    )


class _Steps:
    """Reports how far the embedding is, with the time that is left, every few seconds."""

    def __init__(self, report: Progress, seconds: float) -> None:
        self.report, self.seconds, self.done = report, seconds, 0.0
        self.began = self.last = time.monotonic()

    def of(self, what: str, seconds: float) -> Callable[[int, int], None]:
        """Return what is called with the clips that are done."""
        before = self.done
        self.done += seconds

        def count(done: int, total: int) -> None:
            now, heard = time.monotonic(), before + seconds * done / max(1, total)
            if now - self.last < 5 or heard <= 0:
                return
            self.last = now
            left = (now - self.began) * (self.seconds - heard) / heard
            self.report(f"embedding {what}: {done} of {total}; about {left:.0f} s left")

        return count


def _seconds(stored: Any) -> float:
    return float(stored.starts[-1]) / float(stored.rate)


def _weights(backbone: str | Path) -> bytes | None:
    if backbone == ROCKET:
        return None
    path = folder_of(backbone) / WEIGHTS
    return path.read_bytes() if path.exists() else None


def _check_kind(clips: Sequence[Clip], base: Bundle) -> None:
    if base.front.sound and others(clips):
        raise DatasetError(
            f"{base.name} takes sound, and the data are other signals; leave --backbone out, or "
            "give a bundle that was trained on such signals"
        )


def _plan(clips: Sequence[Clip], labels: Sequence[str], split: Split, config: HeadConfig) -> str:
    how = f"{len(split.parts)} folds" if split.crossed else f"{split.n_held} kept apart"
    return (
        f"{len(clips)} clips of {len(labels)} classes, {how}; backbone "
        f"{config.backbone.split()[0]}, {config.front.rate:g} Hz, windows of {config.window:.3g} "
        f"s every {config.hop:.3g} s"
    )
