"""Calibration in training: on windows that the network was not fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocnn.evaluation.calibration import fit_calibration
from audiocnn.inference.windows import Calibration
from audiocnn.training.config import JudgingConfig
from audiocnn.training.predictions import Predictions, audible


def calibrate_on(
    kept: Predictions,
    quiet: Predictions | None,
    targets: NDArray[np.float32],
    config: JudgingConfig,
    group: NDArray[np.generic],
) -> Calibration:
    """Fit the calibration: windows with energy of held-out clips, and background beside them.

    Background counts half as much as the clips, however much there is of it. Clips of one
    ``group`` (K,) are taken as one in how much they can show.
    """
    ok = audible(kept, config.silence_db, config.faint_db)
    logits, truth = [kept.logits[:, ok]], [targets[kept.clip[ok]].T]
    weights = [np.full(int(ok.sum()), 1 / max(1, ok.sum()))]
    if quiet is not None:
        logits.append(quiet.logits)
        truth.append(np.zeros_like(quiet.logits))
        weights.append(np.full(quiet.clip.size, 0.5 / quiet.clip.size))
    return fit_calibration(
        np.concatenate(logits, 1), np.concatenate(truth, 1), np.concatenate(weights),
        np.unique(group[kept.clip[ok]]).size,
    )  # fmt: skip
