"""Verbs over recordings: label, verify."""

from __future__ import annotations

from typing import Any

from audiocnn.cli.options.parsing import add_classes, add_model, add_reading, add_verb


def add_label(verbs: Any) -> None:
    """Add `audiocnn label`."""
    parser = add_verb(verbs, "label", "find labelled events in recordings", [
        "audiocnn label night.flac --table",
        "audiocnn label recordings/ -o events.csv",
        "audiocnn label night.flac -o night.txt            labels for Audacity",
        "audiocnn label night.flac --hop 0.1 --windows scores.csv --frames frames.csv",
        "audiocnn label digits.wav --model digits --threshold 0.8",
        "audiocnn label night.flac --model mn04 --classes dog,siren     audiocnn models get mn04",
        "audiocnn label recordings/ -o selections/ --format raven     a file for each recording",
        "audiocnn label recordings/ -o events.parquet --timezone Europe/Berlin",
        "audiocnn label s3://bucket/recordings -o events.csv --cluster auto",
        "audiocnn label machines/ --model bearing -o events.csv     CSV, NPY, .ts, WAV ...",
    ])  # fmt: skip
    parser.add_argument("paths", nargs="*", metavar="PATH", help="recordings, or folders of them; "
                        "also URLs (audiocnn[remote])")  # fmt: skip
    parser.add_argument("--list", metavar="FILE", help="more of them, one a line; - for stdin")
    parser.add_argument("--include", action="append", default=[], metavar="PATTERN",
                        help="only recordings whose path or name is like this; may be given "
                        "again")  # fmt: skip
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN",
                        help="no recordings like this; may be given again")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="OUT",
                        help="where the events go; the suffix is the format: .csv .jsonl "
                        ".parquet .txt (Audacity) .selections.txt (Raven) "
                        ".kaleidoscope.csv")  # fmt: skip
    _add_output(parser)
    add_model(parser)
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--threshold", type=float, metavar="SCORE",
                        help="at which an event of any label begins, instead of the model's own "
                        "thresholds; where it ends moves in proportion")  # fmt: skip
    add_classes(parser)
    parser.add_argument("--windows", metavar="FILE", help="CSV of every window's scores")
    parser.add_argument("--frames", metavar="FILE", help="CSV of every column's scores")
    parser.add_argument(
        "--levels", metavar="FILE", help="CSV of sound levels by minute: LAeq, LAFmax, L10, L90"
    )
    parser.add_argument("--calibration", type=float, metavar="DB",
                        help="what to add to levels re full scale, as a calibrator shows it; "
                        "without it levels are uncalibrated")  # fmt: skip
    _add_run(parser)
    add_reading(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
    form.add_argument("--table", action="store_true", help="events as a table to read")


def _add_run(parser: Any) -> None:
    """Add options of a run with -o."""
    parser.add_argument("--workers", type=int, metavar="N",
                        help="processes (default: one a processor if it is worth it)")  # fmt: skip
    parser.add_argument(
        "--accelerator",
        choices=["cpu", "cuda"],
        default="cpu",
        help="what runs the network; cuda needs onnxruntime-gpu (untried)",
    )
    parser.add_argument("--retry", action="store_true", help="label what failed before again")
    parser.add_argument("--restart", action="store_true", help="discard earlier results")
    parser.add_argument("--by-content", action="store_true",
                        help="a recording is the same if its content is, whatever its name and "
                        "time")  # fmt: skip
    parser.add_argument("--ledger", metavar="FILE",
                        help="where the run keeps what is done (default: OUT.ledger)")  # fmt: skip
    parser.add_argument("--prune", action="store_true",
                        help="remove recordings of earlier runs that are not named this time; "
                        "otherwise they stay in OUT")  # fmt: skip
    parser.add_argument("--only-write", action="store_true",
                        help="write OUT from the ledger, and label nothing")  # fmt: skip


def _add_output(parser: Any) -> None:
    """Add options of the output."""
    parser.add_argument("--format",
                        choices=["audacity", "csv", "jsonl", "kaleidoscope", "parquet", "raven"],
                        help="write a file for each recording, into the folder OUT")  # fmt: skip
    parser.add_argument("--times", action="store_true",
                        help="add wall-clock times, where recordings' names tell when they "
                        "began")  # fmt: skip
    parser.add_argument("--timezone", metavar="ZONE",
                        help="the same, with the zone where the recorders' clocks were set, as "
                        "in Europe/Berlin")  # fmt: skip
    parser.add_argument("--cluster", metavar="ADDRESS",
                        help="on all machines of a Ray cluster: auto for the one this machine "
                        "belongs to (audiocnn[cluster])")  # fmt: skip


def add_verify(verbs: Any) -> None:
    """Add `audiocnn verify`."""
    parser = add_verb(verbs, "verify", "check that a stream gives the scores of the file", [
        "audiocnn verify night.flac",
        "audiocnn verify night.flac --model my_model --hop 0.1 --seed 7",
    ])  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATH", help="recordings, or folders of them")
    add_model(parser)
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--seed", type=int, default=0, help="of the random cuts (default: 0)")
    add_reading(parser)
