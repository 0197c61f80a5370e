"""An ordinary bundle around a network of others: rules, calibration and card.

The network's own scores are taken as they are. They are not calibrated: 0.3 does not mean
that three of ten such windows contain the sound. The default rule is a low threshold with
hysteresis, one for all classes; `audiocnn tune` fits thresholds, and `audiocnn train
--backbone` a classifier, to sounds of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiocnn.errors import BundleError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import save
from audiocnn.inference.description import NetworkSpec
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration
from audiocnn.zoo.registry import Licence

ON, OFF = 0.2, 0.1  # scores of networks trained on AudioSet are low: docs/models.md


def default_rule(hop: float) -> EventRule:
    """Return the rule for a class of an uncalibrated network; ``hop`` in seconds."""
    return EventRule(ON, OFF, join_gap=hop)


def write_bundle(
    folder: Path, *, front: FrontEnd, network: NetworkSpec, model: bytes, labels: Sequence[str],
    window: float, hop: float, licence: Licence, card: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a bundle with a network of others into a folder.

    Parameters
    ----------
    folder
        Where; made if it does not exist.
    front, network, model
        Front end, description and file of the network.
    labels
        Of its scores; none for a backbone.
    window, hop
        Seconds.
    licence
        Of the network's weights.
    card
        What else people should know: ``title``, ``source``, ``paper``.

    Raises
    ------
    BundleError
        If the network does not fit its description.
    """
    n = len(labels)
    about = dict(card) | {
        "licence": licence.name,
        "licence_holder": licence.holder,
        "commercial_use": licence.commercial,
        "calibrated": False,
    }
    bundle = Bundle(
        labels=tuple(labels),
        front=front,
        network=network,
        window=window,
        hop=hop,
        rules=dict.fromkeys(labels, default_rule(hop)),
        calibration=Calibration((1.0,) * n, (0.0,) * n),
        clip_score="max",
        card=about,
        model=model,
        name=folder.name,
    )
    opened = bundle.opened
    details = {**network.details, "features": opened.n_embeddings}
    bundle = replace(bundle, network=replace(network, details=details))
    if network.scores and opened.n_scores != n:
        raise BundleError(
            f"the network gives {opened.n_scores:,} scores, and there are {n:,} labels"
        )
    save(bundle, folder, None, model_card(bundle))


def model_card(bundle: Bundle) -> str:
    """Write the card of a network of others, Markdown."""
    card = bundle.card
    lines = [f"# {card.get('title') or bundle.name}", ""]
    if bundle.labels:
        lines.append(
            f"{len(bundle.labels):,} classes. Scores are those of the network and are not "
            "calibrated until `audiocnn tune` or `audiocnn train` has been run."
        )
    else:
        lines.append("A backbone: it gives embeddings and has no classes of its own.")
    lines += ["", f"Licence of the weights: {card['licence']} ({card['licence_holder']})."]
    if card["commercial_use"] is False:
        lines.append("**This licence forbids commercial use.**")
    for name in ("source", "paper"):
        if card.get(name):
            lines.append(f"{name.capitalize()}: {card[name]}")
    return "\n".join([*lines, ""])


def licence_note(card: Mapping[str, Any]) -> str:
    """Return the terms of a model in one line, with a warning if they forbid commercial use."""
    licence = card.get("licence", "")
    if card.get("commercial_use") is False:
        return f"{licence or 'licence not stated'}: commercial use is forbidden"
    return str(licence)
