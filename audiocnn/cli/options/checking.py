"""The verb that judges data: check."""

from __future__ import annotations

from typing import Any

from audiocnn.cli.options.parsing import add_reading, add_verb


def add_check(verbs: Any) -> None:
    """Add `audiocnn check`."""
    parser = add_verb(verbs, "check", "say what is wrong with a dataset; 1 if it must be mended", [
        "audiocnn check my_sounds/",
        "audiocnn check clips.csv --group speaker --json",
        "audiocnn check clips.csv --predictions scores.csv    labels that a model contradicts",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="what `audiocnn train` takes")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows; may be given again")  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN",
                        help="clips of one value must be in one fold (source, speaker, day); "
                        "'name' for what the names of files suggest")  # fmt: skip
    parser.add_argument("--predictions", metavar="CSV",
                        help="scores of a model that was not fitted on these clips: path, label "
                        "and a column for each class")  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    parser.add_argument("--cache", metavar="FILE",
                        help="keeps what was measured, for the next time (default: nothing is "
                        "kept)")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="name every file, not the first five")
    parser.add_argument("--json", action="store_true", help="for a program")
    add_reading(parser, labels=True)
