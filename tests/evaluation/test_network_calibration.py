"""Calibrating a network of others: scores become shares, and decisions stay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import audiocnn
from audiocnn.datasets.manifest import Clip
from audiocnn.evaluation.network_calibration import calibrate_network, is_calibrated
from audiocnn.evaluation.window_logits import WindowLogits
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.windows import Calibration, calibrate
from tests.bundles import LABELS, windowed_bundle

RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    made = windowed_bundle("frames")
    return replace(
        made, calibration=Calibration((1.0,) * 3, (0.0,) * 3), card={"calibrated": False}
    )


def windows(logits: np.ndarray, labels: list[tuple[str, ...]], per_clip: int) -> WindowLogits:
    n = len(labels) * per_clip
    assert logits.shape == (3, n)
    clips = tuple(Clip(Path(f"{i}.wav"), names) for i, names in enumerate(labels))
    at = np.arange(n, dtype=np.float64)
    clip = np.repeat(np.arange(len(labels)), per_clip)
    return WindowLogits(clips, logits.astype(np.float32), clip, at, at + 1)


def drawn(n: int) -> tuple[WindowLogits, WindowLogits]:
    """Draw clips of three windows, one of which has the sound; its logit says half of it."""
    labels = [(LABELS[i % 2],) for i in range(n)]
    logits = RNG.normal(-8, 1, (3, 3 * n))
    for i in range(n):
        logits[i % 2, 3 * i + i % 3] = RNG.normal(-2, 1)
    background = windows(RNG.normal(-8, 1, (3, 3 * n)), [()] * n, 3)
    return background, windows(logits, labels, 3)


def test_scores_of_sounds_rise_and_others_stay_low(bundle: Bundle) -> None:
    background, examples = drawn(200)
    found = calibrate_network(bundle, background, examples)
    assert is_calibrated(found)
    assert not is_calibrated(bundle)
    assert found.card["calibrated_on"] == list(LABELS[:2])
    before, after = (calibrate(examples.logits, b.calibration) for b in (bundle, found))
    best = [(i % 2, 3 * i + i % 3) for i in range(200)]
    rows, columns = np.array(best).T
    assert np.median(before[rows, columns]) < 0.3
    assert np.median(after[rows, columns]) > 0.9
    assert calibrate(background.logits, found.calibration)[:2].mean() < 0.01


def test_decisions_stay_what_they_were(bundle: Bundle) -> None:
    background, examples = drawn(60)
    found = calibrate_network(bundle, background, examples)
    for i, label in enumerate(LABELS):
        for name in ("on", "off"):
            old, new = (getattr(b.rules[label], name) for b in (bundle, found))
            threshold = np.log(old / (1 - old))
            near = threshold + np.array([-0.01, 0.01], np.float32)
            logits = np.zeros((3, 2), np.float32)
            logits[i] = near
            scores = calibrate(logits, found.calibration)[i]
            assert scores[0] - 1e-7 <= new <= scores[1] + 1e-7


def test_class_without_examples_gets_the_mean_offset(bundle: Bundle) -> None:
    found = calibrate_network(bundle, *drawn(60)).calibration
    assert found.offset[2] == pytest.approx(np.mean(found.offset[:2]))
    assert len(set(found.slope)) == 1


def test_without_any_example_nothing_changes(bundle: Bundle) -> None:
    background, _ = drawn(10)
    assert calibrate_network(bundle, background, background) is bundle


def test_trained_models_are_calibrated(bundle_folders: dict[str, Path]) -> None:
    assert is_calibrated(audiocnn.load(bundle_folders["cnn2d"]))
