"""What a training says of itself in words."""

import numpy as np
import pytest

from audiocnn.training.metrics import accepting_threshold
from audiocnn.training.model_card import in_words

FIGURES = {
    "clips": 60, "groups": 60, "accuracy": 0.9, "accuracy_bounds": [0.8, 0.95], "macro_f1": 0.9,
    "macro_f1_bounds": [0.8, 0.95], "mean_average_precision": 0.95,
    "mean_average_precision_bounds": [0.9, 1.0], "rejected": 0.385, "accepting_threshold": 0.21,
    "unlabelled": 0, "false_alarms": None, "per_class": {"a": {"n": 30}, "b": {"n": 30}},
}  # fmt: skip


def test_many_rejected_clips_are_named_with_a_threshold_and_what_to_add():
    lines = in_words(FIGURES, ("a", "b"))
    assert "of these, 38.5 % are rejected as none of the classes" in lines
    (line,) = [line for line in lines if line.startswith("warning")]
    assert "A threshold of 0.21 for all classes (label --threshold 0.21) would reject 5 %" in line
    assert "add clips, above all other sources (now 30 a class)" in line
    assert "--background" in line


@pytest.mark.parametrize("rejected", [0.0, 0.1])
def test_few_rejected_clips_are_no_reason_to_warn(rejected):
    lines = in_words(FIGURES | {"rejected": rejected}, ("a", "b"))
    assert not any(line.startswith("warning") for line in lines)


def test_the_threshold_is_reached_by_all_but_a_twentieth():
    rng = np.random.default_rng(0)
    scores = rng.random((200, 3)).astype(np.float32)
    threshold = accepting_threshold(scores)
    assert (scores.max(axis=1) < threshold).mean() == pytest.approx(0.05, abs=0.006)
    assert accepting_threshold(scores[:0]) is None
