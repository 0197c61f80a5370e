"""A head on embeddings: it learns, it says how sure it is, and it comes back from a file."""

import numpy as np
import pytest

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference.linear_probe import METHODS, fit_probe, load_probe


def clouds(n: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Draw n points around each of three far corners of 20 dimensions, of unlike scale."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(9).standard_normal((3, 20))
    x = np.concatenate([centre + rng.standard_normal((n, 20)) for centre in centres])
    return 100 + x * np.logspace(-3, 3, 20), [name for name in "abc" for _ in range(n)]


@pytest.mark.parametrize("method", METHODS)
def test_five_examples_of_each_are_enough_for_what_lies_apart(method):
    x, y = clouds(5, 0)
    head = fit_probe(x, y, method=method)
    new, truth = clouds(100, 1)
    probabilities = head.predict_proba(new)
    assert probabilities.shape == (300, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.mean([a == b for a, b in zip(head.predict(new), truth, strict=True)]) > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_a_head_comes_back_from_its_file(method, tmp_path):
    x, y = clouds(4, 0)
    head = fit_probe(x, y, method=method)
    head.save(tmp_path / "head.npz")
    back = load_probe(tmp_path / "head.npz")
    assert back.labels == head.labels
    np.testing.assert_array_equal(back.predict_proba(x), head.predict_proba(x))


def test_classes_count_alike_however_many_examples_they_have():
    rng = np.random.default_rng(0)
    x = np.concatenate((rng.normal(-1, 1, (200, 1)), rng.normal(1, 1, (5, 1))))
    head = fit_probe(x, ["many"] * 200 + ["few"] * 5, strength=0.01)
    edge = head.predict_proba([[float(x[:200].mean() + x[200:].mean()) / 2]])
    assert 0.3 < edge[0, 0] < 0.7


def test_a_strong_penalty_makes_it_unsure():
    x, y = clouds(5, 0)
    sure, unsure = (fit_probe(x, y, strength=s).predict_proba(x).max() for s in (0.1, 1e4))
    assert sure > 0.9
    assert unsure < 0.4


@pytest.mark.parametrize(
    ("x", "y", "more", "said"),
    [
        ([[1.0]], ["a"], {}, "at least two classes"),
        ([[1.0], [2.0]], ["a"], {}, "2 embeddings, 1 labels"),
        ([[np.nan], [2.0]], ["a", "b"], {}, "not finite"),
        ([1.0, 2.0], ["a", "b"], {}, r"shape \(2,\)"),
        ([[1.0], [2.0]], ["a", "b"], {"method": "svm"}, "'svm'"),
        ([[1.0], [2.0]], ["a", "b"], {"strength": 0}, "strength above 0"),
    ],
)
def test_bad_input_is_told(x, y, more, said):
    with pytest.raises(ArgumentError, match=said):
        fit_probe(x, y, **more)


def test_embeddings_of_another_model_are_refused():
    head = fit_probe([[0.0, 1.0], [1.0, 0.0]], ["a", "b"])
    with pytest.raises(ArgumentError, match="of length 2, got 3"):
        head.predict_proba([[1.0, 2.0, 3.0]])


def test_what_is_no_head_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no")
    with pytest.raises(BundleError, match="is no probe"):
        load_probe(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", format=1, labels=np.array(["a", "b"]))
    with pytest.raises(BundleError, match="is no probe"):
        load_probe(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", format=np.array([{}], dtype=object))
    with pytest.raises(BundleError, match="is no probe"):
        load_probe(tmp_path / "z.npz")
