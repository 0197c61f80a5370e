"""`audiocnn info`: what is in a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from audiocnn.bundle import Bundle, checksum, grid_of, load


def run(args: argparse.Namespace) -> int:
    """Print everything that a bundle says of itself."""
    bundle = load(args.model)
    told = describe(bundle)
    print(json.dumps(told, indent=1, ensure_ascii=False) if args.json else as_text(bundle, told))
    return 0


def describe(bundle: Bundle) -> dict[str, Any]:
    """Gather what a program may want to know."""
    grid = grid_of(bundle)
    return {
        "name": bundle.name,
        "checksum": checksum(bundle),
        "labels": list(bundle.labels),
        "front": asdict(bundle.front),
        "trunk": dict(bundle.trunk),
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
    front, trunk = bundle.front, bundle.trunk
    lines = [
        f"{bundle.name}: {trunk['arch']} {trunk['size']}, "
        f"{trunk.get('parameters', 0):,} parameters, "
        f"{trunk.get('mmac_per_second', '?')} MMAC per second of sound",
        f"checksum  {told['checksum'][:16]}",
        f"hears     {front.rate} Hz, {front.n_mels} mel bands from {front.f_min:g} to "
        f"{front.f_max:g} Hz, frames of {front.n_fft / front.rate:g} s every "
        f"{front.hop / front.rate:g} s",
        f"window    {told['window']:.4g} s (asked for {bundle.window:g}, rounded to columns of "
        f"{told['column']:g} s), hop {told['hop']:g} s",
        f"clips     {bundle.clip_score} of their windows",
        "",
        f"{'label':16} on    off   smooth  least  join  cooldown",
    ]
    for label, rule in bundle.rules.items():
        lines.append(
            f"{label:16} {rule.on:.2f}  {rule.off:.2f}  {rule.smooth:5g}  {rule.min_length:5g} "
            f"{rule.join_gap:5g}  {rule.cooldown:8g}"
        )
    card = {k: v for k, v in bundle.card.items() if k not in ("recipe", "figures")}
    lines += ["", *(f"{key}: {value}" for key, value in card.items())]
    lines.append("training recipe and figures: --json, or README.md in the bundle")
    return "\n".join(lines)
