"""Calibration of a network of others on labelled clips and background, for `audiocnn tune`.

Its own scores are no probabilities of the user's sounds. Platt scaling is fitted on the
half that rules are chosen on. Of a labelled clip, the window with the highest logit of a
label counts for it, and the others count neither for nor against it: between two barks
there is silence. The old rules are carried over to the new scale, so that they make the
same decisions as before.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.calibration import fit_calibration
from audiocnn.evaluation.window_logits import WindowLogits
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration

BACKGROUND = 0.5  # weight of all background windows; those of the clips weigh 1 together
LEAST, MOST = 1e-6, 1 - 1e-6  # thresholds lie between


def is_calibrated(bundle: Bundle) -> bool:
    """Whether a model's scores were calibrated; those of networks of others are not."""
    return bool(bundle.card.get("calibrated", True))


def calibrate_network(bundle: Bundle, background: WindowLogits, examples: WindowLogits) -> Bundle:
    """Fit the calibration of a network of others.

    Parameters
    ----------
    bundle
        The model.
    background
        Windows of sounds that are none of the classes.
    examples
        Windows of labelled clips; each counts for the labels of its clip.

    Returns
    -------
    Bundle
        The same network with calibrated scores, and its rules on their scale. A class
        without examples gets the mean offset of the others.
    """
    labels = bundle.labels
    named = [[label in clip.labels for label in labels] for clip in examples.clips]
    truth = np.array(named, np.float32).reshape(-1, len(labels))[examples.clip].T
    shown = truth.any(axis=1)
    if not shown.any():
        return bundle
    logits = np.concatenate((examples.logits, background.logits), axis=1)
    n, n_background = examples.clip.size, background.clip.size
    own = np.full((len(labels), n), 1 / n) * _decisive(examples, truth)
    others = np.full(background.logits.shape, BACKGROUND / max(1, n_background))
    weights = np.concatenate((own, others), axis=1)
    targets = np.concatenate((truth, np.zeros_like(background.logits)), axis=1)
    fitted = fit_calibration(logits[shown], targets[shown], weights[shown], len(examples.clips))
    offset = np.full(len(labels), float(np.mean(fitted.offset)))
    offset[shown] = fitted.offset
    slope = fitted.slope[0]
    calibration = Calibration((slope,) * len(labels), tuple(float(v) for v in offset))
    old = bundle.calibration
    rules = {}
    for i, (label, rule) in enumerate(bundle.rules.items()):
        ratio = slope / old.slope[i]
        rules[label] = _moved(rule, ratio, float(offset[i]) - ratio * old.offset[i])
    card = {
        **bundle.card,
        "calibrated": True,
        "calibrated_on": [labels[row] for row in np.flatnonzero(shown)],
    }
    return replace(bundle, calibration=calibration, rules=rules, card=card)


def _decisive(examples: WindowLogits, truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (C, W): 0 for a clip's windows but the highest, for the labels of the clip."""
    counts = 1.0 - truth.astype(np.float64)
    for k in range(len(examples.clips)):
        windows = np.flatnonzero(examples.clip == k)
        for row in np.flatnonzero(truth[:, windows[0]]) if windows.size else ():
            counts[row, windows[np.argmax(examples.logits[row, windows])]] = 1.0
    return counts


def _moved(rule: EventRule, slope: float, offset: float) -> EventRule:
    """Carry thresholds over to scores ``sigmoid(slope * logit(score) + offset)``."""
    on, off = (
        min(MOST, max(LEAST, 1 / (1 + math.exp(-(slope * math.log(p / (1 - p)) + offset)))))
        if 0 < p < 1 else p
        for p in (rule.on, rule.off)
    )  # fmt: skip
    return replace(rule, on=on, off=min(on, off))
