"""From samples to columns: where windows lie, and a graph that may be fed in any pieces."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn import Block
from audiocnn.errors import ArgumentError, BundleError, DeviceError
from audiocnn.frontend.log_mel import MelSpec, log_mel
from audiocnn.inference import streaming_network
from audiocnn.inference.bundle import grid_of
from audiocnn.inference.engine import Columns, make_grid, run_network, segments
from audiocnn.inference.streaming_network import StreamingState, open_streaming
from tests.bundles import windowed_bundle

RATE = 8000
FRONT = MelSpec(RATE, 256, 100, 16, 50.0, 4000.0)
ALLOWED = 1e-5


@pytest.fixture(scope="module", params=["cnn1d", "cnn2d"])
def bundle(request, bundle_folders):
    return audiocnn.load(bundle_folders[request.param])


def begin(graph, output="columns") -> StreamingState:
    return graph.begin(graph.grid(1.0, 0.25), output)


def some_frames(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((1, 16, n)) * 3 - 12).astype(np.float32)


def feed(graph, pieces, output="columns"):
    """Give the columns of each piece, and the state at the end."""
    state, found = begin(graph, output), []
    for piece in pieces:
        columns, state = graph.advance(state, piece)
        found.append(columns)
    return found, state


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def columns_of(runs: list[Columns]) -> np.ndarray:
    return np.concatenate([run.values for run in runs if run.values is not None], axis=-1)


# The grid ---------------------------------------------------------------------------------


def test_a_grid_counted_by_hand():
    # A column sees 10 frames: 9 hops and a whole frame; one comes every 4 frames.
    grid = make_grid(FRONT, receptive_field=10, stride=4, window=1.0, hop=0.25)
    assert (grid.reach, grid.period) == (9 * 100 + 256, 400)
    assert grid.size == 1 + round((8000 - 1156) / 400)  # 18
    assert grid.window_samples == 1156 + 17 * 400
    assert grid.window == pytest.approx(0.9945)
    assert grid.step == 5
    assert grid.hop == pytest.approx(0.25)


@pytest.mark.parametrize("window", [1e-6, 0.05, 0.1445])
def test_a_window_is_at_least_one_column(window):
    assert make_grid(FRONT, 10, 4, window, 0.25).size == 1


def test_a_hop_is_at_least_one_column_and_may_exceed_the_window():
    assert make_grid(FRONT, 10, 4, 1.0, 1e-6).step == 1
    assert make_grid(FRONT, 10, 4, 1.0, 100.0).step == 2000


@given(st.integers(1, 200), st.sampled_from([1, 2, 4, 8]), st.floats(0.01, 60), st.floats(0.01, 60))
def test_window_and_hop_are_rounded_to_the_nearest_column(field, stride, window, hop):
    grid = make_grid(FRONT, field, stride, window, hop)
    half = grid.period / RATE / 2 + 1e-9
    assert abs(grid.window - window) <= half or grid.size == 1
    assert abs(grid.hop - hop) <= half or grid.step == 1


def test_a_column_sees_no_samples_but_those_that_the_grid_says(bundle):
    grid = grid_of(bundle)
    x = noise(grid.window_samples + 6 * grid.period)
    whole = columns_of(list(run_network(bundle.opened, grid, [Block(x, 0, RATE)])))
    assert whole.shape[-1] == grid.size + 6
    for column in (0, 3, whole.shape[-1] - 1):
        # A periodic Hann window begins with a zero: the first sample that counts is the second.
        first, after = column * grid.period + 1, column * grid.period + grid.reach
        for at in (first - 1, first + grid.reach // 2, after):
            if at < x.size:
                changed = x.copy()
                changed[at - 5 : at + 6] += 3 if first < at < after - 1 else 0
                changed[at] += 3
                now = columns_of(list(run_network(bundle.opened, grid, [Block(changed, 0, RATE)])))
                moved = np.abs(now - whole).max((0, 1))[column]
                assert moved > ALLOWED if first < at < after - 1 else moved == 0, (column, at)


# The graph --------------------------------------------------------------------------------


def test_nothing_comes_before_a_receptive_field_and_then_every_stride(bundle):
    graph = bundle.opened
    x = some_frames(graph.receptive_field + 2 * graph.stride)
    found, _ = feed(graph, (x[..., i : i + 1] for i in range(x.shape[-1])))
    given_at = [i + 1 for i, columns in enumerate(found) if columns is not None]
    assert given_at == [graph.receptive_field + k * graph.stride for k in range(3)]
    assert all(columns is None or columns.shape == (2, 3, 1) for columns in found)


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, 230), max_size=25))
def test_any_cutting_of_frames_gives_the_same_columns(bundle, cuts):
    x = some_frames(230)  # a cut that is drawn twice is an empty piece
    ((whole,), _), (parts, _) = (
        feed(bundle.opened, [x]),
        feed(bundle.opened, np.split(x, sorted(cuts), -1)),
    )
    pieces = [p for p in parts if p is not None]
    np.testing.assert_allclose(np.concatenate(pieces, -1), whole, atol=ALLOWED)
    assert whole[0].std() > 1e-2  # the comparison is of something


def test_later_frames_never_change_earlier_columns(bundle):
    graph = bundle.opened
    x, y = some_frames(230), some_frames(230)
    y[..., 150:] += 5
    ((a,), _), ((b,), _) = feed(graph, [x]), feed(graph, [y])
    n = (150 - graph.receptive_field) // graph.stride + 1
    np.testing.assert_array_equal(a[..., :n], b[..., :n])
    assert np.all(np.abs(a - b).max((0, 1))[n:] > ALLOWED)


def test_state_is_passed_and_never_hidden(bundle):
    """One graph serves many streams, and a stream may be taken up again anywhere."""
    graph = bundle.opened
    x, y = some_frames(120, 1), some_frames(120, 2)
    _, state = feed(graph, [x])
    kept = [tail.copy() for tail in state.tails]
    once, _ = graph.advance(state, y)
    feed(graph, [y, x, y])  # another stream in between
    again, _ = graph.advance(state, y)
    np.testing.assert_array_equal(once, again)
    for before, after in zip(kept, state.tails, strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_a_stream_remembers_does_not_grow(bundle):
    graph, state, sizes = bundle.opened, begin(bundle.opened), []
    for seed in range(6):
        _, state = graph.advance(state, some_frames(97, seed))
        sizes.append([tail.shape[-1] for tail in state.tails])
        assert state.frames.shape[-1] < graph.stride
    assert max(max(size) for size in sizes) <= graph.receptive_field
    assert sizes[1:] == sizes[:1] * 5


def test_embeddings_come_at_the_columns_rate(bundle):
    x = some_frames(150)
    (columns,), _ = feed(bundle.opened, [x])
    (embeddings,), _ = feed(bundle.opened, [x], "embeddings")
    assert embeddings.ndim == 2
    assert embeddings.shape[1] == columns.shape[2]
    assert embeddings.std() > 1e-3


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x08\x07"])
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(BundleError, match=r"ONNX Runtime cannot open the graph: .*protobuf"):
        open_streaming(FRONT, content, 10, 4)


def test_an_accelerator_that_is_not_there_is_named(bundle, monkeypatch):
    with pytest.raises(ArgumentError, match=r"accelerator must be cpu or cuda, got 'tpu'"):
        open_streaming(FRONT, bundle.model, 10, 4, accelerator="tpu")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=r"no CUDAExecutionProvider; .*onnxruntime-gpu"):
        open_streaming(FRONT, bundle.model, 10, 4, accelerator="cuda")
    # With onnxruntime-gpu and no GPU, ONNX Runtime goes on with the processor and only logs it.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    make = onnxruntime.InferenceSession
    asked = []

    def without_gpu(model, options, providers):
        asked.append(providers)
        return make(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_gpu)
    with pytest.raises(DeviceError, match=r"cannot start it: is there a GPU"):
        open_streaming(FRONT, bundle.model, 10, 4, accelerator="cuda")
    assert asked[0][0] == ("CUDAExecutionProvider", {"use_tf32": "0"})


# Segments ---------------------------------------------------------------------------------


def lengths(blocks) -> list[list[int]]:
    return [[b.samples.size for b in segment] for segment in segments(blocks)]


def block(start: int, n: int) -> Block:
    return Block(noise(n), start, RATE)


def test_blocks_that_follow_are_one_segment():
    assert lengths([block(0, 5), block(5, 3), block(8, 1)]) == [[5, 3, 1]]


def test_a_jump_in_either_direction_begins_a_segment():
    assert lengths([block(0, 5), block(6, 3), block(8, 1), block(9, 2)]) == [[5], [3], [1, 2]]


def test_a_stream_may_begin_anywhere():
    assert lengths([block(1000, 5), block(1005, 3)]) == [[5, 3]]


def test_empty_blocks_are_dropped_and_part_only_where_they_jump():
    assert lengths([block(0, 0), block(0, 5), block(5, 0), block(5, 3)]) == [[5, 3]]
    assert lengths([block(0, 5), block(5, 0), block(7, 2)]) == [[5], [2]]
    assert lengths([block(0, 5), block(9, 0), block(9, 2)]) == [[5], [2]]
    assert lengths([block(0, 5), block(9, 0), block(12, 2)]) == [[5], [], [2]]


def test_a_segment_ends_as_soon_as_a_jump_tells_so():
    def live() -> Iterator[Block]:
        yield block(0, 5)
        yield block(9, 0)
        pytest.fail("the end of the first segment must not wait for more")

    segment = next(segments(live()))
    assert [b.samples.size for b in segment] == [5]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_segments_lose_nothing_and_have_no_gaps(drawn):
    blocks, at = [], 0
    for jump, n in drawn:
        at += jump
        blocks.append(block(at, n))
        at += n
    parted = [part for segment in segments(blocks) if (part := list(segment))]
    assert [b for segment in parted for b in segment] == [b for b in blocks if b.samples.size]
    ends = [(s[0].start, s[-1].start + s[-1].samples.size) for s in parted]
    for segment in parted:
        for a, b in pairwise(segment):
            assert a.start + a.samples.size == b.start
    assert all(a[1] != b[0] for a, b in pairwise(ends))


# Hearing ----------------------------------------------------------------------------------


def test_every_run_says_where_its_first_column_begins(bundle):
    grid = grid_of(bundle)
    x, start = noise(20_000), 777
    blocks = [Block(x[a : a + 900], start + a, RATE) for a in range(0, x.size, 900)]
    runs = list(run_network(bundle.opened, grid, blocks))
    done = 0
    for run in runs[:-1]:
        assert run.start == start + done * grid.period
        assert not run.last
        done += run.values.shape[-1]
    assert runs[-1] == Columns(start + done * grid.period, None, 0, last=True, rate=RATE)
    assert done == (x.size - grid.reach) // grid.period + 1


@pytest.mark.parametrize("n", [1, 100, 256, 3000])
def test_what_is_shorter_than_a_window_is_padded_to_exactly_one(bundle, n):
    grid = grid_of(bundle)
    assert n < grid.window_samples
    runs = list(run_network(bundle.opened, grid, [Block(noise(n), 50, RATE)]))
    assert [run.last for run in runs] == [False] * (len(runs) - 1) + [True]
    assert runs[-1].padded == grid.window_samples - n
    found = columns_of(runs)
    assert found.shape[-1] == grid.size
    zeros = np.concatenate((noise(n), np.zeros(grid.window_samples - n, np.float32)))
    (whole,), _ = feed(bundle.opened, [log_mel(zeros, FRONT)])
    np.testing.assert_allclose(found, whole, atol=ALLOWED)


def test_long_blocks_are_taken_in_pieces(bundle, monkeypatch):
    """Memory stays bounded, and the columns are the same."""
    grid = grid_of(bundle)
    x = noise(30_000)
    whole = list(run_network(bundle.opened, grid, [Block(x, 0, RATE)]))
    monkeypatch.setattr(streaming_network, "SAMPLES_AT_ONCE", 1 << 11)
    pieces = list(run_network(bundle.opened, grid, [Block(x, 0, RATE)]))
    assert len(whole) == 2  # the columns, and the end
    assert len(pieces) > 10
    np.testing.assert_allclose(columns_of(pieces), columns_of(whole), atol=ALLOWED)


def test_columns_come_as_soon_as_they_are_complete(bundle):
    """A live stream does not wait: not for the next block, and not for the window."""
    grid = grid_of(bundle)
    x = noise(grid.reach)
    parts = (Block(x[a : a + 100], a, RATE) for a in range(0, x.size, 100))
    taken = []

    def microphone():
        for part in parts:
            taken.append(part.start + part.samples.size)
            yield part

    run = next(run_network(bundle.opened, grid, microphone()))
    assert run.values.shape[-1] == 1
    assert taken[-1] == grid.reach
    assert grid.window_samples > grid.reach  # the window is not complete yet


@pytest.mark.parametrize("n", [1, 700, 2000, 3999])
def test_a_short_segment_lies_in_the_centre_of_its_window(n):
    """With "centre", zeros go before and behind; times and pieces do not change."""
    bundle = windowed_bundle("waveform")
    centred = replace(bundle, network=replace(bundle.network, short="centre"))
    samples = np.random.default_rng(n).standard_normal(n).astype(np.float32) / 5
    window = bundle.pipeline().grid.window_samples
    assert n < window
    before = (window - n) // 2
    whole = np.pad(samples, (before, window - n - before))
    wanted = next(bundle.pipeline().scores([Block(whole, 0, bundle.rate)]))
    cuts = np.array_split(samples, 3)
    starts = np.cumsum([0, *map(len, cuts)])
    blocks = [Block(x, int(at), bundle.rate) for x, at in zip(cuts, starts, strict=False) if len(x)]
    runs = [run for run in centred.pipeline().scores(blocks) if run.values.size]
    assert len(runs) == 1
    np.testing.assert_array_equal(runs[0].values, wanted.values)
    np.testing.assert_allclose(runs[0].times[:, 0], [0, n / bundle.rate])


def test_a_long_segment_is_scored_alike_wherever_short_ones_lie():
    bundle = windowed_bundle("frames")
    centred = replace(bundle, network=replace(bundle.network, short="centre"))
    samples = np.random.default_rng(0).standard_normal(9000).astype(np.float32) / 5
    found = [
        np.concatenate([run.values for run in b.pipeline().scores(cut)], axis=1)
        for b, cut in (
            (bundle, [Block(samples, 0, bundle.rate)]),
            (
                centred,
                [Block(samples[:100], 0, bundle.rate), Block(samples[100:], 100, bundle.rate)],
            ),
        )
    ]
    np.testing.assert_allclose(*found, atol=1e-6)
