"""What the network learnt: kernels, feature maps layer by layer, and where it saw what it said."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocnn.networks.classifier import Classifier
from audiocnn.networks.streaming_layers import Residual, Windowed
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, grid, paragraph, picture, text
from audiocnn.training.report.sounds import Samples
from audiocnn.training.report.subject import Subject

KERNELS = 32  # of the first layer that are drawn
MAPS = 8  # of a layer
ROWS = 12  # classes drawn under a spectrogram


def inside_section(subject: Subject) -> Section:
    """Show kernels, maps and evidence."""
    body = kernel_picture(subject.trunk)
    examples = subject.examples()
    if examples:
        body += "<h3>From the first layer to the last</h3>"
        body += _layers(subject, *examples[0])
        body += "<h3>Where it found it</h3>"
        body += _evidence(subject, examples)
    else:
        body += paragraph("No recording is there any more to show more with.")
    return Section("inside", "What the network learnt", body)


def first_kernels(network: nn.Module) -> NDArray[np.float32]:
    """Return the kernels (K, H, W) of the first convolution: bands upward, time to the right."""
    first = next(m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    weight = first.weight.detach().cpu().numpy()
    # Two dimensions: a kernel a plane. One: its input channels are the bands.
    return np.asarray(weight[:, 0] if weight.ndim == 4 else weight)


def kernel_picture(network: nn.Module) -> str:
    """Draw the first layer's kernels."""
    kernels = first_kernels(network)[:KERNELS]
    height, width = kernels.shape[1:]
    kernels = kernels / np.abs(kernels).max((1, 2), keepdims=True).clip(1e-9)
    columns = min(len(kernels), 8 if height < 2 * width else 16)
    laid = drawing.mosaic(list(kernels), columns, gap=1)
    size = (4.2, 4.2 * laid.shape[0] / laid.shape[1])
    if height > 2 * width:  # bands are many: pixels need not be square
        size = (4.8, 1.9 * -(-len(kernels) // columns))
    with drawing.canvas(*size) as figure:
        _plain(figure.subplots(), laid, drawing.SIGNED, -1, 1)
        drawn = drawing.svg_of(figure, "kernels of the first layer")
    said = (
        f"Each square is a kernel, {height} bands high and {width} frames long, laid over every "
        "place of its input: red adds, blue takes away. Red beside blue finds a beginning "
        "or an end, red above blue the edge of a tone; the later layers join what these find."
    )
    return "<h3>The first layer's kernels</h3>" + picture(drawn, said)


def _plain(ax: Any, image: NDArray[np.floating], colours: Any, low: float, high: float) -> None:
    ax.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="none", aspect="auto")
    ax.set_axis_off()


def layer_maps(
    network: Classifier, frames: NDArray[np.float32]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return what each layer of the trunk is and makes of frames (P, M, T): (C, H, T) or (C, T).

    Layers that only rename axes are left out.
    """
    maps: list[tuple[str, NDArray[np.float32]]] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...], y: Tensor) -> None:
        if isinstance(layer, Residual):
            kind = "block with a shortcut"
        elif any(isinstance(m, nn.Conv1d | nn.Conv2d) for m in layer.modules()):
            kind = "convolution"
        elif isinstance(layer, Windowed):
            kind = "pooling"
        else:
            return
        maps.append((kind, y[0].detach().numpy()))

    hooks = [layer.register_forward_hook(note) for layer in network.trunk.layers]
    try:
        with torch.no_grad():
            network(torch.from_numpy(frames)[None])
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def _layers(subject: Subject, label: str, samples: Samples) -> str:
    front = subject.bundle.front
    frames = subject.frames(samples)
    cells = [f"<h4>{text(label)}: what goes in</h4><small>{frames.shape[0] * frames.shape[1]} "
             f"bands x {frames.shape[2]} frames</small>"
             + drawing.picture_of(frames, front, "input", 2.6)]  # fmt: skip
    for number, (kind, maps) in enumerate(layer_maps(subject.trunk, frames), 1):
        joined = maps if maps.ndim == 2 else maps.reshape(maps.shape[0], -1, maps.shape[-1])
        shape = " x ".join(map(str, maps.shape[1:]))
        name = f"layer {number}"
        if maps.ndim == 2 or maps.shape[1] == 1:  # a row a channel
            drawn = _one_map(joined.reshape(-1, maps.shape[-1]), name)
            described = f"{maps.shape[0]} channels x {maps.shape[-1]} steps of time"
        else:
            drawn = _several_maps(joined, name)
            described = f"{maps.shape[0]} maps of {shape}"
        cells.append(f"<h4>{name}: {kind}</h4><small>{described}</small>{drawn}")
    said = (
        "The same sound as each layer sees it; the eight liveliest maps of each (where bands are "
        "gone, every row is a channel). The first ones still look like what goes in, with "
        "edges brought out; the last are coarse in time and each says how much of one kind of "
        "thing is there. Bright is much."
    )
    return grid(cells, said, "cells two")


def _several_maps(maps: NDArray[np.float32], name: str) -> str:
    order = np.argsort(-maps.std((1, 2)), kind="stable")[:MAPS]
    shown = [_scaled(maps[i]) for i in sorted(order.tolist())]
    with drawing.canvas(2.6, 2.0) as figure:
        _plain(figure.subplots(), drawing.mosaic(shown, 4, gap=2), drawing.HEAT, 0, 1)
        return drawing.svg_of(figure, f"maps of {name}")


def _one_map(rows: NDArray[np.float32], name: str) -> str:
    with drawing.canvas(2.6, 2.0) as figure:
        _plain(figure.subplots(), _scaled(rows), drawing.HEAT, 0, 1)
        return drawing.svg_of(figure, f"channels of {name}")


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.quantile(image, (0.0, 0.995))
    return np.asarray(np.clip((image - low) / max(high - low, 1e-9), 0, 1), np.float32)


def _evidence(subject: Subject, examples: list[tuple[str, Samples]]) -> str:
    cells = []
    for label, samples in examples:
        drawn = _evidence_picture(subject, label, samples)
        cells.append(f"<h4>{text(label)}</h4>{drawn}{subject.play(samples)}")
    attends = subject.bundle.network.details.get("pooling") == "attention"
    weights = ", and the line how much each moment counts" if attends else ""
    said = (
        "Under each picture: how much speaks for each class at each moment (red for, blue "
        f"against){weights}. This is no guess at what went on: the score is the weighted mean "
        "of exactly these numbers, made a probability by the calibration. A moment is drawn in the "
        "middle of what the network sees for it."
    )
    return grid(cells, said, "cards")


def _evidence_picture(subject: Subject, label: str, samples: Samples) -> str:
    evidence, weight = subject.columns(samples)
    front, grid_ = subject.bundle.front, subject.grid
    slope = np.array(subject.bundle.calibration.slope)[:, None]
    offset = np.array(subject.bundle.calibration.offset)[:, None]
    logits = slope * evidence + offset
    own = subject.labels.index(label)
    rank = [i for i in np.argsort(-logits.mean(1)).tolist() if i != own]
    rows = [own, *rank[: ROWS - 1]]
    middle = (grid_.reach / 2 + grid_.period * np.arange(evidence.shape[1])) / grid_.rate
    half = grid_.period / grid_.rate / 2
    reached = (middle[0] - half, middle[-1] + half, len(rows) - 0.5, -0.5)
    with drawing.canvas(3.6, 2.1 + 0.17 * len(rows)) as figure:
        top, counts, under = figure.subplots(
            3, 1, sharex=True, height_ratios=(1.2, 0.35, 0.14 * len(rows) + 0.1)
        )
        drawing.draw_frames(top, subject.frames(samples), front)
        top.set_xlabel("")
        counts.plot(middle, weight[own], color=drawing.FIRST, lw=1.4)
        counts.set(ylim=(0, 1.1), yticks=(0, 1), ylabel="counts")
        under.imshow(
            logits[rows], cmap=drawing.SIGNED, vmin=-8, vmax=8, aspect="auto",
            interpolation="none", extent=reached,
        )  # fmt: skip
        under.set_yticks(range(len(rows)), [_short(subject.labels[i]) for i in rows])
        under.tick_params(axis="y", length=0)
        under.set_xlim(0, samples.shape[-1] / subject.rate)
        under.set_xlabel("seconds")
        return drawing.svg_of(figure, f"evidence over time for {label}")


def _short(label: str) -> str:
    return label if len(label) <= 16 else label[:15] + "…"
