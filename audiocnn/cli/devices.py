"""`audiocnn devices`: the devices that can record."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from audiocnn.streaming.inputs.devices import describe, list_devices


def run(args: argparse.Namespace) -> int:
    """List the devices that can record, the default marked; 1 if there are none."""
    devices = list_devices()
    if args.json:
        print(json.dumps([dataclasses.asdict(device) for device in devices], indent=1))
    elif devices:
        print(describe(devices))
    if not devices:
        print(
            "audiocnn devices: nothing here can record: plug in a microphone, "
            "and see that the sound server is running",
            file=sys.stderr,
        )
    return 0 if devices else 1
