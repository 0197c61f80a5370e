"""`audiocnn models`: what ships."""

from __future__ import annotations

import argparse
import json
import sys

from audiocnn.errors import BundleError
from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.installed import shipped_models


def run(args: argparse.Namespace) -> int:
    """List the shipped models with their labels; 1 if one is damaged."""
    bundles: dict[str, Bundle] = {}
    damaged = 0
    for name in shipped_models():
        try:
            bundles[name] = load(name, check=False)
        except BundleError as error:
            damaged += 1
            print(f"audiocnn models: {error}", file=sys.stderr)
    if args.json:
        print(json.dumps({name: list(b.labels) for name, b in bundles.items()}, indent=1))
    else:
        for name, bundle in bundles.items():
            trunk = bundle.network.details
            print(
                f"{name:12} {trunk.get('arch', '?')}, {trunk.get('parameters', 0):,} parameters, "
                f"{bundle.rate:g} Hz\n{'':12} {', '.join(bundle.labels)}"
            )
    return 1 if damaged else 0
