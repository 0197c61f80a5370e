"""Rules for a budget: chosen on one half, measured on the other, and nothing claimed too much."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.cli.main import main
from audiocnn.datasets.groups import group_names
from audiocnn.datasets.manifest import Clip
from audiocnn.errors import ArgumentError
from audiocnn.evaluation.holdout import background_clips, chosen_half
from audiocnn.evaluation.threshold_search import candidate_rules, choose_rules, clip_runs
from audiocnn.evaluation.tuning import judge_half, tune
from audiocnn.evaluation.window_logits import (
    WindowLogits,
    clip_logits,
    clips_logits,
    concatenate,
    select_segments,
)
from audiocnn.inference.bundle import grid_of
from audiocnn.inference.events import EventRule
from audiocnn.inference.pipeline import listen

RATE = 8000
HOURS = 3600


@pytest.fixture(scope="module")
def bundle(bundle_folders):
    return audiocnn.load(bundle_folders["cnn1d"])


def heard(bundle, logits: list[np.ndarray], labels: list[tuple[str, ...]]) -> WindowLogits:
    """Make what was heard of clips, of the logits that are given, at the bundle's hop."""
    grid, parts = grid_of(bundle), []
    for number, (rows, names) in enumerate(zip(logits, labels, strict=True)):
        n = rows.shape[1]
        begins = grid.hop * np.arange(n)
        clip = Clip(Path(f"{number}.wav"), names, columns={"source": f"s{number}"})
        parts.append(WindowLogits((clip,), rows.astype(np.float32), np.zeros(n, np.int64), begins,
                           begins + grid.window))  # fmt: skip
    return concatenate(parts)


def quiet(bundle, hours: float, peaks: int, seed: int, level: float = 4.0) -> WindowLogits:
    """Make background in clips of six minutes, with ``peaks`` false alarms of the first label."""
    grid, rng = grid_of(bundle), np.random.default_rng(seed)
    n = round(360 / grid.hop)
    clips = [np.full((3, n), -9.0) for _ in range(round(hours * 10))]
    for at in range(peaks):
        clips[at % len(clips)][0, 100 + 50 * (at // len(clips))] = level + rng.uniform(0, 0.5)
    return heard(bundle, clips, [()] * len(clips))


def sounding(bundle, n: int) -> WindowLogits:
    rows, labels = [], []
    for k in range(n):
        logits = np.full((3, 12), -9.0)
        logits[k % 3] = 9.0
        rows.append(logits)
        labels.append((bundle.labels[k % 3],))
    return heard(bundle, rows, labels)


def test_no_alarm_in_too_few_hours_is_not_claimed(bundle):
    clips = sounding(bundle, 12)
    few = tune(bundle, (quiet(bundle, 2, 0, 0), quiet(bundle, 2, 0, 1)), (clips, clips), 0.5)
    assert few.measured.alarms.events == 0
    assert not few.shown
    assert "NOT SHOWN" in few.verdict
    assert "fewer than 1.49 per hour" in few.verdict  # 3 / 2.01 h
    assert "It takes 6 h in this half, so 12 h" in few.verdict  # 3 / 0.5
    enough = tune(bundle, (quiet(bundle, 2, 0, 0), quiet(bundle, 6.1, 0, 1)), (clips, clips), 0.5)
    assert enough.shown
    assert "shows fewer than 0.489 per hour" in enough.verdict
    assert enough.measured.recall == 1


def test_more_alarms_than_the_budget_are_said(bundle):
    clips = sounding(bundle, 12)
    worse = quiet(bundle, 6, 40, 1, level=9.0)  # the other half is not like the first
    tuned = tune(bundle, (quiet(bundle, 6, 0, 0), worse), (clips, clips), 0.5)
    assert tuned.measured.alarms.events == 40
    assert "ABOVE the budget" in tuned.verdict
    row = tuned.measured.most_alarms[0]
    assert (row["source"], row["label"], row["events"]) == ("s0", bundle.labels[0], 1)


def test_the_loudest_alarms_are_kept_out_and_the_sounds_kept(bundle):
    calibration = replace(bundle.calibration, slope=(1.0,) * 3)
    rules = {label: EventRule(0.5, 0.3) for label in bundle.labels}
    calm = replace(bundle, calibration=calibration, rules=rules)
    clips = sounding(bundle, 30)
    tuned = tune(calm, (quiet(calm, 2, 12, 0), quiet(calm, 2, 12, 1)), (clips, clips), 0.5)
    assert tuned.before.alarms.events == 12
    assert tuned.chosen.alarms.events <= 2
    assert tuned.measured.alarms.events <= 2
    assert tuned.measured.recall == 1
    assert tuned.measured.recall_bounds[0] > 0.85
    json.dumps(tuned.as_dict(), allow_nan=False)


def test_wary_rules_stay_a_step_above_what_was_heard(bundle):
    calm = replace(bundle, calibration=replace(bundle.calibration, slope=(1.0,) * 3))
    grid, candidates = grid_of(bundle), candidate_rules([0.0])
    background = quiet(calm, 4, 5, 0, level=1.0)  # up to 0.82
    chosen = [
        choose_rules(calm.labels, background, grid, calm.calibration, candidates, budget=0,
                     examples=(sounding(calm, 6), np.eye(3)[np.arange(6) % 3]), wary=wary)
        for wary in (False, True)
    ]  # fmt: skip
    assert chosen[0][calm.labels[0]].on <= 0.85
    assert chosen[1][calm.labels[0]].on > chosen[0][calm.labels[0]].on


def test_runs_of_any_length_find_the_same_events(bundle):
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (3, 1000)).cumsum(axis=1) / 10  # wanders over many runs
    one = heard(bundle, [rows], [()])
    rules = {label: EventRule(0.6, 0.4, smooth=1.0, join_gap=0.5) for label in bundle.labels}
    grid = grid_of(bundle)
    ((_, runs),) = clip_runs(one, grid, bundle.calibration)
    assert len(runs) > 3
    whole = replace(runs[0], values=np.concatenate([r.values for r in runs], axis=1), last=True)
    found, expected = (list(audiocnn.find_events(r, rules)) for r in (runs, [whole]))
    assert len(found) > 5
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_clip_is_heard_as_it_is_labelled(bundle, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(7 * RATE), RATE, "FLOAT")
    (found,) = clip_logits(bundle, Clip(path, ()))
    ((_, runs),) = clip_runs(found, grid_of(bundle), bundle.calibration)
    expected = list(listen(bundle, audiocnn.read_blocks(path, bundle.rate)))
    values = [np.concatenate([r.values for r in some], axis=1) for some in (runs, expected)]
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)
    assert [r.last for r in runs] == [False] * (len(runs) - 1) + [True]
    (part,) = clip_logits(bundle, Clip(path, (), 2.0, 5.0))
    assert part.begins[0] == 2.0
    assert part.ends[-1] == pytest.approx(5.0, abs=0.05)
    missing = Clip(tmp_path / "no.wav", ())
    assert [type(r).__name__ for r in clips_logits(bundle, [missing])] == ["AudioError"]


