"""Distillation: windows, teachers, a student that learns, and classes that are kept."""

import csv
import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from audiocnn.errors import DatasetError
from audiocnn.frontend.log_mel import log_mel
from audiocnn.inference.events import EventRule
from audiocnn.networks.classifier import Classifier, TrunkSpec, window_logits
from audiocnn.training.distillation import shards, student
from audiocnn.training.distillation.class_head import (
    Agreement,
    agreements,
    choose_classes,
    choose_rules,
    fit_calibration,
    labelled_precision,
    start_head,
    with_head,
)
from audiocnn.training.distillation.groups import (
    GROUPS,
    group_probabilities,
    main_member,
    members,
)
from audiocnn.training.distillation.held_out import read_recording, windows_of
from audiocnn.training.distillation.mixtures import N, in_a_room, make_window, power_of
from audiocnn.training.distillation.sound_pool import RATE, SoundPool, balanced, is_held_out
from audiocnn.training.distillation.speech_teacher import SpeechTeacher
from audiocnn.training.distillation.student import (
    fit,
    one_cycle,
    scales_of,
    start_run,
    to_batch,
    to_frames,
)
from audiocnn.training.distillation.teacher import N_CLASSES, N_EMBEDDING, Answers, Teacher
from audiocnn.zoo.audioset import audioset_labels

MODELS = Path(__file__).parents[4] / "shared" / "models"
WEIGHTS = MODELS / "mn04_as_mAP_432.pt"
needs_teachers = pytest.mark.skipif(not WEIGHTS.exists(), reason="no networks in ../shared")
SPEECH, MUSIC = 0, audioset_labels("mn04").index("Music")


def tone(seconds: float, f: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * f * np.arange(int(seconds * RATE)) / RATE)


@pytest.fixture
def pool(tmp_path: Path) -> SoundPool:
    """Two sources: 40 short tones, and a long one."""
    for source, sounds in (
        ("tones/low", [tone(0.5, 200 + 10 * n) for n in range(40)]),
        ("long", [tone(9.0, 3000)]),
    ):
        rows, at = [], 0
        for number, x in enumerate(sounds):
            group = f"tone {number}"
            rows.append((source, "CC0", "effects", group, at, x.size / RATE, f"{group}.ogg"))
            at += x.size
        name = source.replace("/", "+")
        np.save(tmp_path / f"{name}.npy", (np.concatenate(sounds) * 32767).astype(np.int16))
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            head = ("source", "licence", "kind", "group", "start", "seconds", "path")
            csv.writer(file).writerows([head, *rows])
    return SoundPool(tmp_path)


