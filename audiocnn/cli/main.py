"""The command line: parses arguments and calls the verb.

Importing this imports nothing heavy, so that ``--help`` is instant: each verb's
module is imported when the verb is called.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from audiocnn.cli.options.after import add_clips, add_review, add_summary
from audiocnn.cli.options.checking import add_check
from audiocnn.cli.options.judging import add_diff, add_embed, add_search, add_tune
from audiocnn.cli.options.live import add_bench, add_devices, add_listen, add_serve
from audiocnn.cli.options.parsing import Parser
from audiocnn.cli.options.recordings import add_label, add_verify
from audiocnn.cli.options.shipped import add_info, add_models
from audiocnn.cli.options.training import (
    add_add_class,
    add_evaluate,
    add_improve,
    add_report,
    add_train,
)
from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.inference.malloc import keep_freed_memory

EXAMPLES = """examples:
  audiocnn label night.flac                      events as CSV on stdout
  audiocnn label recordings/ -o events.csv       a folder; also .jsonl .txt .selections.txt
  audiocnn listen                                events of the microphone, live
  audiocnn verify night.flac                     does the stream equal the file, here?
  audiocnn train my_sounds/ -o my_model --backbone mn04
  audiocnn evaluate clips.csv --model my_model
"""


VERBS = (
    add_label, add_summary, add_clips, add_review, add_listen, add_serve, add_verify, add_check,
    add_train, add_add_class, add_improve, add_report, add_evaluate, add_tune, add_diff,
    add_embed, add_search, add_models, add_info, add_devices, add_bench,
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Describe all verbs and their options."""
    parser = Parser(
        prog="audiocnn",
        description="Classify sound in real time: sound in, labelled events out.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", title="verbs, each with its own --help", parser_class=Parser
    )
    for add in VERBS:
        add(verbs)
    return parser


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
    _show_log()
    if args.verb not in ("listen", "serve"):  # its blocks are small, and it runs for months
        keep_freed_memory(everything=args.verb == "train")
    if args.verb in ("train", "add-class", "improve"):
        # Before NumPy is imported: products of this size only wait for each other in threads
        # (on two busy cores a head took 137 s with two threads, the whole training 29 s with one).
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        status: int = importlib.import_module(f"audiocnn.cli.{args.verb.replace('-', '_')}").run(
            args
        )
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


def _show_log() -> None:
    """Print messages that the library logs, such as notes and warnings, on stderr."""
    import logging

    logger = logging.getLogger("audiocnn")
    logger.handlers[:] = [logging.StreamHandler(sys.stderr)]
    logger.setLevel(logging.INFO)


def _forget_stdout() -> None:
    """Drop what stdout still holds, or Python complains of it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
