"""The whole path: a stream gives the scores and the events of the file."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn import Block, EventRule, find_events, listen
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import grid_of
from audiocnn.inference.windows import Scores

RATE = 8000
ALLOWED = 1e-5


@pytest.fixture(scope="session", params=["cnn1d", "cnn2d"])
def bundle(request, bundle_folders):
    return audiocnn.load(bundle_folders[request.param])


@pytest.fixture(scope="session")
def rules(bundle):
    """Rules that such scores cross often: around the middle of those of another sound."""
    values = joined(list(listen(bundle, blocks(sound(10, seed=99)), 0.1)))
    smooth = (0.0, 0.3, 0.5)
    return {
        label: EventRule(*np.quantile(row, (0.6, 0.45)).tolist(), smooth=seconds)
        for label, row, seconds in zip(bundle.labels, values, smooth, strict=True)
    }


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Make noise that comes and goes, so that scores move."""
    n = round(seconds * RATE)
    rng = np.random.default_rng(seed)
    level = np.interp(np.arange(n), np.linspace(0, n, 12), rng.uniform(0, 0.3, 12))
    return (level * rng.standard_normal(n)).astype(np.float32)


def blocks(x: np.ndarray, cuts: Iterable[int] = (), start: int = 0) -> list[Block]:
    edges = [0, *sorted(cuts), x.size]
    return [Block(x[a:b], start + a, RATE) for a, b in itertools.pairwise(edges)]


def joined(runs: list[Scores]) -> np.ndarray:
    return np.concatenate([run.values for run in runs], axis=1)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_cutting_gives_the_same_scores_and_events(bundle, rules, data):
    x = sound(data.draw(st.floats(0.01, 6)), seed=data.draw(st.integers(0, 5)))
    hop = data.draw(st.sampled_from([None, 0.05, 0.1, 0.7, 2.5]))
    cuts = data.draw(st.lists(st.integers(0, x.size), max_size=20))  # twice the same: empty
    single = data.draw(st.integers(0, x.size))
    cuts += [min(x.size, single + i) for i in range(5)]  # single samples
    whole, pieces = (list(listen(bundle, blocks(x, c), hop)) for c in ((), cuts))
    np.testing.assert_allclose(joined(whole), joined(pieces), atol=ALLOWED)
    assert whole[-1].start == pytest.approx(pieces[-1].start)
    assert whole[-1].padded == pieces[-1].padded
    assert found_in(whole, rules) == found_in(pieces, rules)


def test_scores_move_so_that_comparing_them_means_something(bundle):
    values = joined(list(listen(bundle, blocks(sound(6)), 0.1)))
    assert values.std(axis=1).max() > 1e-3


def test_the_future_never_changes_the_past(bundle):
    x = sound(5)
    y = x.copy()
    y[3 * RATE :] = 0.3
    grid = grid_of(bundle, 0.1)
    n = int((3.0 - grid.window) / grid.hop) + 1
    a, b = (joined(list(listen(bundle, blocks(v), 0.1))) for v in (x, y))
    np.testing.assert_allclose(a[:, :n], b[:, :n], atol=ALLOWED)
    assert np.abs(a[:, n + 5 :] - b[:, n + 5 :]).max() > 1e-4


def test_each_gap_free_segment_is_a_file_of_its_own(bundle):
    first, second = sound(2.3, 1), sound(1.7, 2)
    together = blocks(first, [500, 9000]) + blocks(second, [77], start=first.size + 1234)
    runs = list(listen(bundle, together, 0.1))
    alone = [list(listen(bundle, blocks(x), 0.1)) for x in (first, second)]
    np.testing.assert_allclose(joined(runs), joined(alone[0] + alone[1]), atol=ALLOWED)
    ends = [i for i, run in enumerate(runs) if run.last]
    assert len(ends) == 2
    assert runs[ends[0] + 1].start == pytest.approx((first.size + 1234) / RATE)


def test_a_short_recording_is_one_padded_window(bundle):
    grid = grid_of(bundle)
    (run,) = [r for r in listen(bundle, blocks(sound(0.2))) if r.values.size]
    assert run.values.shape == (3, 1)
    assert run.last
    assert run.padded == pytest.approx(grid.window - 0.2)
    zeros = np.concatenate([sound(0.2), np.zeros(grid.window_samples - round(0.2 * RATE), "f4")])
    np.testing.assert_allclose(joined(list(listen(bundle, blocks(zeros)))), run.values, atol=1e-6)


