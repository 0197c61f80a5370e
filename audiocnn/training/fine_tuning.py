"""Training on from a bundle: its front end and network, with other classes.

What a network has learnt of sound in its first layers serves other sounds too. The
trunk and its normalisation are taken as they are; rows of the head are kept for the
labels that stay, and drawn anew for the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import WEIGHTS, Bundle, load
from audiocnn.inference.installed import folder_of
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.training.config import TrainingConfig
from audiocnn.training.pack import load_network

LEARNING_RATE = 2e-3  # half of what random weights begin with; so are the epochs


def open_start(model: str | Path) -> tuple[Bundle, Classifier]:
    """Load a bundle and its torch network, checked.

    Parameters
    ----------
    model
        A shipped name or a bundle's folder.
    """
    bundle = load(model)
    if bundle.network.kind != "streaming" or not (folder_of(model) / WEIGHTS).exists():
        raise ArgumentError(
            f"{bundle.name} cannot be trained further: its network is not there in PyTorch's form; "
            "train a head on it with --backbone, without --fine-tune and --from"
        )
    return bundle, load_network(bundle, folder_of(model))


def start_choices(bundle: Bundle, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a config that a bundle brings with it.

    Parameters
    ----------
    bundle
        What is trained on from.
    chosen
        What was asked for: it stands where the bundle leaves a choice.

    Raises
    ------
    ArgumentError
        If something was asked for that contradicts the bundle.
    """
    fixed = {name: bundle.network.details[name] for name in ("arch", "size", "pools", "pooling")}
    fixed |= {"front": bundle.front, "kernel": bundle.network.details.get("kernel", 0)}
    for name, value in fixed.items():
        if name in chosen and chosen[name] != value:
            raise ArgumentError(
                f"--{name} {chosen[name]} contradicts --from {bundle.name}, whose {name} is "
                f"{value}: leave one of them out"
            )
    digest = hashlib.sha256(bundle.model).hexdigest()[:12]
    brought = {
        "window": bundle.window, "hop": bundle.hop, "clip_score": bundle.clip_score,
        "learning_rate": LEARNING_RATE,
    }  # fmt: skip
    return brought | dict(chosen) | fixed | {"start": f"{bundle.name} {digest}"}


def start_network(
    bundle: Bundle, network: Classifier, labels: tuple[str, ...], config: TrainingConfig
) -> Classifier:
    """Make the network that a fit begins with.

    Parameters
    ----------
    bundle, network
        What is trained on from.
    labels
        The new labels.
    config
        Gives dropout and the seed of new rows of the head.

    Returns
    -------
    Classifier
        Trunk and normalisation of the bundle; where its labels are among the new
        ones, the rows of its head too.
    """
    torch.manual_seed(config.seed)
    names = {f.name for f in fields(TrunkSpec)}  # a bundle of before may not name them all
    details = {k: v for k, v in bundle.network.details.items() if k in names}
    fresh = Classifier(TrunkSpec(**details | {"n_classes": len(labels)}), config.dropout)
    state = fresh.state_dict()
    for name, value in network.state_dict().items():
        if not name.startswith("head."):
            state[name] = value
    blocks = fresh.head.out_channels // len(labels)  # evidence, and weight with attention
    for name in ("head.weight", "head.bias"):
        old = network.state_dict()[name]
        for row, label in enumerate(labels):
            if label in bundle.labels:
                at = bundle.labels.index(label)
                for block in range(blocks):
                    state[name][block * len(labels) + row] = old[block * len(bundle.labels) + at]
    fresh.load_state_dict(state)
    return fresh
