"""`audiocnn bench`: the computational cost of a model on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import time

from audiocnn import __version__
from audiocnn.inference.bundle import Bundle, grid_of, load
from audiocnn.inference.events import find_events
from audiocnn.inference.pipeline import listen
from audiocnn.io.audio.blocks import Block
from audiocnn.streaming.benchmark import material, measure_hop

HOPS = (0.1, 0.2, 0.5, 1.0, 2.0)
SECONDS = 120.0  # of sound, for the speed over recordings


def run(args: argparse.Namespace) -> int:
    """Measure and print; 1 if this machine cannot keep up at any hop."""
    bundle = load(args.model)
    unit = 1.0 if bundle.front.sound else grid_of(bundle).window  # signals know no second
    wanted = (args.hop,) if args.hop else tuple(hop * unit for hop in HOPS)
    costs = [measure_hop(bundle, hop, args.seconds) for hop in wanted]
    sustained = [cost.hop for cost in costs if cost.sustained]
    speed = None
    if not args.live:
        sound = material(bundle, SECONDS * unit, bundle.rate)
        begin = time.perf_counter()
        for _ in find_events(listen(bundle, [Block(sound, 0, bundle.rate)]), bundle.rules):
            pass
        speed = SECONDS * unit / (time.perf_counter() - begin)
    if args.json:
        print(json.dumps({
            "version": __version__, "model": bundle.name, "machine": machine(),
            "live": [
                {**dataclasses.asdict(c), "sustained": c.sustained,
                 "computed": times_computed(bundle, hop)}
                for c, hop in zip(costs, wanted, strict=True)
            ],
            "recordings_times_real_time": speed,
        }))  # fmt: skip
        return 0 if sustained else 1
    print(f"{bundle.name} on {machine()}")
    print(f"{'hop':>8}  {'of a core':>9}  {'late by (99 %)':>14}  {'computed':>9}")
    for cost, hop in zip(costs, wanted, strict=True):
        kept = "" if cost.sustained else "  too much for this machine"
        often = f"{times_computed(bundle, hop):.3g} x"
        print(
            f"{cost.hop:6.4g} s  {cost.load:9.1%}  {1000 * cost.worst:11.1f} ms  {often:>9}{kept}"
        )
    if bundle.network.kind == "windowed":
        print(
            "computed: how often each second passes through the network, whose windows share "
            "nothing"
        )
    if speed:
        print(f"recordings, once decoded: {speed:,.0f} x real time on one core")
    if sustained:
        print(f"live, this machine sustains a hop of {min(sustained):g} s")
        return 0
    print("live, this machine keeps up at none of these hops", file=sys.stderr)
    return 1


def times_computed(bundle: Bundle, hop: float) -> float:
    """Say how often each sample is computed at a hop."""
    pipeline = bundle.pipeline(hop)
    return pipeline.network.computed(pipeline.grid)


def machine() -> str:
    """Describe this machine."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
