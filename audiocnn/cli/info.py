"""`audiocnn info`: what is in a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, checksum, grid_of, load

LONG = ("recipe", "figures", "title", "sha256", "licence", "licence_holder", "commercial_use",
        "calibrated")  # fmt: skip  # entries of the card that are shown elsewhere or not at all
MANY = 24  # labels from which on only some are shown


def run(args: argparse.Namespace) -> int:
    """Print what a bundle contains."""
    bundle = load(args.model)
    facts = describe(bundle)
    print(json.dumps(facts, indent=1, ensure_ascii=False) if args.json else as_text(bundle, facts))
    return 0


def describe(bundle: Bundle) -> dict[str, Any]:
    """Gather what a program may want to know; window and hop as rounded to columns."""
    grid = grid_of(bundle)
    return {
        "name": bundle.name,
        "checksum": checksum(bundle),
        "labels": list(bundle.labels),
        "front": bundle.front.describe(),
        "network": bundle.network.described(),
        "window": grid.window,
        "hop": grid.hop,
        "column": grid.period / grid.rate,
        "computed": bundle.opened.computed(grid),
        "clip_score": bundle.clip_score,
        "calibrated": bool(bundle.card.get("calibrated", True)),
        "rules": {label: asdict(rule) for label, rule in bundle.rules.items()},
        "calibration": asdict(bundle.calibration),
        "card": dict(bundle.card),
    }


def _computed(bundle: Bundle, times: float) -> str:
    if bundle.network.kind == "streaming":
        return "each frame once, whatever the hop"
    return (
        f"each second {times:.3g} times: a window passes through the network whole, and "
        "overlapping windows share nothing"
    )


def as_text(bundle: Bundle, facts: dict[str, Any]) -> str:
    """Lay it out for reading."""
    card, details = bundle.card, bundle.network.details
    lines = [
        f"{bundle.name}: {_network(bundle)}",
        f"checksum  {facts['checksum'][:16]}",
        f"labels    {_labels(bundle)}",
        f"input     {_front(bundle.front)}",
        f"windows   of {facts['window']:.4g} s every {facts['hop']:.4g} s (asked for "
        f"{bundle.window:g} and {bundle.hop:g} s, rounded to columns of {facts['column']:.4g} s)",
        f"computed  {_computed(bundle, facts['computed'])}",
    ]
    if details.get("features"):
        lines.append(f"embedding {details['features']:,} numbers")
    if bundle.labels:
        lines.append(f"clips     {bundle.clip_score} of their windows")
        lines.append(f"scores    {_calibrated(facts['calibrated'])}")
    if "licence" in card:
        terms = f"{card['licence']}, {card.get('licence_holder', '')}".rstrip(", ")
        warning = "; commercial use is forbidden" if card.get("commercial_use") is False else ""
        lines.append(f"licence   {terms}{warning}")
    shown = (f"{name}: {_short(value)}" for name, value in card.items() if name not in LONG)
    return "\n".join([
        *lines, "", *_rules(bundle), *([""] if bundle.labels else []), *shown,
        "what it was trained on, licences, figures: --json, or README.md in the bundle",
    ])  # fmt: skip


def _network(bundle: Bundle) -> str:
    details, kind = bundle.network.details, bundle.network.kind
    parts = [f"{details.get('arch', '?')} {details.get('size', '')}".strip()]
    if kind != "streaming":
        runtime = {"onnx": "ONNX Runtime", "litert": "LiteRT"}.get(bundle.network.runtime, "")
        parts.append(f"a {kind} network, run by {runtime or bundle.network.runtime}")
    if details.get("parameters"):
        parts.append(f"{details['parameters']:,} parameters")
    if details.get("mmac_per_second"):
        parts.append(f"{details['mmac_per_second']} MMAC per second")
    return ", ".join(parts)


def _labels(bundle: Bundle) -> str:
    labels = bundle.labels
    if not labels:
        return "none: a backbone, to train on with `audiocnn train --backbone`"
    between = "; " if any("," in label for label in labels) else ", "
    if len(labels) <= MANY:
        return between.join(labels)
    return f"{len(labels):,}: {between.join(labels[:8])} ... (--json lists all)"


def _calibrated(calibrated: bool) -> str:
    if calibrated:
        return "calibrated probabilities"
    return "of the network, not calibrated until `audiocnn tune` or `audiocnn train` has been run"


def _front(front: FrontEnd) -> str:
    names = ", ".join(front.names[:12]) + (" ..." if front.channels > 12 else "")
    channels = f", {front.channels} channels ({names})" if front.names else ""
    frames = f"frames of {front.n_samples / front.rate:.4g} s every {front.hop / front.rate:.4g} s"
    timing = f", {frames}" if front.hop > 1 else ""
    return f"{front.rate:g} Hz{channels}, {front.summary()}{timing}"


def _rules(bundle: Bundle) -> list[str]:
    if not bundle.labels:
        return []
    rules = dict(bundle.rules)
    if len(rules) > MANY and len(set(rules.values())) == 1:
        rules = {"all": next(iter(rules.values()))}
    width = max(5, *map(len, rules))
    lines = [f"{'label':{width}}    on   off  smooth  min length  join gap  cooldown"]
    for label, rule in rules.items():
        lines.append(
            f"{label:{width}}  {rule.on:.2f}  {rule.off:.2f}  {rule.smooth:6g}  "
            f"{rule.min_length:10g}  {rule.join_gap:8g}  {rule.cooldown:8g}"
        )
    return lines


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
