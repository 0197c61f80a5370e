"""`audiocnn info`: what is in a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle, checksum, grid_of, load

LONG = ("recipe", "figures")  # entries of the card that are not for a screen


def run(args: argparse.Namespace) -> int:
    """Print everything that a bundle says of itself."""
    bundle = load(args.model)
    told = describe(bundle)
    print(json.dumps(told, indent=1, ensure_ascii=False) if args.json else as_text(bundle, told))
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
        "clip_score": bundle.clip_score,
        "rules": {label: asdict(rule) for label, rule in bundle.rules.items()},
        "calibration": asdict(bundle.calibration),
        "card": dict(bundle.card),
    }


def as_text(bundle: Bundle, told: dict[str, Any]) -> str:
    """Lay it out for reading."""
    front, trunk = bundle.front, bundle.network.details
    lines = [
        f"{bundle.name}: {trunk.get('arch', '?')} {trunk.get('size', '')}, "
        f"{trunk.get('parameters', 0):,} parameters, "
        f"{trunk.get('mmac_per_second', '?')} MMAC per second",
        f"checksum  {told['checksum'][:16]}",
        f"labels    {', '.join(bundle.labels)}",
        f"hears     {_front(front)}",
        f"windows   of {told['window']:.4g} s every {told['hop']:.4g} s (asked for "
        f"{bundle.window:g} and {bundle.hop:g} s, rounded to columns of {told['column']:.4g} s)",
        f"clips     {bundle.clip_score} of their windows",
        "",
        *_rules(bundle),
        "",
        *(f"{name}: {_short(value)}" for name, value in bundle.card.items() if name not in LONG),
        "what it was trained on, licences, figures: --json, or README.md in the bundle",
    ]
    return "\n".join(lines)


def _front(front: FrontEnd) -> str:
    names = ", ".join(front.names[:12]) + (" ..." if front.channels > 12 else "")
    channels = f", {front.channels} channels ({names})" if front.names else ""
    frames = f"frames of {front.n_samples / front.rate:.4g} s every {front.hop / front.rate:.4g} s"
    timing = f", {frames}" if front.hop > 1 else ""
    return f"{front.rate:g} Hz{channels}, {front.summary()}{timing}"


def _rules(bundle: Bundle) -> list[str]:
    width = max(5, *map(len, bundle.labels))
    lines = [f"{'label':{width}}    on   off  smooth  min length  join gap  cooldown"]
    for label, rule in bundle.rules.items():
        lines.append(
            f"{label:{width}}  {rule.on:.2f}  {rule.off:.2f}  {rule.smooth:6g}  "
            f"{rule.min_length:10g}  {rule.join_gap:8g}  {rule.cooldown:8g}"
        )
    return lines


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
