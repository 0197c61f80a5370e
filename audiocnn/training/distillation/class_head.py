"""From a trained student to classes that can be trusted: head, choice, calibration, rules.

The trunk stays as it is. A head of one row of evidence and one of weight a group is fitted
to what the teacher answers for the group; groups on which student and teacher agree on
sounds held out of training are kept, and calibrated against the teacher: a score of 0.7
means that the teacher's own probability is 0.7 on average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocnn.errors import DatasetError
from audiocnn.evaluation.metrics import average_precision
from audiocnn.frontend.log_mel import log_mel
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration, calibrate
from audiocnn.networks.classifier import Classifier, window_logits
from audiocnn.training.distillation.groups import (
    ESC10,
    GROUPS,
    group_probabilities,
    main_member,
)
from audiocnn.training.distillation.shards import FRONT, Shard
from audiocnn.training.distillation.student import to_frames

Array = NDArray[np.float32]
# Probability from which the teacher is taken to hear a group: in windows of 2 s it is low.
PRESENT = 0.1
FEWEST = 10  # windows in which it must be present, to judge the student by
LOWEST_AP, LOWEST_LABELLED, LEAST_FOUND = 0.35, 0.6, 0.1
COLUMNS = 8  # of a window of 2 s
THRESHOLDS = (0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.35,
              0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95,
              0.97)  # fmt: skip
PRECISION = 0.8
AT_ONCE = 128


@torch.no_grad()
def columns_of(network: Classifier, shards: Iterable[Shard]) -> tuple[Tensor, Tensor]:
    """Compute features (W, D, K) float16 and the teacher's probabilities (W, G) of windows."""
    network.eval()
    features, wanted = [], []
    for shard in shards:
        for at in range(0, len(shard.frames), AT_ONCE):
            frames = to_frames(torch.from_numpy(shard.frames[at : at + AT_ONCE]))
            y = network.trunk((frames - network.mean) * network.scale)
            features.append(y.half())
        wanted.append(torch.from_numpy(group_probabilities(shard.probabilities)))
    return torch.cat(features), torch.cat(wanted)


def with_head(network: Classifier, n_classes: int) -> Classifier:
    """Copy a network, with a new head."""
    copy = Classifier(replace(network.spec, n_classes=n_classes), dropout=0.0)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("head.")}
    copy.load_state_dict(state, strict=False)
    return copy.eval()


def start_head(network: Classifier, student: Classifier, names: Sequence[str]) -> None:
    """Begin the groups' head with the student's rows for their main members; changed."""
    chosen = [main_member(name) for name in names]
    n = student.spec.n_classes
    rows = torch.tensor([*chosen, *(n + row for row in chosen)])
    head = student.head.state_dict()
    network.head.load_state_dict({name: values[rows] for name, values in head.items()})


def fit_head(
    network: Classifier, features: Tensor, wanted: Tensor, epochs: int = 6, rate: float = 3e-3
) -> None:
    """Fit the head of a network to probabilities (W, G) on features (W, D, K); changed."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.head.parameters(), lr=rate, weight_decay=1e-4)
    n_steps = epochs * -(-len(features) // 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=n_steps)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(features)), 256):
            logits = window_logits(network.columns(features[chosen].float()))
            loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted[chosen])
            optimizer.zero_grad(set_to_none=True)
            (loss * wanted.shape[1]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


@torch.no_grad()
def logits_of(network: Classifier, features: Tensor) -> Array:
    """Give the logits (W, G) of windows."""
    parts = [window_logits(network.columns(some.float())) for some in torch.split(features, 1024)]
    return np.asarray(torch.cat(parts).numpy())


@dataclass(frozen=True)
class Agreement:
    """How well the student agrees on a group with its teacher, and with people.

    Attributes
    ----------
    windows
        Held out, in which the teacher detects it.
    average_precision
        Of the student's ranking, against that.
    found
        Share of those windows at the threshold that keeps `PRECISION`.
    labelled
        Average precision on clips that people labelled; None where there are none.
    """

    windows: int
    average_precision: float
    found: float
    labelled: float | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the group can be trusted."""
        by_teacher = self.windows >= FEWEST and self.average_precision >= LOWEST_AP
        by_people = self.labelled is not None and self.labelled >= LOWEST_LABELLED
        return (by_teacher or by_people) and self.found >= LEAST_FOUND


def agreements(
    scores: Array,
    wanted: Array,
    rules: Mapping[str, EventRule],
    labelled: Mapping[str, float] | None = None,
) -> dict[str, Agreement]:
    """Compare student (W, G) and teacher (W, G) group by group."""
    found = {}
    for column, (name, rule) in enumerate(rules.items()):
        present = wanted[:, column] >= PRESENT
        n = int(present.sum())
        precision = average_precision(scores[:, column], present) if n else 0.0
        share = float((scores[present, column] >= rule.on).mean()) if n else 0.0
        people = (labelled or {}).get(name)
        found[name] = Agreement(n, round(float(precision), 4), round(share, 4), people)
    return found


