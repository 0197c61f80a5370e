"""A linear classifier on embeddings, from a handful of examples: NumPy and SciPy alone.

The embeddings of a network that was trained on other sounds separate new classes, too;
what is fitted here is one vector per class, in memory. For a model that is written as a
bundle, with calibration and thresholds, see `audiocnn train --backbone`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiocnn.errors import ArgumentError, BundleError
from audiocnn.io.files.numpy_files import UNREADABLE

METHODS = ("prototype", "logistic")
SHARPNESS = 10.0  # of a prototype's softmax over cosines
FORMAT = 1


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier over embeddings.

    Parameters
    ----------
    labels
        C classes.
    mean, scale
        (D,) by which embeddings are brought to one scale.
    weight, bias
        (C, D) and (C,).
    unit
        Whether embeddings are brought to length 1 before they are weighed.
    """

    labels: tuple[str, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    unit: bool

    def predict_proba(self, embeddings: ArrayLike) -> NDArray[np.float32]:
        """Compute probabilities (N, C), which sum to 1 over the classes, of embeddings (N, D).

        Raises
        ------
        ArgumentError
            If the embeddings have another length than those it was fitted on.
        """
        x = _as_rows(embeddings)
        if x.shape[1] != self.mean.size:
            raise ArgumentError(
                f"the probe was fitted on embeddings of length {self.mean.size}, got {x.shape[1]}; "
                "use the same model for both"
            )
        z = _scaled(x, self.mean, self.scale, self.unit) @ self.weight.T + self.bias
        return np.asarray(_softmax(z), np.float32)

    def predict(self, embeddings: ArrayLike) -> list[str]:
        """Return the most probable label of each of (N, D) embeddings."""
        return [self.labels[i] for i in self.predict_proba(embeddings).argmax(axis=1)]

    def save(self, path: str | Path) -> None:
        """Write as .npz, without pickle."""
        written = io.BytesIO()
        np.savez(
            written, format=np.int64(FORMAT), labels=np.array(self.labels), mean=self.mean,
            scale=self.scale, weight=self.weight, bias=self.bias, unit=np.bool_(self.unit),
        )  # fmt: skip
        Path(path).write_bytes(written.getvalue())


def fit_probe(
    embeddings: ArrayLike,
    labels: Sequence[str],
    *,
    method: str = "logistic",
    strength: float = 1.0,
) -> LinearProbe:
    """Fit a classifier to a few examples of each class.

    Parameters
    ----------
    embeddings
        (N, D), of windows or clips, as `embed` yields them (there W is the last axis).
    labels
        N names, of at least two classes.
    method
        ``"logistic"``: multinomial logistic regression, drawn to 0 by a squared penalty;
        ``"prototype"``: the nearest class mean by angle, with nothing to fit.
    strength
        Of the penalty, above 0: the larger, the less one example counts.

    Raises
    ------
    ArgumentError
        If shapes do not fit, a value is not finite, or there is one class only.

    Notes
    -----
    The loss of ``"logistic"`` is the mean negative log likelihood, each class counting
    alike however many examples it has, plus ``strength * |weight|² / (2 N)``.

    Examples
    --------
    >>> probe = fit_probe([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0]], ["up", "up", "right"])
    >>> probe.predict([[0.0, 2.0]])
    ['up']
    """
    x = _as_rows(embeddings)
    names = tuple(sorted(set(labels)))
    if len(labels) != len(x) or method not in METHODS or not strength > 0:
        raise ArgumentError(
            f"fit_probe wants a label for each embedding, a method of {METHODS} and a strength "
            f"above 0; got {len(x)} embeddings, {len(labels)} labels, {method!r}, {strength}"
        )
    if len(names) < 2:
        raise ArgumentError(f"a probe separates at least two classes, got {names}")
    y = np.array([names.index(label) for label in labels])
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    scale = 1 / np.maximum(deviation, 1e-3 * max(1e-9, float(deviation.max())))
    if method == "prototype":
        z = _scaled(x, mean, scale, unit=True)
        means = np.stack([z[y == c].mean(axis=0) for c in range(len(names))])
        weight = SHARPNESS * means / np.maximum(1e-9, np.linalg.norm(means, axis=1))[:, None]
        bias = np.zeros(len(names))
    else:
        weight, bias = _logistic(_scaled(x, mean, scale, unit=False), y, strength)
    parts = [np.asarray(part, np.float32) for part in (mean, scale, weight, bias)]
    return LinearProbe(names, parts[0], parts[1], parts[2], parts[3], method == "prototype")


def load_probe(path: str | Path) -> LinearProbe:
    """Read what `LinearProbe.save` wrote.

    Raises
    ------
    BundleError
        If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if int(stored["format"]) != FORMAT:
                raise BundleError(f"{path}: has format {stored['format']}, known is {FORMAT}")
            mean, scale, weight, bias = (stored[n] for n in ("mean", "scale", "weight", "bias"))
            labels = tuple(str(label) for label in stored["labels"])
            return LinearProbe(labels, mean, scale, weight, bias, bool(stored["unit"]))
    except UNREADABLE as error:
        raise BundleError(f"{path}: is no probe that was saved here ({error})") from error


def _logistic(
    x: NDArray[np.float64], y: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import scipy.optimize  # here, because it takes a while

    n, n_classes = len(x), int(y.max()) + 1
    truth = np.eye(n_classes)[y]
    each = 1 / (n_classes * truth.sum(axis=0))[y]  # every class counts alike

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = parameters.reshape(n_classes, -1)
        p = _softmax(x @ w[:, :-1].T + w[:, -1])
        value = -(each * np.log(np.maximum(1e-300, p[np.arange(n), y]))).sum()
        error = each[:, None] * (p - truth)
        gradient = np.column_stack((error.T @ x, error.sum(axis=0)))
        gradient[:, :-1] += strength / n * w[:, :-1]
        return float(value + strength / (2 * n) * (w[:, :-1] ** 2).sum()), gradient.ravel()

    start = np.zeros(n_classes * (x.shape[1] + 1))
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    found = found.reshape(n_classes, -1)
    return found[:, :-1], found[:, -1]


def _scaled(
    x: NDArray[np.float64], mean: ArrayLike, scale: ArrayLike, unit: bool
) -> NDArray[np.float64]:
    z = (x - np.asarray(mean)) * np.asarray(scale)
    if unit:
        z = z / np.maximum(1e-9, np.linalg.norm(z, axis=1, keepdims=True))
    return np.asarray(z, np.float64)


def _softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _as_rows(embeddings: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ArgumentError(
            f"embeddings are (N, D) finite numbers, N at least 1, got shape {x.shape}"
            + ("" if np.isfinite(x).all() else " with values that are not finite")
        )
    return x