def test_some_of_what_was_heard_is_what_was_heard_of_some(bundle):
    several = sounding(bundle, 5)
    wanted = np.array([True, False, True, False, True])
    some = select_segments(several, wanted)
    assert [clip.path.name for clip in some.clips] == ["0.wav", "2.wav", "4.wav"]
    assert some.clip.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    again = concatenate([select_segments(several, np.arange(5) == k) for k in (0, 2, 4)])
    np.testing.assert_array_equal(again.logits, some.logits)
    np.testing.assert_array_equal(again.clip, some.clip)


def clips_of(sources: list[str], **columns: str) -> list[Clip]:
    return [
        Clip(Path(f"{i}.wav"), (), columns={"source": name, **columns})
        for i, name in enumerate(sources)
    ]


def test_halves_share_no_source_and_are_of_a_length():
    clips = clips_of([f"s{i // 7}" for i in range(140)])
    seconds = np.random.default_rng(0).uniform(1, 30, 140)
    half = chosen_half(clips, seconds, {}, None, np.random.default_rng(0))
    sources = [{c.columns["source"] for c, h in zip(clips, half, strict=True) if h == x}
               for x in (True, False)]  # fmt: skip
    assert not sources[0] & sources[1]
    assert seconds[half].sum() == pytest.approx(seconds[~half].sum(), rel=0.1)
    other = chosen_half(clips, seconds, {}, None, np.random.default_rng(1))
    assert (half != other).any()


def test_halves_can_be_named_and_must_not_be_empty():
    clips = clips_of(["a", "b", "c"], part="x")
    clips[0] = replace(clips[0], columns={"source": "a", "part": "y"})
    one, rng = np.ones(3), np.random.default_rng(0)
    assert chosen_half(clips, one, {"part": ("y",)}, None, rng).tolist() == [True, False, False]
    with pytest.raises(ArgumentError, match="--split part=z takes 0 of 3"):
        chosen_half(clips, one, {"part": ("z",)}, None, rng)
    with pytest.raises(ArgumentError, match="of one group"):
        chosen_half(clips_of(["a"] * 3), one, {}, None, rng)


