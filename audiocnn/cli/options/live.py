"""Verbs of live listening: listen, serve, devices, bench."""

from __future__ import annotations

import argparse
from typing import Any

from audiocnn.cli.options.parsing import add_classes, add_model, add_reading, add_verb


def add_listen(verbs: Any) -> None:
    """Add `audiocnn listen`."""
    parser = add_verb(verbs, "listen", "detect events live, in what a microphone picks up", [
        "audiocnn listen",
        "audiocnn listen --device USB --json --seconds 3600 > heard.jsonl",
        "audiocnn listen --input night.flac --realtime",
        "audiocnn listen --input rtsp://camera.local/stream",
        "arecord -t raw -f S16_LE -r 48000 | audiocnn listen --input - --rate 48000",
        "audiocnn listen --settings settings.toml            sinks: files, MQTT, webhooks ...",
        "cat /dev/ttyUSB0 | audiocnn listen --input - --format csv --model gestures",
    ])  # fmt: skip
    parser.add_argument(
        "--model", metavar="M", help="a shipped name or a bundle's folder (default: environment)"
    )
    parser.add_argument("--device", metavar="NAME", action=Once,
                        help="microphone: its number, or part of its name")  # fmt: skip
    parser.add_argument("--input", metavar="FILE", action=Once,
                        help="a recording, a URL (rtsp, http, https), or - for samples on "
                        "stdin")  # fmt: skip
    add_switch(parser, "--realtime", "a recording no faster than it is")
    parser.add_argument("--rate", type=float, metavar="HZ", help="of raw samples")
    parser.add_argument("--channels", type=int, metavar="N",
                        help="of raw samples or the microphone (default: 1)")  # fmt: skip
    parser.add_argument("--format", choices=["s16", "f32", "csv"],
                        help="of samples on stdin: raw, or lines of numbers (default: s16; of "
                        "other signals than sound csv)")  # fmt: skip
    parser.add_argument("--seconds", type=float, help="how long (default: until Ctrl-C)")
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--threshold", type=float, metavar="SCORE",
                        help="at which an event of any label begins")  # fmt: skip
    add_classes(parser)
    parser.add_argument("--record", metavar="FILE", help="keep what is heard: float32, .wav")
    parser.add_argument("--settings", metavar="TOML", help="options, sources, rules and sinks")
    parser.add_argument("--heartbeat", type=float, metavar="SECONDS",
                        help="between signs of life to the sinks")  # fmt: skip
    add_switch(parser, "--scores", "print every window's scores")
    add_switch(parser, "--level", "measure the sound level, LAeq and LAFmax a minute")
    add_switch(parser, "--explain", "print which rule kept or dropped each window, on stderr")
    parser.add_argument("--plain", action="store_true", help="lines instead of the view")
    add_switch(parser, "--json", "one JSON object a line")
    parser.add_argument("--web", type=int, metavar="PORT",
                        help="a page of what is found, on this machine alone; 0 for any port "
                        "(see serve)")  # fmt: skip
    add_reading(parser)


class Once(argparse.Action):
    """An option that may be given once; the second is an error and not a silent choice."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Keep the value, if there is none yet."""
        if getattr(namespace, self.dest, None) is not None:
            parser.error(
                f"{option} is given twice: to listen to several sources, write a [[source]] "
                "table for each into a settings file (--settings)"
            )
        setattr(namespace, self.dest, values)


def add_switch(parser: argparse.ArgumentParser, name: str, what: str) -> None:
    """Add --name and --no-name; neither leaves it to the settings file."""
    parser.add_argument(name, action=argparse.BooleanOptionalAction, default=None, help=what)


def add_devices(verbs: Any) -> None:
    """Add `audiocnn devices`."""
    devices = add_verb(verbs, "devices", "list what can record; * marks the default",
                         ["audiocnn devices", "audiocnn devices --json"])  # fmt: skip
    devices.add_argument("--json", action="store_true", help="for a program")


def add_bench(verbs: Any) -> None:
    """Add `audiocnn bench`."""
    bench = add_verb(verbs, "bench", "measure what a model costs on this machine", [
        "audiocnn bench --live                               which hop can it sustain?",
        "audiocnn bench --model my_model --json",
    ])  # fmt: skip
    add_model(bench)
    bench.add_argument("--live", action="store_true", help="live listening alone")
    bench.add_argument("--hop", type=float, metavar="SECONDS", help="this one (default: several)")
    bench.add_argument("--seconds", type=float, default=20.0,
                       help="of sound for each (default: 20)")  # fmt: skip
    bench.add_argument("--json", action="store_true", help="for a program")


def add_serve(verbs: Any) -> None:
    """Add `audiocnn serve`."""
    parser = add_verb(verbs, "serve", "listen live, with a web page and an HTTP API", [
        "audiocnn serve --settings settings.toml             needs: pip install 'audiocnn[web]'",
        "audiocnn serve --settings settings.toml --port 9000",
        "AUDIOCNN_TOKEN=... audiocnn serve --settings settings.toml --host 0.0.0.0",
    ])  # fmt: skip
    parser.add_argument("--settings", metavar="TOML", required=True,
                        help="sources, rules, sinks and [web]: see docs/serve.md")  # fmt: skip
    parser.add_argument("--host", metavar="ADDRESS",
                        help="to listen on (default: 127.0.0.1, this machine alone)")  # fmt: skip
    parser.add_argument("--port", type=int, help="(default: 8780)")