def labelled_precision(
    student: Classifier, network: Classifier, clips: Iterable[tuple[Array, str]]
) -> dict[str, float]:
    """Rank clips that people labelled; gives the average precision of each group.

    Parameters
    ----------
    student, network
        Trunk, and head of all groups.
    clips
        Samples and label of ESC-10.
    """
    tops, labels = [], []
    student.eval()
    for samples, label in clips:
        frames = torch.from_numpy(log_mel(samples, FRONT))[None]
        with torch.no_grad():
            features = student.trunk((frames - student.mean) * student.scale)
            size = min(COLUMNS, features.shape[-1])
            windows = features[0].unfold(1, size, max(1, size // 2)).transpose(0, 1)
            tops.append(window_logits(network.columns(windows)).amax(0).numpy())
        labels.append(ESC10[label])
    logits, names = np.stack(tops), list(GROUPS)
    return {
        group: round(average_precision(logits[:, names.index(group)], np.array(labels) == group), 4)
        for group in sorted(set(labels))
    }


def fit_calibration(logits: Array, wanted: Array) -> Calibration:
    """Fit slope and offset of each class to the teacher's probabilities, held near 1 and 0."""
    slopes, offsets = [], []
    for x, p in zip(logits.T.astype(float), wanted.T.astype(float), strict=True):

        def cost(at: NDArray[np.float64], x: Array = x, p: Array = p) -> float:
            z = at[0] * x + at[1]
            prior = (at[0] - 1) ** 2 + 0.2 * at[1] ** 2
            return float(np.sum(np.logaddexp(0, z) - p * z) + 2 * prior)

        best = scipy.optimize.minimize(cost, [1.0, 0.0], method="Nelder-Mead").x
        slopes.append(round(float(np.clip(best[0], 0.3, 3)), 4))
        offsets.append(round(float(best[1]), 4))
    return Calibration(tuple(slopes), tuple(offsets))


def choose_rules(scores: Array, wanted: Array, names: Sequence[str]) -> dict[str, EventRule]:
    """Choose thresholds: the lowest at which the teacher agrees to four of five windows.

    Parameters
    ----------
    scores, wanted
        (W, C) calibrated scores, and the teacher's probabilities, on sounds that took no
        part in training.
    names
        Of the classes.
    """
    rules = {}
    for name, score, p in zip(names, scores.T, wanted.T, strict=True):
        on = float(THRESHOLDS[-1])
        for threshold in THRESHOLDS:
            chosen = score >= threshold
            if chosen.sum() >= 3 and (p[chosen] >= PRESENT).mean() >= PRECISION:
                on = float(threshold)
                break
        rules[name] = EventRule(on, round(0.6 * on, 3), smooth=0.5, join_gap=1.0)
    return rules


@dataclass(frozen=True)
class Chosen:
    """A network with a head for the groups that were kept, and what goes with it.

    Attributes
    ----------
    network
        Trunk of the student, head of the labels.
    labels
        Groups that are kept, in the order of `GROUPS`.
    agreements
        Of all groups.
    calibration, rules
        Of the labels.
    """

    network: Classifier
    labels: tuple[str, ...]
    agreements: dict[str, Agreement]
    calibration: Calibration
    rules: dict[str, EventRule]


def choose_classes(
    student: Classifier,
    fitted: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    clips: Iterable[tuple[Array, str]] = (),
) -> Chosen:
    """Fit a head for all groups and keep what can be trusted.

    Parameters
    ----------
    student
        The trained network; not changed.
    fitted, held_out
        Features and teacher's probabilities, of `columns_of`.
    clips
        Samples and labels of ESC-10, which the student was not trained on.

    Raises
    ------
    DatasetError
        If no group can be trusted.
    """
    names = tuple(GROUPS)
    network = with_head(student, len(names))
    start_head(network, student, names)
    fit_head(network, *fitted)
    logits, wanted = logits_of(network, held_out[0]), held_out[1].numpy()
    calibration = fit_calibration(logits, wanted)
    scores = calibrate(logits.T, calibration).T
    rules = choose_rules(scores, wanted, names)
    listed = list(clips)
    labelled = labelled_precision(student, network, listed) if listed else {}
    found = agreements(scores, wanted, rules, labelled)
    kept = [column for column, name in enumerate(names) if found[name].is_enough]
    labels = tuple(names[column] for column in kept)
    if not labels:
        raise DatasetError(
            f"student and teacher agree on no group of classes, on {len(logits)} windows held "
            "out: train longer, or gather more sound"
        )
    smaller = with_head(student, len(kept))
    rows = torch.tensor([*kept, *(len(names) + column for column in kept)])
    head = network.head.state_dict()
    smaller.head.load_state_dict({name: values[rows] for name, values in head.items()})
    slope, offset = (tuple(v[c] for c in kept) for v in (calibration.slope, calibration.offset))
    return Chosen(smaller, labels, found, Calibration(slope, offset), {n: rules[n] for n in labels})