def test_groups_are_guessed_from_folders_and_names():
    pieces = [Clip(Path(f"x/{n}-{i}.wav"), ()) for n in "abcde" for i in range(3)]
    assert len(set(group_names(pieces, None))) == 5
    folders = [Clip(Path(f"{n}/{i}.wav"), ()) for n in "abcde" for i in range(3)]
    assert len(set(group_names(folders, None))) == 5
    numbered = [Clip(Path(f"x/rec{i}.wav"), ()) for i in range(9)]
    assert len(set(group_names(numbered, None))) == 9  # one group would be of no use


def test_background_is_what_has_no_label(tmp_path):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(100), RATE)
    assert len(background_clips(tmp_path)) == 2
    with pytest.raises(ArgumentError, match=r"no clips\.csv"):
        background_clips(tmp_path, {"part": ("x",)})
    (tmp_path / "clips.csv").write_text("path,label,part\na.wav,,x\nb.wav,bell,x\n")
    assert [c.path.name for c in background_clips(tmp_path)] == ["a.wav"]
    (tmp_path / "clips.csv").write_text("path,label,part\nb.wav,bell,x\n")
    with pytest.raises(ArgumentError, match="has a label"):
        background_clips(tmp_path)


@pytest.fixture
def dataset(tmp_path) -> Path:
    rng, rows = np.random.default_rng(0), ["path,label,speaker"]
    (tmp_path / "other").mkdir()
    for k in range(6):
        soundfile.write(tmp_path / f"{k}.wav", 0.1 * rng.standard_normal(3 * RATE), RATE)
        rows.append(f"{k}.wav,{('bell', 'frog', 'saw')[k % 3]},s{k}")
        soundfile.write(tmp_path / "other" / f"n{k}.wav", 0.1 * rng.standard_normal(4 * RATE), RATE)
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_tune_writes_a_bundle_that_loads(bundle_folders, dataset, capsys):
    model, out = str(bundle_folders["cnn1d"]), dataset / "tuned"
    command = ["tune", str(dataset), "--model", model, "-o", str(out),
               "--background", str(dataset / "other")]  # fmt: skip
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    new, old = audiocnn.load(out), audiocnn.load(model)
    assert new.card["tuned"] == told
    assert told["shown"] is False
    assert {label: rule.on for label, rule in new.rules.items()} == {
        label: rule["on"] for label, rule in told["rules"].items()
    }
    assert new.model == old.model
    assert new.calibration == old.calibration
    again = dataset / "again"  # its own card's section is replaced, not repeated
    assert main(["tune", str(dataset), "--model", str(out), "-o", str(again),
                 "--background", str(dataset / "other")]) == 0  # fmt: skip
    assert (again / "README.md").read_text().count("## Rules for a budget") == 1
    assert "NOT SHOWN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--false-alarms", "0"], "above 0 per hour"),
        (["--split", "day=1"], "neither the labelled clips nor the background"),
        (["--background-where", "part=x"], "no clips.csv"),
    ],
)
def test_tune_refuses_what_makes_no_sense(bundle_folders, dataset, capsys, more, said):
    command = ["tune", str(dataset), "--model", str(bundle_folders["cnn1d"]), "-o",
               str(dataset / "t"), "--background", str(dataset / "other"), *more]  # fmt: skip
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (dataset / "t").exists()


def test_a_model_is_not_written_over_itself(bundle_folders, dataset, capsys):
    model = str(bundle_folders["cnn1d"])
    command = ["tune", str(dataset), "--model", model, "-o", model, "--background", str(dataset)]
    assert main(command) == 2
    assert "is the model itself" in capsys.readouterr().err


def test_a_half_is_judged_by_label(bundle):
    rules = {label: EventRule(0.9, 0.5) for label in bundle.labels}
    half = judge_half(bundle, rules, quiet(bundle, 1, 3, 0, level=9.0), sounding(bundle, 4))
    assert half.alarms_by_label == {bundle.labels[0]: 3, bundle.labels[1]: 0, bundle.labels[2]: 0}
    assert half.found_by_label[bundle.labels[0]] == (2, 2)
    assert half.recall == 1
    assert half.alarms.hours == pytest.approx(1, rel=0.01)