@pytest.mark.parametrize(("more", "windows"), [(-1, 1), (0, 1), (1, 1)])
def test_around_exactly_one_window(bundle, more, windows):
    grid = grid_of(bundle)
    runs = list(listen(bundle, blocks(sound(2)[: grid.window_samples + more])))
    assert joined(runs).shape[1] == windows
    assert (runs[-1].padded > 0) == (more < 0)


def test_the_end_gets_a_last_window_on_the_last_whole_columns(bundle):
    grid = grid_of(bundle, 0.7)
    n = grid.window_samples + grid.period * (grid.step + 2) + 10
    runs = [run for run in listen(bundle, blocks(sound(4)[:n]), 0.7) if run.values.size]
    begins = [run.start + i * run.hop for run in runs for i in range(run.values.shape[1])]
    np.testing.assert_allclose(begins, np.array([0, 14, 16]) * grid.period / RATE)
    assert [run.last for run in runs][-1]


def test_a_hop_longer_than_the_window_skips(bundle):
    grid = grid_of(bundle, 3.0)
    assert grid.step > grid.size
    coarse = joined(list(listen(bundle, blocks(sound(10)), 3.0)))
    fine = joined(list(listen(bundle, blocks(sound(10)), grid.period / RATE)))
    np.testing.assert_allclose(coarse[:, :3], fine[:, :: grid.step][:, :3], atol=ALLOWED)


def test_nothing_gives_nothing(bundle):
    assert list(listen(bundle, [])) == []
    assert list(listen(bundle, [Block(np.empty(0, np.float32), 0, RATE)])) == []


def test_another_rate_is_refused(bundle):
    with pytest.raises(ArgumentError, match=r"takes 8000 Hz, got a block at 44100 Hz"):
        list(listen(bundle, [Block(np.zeros(10, np.float32), 0, 44100)]))


@pytest.mark.parametrize("hop", [0.0, -1.0, float("nan")])
def test_a_hop_that_is_none_is_refused(bundle, hop):
    with pytest.raises(ArgumentError, match="hop must be above 0 seconds"):
        list(listen(bundle, blocks(sound(1)), hop))


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 48000])
def test_files_of_every_rate_stream(bundle, rate, tmp_path: Path):
    rng = np.random.default_rng(rate)
    soundfile.write(tmp_path / "x.flac", 0.1 * rng.standard_normal(3 * rate), rate)
    runs = [
        list(listen(bundle, audiocnn.read_blocks(tmp_path / "x.flac", RATE, seconds=s)))
        for s in (10.0, 0.013)
    ]
    np.testing.assert_allclose(joined(runs[0]), joined(runs[1]), atol=ALLOWED)


def times(runs: list[Scores]) -> np.ndarray:
    """Say when each window begins."""
    return np.concatenate([run.start + run.hop * np.arange(run.values.shape[1]) for run in runs])


def found_in(runs: list[Scores], rules) -> list[tuple[str, float, float]]:
    return sorted(
        (event.label, round(event.start, 6), round(event.end, 6))
        for event in find_events(runs, rules)
    )


def test_single_samples_give_what_the_file_gives(bundle):
    x = sound(1.9, seed=3)
    whole, singles = (list(listen(bundle, blocks(x, c), 0.05)) for c in ((), range(1, x.size)))
    np.testing.assert_allclose(joined(singles), joined(whole), atol=ALLOWED)
    np.testing.assert_allclose(times(singles), times(whole))
    assert max(run.values.shape[1] for run in singles) == 1  # live, a run is one window


@settings(deadline=None, max_examples=25)
@given(
    more=st.integers(-3000, 30_000), hop=st.floats(0.01, 4), cuts=st.lists(st.integers(0, 20_000))
)
def test_windows_lie_on_the_grid_and_the_last_one_at_the_end(bundle, more, hop, cuts):
    grid = grid_of(bundle, hop)
    x = np.resize(sound(2), grid.window_samples + more)
    runs = list(listen(bundle, blocks(x, [c for c in cuts if c < x.size]), hop))
    n_columns = max(0, more) // grid.period + 1  # places where a window may begin
    starts = list(range(0, n_columns, grid.step))
    if starts[-1] != n_columns - 1:
        starts.append(n_columns - 1)
    np.testing.assert_allclose(times(runs), np.array(starts) * grid.period / RATE)
    # What no window saw at the end is less than a column.
    left = x.size / RATE - (times(runs)[-1] + grid.window - runs[-1].padded)
    assert -1e-9 < left < grid.period / RATE
    assert runs[-1].padded == pytest.approx(max(0, -more) / RATE)
    assert joined(runs).min() > 0
    assert joined(runs).max() < 1


