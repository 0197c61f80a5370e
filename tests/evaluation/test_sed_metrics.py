"""Events against annotations, by the packages of the field."""

import json

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.evaluation.annotated import Annotated, Detected, detect, read_annotated
from audiocnn.evaluation.sed_metrics import default_collar, evaluate_detection
from audiocnn.inference.events import Event

LABELS = ("cat", "dog")
RATE = 8000


def detected(found: list[Event], truth: list[Event], path: str = "a.wav") -> Detected:
    """Make scores that are 1 where an event was found, in windows of 0.1 s over 20 s."""
    edges = np.arange(201) / 10
    scores = np.full((2, 200), 0.1, np.float32)
    for event in found:
        inside = (edges[:-1] >= event.start - 1e-6) & (edges[:-1] < event.end - 1e-6)
        scores[LABELS.index(event.label), inside] = event.score or 0.9
    return Detected(path, 20.0, tuple(truth), tuple(found), edges, scores)


TRUTH = [Event("cat", 2.0, 4.0), Event("dog", 10.0, 13.0)]


def test_what_is_found_exactly_is_perfect():
    found = [Event("cat", 2.0, 4.0, 0.9), Event("dog", 10.0, 13.0, 0.9)]
    figures = evaluate_detection([detected(found, TRUTH)], LABELS)
    assert figures["overall"] == {
        "segment_f1": 1.0, "event_f1": 1.0, "event_f1_dcase": 1.0,
    }  # fmt: skip
    assert figures["psds_1"] == pytest.approx(1)
    assert figures["psds_2"] == pytest.approx(1)
    assert figures["false_alarms"]["events"] == 0
    assert figures["false_alarms"]["hours"] == pytest.approx(15 / 3600)


def test_collars_are_those_that_are_promised():
    # 0.15 s late is within the collar, 0.3 s is not; an offset may be off by half the length.
    good = [Event("cat", 2.15, 4.9, 0.9), Event("dog", 10.0, 14.4, 0.9)]
    assert evaluate_detection([detected(good, TRUTH)], LABELS)["overall"]["event_f1"] == 1
    late = [Event("cat", 2.3, 4.0, 0.9), Event("dog", 10.0, 14.6, 0.9)]
    assert evaluate_detection([detected(late, TRUTH)], LABELS)["overall"]["event_f1"] == 0


def test_the_collar_of_a_model_is_half_its_window():
    late = [Event("cat", 2.9, 4.0, 0.9), Event("dog", 10.5, 14.4, 0.9)]
    figures = evaluate_detection([detected(late, TRUTH)], LABELS, default_collar(2.0))
    assert figures["collar"] == 1.0
    assert figures["overall"]["event_f1"] == 1
    assert figures["overall"]["event_f1_dcase"] == 0
    assert default_collar(0.3) == 0.2
    with pytest.raises(ArgumentError, match="the collar must be above 0 s, got 0"):
        evaluate_detection([detected(late, TRUTH)], LABELS, 0.0)


def test_alarms_elsewhere_cost_precision_and_are_rated():
    found = [Event("cat", 2.0, 4.0, 0.9), Event("dog", 10.0, 13.0, 0.9), Event("dog", 17, 18, 0.95)]
    figures = evaluate_detection([detected(found, TRUTH)], LABELS)
    assert figures["per_class"]["dog"]["event_precision"] == 0.5
    assert figures["per_class"]["dog"]["event_recall"] == 1
    assert figures["false_alarms"]["events"] == 1
    assert figures["psds_1"] < 1


def test_one_label_alone_has_no_psds():
    figures = evaluate_detection([detected([], TRUTH[:1])], LABELS)
    assert figures["psds_1"] is None
    assert figures["macro"]["event_f1"] == 0


def test_nothing_found_is_zero_and_no_truth_is_none():
    figures = evaluate_detection([detected([], TRUTH)], LABELS)
    assert figures["macro"] == {"segment_f1": 0.0, "event_f1": 0.0}
    figures = evaluate_detection([detected([], [])], LABELS)
    assert figures["psds_1"] is None
    json.dumps(figures, allow_nan=False)


@pytest.fixture
def night(tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "night.wav", 0.1 * rng.standard_normal(6 * RATE), RATE)
    soundfile.write(tmp_path / "other.wav", 0.1 * rng.standard_normal(6 * RATE), RATE)
    return tmp_path


def test_annotations_are_found_beside_recordings_and_in_tables(night):
    (night / "night.txt").write_text("1.0\t2.0\tbell\n3.0\t4.0\tfrog\n")
    (beside,) = read_annotated(night)
    assert [e.label for e in beside.events] == ["bell", "frog"]
    table = night / "events.csv"
    table.write_text("path,start,end,label\nnight.wav,1,2,bell\nnight.wav,3,,frog\nother.wav,,,\n")
    first, second = read_annotated(table)
    assert [(e.start, e.end) for e in first.events] == [(1.0, 2.0), (3.0, None)]
    assert second.events == ()
    (night / "night.txt").unlink()
    table.unlink()
    with pytest.raises(DatasetError, match="no recording has annotations beside it"):
        read_annotated(night)


def test_a_recording_is_covered_from_end_to_end(night, bundle_folders):
    bundle = audiocnn.load(bundle_folders["cnn1d"])
    one = detect(bundle, Annotated(night / "night.wav", (Event("bell", 3.0, None),)))
    assert one.edges[0] == 0
    assert one.edges[-1] == one.seconds == pytest.approx(6, abs=0.05)
    assert (np.diff(one.edges) > 0).all()
    assert one.scores.shape == (3, one.edges.size - 1)
    assert one.truth[0].end == one.seconds


def test_evaluate_measures_events(night, bundle_folders, capsys):
    model = str(bundle_folders["cnn1d"])
    (night / "night.txt").write_text("1.0\t2.0\tbell\n")
    assert main(["evaluate", str(night), "--events", "--model", model]) == 0
    assert "segment F1" in capsys.readouterr().out
    assert main(["evaluate", str(night), "--events", "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 1
    assert main(["evaluate", str(night), "--events", "--model", model, "--group", "x"]) == 2
    assert "is about clips" in capsys.readouterr().err
    collar = default_collar(audiocnn.load(model).window)
    assert main(["evaluate", str(night), "--events", "--model", model]) == 0
    out = capsys.readouterr().out
    assert f"event F1 ({collar:g} s collar)" in out
    assert ("With DCASE's collar of 0.2 s event F1 is" in out) == (collar != 0.2)
    assert main(["evaluate", str(night), "--events", "--model", model, "--collar", "0.2"]) == 0
    assert "event F1 (0.2 s collar)  " in capsys.readouterr().out
    assert main(["evaluate", str(night), "--model", model, "--collar", "0.2"]) == 2
