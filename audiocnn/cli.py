"""The command line: parses, calls one function, prints what it hands back.

Importing this imports nothing heavy, so that ``--help`` is instant: each verb's
module is imported when the verb is called.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from audiocnn.errors import ArgumentError, AudiocnnError, did_you_mean

EXAMPLES = """examples:
  audiocnn label night.flac                      events as CSV on stdout
  audiocnn label recordings/ -o events.csv       a folder; also .jsonl .txt .selections.txt
  audiocnn listen                                what the microphone hears, live
  audiocnn verify night.flac                     does the stream equal the file, here?
  audiocnn train my_sounds/ -o my_model          needs: pip install 'audiocnn[train]'
  audiocnn evaluate clips.csv --model my_model
"""


class _Parser(argparse.ArgumentParser):
    """Says which option or verb was meant; exits with 2."""

    def __init__(self, **how: Any) -> None:
        # No --thr for --threshold: it would mean something else once there is --three.
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **how
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is not known here, where the verb's own options are."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and what may have been meant."""
        known = [s for action in self._actions for s in action.option_strings]
        meant = re.findall(r"(?<!\S)-[-\w]+", message)
        if chosen := re.search(r"invalid choice: '(.*?)' \(", message):
            meant = [chosen[1]]
            known = [c for action in self._actions for c in action.choices or ()]
        hints = (did_you_mean(word, known) for word in meant if word not in known)
        hint = next((h for h in hints if h), "")
        self.exit(2, f"{self.prog}: {message}{hint}\nsee {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Describe all verbs and their options."""
    parser = _Parser(
        prog="audiocnn",
        description="Classify sound in real time: sound in, labelled events out.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", title="verbs, each with its own --help", parser_class=_Parser
    )
    _add_label(verbs)
    _add_listen(verbs)
    _add_verify(verbs)
    _add_evaluate(verbs)
    _add_train(verbs)
    models = _add(verbs, "models", "list the models that ship", ["audiocnn models --json"])
    models.add_argument("--json", action="store_true", help="for a program")
    info = _add(verbs, "info", "say what is in a model", ["audiocnn info environment"])
    info.add_argument("model", metavar="MODEL", help="a shipped name or a bundle's folder")
    info.add_argument("--json", action="store_true", help="for a program")
    devices = _add(verbs, "devices", "list what can record; * marks the default",
                   ["audiocnn devices", "audiocnn devices --json"])  # fmt: skip
    devices.add_argument("--json", action="store_true", help="for a program")
    bench = _add(verbs, "bench", "measure what a model costs on this machine", [
        "audiocnn bench --live                               which hop can it sustain?",
        "audiocnn bench --model my_model --json",
    ])  # fmt: skip
    _add_model(bench)
    bench.add_argument("--live", action="store_true", help="live listening alone")
    bench.add_argument("--hop", type=float, metavar="SECONDS", help="this one (default: several)")
    bench.add_argument("--seconds", type=float, default=20.0,
                       help="of sound for each (default: 20)")  # fmt: skip
    bench.add_argument("--json", action="store_true", help="for a program")
    return parser


def _add(verbs: Any, name: str, what: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples),
    )
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="environment", metavar="M",
        help="a shipped name or a bundle's folder (default: environment)",
    )  # fmt: skip


def _add_label(verbs: Any) -> None:
    parser = _add(verbs, "label", "find labelled events in recordings", [
        "audiocnn label night.flac --table",
        "audiocnn label recordings/ -o events.csv",
        "audiocnn label night.flac -o night.txt            labels for Audacity",
        "audiocnn label night.flac --hop 0.1 --windows scores.csv --frames frames.csv",
        "audiocnn label digits.wav --model digits --threshold 0.8",
    ])  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATH", help="recordings, or folders of them")
    parser.add_argument("-o", "--output", metavar="OUT",
                        help="where the events go; the suffix is the format: .csv .jsonl "
                        ".txt (Audacity) .selections.txt (Raven)")  # fmt: skip
    _add_model(parser)
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--threshold", type=float, metavar="SCORE",
                        help="at which an event of any label begins, instead of the model's own "
                        "thresholds; where it ends moves in proportion")  # fmt: skip
    parser.add_argument("--windows", metavar="FILE", help="CSV of every window's scores")
    parser.add_argument("--frames", metavar="FILE", help="CSV of every column's scores")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
    form.add_argument("--table", action="store_true", help="events as a table to read")