def test_the_rules_find_events_so_that_comparing_them_means_something(bundle, rules):
    found = found_in(list(listen(bundle, blocks(sound(6)), 0.1)), rules)
    assert len({label for label, _, _ in found}) == 3
    assert any(start > 0 and end < 5.9 for _, start, end in found)


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_segments_in_any_cutting_are_files_of_their_own(bundle, rules, data):
    stream, alone, start = [], [], data.draw(st.integers(0, 5000))
    for seed in range(data.draw(st.integers(2, 4))):
        x = sound(data.draw(st.sampled_from([0.001, 0.2, 1.6, 2.9])), seed)
        cuts = data.draw(st.lists(st.integers(0, x.size), max_size=6))
        stream += blocks(x, cuts, start)
        alone += listen(bundle, blocks(x, (), start), 0.1)
        start += x.size + data.draw(st.integers(1, 20_000))
    together = list(listen(bundle, stream, 0.1))
    np.testing.assert_allclose(joined(together), joined(alone), atol=ALLOWED)
    np.testing.assert_allclose(times(together), times(alone))
    ends = [[(r.start, r.padded) for r in runs if r.last] for runs in (together, alone)]
    assert np.ravel(ends[0]) == pytest.approx(np.ravel(ends[1]))
    assert found_in(together, rules) == found_in(alone, rules)


def test_a_step_back_is_a_gap_as_well(bundle):
    """A device that begins to count anew: what was heard twice is heard as two."""
    x = sound(1.8)
    runs = list(listen(bundle, [*blocks(x, (), 4000), *blocks(x, (), 0)], 0.1))
    ends = [i + 1 for i, run in enumerate(runs) if run.last]
    assert len(ends) == 2
    np.testing.assert_allclose(joined(runs[: ends[0]]), joined(runs[ends[0] :]), atol=ALLOWED)
    np.testing.assert_allclose(times(runs[: ends[0]]) - 0.5, times(runs[ends[0] :]))


def test_a_stream_that_begins_later_has_the_same_scores(bundle):
    x = sound(2.5)
    now, later = (list(listen(bundle, blocks(x, [777], start), 0.1)) for start in (0, 12_345_678))
    np.testing.assert_allclose(joined(later), joined(now), atol=ALLOWED)
    np.testing.assert_allclose(times(later), times(now) + 12_345_678 / RATE)


def test_a_window_is_scored_as_soon_as_it_was_heard(bundle):
    grid = grid_of(bundle, 0.1)
    x, heard = sound(3), [0]

    def microphone():
        for block in blocks(x, range(50, x.size, 50)):
            heard[0] += block.samples.size
            yield block

    for run in listen(bundle, microphone(), 0.1):
        if run.last:
            break
        end = round((run.start + run.window) * RATE)
        assert 0 <= heard[0] - end < 50
    assert heard[0] == x.size
    assert run.start + run.window <= x.size / RATE < run.start + run.window + grid.hop


def test_a_wrong_hop_is_said_at_once_and_a_wrong_rate_with_its_block(bundle):
    with pytest.raises(ArgumentError, match="hop must be above 0"):
        listen(bundle, iter(()), -1.0)
    runs = listen(bundle, [*blocks(sound(2)), Block(np.zeros(9, np.float32), 0, 16000)])
    assert next(runs).values.size
    with pytest.raises(ArgumentError, match=r"got a block at 16000 Hz; read_blocks\(path, "):
        list(runs)


def test_two_streams_may_be_heard_at_once(bundle):
    """Nothing is kept in the bundle: each stream has its state in its generator."""
    a, b = sound(2.5, 1), sound(2.5, 2)
    cuts = range(800, 20_000, 800)
    pairs = zip(*(listen(bundle, blocks(x, cuts), 0.1) for x in (a, b)), strict=True)
    turns = list(zip(*pairs, strict=True))
    for x, runs in zip((a, b), turns, strict=True):
        alone = list(listen(bundle, blocks(x), 0.1))
        np.testing.assert_allclose(joined(list(runs)), joined(alone), atol=ALLOWED)
