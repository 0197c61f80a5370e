"""Fixed kernels: the published transform on one series, and the same features streamed."""

import dataclasses
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.frontend.signals import RawSpec
from audiocnn.inference.description import NetworkSpec
from audiocnn.inference.pipeline import Pipeline
from audiocnn.inference.rocket_network import (
    RocketNetwork,
    convolve,
    kernels_bytes,
    kernels_from,
    segment_shares,
)
from audiocnn.io.audio.blocks import Block
from audiocnn.training.heads.rocket import fit_kernels

RATE, WINDOW = 50.0, 96


def make(channels: int = 1, seed: int = 0, n_features: int = 500) -> RocketNetwork:
    rng = np.random.default_rng(seed)
    clips = [rng.standard_normal((channels, n)).astype(np.float32) for n in (150, 96, 80, 200)]
    kernels = fit_kernels(clips, WINDOW, rng, n_features)
    names = tuple("abcdef"[:channels])
    front = RawSpec(RATE, names, (0.5,) * channels, (2.0,) * channels)
    return RocketNetwork(front, kernels)


def embed(network: RocketNetwork, samples: np.ndarray, cuts: list[int], hop: float) -> np.ndarray:
    """Embeddings (F, W) of samples that arrive in pieces."""
    grid = network.grid(WINDOW / RATE, hop)
    edges = [0, *sorted(min(cut, samples.shape[1]) for cut in cuts), samples.shape[1]]
    blocks = [Block(samples[:, a:b], a, RATE) for a, b in itertools.pairwise(edges)]
    runs = Pipeline(network, grid).embeddings(blocks)
    return np.concatenate([run.values for run in runs], axis=1)


def test_convolution_is_that_of_the_84_kernels() -> None:
    x = np.random.default_rng(1).standard_normal((2, 60)).astype(np.float32)
    channels = np.zeros((84, 2), bool)
    channels[:, 0] = True
    channels[40:, 1] = True
    out = convolve(x, 3, channels)
    for number, triple in enumerate(itertools.combinations(range(9), 3)):
        taps = np.full(9, -1.0)
        taps[list(triple)] = 2.0
        for t in (0, 7, out.shape[1] - 1):
            expected = sum(
                float(taps @ x[c, t : t + 27 : 3]) for c in range(2) if channels[number, c]
            )
            assert out[number, t] == pytest.approx(expected, abs=1e-4)


@given(st.data())
def test_any_cutting_gives_the_same_features(data: st.DataObject) -> None:
    network = make(data.draw(st.sampled_from([1, 3])))
    n = data.draw(st.integers(20, 400))
    samples = np.random.default_rng(n).standard_normal((network.front.n_bands, n))
    samples = samples.astype(np.float32)
    hop = data.draw(st.sampled_from([0.06, 0.3, 1.0, 3.0]))
    cuts = data.draw(st.lists(st.integers(0, n), max_size=8))
    whole, pieces = embed(network, samples, [], hop), embed(network, samples, cuts, hop)
    np.testing.assert_array_equal(whole, pieces)


def test_a_window_depends_on_its_own_samples_alone() -> None:
    network = make()
    x = np.random.default_rng(2).standard_normal((1, 400)).astype(np.float32)
    grid = network.grid(WINDOW / RATE, 0.6)
    whole = embed(network, x, [], 0.6)
    for w in range(3):
        first = w * grid.hop_samples
        alone = embed(network, x[:, first : first + WINDOW], [], 0.6)
        np.testing.assert_allclose(alone[:, 0], whole[:, w], atol=1e-6)


def test_a_short_segment_gives_the_mean_over_what_it_has() -> None:
    network = make()
    x = np.random.default_rng(3).standard_normal((1, 40)).astype(np.float32)
    found = embed(network, x, [7], 0.6)
    assert found.shape == (network.n_embeddings, 1)
    normalised = network.front.frames(x)[0]
    np.testing.assert_allclose(found[:, 0], segment_shares(normalised, network.kernels), atol=1e-6)
    assert 8 * network.kernels.dilations.max() >= 40, "some kernels are longer than the segment"


def test_constant_signals_give_no_more_than_their_thresholds() -> None:
    network = make()
    found = embed(network, np.zeros((1, 200), np.float32), [50], 0.6)
    assert np.isin(found, (0.0, 1.0)).all()
    np.testing.assert_array_equal(found[:, :1].repeat(found.shape[1], 1), found)


def test_kernels_are_stored_and_read_back() -> None:
    kernels = make(3).kernels
    again = kernels_from(kernels_bytes(kernels))
    for name, value in vars(kernels).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with pytest.raises(BundleError, match="cannot be read"):
        kernels_from(kernels_bytes(kernels)[:100])
    with pytest.raises(BundleError, match="do not fit"):
        dataclasses.replace(kernels, period=7)


def test_what_does_not_fit_is_refused() -> None:
    network = make()
    with pytest.raises(ArgumentError, match=r"windows of 1\.92 s, got 3 s"):
        network.grid(3.0, 0.5)
    with pytest.raises(ArgumentError, match="no class scores"):
        network.begin(network.grid(1.92, 0.5), "columns")
    with pytest.raises(BundleError, match="with 1 channels, got 'raw' with 2"):
        RocketNetwork(RawSpec(RATE, ("a", "b"), (0, 0), (1, 1)), network.kernels)
    with pytest.raises(BundleError, match="does not run by onnx"):
        NetworkSpec(kind="rocket")
    with pytest.raises(ArgumentError, match="at least 9 samples"):
        fit_kernels([np.zeros((1, 30), np.float32)], 8, np.random.default_rng(0))


def test_the_length_is_a_feature_only_on_request() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((1, n)).astype(np.float32) for n in (30, 40, 60, 96)]
    kernels = fit_kernels(clips, WINDOW, rng, 1008, use_length=True)
    assert kernels.lengths.size == 84
    short, long = (segment_shares(clip, kernels)[-84:] for clip in (clips[0], clips[2]))
    assert short.sum() == 0
    assert long.sum() == 56  # quantiles of four lengths: 28 each are 30 and 40
    network = RocketNetwork(RawSpec(RATE, ("a",), (0,), (1,)), kernels)
    whole = embed(network, np.zeros((1, 200), np.float32), [], 0.6)
    assert (whole[-84:].sum(axis=0) == (kernels.lengths < WINDOW).sum()).all()
    assert make().kernels.lengths.size == 0


def test_features_have_the_levels_of_their_thresholds() -> None:
    """On the data that they were fitted to, shares lie where the quantiles put them."""
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((1, 2000)).astype(np.float32) for _ in range(5)]
    kernels = fit_kernels(clips, WINDOW, rng, 2000)
    shares = np.mean([segment_shares(clip, kernels) for clip in clips], axis=0)
    expected = 1 - kernels.quantiles[kernels.used]
    # Each threshold comes from the positions of one window, so it scatters; their mean does not.
    assert abs((shares - expected).mean()) < 0.01
    assert np.abs(shares - expected).mean() < 0.1
    assert kernels.n_features == 23 * 84
