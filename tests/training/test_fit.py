"""Parts of a fit that a whole training shows too late: weights, averages, patience, progress."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from audiocnn.datasets.clip import targets_of
from audiocnn.datasets.manifest import read_manifest
from audiocnn.errors import DatasetError
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.audio_cache import cached_waveforms
from audiocnn.training.data.sampler import Batch, Examples, count_batches, epoch_batches
from audiocnn.training.defaults import default_config, default_front, look_at
from audiocnn.training.fit import fit, resolved_precision
from audiocnn.training.lightning_module import class_weights, moving_average, one_ahead
from audiocnn.training.preparation import clock
from audiocnn.training.progress import Step, read_curve
from tests.sounds import KINDS, RATE, make_dataset

RECIPE = TrainingConfig(
    default_front(RATE), "cnn1d", window=0.8, hop=0.2, pools=2, epochs=3, batch=16, averaging=0.5
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    folder = tmp_path_factory.mktemp("fitting")
    clips = read_manifest(make_dataset(folder / "d", 4))
    waves = cached_waveforms(clips, RATE, folder / "cache")
    members = np.array([0, 1, 2, 3, 4, 8])  # four, one and one of the classes
    return Examples(waves, targets_of(clips, KINDS), members, None, np.zeros(0, np.int64))


def counts_of_an_epoch(examples: Examples, config: TrainingConfig) -> list[float]:
    batches = list(epoch_batches(examples, config, round(0.8 * RATE), 0))
    assert len(batches) == count_batches(examples, config, round(0.8 * RATE))
    return sum(batch.targets.sum(0) for batch in batches).tolist()


def test_rare_classes_are_drawn_more_often_or_weigh_more_or_neither(examples):
    recipes = {
        how: dataclasses.replace(RECIPE, balance=how) for how in ("sampling", "loss", "none")
    }
    drawn = {how: counts_of_an_epoch(examples, config) for how, config in recipes.items()}
    assert len(set(drawn["sampling"])) == 1
    assert drawn["loss"] == drawn["none"]
    assert drawn["none"][0] == 4 * drawn["none"][1]
    weights = {how: class_weights(examples, config).tolist() for how, config in recipes.items()}
    assert weights == {"sampling": [1, 1, 1], "loss": [1, 4, 4], "none": [1, 1, 1]}


def test_the_average_soon_forgets_where_it_began():
    update, average, now = moving_average(0.98), [torch.zeros(3)], [torch.ones(3)]
    for n in range(1, 30):
        update(average, now, torch.tensor(n))
    assert average[0].min() > 0.999  # a constant 0.98 would stand at 0.44
    for n in range(500, 510):
        update(average, [torch.zeros(3)], n)
    assert average[0].max() == pytest.approx(0.98**10, rel=1e-3)


def test_one_batch_ahead_gives_the_same_batches_and_hands_on_what_goes_wrong():
    def batches(n: int, fail: bool = False):
        for seed in range(n):
            yield Batch(
                np.zeros((1, 1), "f4"), np.zeros((1, 1), "f4"), np.zeros((1, 1), "f4"), seed
            )
        if fail:
            raise OSError("the disk is gone")

    assert [batch.seed for batch in one_ahead(batches(5))] == list(range(5))
    with pytest.raises(OSError, match="disk is gone"):
        list(one_ahead(batches(2, fail=True)))
    some = one_ahead(batches(5))
    next(some)
    some.close()  # leaves no thread behind


def test_the_curve_is_kept_as_csv_and_told(examples, tmp_path):
    told: list[Step] = []
    fit(examples, RECIPE, tmp_path, held_out=np.array([5, 9]), watcher=told.append)
    curve = read_curve(tmp_path / "curve.csv", "x")
    assert list(curve.loss) == [step.loss for step in told]
    assert [step.epoch for step in told] == [1, 2, 3]
    assert all(math.isfinite(v) for v in curve.held_out_loss + curve.held_out_accuracy)
    assert curve.learning_rate[-1] < max(curve.learning_rate)
    assert told[0].left == pytest.approx(2 * told[0].pace)
    assert told[-1].left == 0


def test_a_fit_that_is_over_is_not_made_again(examples, tmp_path):
    first = fit(examples, RECIPE, tmp_path)
    told: list[Step] = []
    again = fit(examples, RECIPE, tmp_path, watcher=told.append)
    assert told == []
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_damaged_checkpoint_is_named(examples, tmp_path):
    fit(examples, RECIPE, tmp_path)
    path = tmp_path / "last.ckpt"
    for content in (path.read_bytes()[:2000], b""):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"last\.ckpt is damaged .*: delete it"):
            fit(examples, RECIPE, tmp_path)


def test_patience_ends_a_fit_that_gets_no_better(examples, tmp_path):
    # At this rate nothing is learnt, so that the loss falls by nothing that counts.
    config = dataclasses.replace(RECIPE, epochs=30, patience=2, learning_rate=1e-12)
    fit(examples, config, tmp_path, held_out=np.array([5, 9]))
    assert len(read_curve(tmp_path / "curve.csv", "x").loss) <= 20


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (61, "61 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_the_clock_speaks_as_people_do(seconds, words):
    assert clock(seconds) == words


def test_a_line_says_how_much_is_left_of_all():
    step = Step("fold 1 of 2", 3, 10, 1.5, 1.25, 6.0, fits_left=2)
    assert str(step) == "fold 1 of 2  epoch 3/10  loss 1.500  held out 1.250  3 min left"
    assert "left" not in str(Step("", 10, 10, 1.5, math.nan, 6.0))


def test_precision_is_that_of_the_machine():
    wanted = ("bf16-mixed", "16-mixed") if torch.cuda.is_available() else ("32-true",)
    assert resolved_precision("auto") in wanted
    assert resolved_precision("bf16-mixed") == "bf16-mixed"


def test_how_long_to_train_depends_on_how_much_there_is(tmp_path):
    clips = read_manifest(make_dataset(tmp_path / "d", 4))
    few = default_config(clips)
    assert (few.epochs, few.batch) == (100, 16)
    look = look_at(clips)
    assert (look.rate, look.n_clips) == (RATE, 12)
    many = default_config(clips, dataclasses.replace(look, n_clips=2000))
    assert many.batch == 64
    assert 12 <= many.epochs < 50
    assert default_config(clips, start="a model").epochs == 50
    assert default_config(clips, epochs=7, batch=8).epochs == 7
    assert default_config(clips, window=0.5).hop == 0.125


def test_every_rate_has_a_front_end():
    for rate in (4000, 8000, 16000, 22050, 44100, 192000):
        front = default_front(rate)
        assert front.rate <= 32000
        assert front.hop / front.rate == pytest.approx(1 / 80, rel=0.01)


def test_sounds_that_cannot_be_looked_at_are_named_later(tmp_path):
    folder: Path = make_dataset(tmp_path / "d", 2)
    (folder / "hiss" / "0.wav").write_text("no sound")
    assert look_at(read_manifest(folder)).rate == RATE
