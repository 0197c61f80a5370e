"""`audiocnn train`: a folder of sounds in, a bundle out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.audio import audio_info, find_recordings
from audiocnn.bundle import Bundle
from audiocnn.engine import make_grid
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.judging.calibration import fit_calibration
from audiocnn.judging.rules import candidate_rules, choose_rules
from audiocnn.manifest import Clip, assign_folds, labels_of, read_manifest
from audiocnn.mel import MelSpec
from audiocnn.models.classifier import Classifier
from audiocnn.training.batches import Examples
from audiocnn.training.cache import Waveforms, cached_waveforms
from audiocnn.training.fitting import fit
from audiocnn.training.packing import pack
from audiocnn.training.predicting import Predictions, audible, clip_scores, predict
from audiocnn.training.recipe import Recipe

Progress = Callable[[str], None]
N_FOLDS = 5  # one of them is kept apart
FALSE_ALARMS = 5.0  # an hour, over all labels, where a background allows to choose for it


def default_front(rate: int) -> MelSpec:
    """Propose a front end for recordings at ``rate``: frames of 12.5 ms, 40 or 64 bands.

    Parameters
    ----------
    rate
        Of the recordings, Hz. Above 32 kHz it is brought down to that.
    """
    rate = min(rate, 32000)
    hop = max(1, round(rate / 80))
    n_fft = 2 ** int(np.ceil(np.log2(2.2 * hop)))
    return MelSpec(rate, n_fft, hop, 64 if rate >= 16000 else 40, 50.0, rate / 2)


def default_recipe(clips: Sequence[Clip], **chosen: Any) -> Recipe:
    """Propose a recipe for clips: rate and window are read off a sample of them.

    Parameters
    ----------
    clips
        What is to be trained on.
    chosen
        Fields of `Recipe` that were asked for.
    """
    looked_at = [audio_info(c.path) for c in clips[:: max(1, len(clips) // 50)]]
    rate = int(np.median([info.rate for info in looked_at]))
    length = float(np.median([info.duration for info in looked_at]))
    front = chosen.pop("front", None) or default_front(rate)
    window = min(2.0, max(0.8, round(length * 1.2, 1)))
    proposed: dict[str, Any] = {"window": window, "hop": window / 4}
    proposed |= {"pools": 3 if window >= 1.5 else 2, "clip_score": "mean"}
    return Recipe(front, **(proposed | chosen))


def targets_of(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.float32]:
    """Give (K, C) 1 where a clip has a label."""
    at = {label: i for i, label in enumerate(labels)}
    targets = np.zeros((len(clips), len(labels)), np.float32)
    for row, clip in enumerate(clips):
        for label in clip.labels:
            if label in at:
                targets[row, at[label]] = 1
    return targets


def train_bundle(
    data: str | Path,
    out: str | Path,
    *,
    where: Mapping[str, Collection[str]] | None = None,
    valid: Mapping[str, Collection[str]] | None = None,
    group: str | None = None,
    background: str | Path | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **chosen: Any,
) -> Bundle:
    """Train a model on a dataset and write it as a bundle.

    Parameters
    ----------
    data
        A folder of class folders, or a CSV, see `read_manifest`.
    out
        Folder of the bundle.
    where
        Which clips to use, by columns of the CSV.
    valid
        Which of them to keep apart; without it a fifth is, groups together.
        The network is not fitted on these: calibration, rules and the accuracy
        in the card come from them.
    group
        Column that says which clips belong together (source, speaker, day).
    background
        Folder of sounds that are none of the classes: a fifth of its files is
        kept apart for the rules.
    cache
        For decoded waveforms and checkpoints; a temporary folder if None.
    seed
        Of all draws.
    progress
        Told what happens, a line each.
    chosen
        Fields of `Recipe`: ``arch``, ``size``, ``epochs``, ``window`` ...

    Returns
    -------
    Bundle
        As written; its card has the accuracy on what was kept apart.

    Raises
    ------
    DatasetError, ArgumentError
        If the data or the choices cannot be used; the message says what to do.
    """
    tell = progress or (lambda line: None)
    clips = read_manifest(data, where=where or {})
    labels = labels_of(clips)
    if len(labels) < 2:
        raise DatasetError(
            f"{data}: has one class only ({', '.join(labels)}); a classifier needs two or more. "
            "To detect a single sound, give sounds that are none of it with --background"
        )
    held_out = _held_out(clips, valid, group, seed)
    recipe = default_recipe(clips, seed=seed, **chosen)
    tell(
        f"{len(clips)} clips of {len(labels)} classes, {int(held_out.sum())} kept apart; "
        f"{recipe.front.rate} Hz, windows of {recipe.window:g} s, {recipe.arch} {recipe.size}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(cache or temporary)
        waves = cached_waveforms(clips, recipe.front.rate, folder)
        other = _backgrounds(background, recipe, folder)
        other_parts = np.zeros(0, np.int64) if other is None else np.arange(len(other.scales))
        examples = Examples(
            waves, targets_of(clips, labels), np.flatnonzero(~held_out), other,
            other_parts[other_parts % 5 != 4],
        )  # fmt: skip
        model = fit(examples, recipe, folder / f"fit-{seed}", progress=_epochs(tell))
        kept = predict(model, recipe, waves, np.flatnonzero(held_out))
        tuned = other_parts[other_parts % 5 == 4]
        quiet = predict(model, recipe, other, tuned) if other is not None and tuned.size else None
    return _judge_and_pack(model, recipe, labels, examples.targets, kept, quiet, Path(out), tell)


def _judge_and_pack(
    model: Classifier, recipe: Recipe, labels: tuple[str, ...], targets: NDArray[np.float32],
    kept: Predictions, quiet: Predictions | None, out: Path, tell: Progress,
) -> Bundle:  # fmt: skip
    calibration = calibrate_on(kept, quiet, targets, recipe)
    grid = make_grid(recipe.front, model.receptive_field, model.stride, recipe.window, recipe.hop)
    rules = choose_rules(
        labels, quiet, grid, calibration, candidate_rules([recipe.hop], join_gap=recipe.hop),
        budget=FALSE_ALARMS, examples=(kept, targets),
    )  # fmt: skip
    ok = audible(kept, recipe.silence_db, recipe.faint_db)
    clips, scores = clip_scores(kept.logits[:, ok], kept.clip[ok], recipe.clip_score)
    right = targets[clips, scores.argmax(1)] > 0
    tell(f"accuracy on {clips.size} clips kept apart: {100 * right.mean():.1f} %")
    card = {
        "validation_clips": int(clips.size),
        "validation_accuracy": round(float(right.mean()), 4),
        "background": "none" if quiet is None else "chosen on a fifth of it",
    }
    return pack(model, recipe, labels, calibration, rules, card, out)


def calibrate_on(
    kept: Predictions, quiet: Predictions | None, targets: NDArray[np.float32], recipe: Recipe
) -> Any:
    """Fit the calibration: windows with energy of held-out clips, and background beside them.

    Background counts half as much as the clips, however much there is of it.
    """
    ok = audible(kept, recipe.silence_db, recipe.faint_db)
    logits, truth = [kept.logits[:, ok]], [targets[kept.clip[ok]].T]
    weights = [np.full(int(ok.sum()), 1 / max(1, ok.sum()))]
    if quiet is not None:
        logits.append(quiet.logits)
        truth.append(np.zeros_like(quiet.logits))
        weights.append(np.full(quiet.clip.size, 0.5 / quiet.clip.size))
    return fit_calibration(
        np.concatenate(logits, 1), np.concatenate(truth, 1), np.concatenate(weights)
    )


def _held_out(
    clips: Sequence[Clip], valid: Mapping[str, Collection[str]] | None, group: str | None, seed: int
) -> NDArray[np.bool_]:
    if valid:
        column, values = next(iter(valid.items()))
        mask = np.array([clip.columns.get(column) in values for clip in clips])
        if not mask.any() or mask.all():
            raise ArgumentError(
                f"--valid {column}={','.join(sorted(values))} keeps {int(mask.sum())} of "
                f"{len(clips)} clips apart; some must be, and some left to train on"
            )
        return mask
    n_groups = len({clip.columns.get(group) for clip in clips}) if group else N_FOLDS
    if n_groups == 1:
        raise ArgumentError(f"--group {group}: all clips are of one group, none can be kept apart")
    n_folds = min(N_FOLDS, n_groups)
    folds = assign_folds(clips, n_folds, group, np.random.default_rng(seed))
    return np.asarray(folds == 0)


def _backgrounds(folder: str | Path | None, recipe: Recipe, cache: Path) -> Waveforms | None:
    if folder is None:
        return None
    clips = [Clip(Path(path), ()) for path in find_recordings([folder])]
    if not clips:
        raise DatasetError(f"{folder}: no recordings in this background folder")
    return cached_waveforms(clips, recipe.front.rate, cache)


def _epochs(tell: Progress) -> Callable[[int, int, float], None]:
    return lambda done, n, loss: tell(f"epoch {done}/{n}  loss {loss:.3f}")
