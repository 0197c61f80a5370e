"""Which backbone at hand suits a dataset: a quick cross-validation on one window a clip.

Kinds of sound differ in what they need: on environmental sounds a network trained on
AudioSet is best, on spoken words one trained on speech by far. A hundred clips, one window
of each, tell such differences in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip, targets_of
from audiocnn.datasets.manifest import labels_of
from audiocnn.errors import AudiocnnError
from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.installed import installed_models, shipped_models
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import audio_info, read_audio
from audiocnn.training.defaults import Look
from audiocnn.training.heads.config import HeadConfig
from audiocnn.training.heads.defaults import head_config, with_windows
from audiocnn.training.heads.embedding import Embedder
from audiocnn.training.heads.fitting import deal
from audiocnn.training.heads.logistic import fit_path, make_basis

CLIPS = 150  # that are compared on
PARTS = 3
STRENGTH = 0.01
CLEAR = 2.0  # standard deviations by which another backbone must be better to be named
SPECIALISED = ("digits", "environment")  # shipped models of few classes: never proposed


@dataclass(frozen=True)
class Trial:
    """What a backbone reaches in the comparison.

    Parameters
    ----------
    name
        Of the backbone.
    right
        (K,) whether each clip was named rightly while it was held out.
    """

    name: str
    right: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Share of the clips."""
        return float(self.right.mean())


def backbones_at_hand() -> list[str]:
    """Return the names of shipped and installed models that take sound and give embeddings."""
    found = []
    for name in dict.fromkeys([*installed_models(), *shipped_models()]):
        try:
            bundle = load(name, check=False)
            if bundle.front.sound and bundle.opened.n_embeddings:
                found.append(name)
        except AudiocnnError:  # one that cannot be opened here is not at hand
            continue
    return found


def general_backbones() -> list[str]:
    """Return those that were trained on sounds of all kinds: good to begin with."""
    return [name for name in backbones_at_hand() if name not in SPECIALISED]


def compare_backbones(
    clips: Sequence[Clip], groups: NDArray[np.int64], look: Look, names: Sequence[str | Path],
    seed: int = 0,
) -> list[Trial]:  # fmt: skip
    """Cross-validate heads on several backbones with a sample of the clips.

    Parameters
    ----------
    clips, groups
        Labelled clips, and (K,) numbers of those that belong together.
    look
        What the clips are like.
    names
        Of the backbones.
    seed
        Of the sample and its parts.

    Returns
    -------
    list of Trial
        In the order of the names.
    """
    chosen = sample(clips, seed)
    some = [clips[k] for k in chosen.tolist()]
    part = deal(some, groups[chosen], PARTS, seed)
    trials = []
    for name in names:
        base = load(name)
        config = replace(head_config(base, look), hop=1e6)  # one window is enough
        model = with_windows(base, config.window, config.window)
        features = [window_features(model, config, clip) for clip in some]
        right = max(
            (judged(np.stack([f[pooling] for f in features]), some, part)
             for pooling in features[0]), key=lambda r: int(r.sum())
        )  # fmt: skip
        trials.append(Trial(str(name), right))
    return trials


def sample(clips: Sequence[Clip], seed: int) -> NDArray[np.intp]:
    """Choose clips with labels, each class in turn, at most `CLIPS`."""
    rng = np.random.default_rng([seed, 4])
    order = [int(k) for k in rng.permutation(len(clips)) if clips[int(k)].labels]
    seen: dict[tuple[str, ...], int] = {}
    turns = []
    for k in order:
        turns.append(seen.get(clips[k].labels, 0))
        seen[clips[k].labels] = turns[-1] + 1
    return np.array(order, np.intp)[np.argsort(turns, kind="stable")[:CLIPS]]


def window_features(
    model: Bundle, config: HeadConfig, clip: Clip
) -> dict[str, NDArray[np.float32]]:
    """Embed the middle window of a clip, pooled in each way."""
    embedder = Embedder(model, config, Path())
    length = clip.end or audio_info(clip.path).duration or config.window
    start = max(clip.start, (clip.start + length - config.window) / 2)
    rate = round(model.rate)
    samples = read_audio(clip.path, rate, start=start, end=min(length, start + config.window))
    n = embedder.pipeline.grid.window_samples
    pooled = embedder.features([Block(samples[:n], 0, model.rate)])
    return {name: values[0] for name, values in pooled.items()}


def judged(
    features: NDArray[np.float32], clips: Sequence[Clip], part: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which clips (K,) a head names rightly that was fitted without their part."""
    targets = targets_of(clips, labels_of(clips))
    right = np.zeros(len(clips), bool)
    for p in np.unique(part):
        fitted = part != p
        basis = make_basis(features[fitted], np.ones(int(fitted.sum())))
        ((w, b),) = fit_path(basis, targets[fitted], np.ones(int(fitted.sum())), [STRENGTH])[
            STRENGTH
        ]
        logits = (features[~fitted] - basis.offset) * basis.scale @ w.T + b
        best = logits.argmax(axis=1)
        right[~fitted] = targets[~fitted][np.arange(best.size), best] > 0
    return right


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the most clips right; the first among equals."""
    return max(trials, key=lambda trial: int(trial.right.sum()))


def clearly_better(chosen: Trial, others: Sequence[Trial]) -> Trial | None:
    """Return the best of the others, if more clips speak for it than chance would give.

    Notes
    -----
    Of n clips that one names rightly and the other wrongly, w speak for the other one;
    w - (n - w) has a standard deviation of sqrt(n) where both are equally good (sign
    test).
    """
    if not others:
        return None
    best = best_of(others)
    gained = int((best.right & ~chosen.right).sum())
    lost = int((chosen.right & ~best.right).sum())
    return best if gained - lost > CLEAR * max(1.0, (gained + lost) ** 0.5) else None
