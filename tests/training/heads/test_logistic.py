"""Heads on features: against a plain minimiser, and what weights and penalties do."""

import numpy as np
import pytest
import scipy.optimize

from audiocnn.errors import ArgumentError
from audiocnn.training.heads.hidden import fit_hidden
from audiocnn.training.heads.logistic import cross_entropy, fit_path, make_basis, sigmoid


def clusters(seed=0, n=60, n_features=12, n_classes=3, spread=1.0):
    """Windows of well separated classes, features of very different scales."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((n_classes, n_features)) * 2
    y = np.arange(n) % n_classes
    x = centres[y] + spread * rng.standard_normal((n, n_features))
    return (x * np.logspace(-2, 2, n_features) + 7).astype(np.float32), np.eye(n_classes)[y].astype(
        np.float32
    )


def plain_minimum(basis, x, targets, weights, strength):
    """Minimise the same loss over the standardised features, without any basis."""
    z = ((x - basis.offset) * basis.scale).astype(np.float64)
    share = weights / weights.sum()
    shape = (targets.shape[1], z.shape[1] + 1)

    def loss(flat):
        w = flat.reshape(shape)
        logits = z @ w[:, :-1].T + w[:, -1]
        error = share[:, None] * (1 / (1 + np.exp(-logits)) - targets)
        gradient = np.column_stack((error.T @ z + strength * w[:, :-1], error.sum(0)))
        value = (share @ (np.logaddexp(0, logits) - targets * logits)).sum()
        return value + 0.5 * strength * (w[:, :-1] ** 2).sum(), gradient.ravel()

    options = {"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-10}
    start = np.zeros(int(np.prod(shape)))
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return found.fun, loss


@pytest.mark.parametrize("strength", [0.3, 0.01])
def test_the_minimum_is_that_of_a_plain_minimiser(strength):
    x, targets = clusters()
    weights = np.linspace(0.5, 2, len(x))
    basis = make_basis(x, weights)
    ((w, b),) = fit_path(basis, targets, weights, [0.3, 0.01])[strength]
    lowest, loss = plain_minimum(basis, x, targets, weights, strength)
    reached = loss(np.column_stack((w, b)).astype(np.float64).ravel())[0]
    assert reached == pytest.approx(lowest, rel=2e-3)


def test_more_features_than_windows():
    x, targets = clusters(n=9, n_features=40)
    basis = make_basis(x, np.ones(9))
    assert basis.values.size <= 9
    ((w, b),) = fit_path(basis, targets, np.ones(9), [0.01])[0.01]
    logits = (x - basis.offset) * basis.scale @ w.T + b
    assert (logits.argmax(1) == targets.argmax(1)).all()


def test_a_row_of_weight_two_counts_as_two_rows():
    x, targets = clusters(n=30)
    twice = np.concatenate((x, x[:10])), np.concatenate((targets, targets[:10]))
    weights = np.where(np.arange(30) < 10, 2.0, 1.0)
    basis = make_basis(x, weights), make_basis(twice[0], np.ones(40))
    np.testing.assert_allclose(basis[0].offset, basis[1].offset, rtol=1e-4)
    found = [
        fit_path(b, t, w, [0.03])[0.03][0][0]
        for b, t, w in ((basis[0], targets, weights), (basis[1], twice[1], np.ones(40)))
    ]
    np.testing.assert_allclose(*found, atol=5e-3)


def test_a_feature_that_never_varies_does_no_harm():
    x, targets = clusters()
    x[:, 3] = 5.0
    basis = make_basis(x, np.ones(len(x)))
    ((w, _),) = fit_path(basis, targets, np.ones(len(x)), [0.01])[0.01]
    assert np.isfinite(w).all()
    assert np.abs(w[:, 3]).max() < 1e-3


@pytest.mark.parametrize(
    ("x", "message"),
    [(np.zeros((0, 4), np.float32), "at least one row"),
     (np.array([[np.nan, 1]], np.float32), "not finite")],
)  # fmt: skip
def test_bad_features_are_refused(x, message):
    with pytest.raises(ArgumentError, match=message):
        make_basis(x, np.ones(len(x)))


def test_bad_strengths_are_refused():
    x, targets = clusters()
    basis = make_basis(x, np.ones(len(x)))
    with pytest.raises(ArgumentError, match="above 0"):
        fit_path(basis, targets, np.ones(len(x)), [0.1, 0.0])
    with pytest.raises(ArgumentError, match="at least 1 unit"):
        fit_hidden(basis, targets, np.ones(len(x)), 0, 0.1, 0)


def test_a_hidden_layer_learns_what_no_line_can():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    targets = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)  # exclusive or
    weights = np.ones(len(x))
    basis = make_basis(x, weights)
    ((w, b),) = fit_path(basis, targets, weights, [1e-3])[1e-3]
    z = (x - basis.offset) * basis.scale
    assert ((z @ w.T + b > 0) == (targets > 0)).mean() < 0.7
    first, last = fit_hidden(basis, targets, weights, 16, 1e-4, seed=0)
    logits = np.maximum(0, z @ first[0].T + first[1]) @ last[0].T + last[1]
    assert ((logits > 0) == (targets > 0)).mean() > 0.95
    again = fit_hidden(basis, targets, weights, 16, 1e-4, seed=0)
    np.testing.assert_array_equal(again[0][0], first[0])


def test_losses_of_large_logits_do_not_overflow():
    logits = np.array([-1e4, 0, 1e4], np.float32)
    np.testing.assert_allclose(sigmoid(logits), [0, 0.5, 1])
    np.testing.assert_allclose(cross_entropy(logits, np.ones(3, np.float32)), [1e4, np.log(2), 0])
