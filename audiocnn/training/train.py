"""`audiocnn train`: a folder of sounds in, a bundle out.

    read the clips -> decide who is held out -> decode once -> fit, part by part
    -> predict what was held out -> fit on all -> judge -> write the bundle

All of it lies in a run folder beside the bundle until it is done, so the same command
goes on where one that was stopped stood. What is left there then is small: curves,
predictions and figures, from which a report is made (see `results`).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiocnn.datasets.manifest import Clip, labels_of
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import check_free
from audiocnn.inference.engine import make_grid
from audiocnn.io.signals.cache import length_of
from audiocnn.io.signals.reader import SignalReadOptions
from audiocnn.networks.classifier import Classifier
from audiocnn.training.config import TrainingConfig
from audiocnn.training.cross_validation import Fits
from audiocnn.training.data.reviewed import add_reviews, reviewed_in_words
from audiocnn.training.data.signal_cache import cached_signals
from audiocnn.training.data.splits import Split, judging_parts, split_clips
from audiocnn.training.data.training_set import TrainingSet, gather, store_for
from audiocnn.training.defaults import default_config, default_front, look_at
from audiocnn.training.fine_tuning import open_start, start_choices, start_network
from audiocnn.training.fit import explained_failures, resolved_precision
from audiocnn.training.metrics import HeldOut, judge
from audiocnn.training.model_card import in_words, make_card
from audiocnn.training.pace import estimate_seconds
from audiocnn.training.pack import pack
from audiocnn.training.predictions import Predictions, join
from audiocnn.training.preparation import (
    Progress,
    clock,
    gather_clips,
    in_groups,
    is_first_process,
    judged_how,
    only_training,
    others,
)
from audiocnn.training.progress import Watcher
from audiocnn.training.run_results import Curve, Training, save_training
from audiocnn.training.signal_defaults import count_windows, signal_config, signal_in_words

__all__ = ["default_config", "default_front", "train_bundle"]


def train_bundle(
    data: str | Path,
    out: str | Path,
    *,
    where: Mapping[str, Collection[str]] | None = None,
    valid: Mapping[str, Collection[str]] | None = None,
    folds: int | str | None = None,
    group: str | None = None,
    background: str | Path | None = None,
    start: str | Path | None = None,
    reviews: Sequence[str | Path] = (),
    cache: str | Path | None = None,
    reading: SignalReadOptions | None = None,
    kind: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    devices: int = 1,
    log: str = "csv",
    progress: Progress | None = None,
    watcher: Watcher | None = None,
    **chosen: Any,
) -> Bundle | None:
    """Train a model on a dataset and write it as a bundle.

    Parameters
    ----------
    data
        A folder of class folders, or a CSV, see `read_manifest`. Clips without a
        label are sounds that are none of the classes.
    out
        Folder of the bundle. Beside it, ``out.run`` holds the unfinished training, and
        in the end what is known of it: see `audiocnn.training.run_results`.
    where
        Which clips to use, by columns of the CSV.
    valid, folds, group
        What is held out, and what stays together: see `split_clips`. Calibration,
        rules and all figures come from clips while they were held out.
    background
        Folder of sounds that are none of the classes, held out part by part too.
    start
        A shipped model or a bundle to train on from.
    reviews
        Lists of a model's events with a person's verdicts, to be learnt from too: see
        `audiocnn.datasets.reviews`.
    cache
        Folder for decoded sound that several trainings share; in the run folder, and
        removed in the end, if None.
    reading
        How signals other than sound are read; by what the files say, if None.
    kind
        Of front end: ``"log-mel"``, ``"raw"`` or ``"log-spectrum"``; chosen by what the
        files are, if None.
    seed
        Of all draws.
    overwrite
        Whether a bundle that is in ``out`` may be replaced.
    devices, log
        See `fit`.
    progress
        Called with a line at each step.
    watcher
        Told each epoch; ``progress`` is, if None.
    chosen
        Fields of `TrainingConfig`: ``arch``, ``size``, ``epochs``, ``window`` ...

    Returns
    -------
    Bundle or None
        As written; its card has the figures. None in all processes but the first,
        where several train together.

    Raises
    ------
    DatasetError, ArgumentError
        If the data or the choices cannot be used; the message says what to do.
    AudiocnnError
        If another training is at work in ``out.run``.
    """
    tell = (progress if is_first_process() else None) or (lambda line: None)
    if is_first_process():
        check_free(out, overwrite=overwrite)
    if background is not None and not Path(background).exists():
        raise ArgumentError(f"no such file or folder of background: {background}")
    run = Path(out).with_name(Path(out).name + ".run")
    sounds = Path(cache) if cache else run / "sound"
    reading = reading or SignalReadOptions()
    length = functools.partial(length_of, reading=reading)
    clips = in_groups(gather_clips(data, where or {}, reading), group, length, tell)
    origin = open_start(start) if start else None
    if origin:
        chosen = start_choices(origin[0], chosen)
    with only_training(run):
        config, windows = _propose(clips, reading, kind, sounds, tell, seed=seed, **chosen)
        split = split_clips(
            clips, windows=windows, valid=valid, folds=folds, group=group, seed=seed
        )
        labels = labels_of(clips)
        first = start_network(*origin, labels, config) if origin else None
        tell(_plan(clips, labels, split, config))
        if reviews:
            n = len(clips)
            clips, split = add_reviews(clips, split, reviews, labels)
            tell(reviewed_in_words(clips[n:]))
        store = store_for(config, reading, sounds)
        training_set = gather(clips, labels, split, background, config, first, store, length)
        fits = Fits(training_set, run, tell, watcher, devices, log)
        if is_first_process():
            tell(fits.resumed() or _announcement(training_set))
        held_out, quiet, model = fits.all()
        if not is_first_process():
            return None
        curves = fits.curves()
        bundle, training = judge_and_pack(
            training_set, model, held_out, quiet, curves, str(data), group, Path(out)
        )
        for line in [training.figures["judged"], *in_words(training.figures, labels)]:
            tell(line)
        save_training(training, run)
        fits.clean(None if cache else sounds)
        return bundle


def _propose(
    clips: Sequence[Clip],
    reading: SignalReadOptions,
    kind: str | None,
    sounds: Path,
    tell: Progress,
    **chosen: Any,
) -> tuple[TrainingConfig, int]:
    """Return the config, and about how many windows an epoch draws."""
    front = chosen.get("front")
    if (
        kind == "log-mel"
        or (front is not None and front.sound)
        or not (kind or front or others(clips))
    ):
        look = look_at(clips)
        config = default_config(clips, look, **chosen)
        windows = look.windows(config.window)
    else:
        wanted = None if front is None else front.names
        stored = cached_signals(clips, reading, sounds, wanted=wanted)
        config = signal_config(stored, kind, **chosen)
        windows = count_windows(stored, config.window)
        tell(signal_in_words(stored, config))
    return replace(config, precision=resolved_precision(config.precision)), windows


def judge_and_pack(
    m: TrainingSet[TrainingConfig],
    model: Classifier,
    held_out: Sequence[Predictions],
    quiet: Sequence[Predictions],
    curves: tuple[Curve, ...],
    data: str,
    group: str | None,
    out: Path,
) -> tuple[Bundle, Training]:
    """Measure on what was held out, and write the bundle."""
    part = judging_parts(m.clips, m.split, group, m.config.seed)
    background = join(quiet) if quiet else None
    clips = join(held_out)
    held = HeldOut(
        clips, part, m.split.group, m.targets, background, m.background_part, m.split.alike
    )
    r = m.config
    grid = make_grid(r.front, model.receptive_field, model.stride, r.window, r.hop)
    judged = judge(held, m.labels, r, grid)
    figures = {**judged.figures, "judged": judged_how(m.split, len(m.clips), group)}
    card = make_card(figures, m.labels, r, figures["judged"], out.name)
    bundle = pack(model, r, m.labels, judged.calibration, judged.rules, card, out)
    training = Training(
        data, m.labels, r, tuple(m.clips), m.split.part, clips, judged.scores, curves,
        judged.calibration, judged.rules, tuple(m.background), background, figures,
    )  # fmt: skip
    return bundle, training


def _announcement(m: TrainingSet[TrainingConfig]) -> str:
    """Describe how long it will take, from steps that are measured."""
    with explained_failures(m.config):
        seconds = estimate_seconds(m)
    n = len(m.split.parts) + 1 if m.split.crossed else 1
    fits = f"{n} fits" if n > 1 else "one fit"
    return (
        f"about {clock(seconds)} for {fits} of {m.config.epochs} epochs, by steps measured here; "
        "it can be stopped at any time, and the same command continues it"
    )


def _plan(
    clips: Sequence[Clip], labels: Sequence[str], split: Split, config: TrainingConfig
) -> str:
    how = f"{len(split.parts)} folds" if split.crossed else f"{split.n_held} kept apart"
    return (
        f"{len(clips)} clips of {len(labels)} classes, {how}; {config.front.rate:g} Hz, windows of "
        f"{config.window:g} s, {config.arch} {config.size}, {config.epochs} epochs"
    )
