"""What it would cost without sharing: convolutions beside dense layers of the same reach."""

from __future__ import annotations

from audiocnn.networks.baselines import DenseLayer, dense_layers
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, details, paragraph, picture, table
from audiocnn.training.report.subject import Subject
from audiocnn.training.report.summary import number


def size_section(subject: Subject) -> Section:
    """Compare parameters layer by layer."""
    layers = dense_layers(subject.trunk)
    shared, dense = sum(x.parameters for x in layers), sum(x.dense for x in layers)
    trunk = subject.bundle.network.details
    reach = subject.grid.reach / subject.rate
    head = (
        f"Each column of scores sees {number(reach)} s: "
        f"{trunk['planes'] * trunk['n_bands']} bands x "
        f"{trunk['receptive_field']} frames. The convolutions on the way have {shared:,} "
        f"weights, because a kernel is used at every place. Layers that join every value with "
        f"every value, with the same reach and as many values between them, would have "
        f"{dense:,}: {dense / shared:,.0f} times as many, to be learnt from the same clips."
    )
    said = (
        "Weights of each layer, first layer on top (k: a thousand, m: a million). Each line to the "
        "right is ten or more times the one before: the distance between two dots is what sharing "
        "saves."
    )
    rows = [[x.name, f"{x.n_in:,}", f"{x.n_out:,}", f"{x.parameters:,}", f"{x.dense:,}"]
            for x in layers]  # fmt: skip
    names = ["convolution", "values in", "values out", "weights", "dense"]
    listed = details(
        "The figures", table(names, rows, "Values are counted over the reach of one column.")
    )
    body = paragraph(head) + picture(_dots(layers), said) + listed
    return Section("size", "Why convolutions", body)


def counted(value: float) -> str:
    """Write a power of ten as people say it."""
    for size, unit in ((1e9, " bn"), (1e6, " m"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _dots(layers: list[DenseLayer]) -> str:
    with drawing.canvas(4.8, 0.9 + 0.22 * len(layers)) as figure:
        ax = figure.subplots()
        at = range(len(layers))
        shared, dense = [x.parameters for x in layers], [x.dense for x in layers]
        ax.hlines(at, shared, dense, color=drawing.GRID, lw=2)
        ax.plot(shared, at, "o", color=drawing.FIRST, ms=6, label="convolution")
        ax.plot(dense, at, "o", color=drawing.SECOND, ms=6, label="dense")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: counted(value))
        ax.minorticks_off()
        ax.set_yticks(list(at), [x.name for x in layers])
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("weights")
        ax.grid(True, axis="x")
        figure.legend(loc="outside upper left", ncols=2)
        return drawing.svg_of(figure, "weights of convolutions and of dense layers")
