"""Putting a bundle into a folder: whole or not at all, and over nothing that matters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import CHECKED_FILES, FORMAT, Bundle, grid_of
from audiocnn.inference.selfcheck import make_check
from audiocnn.io.files.atomic import is_left_over, replacing

FILES = {*CHECKED_FILES, "README.md", "bundle.json"}


def check_free(folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse to put a bundle where there is something else.

    Parameters
    ----------
    folder
        Where a bundle is to go.
    overwrite
        Whether a bundle that is there may be replaced; nothing else ever is.

    Raises
    ------
    ArgumentError
        If a bundle is there that may not be, or anything that is no bundle's.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    inside = [p for p in folder.iterdir() if not is_left_over(p)] if folder.is_dir() else [folder]
    names = {p.name for p in inside}
    if names and not {"graph.onnx"} <= names <= FILES:
        raise ArgumentError(f"{folder} holds other things than a model: name a new folder")
    if "bundle.json" in names and not overwrite:
        raise ArgumentError(
            f"{folder} is a model already: name a new folder, or replace it with --overwrite"
        )


def save(bundle: Bundle, folder: str | Path, weights: bytes, readme: str) -> None:
    """Write a bundle, its check included.

    Parameters
    ----------
    bundle
        The model.
    folder
        Made if it is not there; files of the same names are replaced.
    weights
        The network's weights as a safetensors file.
    readme
        The model card, Markdown.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "graph.onnx": bundle.model,
        "weights.safetensors": weights,
        "check.npz": make_check(bundle.graph, bundle.front, grid_of(bundle), bundle.calibration),
        "README.md": readme.encode(),
    }
    described = {
        "format": FORMAT,
        "labels": bundle.labels,
        "front": bundle.front.describe(),
        "trunk": dict(bundle.trunk),
        "window": bundle.window,
        "hop": bundle.hop,
        "clip_score": bundle.clip_score,
        "rules": {label: asdict(rule) for label, rule in bundle.rules.items()},
        "calibration": asdict(bundle.calibration),
        "card": dict(bundle.card),
        "checksums": {n: hashlib.sha256(contents[n]).hexdigest() for n in CHECKED_FILES},
    }
    contents["bundle.json"] = (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()
    for name, content in contents.items():  # bundle.json last: before it there is no bundle
        with replacing(folder / name) as part:
            part.write_bytes(content)
