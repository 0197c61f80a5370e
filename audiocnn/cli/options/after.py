"""Verbs after a labelling run: summary, clips."""

from __future__ import annotations

from typing import Any

from audiocnn.cli.options.parsing import add_reading, add_verb

RUN = "what label wrote, or the ledger beside it"


def add_summary(verbs: Any) -> None:
    """Add `audiocnn summary`."""
    parser = add_verb(verbs, "summary", "show a labelling run by class, day and hour", [
        "audiocnn summary events.csv",
        "audiocnn summary events.csv -o events.html",
        "audiocnn summary events.csv -o events.html --by site --clips review/",
        "audiocnn summary events.csv.ledger --timezone Europe/Berlin --json",
    ])  # fmt: skip
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="a picture: .html, or with audiocnn[pictures] .png")  # fmt: skip
    parser.add_argument("--timezone", metavar="ZONE",
                        help="where the recorders' clocks were set, as in Europe/Berlin "
                        "(default: as the names of the files have it)")  # fmt: skip
    parser.add_argument("--by", choices=["folder", "site"],
                        help="also for each folder, or each site: what a recording's name has "
                        "before date and time, or else its folder")  # fmt: skip
    parser.add_argument(
        "--clips",
        metavar="FOLDER",
        help="what `audiocnn clips` wrote, to be linked in a picture as .html",
    )
    parser.add_argument("--json", action="store_true", help="for a program")


def add_clips(verbs: Any) -> None:
    """Add `audiocnn clips`."""
    parser = add_verb(verbs, "clips", "cut out or draw a run's events for review", [
        "audiocnn clips events.csv -o review/",
        "audiocnn clips events.csv -o review/ --order doubtful --limit 50 --label rooster",
        "audiocnn train my_sounds/ -o better --reviews review/review.csv",
    ])  # fmt: skip
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER",
                        help="gets a folder of FLAC files (drawings, where it is not sound) "
                        "for each label, and review.csv, whose verdicts a person fills in: "
                        "right, wrong, or the true label")  # fmt: skip
    parser.add_argument("--order", choices=["best", "doubtful", "time"], default="best",
                        help="which come first: highest scores (default), scores nearest to "
                        "0.5, or as they come in the run")  # fmt: skip
    parser.add_argument("--label", action="append", default=[], metavar="LABEL",
                        help="only this one; may be given again")  # fmt: skip
    parser.add_argument("--limit", type=int, default=20, metavar="N",
                        help="of each label (default: 20)")  # fmt: skip
    parser.add_argument("--margin", type=float, metavar="SECONDS",
                        help="before and after each (default: 2 of sound, of other signals "
                        "as much as the event is long)")  # fmt: skip
    parser.add_argument("--longest", type=float, default=60.0, metavar="SECONDS",
                        help="of one event (default: 60)")  # fmt: skip
    add_reading(parser)
