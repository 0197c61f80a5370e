"""Verbs over labelled clips: train, evaluate."""

from __future__ import annotations

from typing import Any

from audiocnn.arguments.parsing import add_model, add_verb


def add_train(verbs: Any) -> None:
    """Add `audiocnn train`."""
    parser = add_verb(verbs, "train", "make a model of a dataset", [
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


def add_evaluate(verbs: Any) -> None:
    """Add `audiocnn evaluate`."""
    parser = add_verb(verbs, "evaluate", "measure a model on labelled clips", [
        "audiocnn evaluate clips.csv --model environment --where fold=4",
        "audiocnn evaluate my_sounds/ --model my_model --json --predictions scores.csv",
        "audiocnn evaluate nights/ --model my_model --events      night.wav, night.txt ...",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="a CSV, or a folder of class folders")
    add_model(parser)
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the CSV; may be given again")  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN",
                        help="clips of one value are not independent: bounds by drawing them "
                        "together")  # fmt: skip
    parser.add_argument("--events", action="store_true",
                        help="DATA has times: annotations beside recordings, or a CSV with start "
                        "and end; measure events found, not clips named")  # fmt: skip
    parser.add_argument("--predictions", metavar="CSV", help="write each clip's scores")
    parser.add_argument("--json", action="store_true", help="for a program")
