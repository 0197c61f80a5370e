"""Layers over time whose output for a stream is that for the file.

Every layer here is a window of ``size`` frames moved by ``step``, or is made of
such layers; time is the last axis and is never padded:

    frames     0 1 2 3 4 5 6 7 8            size = 3, step = 2
    output 0   =====
    output 1       =====
    output 2           =====                  output t depends on frames t*step ...
    output 3               =====                              t*step + size - 1

``forward`` takes the whole signal. ``stream`` takes tails and new frames, and
returns output and tails: after ``n`` outputs it keeps ``x[..., n*step:]``.
Both compute the same outputs, in the same order. A choice that cannot stream is
refused at construction, so everything built from these layers streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from audiocnn.errors import ArgumentError


class Streamable(nn.Module):
    """A layer that can be fed in pieces.

    Attributes
    ----------
    receptive_field
        Input frames that one output frame depends on.
    stride
        Input frames from one output frame to the next.
    n_tails
        Tensors that ``stream`` takes and returns.
    """

    receptive_field: int = 1
    stride: int = 1
    n_tails: int = 0

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs that ``x`` completes, and the tails for the next call.

        Parameters
        ----------
        x
            (..., T) new frames.
        tails
            ``n_tails`` tensors (..., K); K = 0 at the beginning. Tails and new
            frames together must cover at least one receptive field.
        """
        raise NotImplementedError  # pragma: no cover


class Windowed(Streamable):
    """A computation on windows of ``size`` frames, ``step`` apart."""

    def __init__(self, compute: nn.Module, size: int, step: int) -> None:
        super().__init__()
        if not 1 <= step <= size:
            raise ArgumentError(
                f"a layer over time needs 1 <= step <= size, got size={size}, step={step}"
            )
        self.compute = compute
        self.receptive_field, self.stride = size, step
        self.n_tails = int(size > 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., T) to (..., (T - size) // step + 1)."""
        return self.compute(x)  # type: ignore[no-any-return]

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Stream by the one rule: join, compute, keep what is still needed."""
        if not self.n_tails:
            return self(x), []
        x = torch.cat((tails[0], x), dim=-1)
        y = self(x)
        return y, [x[..., y.shape[-1] * self.stride :]]


class Chain(Streamable):
    """Layers one after the other."""

    def __init__(self, layers: Iterable[Streamable]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.receptive_field = self.stride = 1
        for layer in self._each():
            self.receptive_field += (layer.receptive_field - 1) * self.stride
            self.stride *= layer.stride
            self.n_tails += layer.n_tails

    def _each(self) -> Iterator[Streamable]:
        return iter(self.layers)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map the whole signal."""
        for layer in self._each():
            x = layer(x)
        return x

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Hand every layer its own tails."""
        kept: list[Tensor] = []
        for layer in self._each():
            x, new = layer.stream(x, tails[len(kept) : len(kept) + layer.n_tails])
            kept += new
        return x, kept


class Residual(Streamable):
    """A branch plus its input: the newest frames of it, so that no frame waits.

        input    0 1 2 3 4 5 6          branch with receptive field 3
        branch       0 1 2 3 4
        shortcut     2 3 4 5 6          output t = branch t + input t + 2

    The shortcut needs no tail: however many outputs a call returns, it adds as
    many of the newest input frames.

    Parameters
    ----------
    branch
        Streams; its stride must be 1, or the shortcut would fall behind.
    shortcut
        Fits the channels (frame by frame); None to add the input as it is.
    """

    def __init__(self, branch: Streamable, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        if branch.stride != 1:
            raise ArgumentError(
                f"a residual branch must not stride over time, got stride={branch.stride}"
            )
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()
        self.receptive_field, self.n_tails = branch.receptive_field, branch.n_tails

    def _join(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(y + self.shortcut(x[..., x.shape[-1] - y.shape[-1] :]))

    def forward(self, x: Tensor) -> Tensor:
        """Map the whole signal."""
        return self._join(x, self.branch(x))

    def stream(self, x: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Stream the branch; add the newest frames."""
        y, tails = self.branch.stream(x, tails)
        return self._join(x, y), tails


def conv2d(
    n_in: int,
    n_out: int,
    size: tuple[int, int] = (3, 3),
    step: tuple[int, int] = (1, 1),
    *,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> Windowed:
    """Convolve over (frequency, time): padded over frequency, valid over time.

    Parameters
    ----------
    n_in, n_out
        Channels.
    size, step
        Kernel and stride, each (frequency, time).
    activation
        What follows the batch normalisation; None for nothing.
    """
    conv = nn.Conv2d(n_in, n_out, size, step, padding=(size[0] // 2, 0), bias=False)
    tail = [activation()] if activation else []
    return Windowed(nn.Sequential(conv, nn.BatchNorm2d(n_out), *tail), size[1], step[1])


def pool2d(bands: int, frames: int, kind: type[nn.Module] = nn.MaxPool2d) -> Windowed:
    """Pool over ``bands`` neighbouring bands and ``frames`` frames."""
    return Windowed(kind((bands, frames)), frames, frames)


def conv1d(
    n_in: int,
    n_out: int,
    size: int = 1,
    step: int = 1,
    *,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> Windowed:
    """Convolve over time alone: valid; ``groups=n_in`` makes it depthwise."""
    conv = nn.Conv1d(n_in, n_out, size, step, groups=groups, bias=False)
    tail = [activation()] if activation else []
    return Windowed(nn.Sequential(conv, nn.BatchNorm1d(n_out), *tail), size, step)


def pool1d(frames: int, kind: type[nn.Module] = nn.MaxPool1d) -> Windowed:
    """Pool over ``frames`` frames."""
    return Windowed(kind(frames), frames, frames)
