"""Two models, event by event."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.datasets.manifest import Clip
from audiocnn.evaluation.model_diff import Compared, Pair, compare_clip, match, summarize
from audiocnn.inference.events import Event
from audiocnn.labeling.label import with_threshold

RATE = 8000


@pytest.fixture(scope="module")
def bundle(bundle_folders):
    return audiocnn.load(bundle_folders["cnn1d"])


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(4 * RATE), RATE)
    return path


def test_events_are_matched_by_label_and_overlap():
    a = [Event("dog", 0, 4, 0.9), Event("dog", 5, 6, 0.9), Event("cat", 0, 4, 0.9)]
    b = [Event("dog", 0.5, 4.5, 0.9), Event("cow", 0, 4, 0.9), Event("dog", 4.5, 5.02, 0.9)]
    pairs = match(a, b, 0.2)
    assert [(p.label, p.verdict) for p in pairs] == [
        ("cat", "A"), ("cow", "B"), ("dog", "moved"), ("dog", "B"), ("dog", "A"),
    ]  # fmt: skip
    assert [(p.label, p.verdict) for p in match(a, a, 0.2)].count(("dog", "same")) == 2
    softer = [replace(event, score=0.5) for event in a]
    assert {p.verdict for p in match(a, softer, 0.2)} == {"scored"}


def test_the_best_overlap_is_matched_first():
    a = [Event("dog", 0, 10, 0.9)]
    b = [Event("dog", 0, 3, 0.9), Event("dog", 3, 10, 0.9)]
    pairs = match(a, b, 0.2)
    assert {(p.verdict, p.b.start) for p in pairs if p.b} == {("moved", 3), ("B", 0)}


def test_a_model_and_itself_agree(bundle, wav):
    eager = replace(bundle, rules=with_threshold(bundle.rules, 0.01))
    result = compare_clip(eager, eager, Clip(wav, ("bell",)), labelled=True)
    assert {p.verdict for p in result.pairs} == {"same"}
    assert result.disagreement == 0
    assert result.right_a is False  # it heard frog and saw as well


def test_labels_that_the_other_does_not_know_are_no_disagreement(bundle, wav):
    eager = replace(bundle, rules=with_threshold(bundle.rules, 0.01))
    other = replace(
        eager, labels=("bell", "frog", "owl"),
        rules=dict(zip(("bell", "frog", "owl"), eager.rules.values(), strict=True)),
    )  # fmt: skip
    result = compare_clip(eager, other, Clip(wav, ()), labelled=False)
    assert {p.label: p.foreign for p in result.pairs} == {
        "bell": False, "frog": False, "owl": True, "saw": True,
    }  # fmt: skip
    assert result.disagreement == 0
    assert result.right_a is None
    assert summarize([result]).verdicts["owl"] == {"B alone knows": 1}


def test_who_is_right_is_counted():
    def clip(a: bool, b: bool) -> Compared:
        return Compared(Clip("x.wav", ("dog",)), (Pair(Event("dog", 0, 1), None),), a, b)

    found = summarize([clip(True, False)] * 6 + [clip(True, True)] * 2 + [clip(False, False)])
    assert (found.both_right, found.only_a, found.only_b, found.neither) == (2, 6, 0, 1)
    assert found.p_value == pytest.approx(2 / 64)
    assert summarize([clip(True, True)]).p_value == 1


def test_diff_lists_what_differs(bundle_folders, wav, tmp_path, capsys):
    a, b = (str(bundle_folders[arch]) for arch in ("cnn1d", "cnn2d"))
    (tmp_path / "clips.csv").write_text("path,label\na.wav,bell\n")
    out = tmp_path / "d.csv"
    assert main(["diff", a, b, str(tmp_path / "clips.csv"), "--json", "-o", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["right"][k] for k in ("both", "only_a", "only_b", "neither")) == 1
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == len(told["by_recording"][0]["events"])
    assert main(["diff", a, b, str(wav)]) == 0
    text = capsys.readouterr().out
    assert "1 recordings" in text
    assert "right:" not in text
    assert main(["diff", a, b, str(wav), "--where", "x=1"]) == 2
    assert main(["diff", a, b, str(wav), "--overlap", "2"]) == 2
    assert main(["diff", "environment", "digits", str(wav)]) == 2
    assert "no label in common" in capsys.readouterr().err


def test_diff_goes_on_without_what_cannot_be_read(bundle_folders, wav, tmp_path, capsys):
    a = str(bundle_folders["cnn1d"])
    (tmp_path / "empty.wav").touch()
    assert main(["diff", a, a, str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "empty.wav is empty" in err
    assert "1 recordings" in out
