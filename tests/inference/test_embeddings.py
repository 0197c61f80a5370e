"""Embeddings: the same however the sound is cut, and windows where the scores have theirs."""

import itertools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.embeddings import n_features
from audiocnn.io.audio.reader import Block

RATE = 8000
SAMPLES = (0.1 * np.random.default_rng(0).standard_normal(5 * RATE)).astype(np.float32)


@pytest.fixture(scope="module", params=["cnn1d", "cnn2d"])
def bundle(bundle_folders, request):
    return audiocnn.load(bundle_folders[request.param])


def vectors(bundle, blocks, hop=None):
    runs = list(audiocnn.embed(bundle, blocks, hop))
    parts = [(run.begins, run.ends, run.values) for run in runs]
    return [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, SAMPLES.size - 1), max_size=6, unique=True))
def test_any_cutting_gives_the_same_vectors(bundle, cuts):
    whole = vectors(bundle, [Block(SAMPLES, 0, RATE)])
    edges = [0, *sorted(cuts), SAMPLES.size]
    blocks = [Block(SAMPLES[a:b], a, RATE) for a, b in itertools.pairwise(edges)]
    for found, expected in zip(vectors(bundle, blocks), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("hop", [None, 0.1, 2.5])
def test_windows_are_those_of_the_scores(bundle, hop):
    begins, ends, values = vectors(bundle, [Block(SAMPLES, 0, RATE)], hop)
    runs = list(audiocnn.listen(bundle, [Block(SAMPLES, 0, RATE)], hop))
    starts = np.concatenate([r.start + r.hop * np.arange(r.values.shape[1]) for r in runs])
    np.testing.assert_allclose(begins, starts)
    np.testing.assert_allclose(ends - begins, runs[0].window)
    assert values.shape == (n_features(bundle), starts.size)


def test_a_short_sound_has_one_window_that_ends_with_it(bundle):
    begins, ends, values = vectors(bundle, [Block(SAMPLES[: RATE // 2], 0, RATE)])
    assert values.shape[1] == 1
    assert (begins[0], ends[0]) == (0, pytest.approx(0.5))


def test_a_vector_is_the_mean_of_what_the_trunk_says(bundle):
    from audiocnn.inference.bundle import grid_of
    from audiocnn.inference.engine import run_network

    grid = grid_of(bundle)
    runs = run_network(bundle.opened, grid, [Block(SAMPLES, 0, RATE)], "embeddings")
    columns = np.concatenate([r.values for r in runs if r.values is not None], axis=1)
    _, _, values = vectors(bundle, [Block(SAMPLES, 0, RATE)])
    np.testing.assert_allclose(values[:, 0], columns[:, : grid.size].mean(axis=1), atol=1e-5)


def test_a_block_of_another_rate_is_refused(bundle):
    with pytest.raises(ArgumentError, match="takes 8000 Hz"):
        list(audiocnn.embed(bundle, [Block(SAMPLES, 0, 44100)]))


def test_a_bundle_from_before_there_were_embeddings_is_told_of(bundle):
    graph = onnx.load_from_string(bundle.model)
    kept = [output for output in graph.graph.output if output.name != "embeddings"]
    del graph.graph.output[:]
    graph.graph.output.extend(kept)
    older = replace(bundle, model=graph.SerializeToString())
    with pytest.raises(BundleError, match=r"gives no embeddings.*scripts/reexport"):
        audiocnn.embed(older, [])
