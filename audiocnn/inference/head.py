"""A classifier on the embeddings of a network: linear, or with hidden layers.

Embeddings are pooled over the columns of a window, standardised, and weighed per class.
The head is a file of its own beside the network, so that adding a class or correcting a
model replaces a small file, whatever runtime the network needs.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError
from audiocnn.io.files.numpy_files import UNREADABLE

Array = NDArray[np.float32]
POOLINGS = ("mean", "mean+max", "concat")
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Head:
    """Pooled embeddings to class logits.

    Parameters
    ----------
    labels
        C classes, in the order of the logits.
    pooling
        How a window's embeddings become features: ``"mean"`` (F = D), ``"mean+max"``
        (F = 2 D) or ``"concat"`` (F = D times the columns of a window, in order of time).
    offset, scale
        (F,) features are standardised as ``(features - offset) * scale``.
    layers
        Pairs of weight (out, in) and bias (out,). A ReLU stands between two layers; the
        last one has C outputs.

    Raises
    ------
    BundleError
        If shapes do not fit, or a number is not finite.
    """

    labels: tuple[str, ...]
    pooling: str
    offset: Array = field(repr=False)
    scale: Array = field(repr=False)
    layers: tuple[tuple[Array, Array], ...] = field(repr=False)

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.pooling not in POOLINGS:
            raise BundleError(
                f"head: pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}"
            )
        width = self.offset.size
        fits = bool(self.layers) and self.offset.shape == self.scale.shape == (width,)
        for weight, bias in self.layers:
            fits = fits and weight.shape == (bias.size, width) and bias.ndim == 1
            width = bias.size
        if not fits or width != len(self.labels):
            raise BundleError(
                f"head: shapes do not fit {len(self.labels)} labels: features "
                f"{self.offset.shape}, layers {[weight.shape for weight, _ in self.layers]}"
            )
        arrays = (self.offset, self.scale, *(a for layer in self.layers for a in layer))
        if not all(np.isfinite(array).all() for array in arrays):
            raise BundleError("head: a number is not finite")

    @property
    def n_features(self) -> int:
        """Number of features F."""
        return int(self.offset.size)

    def select(self, classes: Sequence[int]) -> Head:
        """Return the head for some of its classes, by their indices."""
        weight, bias = self.layers[-1]
        rows = list(classes)
        return replace(
            self,
            labels=tuple(self.labels[row] for row in rows),
            layers=(*self.layers[:-1], (weight[rows], bias[rows])),
        )

    def features(self, windows: Array, skip: NDArray[np.int64] | None = None) -> Array:
        """Pool embeddings (D, W, S) of W windows of S columns to features (F, W).

        ``skip`` is that of `pool_embeddings`.

        Raises
        ------
        BundleError
            If they are not as many as the head was fitted on.
        """
        found = pool_embeddings(windows, self.pooling, skip)
        if found.shape[0] != self.n_features:
            raise BundleError(
                f"the head was fitted on {self.n_features} features a window, and this window "
                f"of {windows.shape[2]} columns gives {found.shape[0]}: use the window that "
                "it was trained with"
            )
        return found

    def logits(self, features: Array) -> Array:
        """Compute logits (C, W) of features (F, W)."""
        x = (features - self.offset[:, None]) * self.scale[:, None]
        for at, (weight, bias) in enumerate(self.layers):
            x = weight @ (x if at == 0 else np.maximum(x, 0)) + bias[:, None]
        return np.asarray(x, np.float32)


def pool_embeddings(windows: Array, pooling: str, skip: NDArray[np.int64] | None = None) -> Array:
    """Pool embeddings over the columns of each window.

    Parameters
    ----------
    windows
        (D, W, S) embeddings of W windows of S columns, as `cut_windows` returns them.
    pooling
        One of `POOLINGS`.
    skip
        (D,) columns at the beginning of a window that an embedding leaves out (see
        `Network.skip`); then the pooling is the mean.

    Returns
    -------
    array (F, W)
        D, 2 D or S D features a window; concatenation goes column by column.
    """
    if skip is not None:
        return _mean_without(windows, skip)
    if pooling == "concat":
        d, w, s = windows.shape
        return np.ascontiguousarray(windows.transpose(2, 0, 1).reshape(s * d, w))
    mean = np.asarray(windows.mean(axis=2, dtype=np.float64), np.float32)
    return mean if pooling == "mean" else np.concatenate((mean, windows.max(axis=2)))


def _mean_without(windows: Array, skip: NDArray[np.int64]) -> Array:
    """Return the mean of each embedding over the columns that it does not leave out."""
    found = np.empty(windows.shape[:2], np.float32)
    edges = np.flatnonzero(np.diff(skip, prepend=-1))
    for first, last in zip(edges, [*edges[1:], skip.size], strict=True):
        kept = windows[first:last, :, skip[first] :]
        found[first:last] = kept.mean(axis=2, dtype=np.float64)
    return found


def head_bytes(head: Head) -> bytes:
    """Serialise a head as NPZ, without pickle."""
    arrays: dict[str, NDArray[np.generic]] = {
        "format": np.array(FORMAT), "labels": np.array(head.labels),
        "pooling": np.array(head.pooling),
        "offset": head.offset.astype(np.float32), "scale": head.scale.astype(np.float32),
    }  # fmt: skip
    for at, (weight, bias) in enumerate(head.layers):
        arrays[f"weight_{at}"] = weight.astype(np.float32)
        arrays[f"bias_{at}"] = bias.astype(np.float32)
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]
    return written.getvalue()


def head_from(content: bytes) -> Head:
    """Read what `head_bytes` returned.

    Raises
    ------
    BundleError
        If it is no such file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            if int(stored["format"]) != FORMAT:
                raise BundleError(f"head.npz has format {stored['format']}, known is {FORMAT}")
            n_layers = sum(name.startswith("weight_") for name in stored.files)
            layers = tuple(
                (_floats(stored[f"weight_{at}"]), _floats(stored[f"bias_{at}"]))
                for at in range(n_layers)
            )
            return Head(
                tuple(str(label) for label in stored["labels"]), str(stored["pooling"]),
                _floats(stored["offset"]), _floats(stored["scale"]), layers,
            )  # fmt: skip
    except UNREADABLE as error:
        raise BundleError(f"head.npz cannot be read: {error}; install the model again") from error


def _floats(values: NDArray[np.generic]) -> Array:
    return np.asarray(values, np.float32)
