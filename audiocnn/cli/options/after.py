"""Options of the verbs after a labelling run: summary, clips, review."""

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


def add_review(verbs: Any) -> None:
    """Add `audiocnn review`."""
    parser = add_verb(verbs, "review", "judge the events of a run or a station", [
        "audiocnn review events.csv",
        "audiocnn review heard.db --order variety --limit 50",
        "audiocnn review review/review.csv --terminal",
        "audiocnn train my_sounds/ -o better --reviews events.csv.review.csv",
    ])  # fmt: skip
    parser.add_argument("run", metavar="RUN",
                        help=f"{RUN}; a list that clips made; or a station's database")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="CSV",
                        help="the list with the verdicts (default: RUN.review.csv)")  # fmt: skip
    parser.add_argument("--order", choices=["doubt", "variety", "class", "score", "time"],
                        default="doubt",
                        help="which come first: scores nearest to 0.5 (default), each unlike "
                        "those before it, by class, highest scores, or by time")  # fmt: skip
    parser.add_argument("--label", action="append", default=[], metavar="LABEL",
                        help="only this one; may be given again")  # fmt: skip
    parser.add_argument("--limit", type=int, default=200, metavar="N",
                        help="of each label (default: 200)")  # fmt: skip
    parser.add_argument("--model", metavar="M",
                        help="whose embeddings say what is alike (default: the run's)")  # fmt: skip
    parser.add_argument("--terminal", action="store_true", help="without a browser")
    parser.add_argument("--port", type=int, default=0, help="of the page (default: a free one)")
    parser.add_argument("--no-browser", action="store_true",
                        help="print the page's link and open nothing")  # fmt: skip
