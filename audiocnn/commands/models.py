"""`audiocnn models`: what ships."""

from __future__ import annotations

import argparse
import json

from audiocnn.bundle import load, shipped_models


def run(args: argparse.Namespace) -> int:
    """List the shipped models with their labels."""
    bundles = {name: load(name) for name in shipped_models()}
    if args.json:
        print(json.dumps({name: list(b.labels) for name, b in bundles.items()}, indent=1))
        return 0
    for name, bundle in bundles.items():
        trunk = bundle.trunk
        print(
            f"{name:12} {trunk['arch']}, {trunk.get('parameters', 0):,} parameters, "
            f"{bundle.rate} Hz\n{'':12} {', '.join(bundle.labels)}"
        )
    return 0