def _add_listen(verbs: Any) -> None:
    parser = _add(verbs, "listen", "say what a microphone hears, live", [
        "audiocnn listen",
        "audiocnn listen --device USB --json --seconds 3600 > heard.jsonl",
        "audiocnn listen --input night.flac --realtime",
        "arecord -t raw -f S16_LE -r 48000 | audiocnn listen --input - --rate 48000",
        "audiocnn listen --settings settings.toml            sinks: files, MQTT, webhooks ...",
    ])  # fmt: skip
    parser.add_argument(
        "--model", metavar="M", help="a shipped name or a bundle's folder (default: environment)"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="microphone: its number, or part of its name"
    )
    parser.add_argument(
        "--input", metavar="FILE", help="a recording, or - for raw samples on stdin"
    )
    parser.add_argument("--realtime", action="store_true", help="a recording no faster than it is")
    parser.add_argument("--rate", type=int, metavar="HZ", help="of raw samples")
    parser.add_argument("--channels", type=int, metavar="N",
                        help="of raw samples or the microphone (default: 1)")  # fmt: skip
    parser.add_argument("--format", choices=["s16", "f32"], help="of raw samples (default: s16)")
    parser.add_argument("--seconds", type=float, help="how long (default: until Ctrl-C)")
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--threshold", type=float, metavar="SCORE",
                        help="at which an event of any label begins")  # fmt: skip
    parser.add_argument("--record", metavar="FILE", help="keep what is heard: float32, .wav")
    parser.add_argument("--settings", metavar="TOML", help="options, rules and sinks")
    parser.add_argument(
        "--heartbeat", type=float, metavar="SECONDS", help="between signs of life to the sinks"
    )
    parser.add_argument("--scores", action="store_true", help="tell every window's scores")
    parser.add_argument("--explain", action="store_true",
                        help="tell which rule kept or dropped each window, on stderr")  # fmt: skip
    parser.add_argument("--plain", action="store_true", help="lines instead of the view")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_verify(verbs: Any) -> None:
    parser = _add(verbs, "verify", "check that a stream gives the scores of the file", [
        "audiocnn verify night.flac",
        "audiocnn verify night.flac --model my_model --hop 0.1 --seed 7",
    ])  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATH", help="recordings, or folders of them")
    _add_model(parser)
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--seed", type=int, default=0, help="of the random cuts (default: 0)")


def _add_evaluate(verbs: Any) -> None:
    parser = _add(verbs, "evaluate", "measure a model on labelled clips", [
        "audiocnn evaluate clips.csv --model environment --where fold=4",
        "audiocnn evaluate my_sounds/ --model my_model --json --predictions scores.csv",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="a CSV, or a folder of class folders")
    _add_model(parser)
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the CSV; may be given again")  # fmt: skip
    parser.add_argument("--predictions", metavar="CSV", help="write each clip's scores")
    parser.add_argument("--json", action="store_true", help="for a program")


def _add_train(verbs: Any) -> None:
    parser = _add(verbs, "train", "make a model of a dataset", [
        "audiocnn train my_sounds/ -o my_model --background other_sounds/",
        "audiocnn train clips.csv -o my_model --valid fold=4 --group source --arch cnn1d",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="a CSV, or a folder of class folders")
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="the new folder")
    parser.add_argument("--arch", choices=["cnn2d", "cnn1d"], help="network (default: cnn2d)")
    parser.add_argument("--size", choices=["small", "large"], help="its size (default: small)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the CSV; may be given again")  # fmt: skip
    parser.add_argument("--valid", metavar="COLUMN=VALUE",
                        help="rows that are kept apart (default: a fifth)")  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN", help="clips of one value stay together")
    parser.add_argument(
        "--background", metavar="FOLDER", help="sounds that are none of the classes"
    )
    parser.add_argument("--window", type=float, metavar="SECONDS", help="length of a window")
    parser.add_argument("--epochs", type=int, help="how often the data is gone through")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument("--cache", metavar="FOLDER",
                        help="keeps decoded sound and checkpoints; with it, an interrupted "
                        "training goes on where it stood")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 good, 1 something could not be done, 2 wrong usage, 130 interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    parser = build_parser()
    args = parser.parse_args(arguments)
    if args.version:
        from audiocnn import __version__

        print(f"audiocnn {__version__}")
        return 0
    if args.verb is None:
        parser.print_help()
        return 2
    try:
        status: int = importlib.import_module(f"audiocnn.commands.{args.verb}").run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `| head` has seen enough
        _forget_stdout()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (AudiocnnError, OSError) as error:
        print(f"audiocnn {args.verb}: {error}", file=sys.stderr)
        if isinstance(error, OSError):  # stdout may be what is full
            _forget_stdout()
        return 2 if isinstance(error, ArgumentError) else 1


def _forget_stdout() -> None:
    """Drop what stdout still holds, or Python complains of it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
