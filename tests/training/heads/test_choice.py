"""The choice of a head by cross-validation."""

import numpy as np
import pytest

from audiocnn.errors import ArgumentError
from audiocnn.training.heads.choice import Candidate, WindowTable, candidates_for, choose, fit
from tests.training.heads.test_logistic import clusters


def table(n=120, parts=4, **changes):
    """One pooling has the classes in it, the other is noise."""
    x, targets = clusters(n=n)
    noise = np.random.default_rng(5).standard_normal(x.shape).astype(np.float32)
    values = {
        "features": {"mean": noise, "concat": x}, "targets": targets, "weights": np.ones(n),
        "part": np.arange(n) // 3 % parts, "judged": np.ones(n, bool),
    } | changes  # fmt: skip
    return WindowTable(**values)


def test_the_pooling_that_holds_the_classes_is_chosen():
    choice = choose(table(), candidates_for(["mean", "concat"]))
    assert choice.best.pooling == "concat"
    assert not choice.best.hidden
    assert set(choice.by_part) == {0, 1, 2, 3}
    assert all(head.candidate.pooling == "concat" for head in choice.by_part.values())
    assert choice.losses[choice.best] == min(choice.losses.values())


def test_a_part_has_no_say_in_what_it_is_scored_by():
    """Labels of part 0 that are turned round change neither its head nor its candidate."""
    data = table()
    turned = data.targets.copy()
    turned[data.part == 0] = turned[data.part == 0][:, ::-1]
    candidates = candidates_for(["mean", "concat"])
    heads = [choose(t, candidates).by_part[0] for t in (data, table(targets=turned.copy()))]
    assert heads[0].candidate == heads[1].candidate
    np.testing.assert_array_equal(heads[0].layers[0][0], heads[1].layers[0][0])


def test_rows_without_weight_and_rows_that_are_not_judged():
    data = table()
    spoiled = data.targets.copy()
    spoiled[:40] = 1 - spoiled[:40]
    weights = np.where(np.arange(120) < 40, 0.0, 1.0)
    clean = choose(table(weights=weights), candidates_for(["concat"]))
    same = choose(table(weights=weights, targets=spoiled), candidates_for(["concat"]))
    assert clean.losses == same.losses


def test_a_hidden_layer_is_kept_only_where_it_wins():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    targets = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)
    both = candidates_for(["mean"], hidden=16)
    nonlinear = WindowTable(
        {"mean": x}, targets, np.ones(400), np.arange(400) % 3, np.ones(400, bool)
    )
    assert choose(nonlinear, both).best.hidden == 16
    overlapping = table(features={"mean": clusters(n=120, spread=4.0)[0]})
    assert choose(overlapping, both).best.hidden == 0


def test_one_part_is_refused():
    with pytest.raises(ArgumentError, match="two parts, got 1"):
        choose(table(parts=1), candidates_for(["mean"]))


def test_a_fit_on_all_uses_rows_of_no_part():
    data = table()
    candidate = Candidate("concat", 0, 0.01)
    everything = fit(data, [candidate], None)[candidate]
    never = fit(table(part=np.full(120, -1)), [candidate], 0)[candidate]
    np.testing.assert_array_equal(everything.layers[0][0], never.layers[0][0])
