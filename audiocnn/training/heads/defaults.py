"""Defaults of a head: window and hop, and the backbone's bundle set to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, checksum, load
from audiocnn.inference.embeddings import n_features
from audiocnn.training.defaults import Look
from audiocnn.training.heads.config import HeadConfig, Variation

LONGEST, SHORTEST = 2.0, 1.0  # seconds of a window, of networks that take any


def open_backbone(model: str | Path) -> Bundle:
    """Load a bundle whose network gives embeddings.

    Raises
    ------
    BundleError
        If there is no such bundle, or its network gives none.
    """
    bundle = load(model)
    n_features(bundle)
    return bundle


def head_config(backbone: Bundle, look: Look | None, **chosen: Any) -> HeadConfig:
    """Propose how a head on a backbone is made.

    Parameters
    ----------
    backbone
        What gives the embeddings.
    look
        What the clips are like; None for signals other than sound.
    chosen
        Fields of `HeadConfig` and of `Variation` that were asked for.
    """
    names = set(Variation.__dataclass_fields__)
    variation = Variation(**{k: v for k, v in chosen.items() if k in names})
    chosen = {k: v for k, v in chosen.items() if k not in names and v is not None}
    asked = chosen.pop("window", None)
    window = float(asked or default_window(backbone, look))
    model = with_windows(backbone, window, window / 2)
    grid = model.pipeline().grid
    if asked and abs(grid.window / asked - 1) > 0.25:
        raise ArgumentError(
            f"--window {asked:g}: {backbone.name} takes windows of {grid.window:g} s; leave "
            "--window out, or give this one"
        )
    hop = window / (2 if grid.size == 1 else 4)
    proposed = {
        "front": backbone.front, "backbone": f"{backbone.name} {checksum(backbone)[:12]}",
        "window": window, "hop": hop, "variation": variation,
    }  # fmt: skip
    if backbone.network.kind == "rocket":
        proposed |= {"loss": "squared", "variation": replace(variation, copies=0)}
    return HeadConfig(**{**proposed, **chosen})


def default_window(backbone: Bundle, look: Look | None) -> float:
    """Propose a window, in seconds, for clips; for other signals the backbone's own."""
    if look is None:
        return backbone.window
    length = float(np.median(look.durations))
    network = backbone.network
    if network.kind == "windowed" and network.length is not None:
        return backbone.window
    return min(LONGEST, max(SHORTEST, round(1.2 * length, 1)))


def with_windows(backbone: Bundle, window: float, hop: float) -> Bundle:
    """Return the backbone set to other windows and without its own head.

    A recording shorter than a window lies in its centre: networks with an input window
    were trained on sounds with something before them, and at a window's very start some
    detect little.
    """
    short = "start" if backbone.network.kind == "rocket" else "centre"
    network = replace(backbone.network, short=short, classes=None)
    return replace(backbone, window=window, hop=hop, head=None, network=network)
