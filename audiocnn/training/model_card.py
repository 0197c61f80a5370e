"""The model card: what a bundle hears, how good it is, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audiocnn.training.config import TrainingConfig

DIGITS = 4
TOLD = (
    "clips", "groups", "accuracy", "accuracy_bounds", "accuracy_with_rejection", "rejected",
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
        ]
    else:
        lines = [f"found in {100 * figures['events_found']:.1f} % of {n} that hold it"]
    alarms = figures["false_alarms"]
    if n_others := figures["unlabelled"]:
        lines.append(f"in {figures['unlabelled_heard']} of {n_others} clips without a label it "
                     "hears one of the classes")  # fmt: skip
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


def make_card(
    figures: Mapping[str, Any],
    labels: Sequence[str],
    recipe: TrainingConfig,
    judged: str,
    name: str,
) -> dict[str, Any]:
    """Give the card of a bundle: figures for programs, and ``readme`` for people.

    Parameters
    ----------
    figures
        Of `audiocnn.training.metrics`.
    labels, recipe
        Of the model.
    judged
        How the figures came to be, in a sentence.
    name
        Of the bundle.
    """
    told = {key: _rounded(figures[key]) for key in TOLD}
    rows = [
        f"| {label} | {c['n']} | {_percent(c['recall'])} | {_percent(c['precision'])} "
        f"| {_percent(c['average_precision'])} |"
        for label, c in figures["per_class"].items()
    ]
    start = f", trained on from {recipe.start}" if recipe.start else ""
    readme = "\n".join(
        [
            f"# {name}",
            "",
            f"Made with `audiocnn train`: {recipe.arch} {recipe.size}{start}; "
            f"{recipe.front.rate:g} Hz, windows of {recipe.window:g} s, {recipe.epochs} epochs, "
            f"seed {recipe.seed}.",
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
    return {"judged": judged, **told, "readme": readme}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _rounded(value: Any) -> Any:
    """Round for reading: what a card says is not known more exactly than that."""
    if isinstance(value, dict):
        return {name: _rounded(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return round(value, DIGITS) if isinstance(value, float) else value
