"""Putting a bundle into a folder: whole or not at all, and over nothing that matters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import CHECK, CLIPS, FORMAT, HEAD, WEIGHTS, Bundle
from audiocnn.inference.head import head_bytes
from audiocnn.inference.runtimes import NETWORK_FILES
from audiocnn.inference.selfcheck import make_check
from audiocnn.io.files.atomic import is_left_over, replacing

FILES = {*NETWORK_FILES.values(), CHECK, CLIPS, HEAD, WEIGHTS, "README.md", "bundle.json"}


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
    if names and not (names <= FILES and names & set(NETWORK_FILES.values())):
        raise ArgumentError(f"{folder} holds other things than a model: name a new folder")
    if "bundle.json" in names and not overwrite:
        raise ArgumentError(
            f"{folder} is a model already: name a new folder, or replace it with --overwrite"
        )


def extra_files(folder: Path) -> dict[str, bytes | None]:
    """Read what a bundle has beside its model, for `save`: weights and embeddings, or None."""
    return {
        name.partition(".")[0]: path.read_bytes() if (path := folder / name).exists() else None
        for name in (WEIGHTS, CLIPS)
    }


def save(
    bundle: Bundle, folder: str | Path, weights: bytes | None, readme: str,
    embeddings: bytes | None = None,
) -> None:  # fmt: skip
    """Write a bundle, its check included.

    Parameters
    ----------
    bundle
        The model.
    folder
        Made if it does not exist; files of the same names are replaced.
    weights
        The network's weights as a safetensors file; None for a network that is not
        trained further.
    readme
        The model card, Markdown.
    embeddings
        ``embeddings.npz`` of the training clips; None for none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    optional = {
        WEIGHTS: weights, CLIPS: embeddings,
        HEAD: None if bundle.head is None else head_bytes(bundle.head),
    }  # fmt: skip
    contents = {
        bundle.network.file: bundle.model,
        CHECK: make_check(bundle.pipeline(), classes=bool(bundle.labels)),
        **{name: content for name, content in optional.items() if content is not None},
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    described = {
        "format": FORMAT,
        "labels": bundle.labels,
        "front": bundle.front.describe(),
        "network": bundle.network.described(),
        "window": bundle.window,
        "hop": bundle.hop,
        "clip_score": bundle.clip_score,
        "rules": {label: asdict(rule) for label, rule in bundle.rules.items()},
        "calibration": asdict(bundle.calibration),
        "card": dict(bundle.card),
        "checksums": sums,
    }
    contents["README.md"] = readme.encode()
    contents["bundle.json"] = (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()
    for name, content in contents.items():  # bundle.json last: before it there is no bundle
        with replacing(folder / name) as part:
            part.write_bytes(content)
    for name in (FILES & {p.name for p in folder.iterdir()}) - set(contents):
        (folder / name).unlink()  # of the model that was replaced