def fake_teacher(samples: np.ndarray) -> Answers:
    """Music where the sound is high, speech where it is low; embeddings of the level."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    high = spectrum[:, 2000:].sum(1) / (spectrum.sum(1) + 1e-9)
    probabilities = np.full((len(samples), N_CLASSES), 0.001, np.float32)
    probabilities[:, MUSIC], probabilities[:, SPEECH] = high, 1 - high
    place = np.linspace(0, 3, N_EMBEDDING, dtype=np.float32)
    return Answers(np.cos(place * high[:, None].astype(np.float32)), probabilities)


@pytest.fixture
def shard(pool: SoundPool) -> shards.Shard:
    weights = np.cumsum(np.full(len(pool), 1 / len(pool)))
    draw = partial(make_window, pool, weights, np.random.default_rng(0))
    shard = shards.make_shard(draw, partial(shards.answered, teacher=fake_teacher), 40)
    speech = np.random.default_rng(1).standard_normal((9, 4, 96)).astype(np.float16)
    return shard._replace(speech=speech, spoken=np.arange(0, 27, 3))


def test_recordings_are_read_where_the_table_says(pool: SoundPool):
    assert len(pool) == 41
    assert pool.hours == pytest.approx((40 * 0.5 + 9) / 3600)
    chosen = pool.groups.index("tone 7")
    np.testing.assert_allclose(pool.samples(chosen, 100, 50), tone(0.5, 270)[100:150], atol=1e-4)
    assert pool.samples(chosen, 15_990, 999).size == 10  # no further than its end


def test_a_folder_without_tables_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"no tables of recordings: scripts/gather_sounds -o"):
        SoundPool(tmp_path)


def test_takes_of_one_sound_are_on_one_side():
    names = [f"sound {n}" for n in range(2000)]
    held = {name: is_held_out("source", name) for name in names}
    assert held == {name: is_held_out("source", name) for name in names}
    assert 0.05 < np.mean(list(held.values())) < 0.15


def test_rare_sounds_are_drawn_more_often():
    probabilities = np.zeros((100, 3), np.float32)
    probabilities[:95, 0] = 0.9
    probabilities[95:, 1] = 0.9
    found = balanced(np.ones(100), probabilities)
    assert found.sum() == pytest.approx(1)
    assert found[99] > 4 * found[0]
    np.testing.assert_allclose(balanced(np.ones(100), probabilities, 0), 0.01, rtol=1e-3)


def test_windows_are_as_long_as_they_should_be_and_never_overloaded(pool: SoundPool):
    weights, rng = np.cumsum(np.full(41, 1 / 41)), np.random.default_rng(3)
    for plain in (True, False):
        for _ in range(30):
            x = make_window(pool, weights, rng, plain=plain)
            assert x.shape == (N,)
            assert x.dtype == np.float32
            assert 0 < np.abs(x).max() <= 1


def test_a_room_leaves_the_direct_sound_first():
    x = np.zeros(N, np.float32)
    x[RATE] = 1
    y = in_a_room(x, np.random.default_rng(0))
    np.testing.assert_allclose(y[:RATE], 0, atol=1e-5)
    assert y[RATE] == pytest.approx(1, abs=1e-5)
    assert np.square(y[RATE + 200 :]).sum() > 1e-3
    assert power_of(y) > power_of(np.zeros(N, np.float32))


def test_bytes_are_frames_within_half_a_step(pool: SoundPool):
    frames = log_mel(pool.samples(40, 0, N), shards.FRONT)
    found = to_frames(torch.from_numpy(shards.to_bytes(frames[0])[None]))[0].numpy()
    assert np.abs(found - frames).max() <= 0.5 / shards.PER_STEP + 1e-5


def test_columns_end_where_the_network_stops_seeing():
    network = Classifier(TrunkSpec("cnn2d1d", "small", 1, 64, 2))
    ends = shards.column_ends(network.receptive_field, network.stride)
    frames = torch.zeros(1, 1, 64, (N - 1024) // 400 + 1)
    assert network(frames).shape[-1] == len(ends)
    assert ends[0] == ((network.receptive_field - 1) * 400 + 1024) / 32000
    np.testing.assert_allclose(np.diff(ends), 0.1)
    assert 1.8 < ends[-1] <= 2


def test_a_shard_is_written_whole_and_made_once(tmp_path: Path, shard: shards.Shard):
    folder = tmp_path / "shard"
    shards.write_shard(folder, lambda: shard)
    shards.write_shard(folder, lambda: pytest.fail("made again"))
    for found, wanted in zip(shards.read_shard(folder), shard, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not list(tmp_path.glob("*.part"))


def test_joined_shards_keep_their_spoken_windows(shard: shards.Shard):
    both = shards.joined([shard, shard])
    assert both.spoken.tolist() == [*shard.spoken, *(shard.spoken + 40)]
    batch = to_batch(both, np.array([43, 1, 6]))
    assert batch.spoken.tolist() == [0, 2]
    np.testing.assert_array_equal(batch.speech.numpy(), shard.speech[[1, 2]].astype("f4"))


def test_a_student_learns_and_goes_on_from_its_checkpoint(
    tmp_path: Path, shard: shards.Shard, monkeypatch: pytest.MonkeyPatch
):
    seconds = itertools.count()  # a step takes one, whatever else runs here
    monkeypatch.setattr(student.time, "monotonic", lambda: float(next(seconds)))
    for number in range(2):
        shards.write_shard(tmp_path / f"train-{number:04d}", lambda: shard)
    run = start_run("small", scales_of(shard), 1e-3)
    every = to_batch(shard, np.arange(40))
    before = float(run.student.loss(every)[0].detach())
    path = tmp_path / "student.pt"
    fit(run, tmp_path, path, 0.5, 2e-3, lambda line: None)
    assert 25 <= run.steps <= 30
    assert float(run.student.loss(every)[0].detach()) < 0.8 * before
    again = start_run("small", scales_of(shard), 1e-3, seed=5)
    again.load(path)
    assert (again.steps, again.seconds) == (run.steps, run.seconds)
    for name, value in run.average.state_dict().items():
        assert torch.equal(again.average.state_dict()[name], value)


def test_the_rate_rises_and_falls():
    rates = [one_cycle(share, 1.0) for share in np.linspace(0, 1, 101)]
    assert np.argmax(rates) == 5
    assert rates[0] == pytest.approx(0.05)
    assert rates[-1] < 0.01
    assert all(isinstance(rate, float) for rate in rates)  # a checkpoint holds plain numbers


def test_groups_are_of_classes_that_exist_and_take_the_strongest():
    assert all(members(name) for name in GROUPS)
    assert {"Bark", "Howl", "Dog"} <= set(members("dog"))
    probabilities = np.zeros((2, N_CLASSES), np.float32)
    probabilities[1, audioset_labels("mn04").index("Bark")] = 0.6
    found = group_probabilities(probabilities)
    names = list(GROUPS)
    assert found.shape == (2, len(GROUPS))
    assert found[1, names.index("dog")] == pytest.approx(0.6)
    assert found[0].max() == 0


def test_agreement_needs_windows_precision_and_something_found():
    rng = np.random.default_rng(0)
    wanted = (rng.random((400, 3)) < [0.2, 0.2, 0.005]).astype(np.float32) * 0.8
    scores = np.stack([wanted[:, 0] + 0.1 * rng.random(400), rng.random(400), wanted[:, 2]], 1)
    rules = dict.fromkeys(("good", "bad", "rare"), EventRule(0.5, 0.3))
    found = agreements(scores, wanted, rules)
    assert found["good"].is_enough
    assert found["good"].found == 1
    assert not found["bad"].is_enough
    assert not found["rare"].is_enough
    assert agreements(scores, wanted, rules, {"rare": 0.9})["rare"].is_enough  # by people
    assert not Agreement(10, 0.5, 0.05).is_enough


def test_clips_that_people_labelled_are_ranked():
    trained = Classifier(TrunkSpec("cnn2d1d", "small", 1, 64, N_CLASSES)).eval()
    network = with_head(trained, len(GROUPS))
    start_head(network, trained, list(GROUPS))
    row = trained.head.weight[main_member("dog")]
    assert torch.equal(network.head.weight[list(GROUPS).index("dog")], row)
    clips = [(tone(2.0, 500).astype("f4"), "dog_bark"), (tone(5.0, 900).astype("f4"), "rain")]
    found = labelled_precision(trained, network, clips)
    assert set(found) == {"dog", "rain"}
    assert all(0.5 <= value <= 1 for value in found.values())


def test_calibration_makes_scores_the_teachers_mean():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 1))
    wanted = 1 / (1 + np.exp(-truth))
    found = fit_calibration(((truth + 1) / 2).astype("f4"), wanted.astype("f4"))
    assert found.slope[0] == pytest.approx(2, abs=0.05)
    assert found.offset[0] == pytest.approx(-1, abs=0.05)


def test_thresholds_are_where_the_teacher_agrees():
    scores = np.linspace(0, 1, 1001, dtype=np.float32)[:, None]
    wanted = (scores > 0.58).astype(np.float32)
    rule = choose_rules(scores, wanted, ("x",))["x"]
    assert rule.on == pytest.approx(0.5)  # of 501 windows from there on, 420
    assert choose_rules(scores, 0 * wanted, ("x",))["x"].on == 0.97


def test_classes_that_agree_are_kept_with_their_rows():
    trained = Classifier(TrunkSpec("cnn2d1d", "small", 1, 64, N_CLASSES)).eval()
    rng = np.random.default_rng(0)
    wanted = torch.full((4000, len(GROUPS)), 0.001)
    names = list(GROUPS)
    here = torch.from_numpy(rng.random(4000) < 0.3)
    wanted[:, names.index("music")] = torch.where(here, 0.9, 0.01)
    features = torch.from_numpy(rng.standard_normal((4000, 192, 3))).half()
    features[:, 5] += 8 * here[:, None].half()
    made = choose_classes(
        trained, (features[:3000], wanted[:3000]), (features[3000:], wanted[3000:])
    )
    assert made.labels == ("music",)
    assert made.network.spec.n_classes == 1
    score = window_logits(made.network.columns(features.float()))[:, 0]
    assert score[here].mean() > score[~here].mean() + 0.5
    trunks = made.network.trunk.parameters(), trained.trunk.parameters()
    assert all(torch.equal(a, b) for a, b in zip(*trunks, strict=True))


def test_a_student_that_agrees_on_nothing_is_refused():
    trained = Classifier(TrunkSpec("cnn2d1d", "small", 1, 64, N_CLASSES)).eval()
    nothing = torch.zeros(300, 192, 3).half(), torch.full((300, len(GROUPS)), 0.001)
    with pytest.raises(DatasetError, match="agree on no group of classes"):
        choose_classes(trained, nothing, nothing)


@needs_teachers
def test_the_teacher_knows_real_sounds():
    """Facts that a listener knows: roosters crow, and rain does not."""
    teacher, loudest = Teacher(WEIGHTS), {}
    fowl = [audioset_labels("mn04").index(name) for name in members("chicken")]
    for label in ("rooster", "rain"):
        clips = sorted((MODELS.parent / "data" / "esc10" / label).glob("*"))[:6]
        if not clips:
            pytest.skip("no ESC-10 in ../shared")
        windows = [np.stack(list(windows_of([read_recording(path)]))) for path in clips]
        answers = [teacher(some) for some in windows]
        assert answers[0].embeddings.shape == (len(windows[0]), N_EMBEDDING)
        loudest[label] = [given.probabilities[:, fowl].max() for given in answers]
    assert np.median(loudest["rooster"]) > 0.1
    assert np.max(loudest["rain"]) < 0.1


@needs_teachers
def test_the_speech_teacher_answers_for_the_ends_of_columns():
    names = ("speech_melspectrogram.onnx", "speech_embedding.onnx")
    teacher = SpeechTeacher(*(MODELS / name for name in names))
    rng = np.random.default_rng(0)
    x = (0.1 * rng.standard_normal((2, N))).astype(np.float32)
    ends = np.array([1.207, 1.907])
    found = teacher(x, 32000, ends)
    assert found.shape == (2, 2, 96)
    x[:, int(1.22 * RATE) :] = 0  # the future never changes the past
    changed = teacher(x, 32000, ends)
    np.testing.assert_allclose(changed[:, 0], found[:, 0], atol=0.05 * found.std())
    assert np.abs(changed[:, 1] - found[:, 1]).max() > found.std()
