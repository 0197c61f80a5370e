"""Verbs that tune and compare models, and compute embeddings: tune, diff, embed, search."""

from __future__ import annotations

from typing import Any

from audiocnn.cli.options.parsing import add_classes, add_model, add_reading, add_verb


def add_tune(verbs: Any) -> None:
    """Add `audiocnn tune`."""
    parser = add_verb(verbs, "tune", "choose thresholds for a budget of false alarms", [
        "audiocnn tune clips.csv --model my_model -o tuned --background other/ --false-alarms 0.5",
        "audiocnn tune clips.csv --where fold=4 --group source -o tuned --background other/",
        "audiocnn tune clips.csv -o tuned --background other/ --split part=tune --split fold=3",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA",
                        help="labelled clips that the model was not fitted on: "
                        "a CSV, or a folder of class folders")  # fmt: skip
    add_model(parser)
    add_classes(parser)
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="the new folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--background", required=True, metavar="FOLDER",
                        help="sounds that are none of the classes; with a clips.csv, its rows "
                        "without a label")  # fmt: skip
    parser.add_argument("--false-alarms", type=float, default=0.5, metavar="N",
                        help="the budget per hour, over all labels (default: 0.5)")  # fmt: skip
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of DATA; may be given again")  # fmt: skip
    parser.add_argument("--background-where", action="append", default=[],
                        metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the background's clips.csv")  # fmt: skip
    parser.add_argument("--split", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="choose on these rows, of DATA or background, whichever has the "
                        "column; report on the others (default: halves)")  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN",
                        help="rows of one value stay in one half (default: source, speaker ... "
                        "or folders, or names without their number)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the halves (default: 0)")
    parser.add_argument("--json", action="store_true", help="for a program")
    add_reading(parser, labels=True)


def add_embed(verbs: Any) -> None:
    """Add `audiocnn embed`."""
    parser = add_verb(verbs, "embed", "compute the embedding of every window of recordings", [
        "audiocnn embed recordings/ -o index/                an index, see audiocnn search",
        "audiocnn embed recordings/ -o vectors.parquet",
        "audiocnn embed night.flac -o night.npy --hop 1     and night.csv: path,start,end",
    ])  # fmt: skip
    parser.add_argument("paths", nargs="+", metavar="PATH", help="recordings, or folders of them")
    parser.add_argument("-o", "--output", required=True, metavar="OUT",
                        help="a folder for an index to search in, which a later run extends; or "
                        ".parquet, .npy (with a .csv beside it) or .npz")  # fmt: skip
    add_model(parser)
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window")
    parser.add_argument("--workers", type=int, metavar="N",
                        help="processes, for an index (default: one a processor if it is worth "
                        "it)")  # fmt: skip
    add_reading(parser)


def add_search(verbs: Any) -> None:
    """Add `audiocnn search`."""
    parser = add_verb(verbs, "search", "find the moments that sound most like an example", [
        "audiocnn search index/ --like clip.wav",
        "audiocnn search index/ --like night.flac:12.5-14 --top 50 --json",
        "audiocnn search index/ --like events.csv:7          the event in line 7",
    ])  # fmt: skip
    parser.add_argument("index", metavar="INDEX", help="a folder that `audiocnn embed` made")
    parser.add_argument("--like", required=True, metavar="EXAMPLE",
                        help="a recording; RECORDING:START-END in seconds; or EVENTS:LINE, an "
                        "event of a file that `audiocnn label` wrote")  # fmt: skip
    parser.add_argument("--top", type=int, default=10, metavar="N",
                        help="how many matches (default: 10)")  # fmt: skip
    parser.add_argument("--model", metavar="M",
                        help="the index's model, if it is no longer where it was")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for a program")
    add_reading(parser)


def add_diff(verbs: Any) -> None:
    """Add `audiocnn diff`."""
    parser = add_verb(verbs, "diff", "compare two models event by event", [
        "audiocnn diff environment my_model recordings/",
        "audiocnn diff environment my_model clips.csv -o differences.csv",
    ])  # fmt: skip
    parser.add_argument("a", metavar="A", help="a model: a shipped name or a bundle's folder")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("paths", nargs="+", metavar="PATH",
                        help="recordings, or folders of them; or one CSV or folder of class "
                        "folders: then each model is compared with the labels")  # fmt: skip
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of a CSV")  # fmt: skip
    parser.add_argument("--overlap", type=float, default=0.2, metavar="SHARE",
                        help="of the time that two events span together, from which on they are "
                        "the same event (default: 0.2)")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="CSV", help="every event and whose it is")
    parser.add_argument("--json", action="store_true", help="for a program")
    add_reading(parser, labels=True)
