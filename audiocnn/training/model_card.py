"""The model card: what a bundle detects, how good it is, and how that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audiocnn.inference.bundle import Bundle
from audiocnn.training.config import TrainingConfig
from audiocnn.training.heads.config import HeadConfig

DIGITS = 4
MANY = 0.15  # share of true clips that are rejected, from which on a training says so
CARD_FIGURES = (
    "clips", "groups", "accuracy", "accuracy_bounds", "accuracy_with_rejection", "rejected",
    "accepting_threshold",
    "macro_f1", "macro_f1_bounds", "mean_average_precision", "mean_average_precision_bounds",
    "events_found", "events_found_bounds", "calibration_error", "by_part", "silent",
    "unlabelled", "unlabelled_heard", "backgrounds", "background_alarms", "background_accepted",
    "false_alarms",
)  # fmt: skip


def in_words(figures: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Say the figures in a few lines for people."""

    def percent(name: str) -> str:
        low, high = figures[f"{name}_bounds"]
        return f"{100 * figures[name]:.1f} % ({100 * low:.0f} to {100 * high:.0f})"

    n = f"{figures['clips']} clips of {figures['groups']} groups"
    if len(labels) > 1 and figures["clips"]:
        lines = [
            f"accuracy {percent('accuracy')}, macro F1 {percent('macro_f1')}, mean average "
            f"precision {percent('mean_average_precision')}; 95 % bounds, {n}",
            f"of these, {100 * figures['rejected']:.1f} % are rejected as none of the classes",
            *_on_rejection(figures),
        ]
    else:
        lines = [f"found in {100 * figures['events_found']:.1f} % of {n} that hold it"]
    alarms = figures["false_alarms"]
    if n_others := figures["unlabelled"]:
        lines.append(f"in {figures['unlabelled_heard']} of {n_others} clips without a label it "
                     "detects one of the classes")  # fmt: skip
    elif alarms is None:
        lines.append("no background was given: what it says of anything else is not known")
    if alarms is None:
        return lines
    return [
        *lines,
        f"of background windows, {100 * figures['background_accepted']:.2f} % are given a label; "
        f"{alarms['events']} false alarms in {alarms['hours']:.2g} h, so fewer than "
        f"{alarms['below']:.2g} an hour (95 %)",
    ]


def _on_rejection(figures: Mapping[str, Any]) -> list[str]:
    """Describe what to do where many true clips are rejected."""
    threshold = figures.get("accepting_threshold")
    if threshold is None or figures["rejected"] <= MANY:
        return []
    counts = sorted(row["n"] for row in figures["per_class"].values())
    advice = [f"add clips, above all other sources (now {counts[len(counts) // 2]} a class)"]
    if figures["false_alarms"] is None:
        advice.append("give sounds that are none of them with --background")
    return [
        f"warning: that is many. A threshold of {threshold:.2f} for all classes (label --threshold "
        f"{threshold:.2f}) would reject 5 %, at the price of more false alarms. To mend it: "
        + "; ".join(advice)
    ]


def make_card(
    figures: Mapping[str, Any],
    labels: Sequence[str],
    config: TrainingConfig,
    judged: str,
    name: str,
) -> dict[str, Any]:
    """Return the card of a bundle: figures for programs, and ``readme`` for people.

    Parameters
    ----------
    figures
        Of `audiocnn.training.metrics`.
    labels, config
        Of the model.
    judged
        How the figures came to be, in a sentence.
    name
        Of the bundle.
    """
    start = f", trained on from {config.start}" if config.start else ""
    made = (
        f"Made with `audiocnn train`: {config.arch} {config.size}{start}; "
        f"{config.front.rate:g} Hz, windows of {config.window:g} s, {config.epochs} epochs, "
        f"seed {config.seed}."
    )
    readme = _readme(figures, labels, [made], judged, name)
    return {"judged": judged, **_card_figures(figures), "readme": readme}


def head_card(
    figures: Mapping[str, Any],
    labels: Sequence[str],
    config: HeadConfig,
    backbone: Bundle,
    name: str,
) -> dict[str, Any]:
    """Return the card of a bundle with a head: it names the backbone and both licences.

    Parameters
    ----------
    figures
        Of `audiocnn.training.metrics`, with ``judged`` and ``head``.
    labels, config
        Of the model.
    backbone
        The bundle whose network gives the embeddings.
    name
        Of the bundle.
    """
    head, licence = figures["head"], licence_of(backbone.card)
    layer = f"a hidden layer of {head['hidden']}" if head["hidden"] else "linear"
    base = config.backbone.split()[0]
    made = [
        f"Made with `audiocnn train --backbone {base}`: a head ({layer}, pooling "
        f"{head['pooling']}, L2 {head['l2']:g}) on the embeddings of {base}; "
        f"{config.front.rate:g} Hz, windows of {config.window:.3g} s, seed {config.seed}.",
        "",
        f"Licences. Backbone {base}: {licence}. Head: fitted here on the recordings named above "
        "or below; it may be used as their licences allow.",
    ]
    readme = _readme(figures, labels, made, figures["judged"], name)
    described = {
        "name": base, "checksum": config.backbone.split()[-1], "licence": licence,
        "source": backbone.card.get("source", ""),
    }  # fmt: skip
    return {
        "judged": figures["judged"], **_card_figures(figures), "backbone": described,
        "head": dict(head),
        "licence": f"backbone: {licence}; head: as the recordings it was fitted on allow",
        "per_class": _rounded(figures["per_class"]), "recipe": config.described(),
        "readme": readme,
    }  # fmt: skip


def licence_of(card: Mapping[str, Any]) -> str:
    """Return the licence that a card names, or what to do where it names none."""
    found = card.get("licence") or card.get("license")
    if isinstance(card.get("backbone"), Mapping):  # of a model that has a head already
        found = card["backbone"].get("licence")
    if isinstance(found, Mapping):
        found = found.get("name")
    return str(found) if found else "not stated in its card; ask its author"


def _card_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _rounded(figures[key]) for key in CARD_FIGURES}


def _readme(
    figures: Mapping[str, Any],
    labels: Sequence[str],
    made: Sequence[str],
    judged: str,
    name: str,
) -> str:
    rows = [
        f"| {label} | {c['n']} | {_percent(c['recall'])} | {_percent(c['precision'])} "
        f"| {_percent(c['average_precision'])} |"
        for label, c in figures["per_class"].items()
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            *made,
            "",
            f"How good it is: {judged}",
            "",
            *(f"- {line}" for line in in_words(figures, labels)),
            "",
            "| label | clips | found | right when said | average precision |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "These hold for sound that comes as these clips came. Elsewhere (another microphone,",
            "room or place) measure again: `audiocnn evaluate`.",
            "",
        ]
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _rounded(value: Any) -> Any:
    """Round for reading: what a card says is not known more exactly than that."""
    if isinstance(value, dict):
        return {name: _rounded(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return round(value, DIGITS) if isinstance(value, float) else value
