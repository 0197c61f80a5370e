"""Verbs over labelled clips: train, report, evaluate."""

from __future__ import annotations

import argparse
from typing import Any

from audiocnn.cli.options.parsing import add_classes, add_model, add_reading, add_verb


def add_train(verbs: Any) -> None:
    """Add `audiocnn train`."""
    parser = add_verb(verbs, "train", "make a model of a dataset", [
        "audiocnn train my_sounds/ -o my_model --background other_sounds/",
        "audiocnn train clips.csv -o my_model --folds fold --group source --arch cnn1d",
        "audiocnn train my_sounds/ -o my_model --backbone mn04      in seconds, without PyTorch",
        "audiocnn train my_birds/ -o my_model --from environment",
        "audiocnn train clips.csv -o my_model --valid split=test",
        "audiocnn train X_TRAIN.ts -o my_model                other signals than sound",
        "audiocnn train walk.csv -o my_model --labels activity --columns x,y,z",
        "(stopped? the same command goes on where it stood)",
    ])  # fmt: skip
    parser.add_argument(
        "data", metavar="DATA", help="a folder of class folders, a CSV, a .ts or .npz of series"
    )
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="the new folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--arch", choices=["cnn2d", "cnn1d"], help="network (default: cnn2d)")
    parser.add_argument("--size", choices=["small", "large"], help="its size (default: small)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the CSV; may be given again")  # fmt: skip
    _add_judging(parser)
    parser.add_argument(
        "--background", metavar="FOLDER", help="sounds that are none of the classes"
    )
    _add_backbone(parser)
    parser.add_argument("--from", dest="start", metavar="M",
                        help="train on from a model, shipped or a folder, with other "
                        "classes: half the time, and better where clips are few and "
                        "like its own")  # fmt: skip
    parser.add_argument("--reviews", action="append", default=[], metavar="CSV",
                        help="a model's events with your verdicts (see clips): learnt from too; "
                        "may be given again")  # fmt: skip
    _add_fitting(parser)
    parser.add_argument("--front", choices=["log-mel", "log-spectrum", "raw"],
                        help="front end (default: log-mel for sound; for other signals raw "
                        "samples, log-spectrum where clips are long)")  # fmt: skip
    add_reading(parser, labels=True)


def _add_backbone(parser: argparse.ArgumentParser) -> None:
    """Add the options of a classifier on the embeddings of a trained network."""
    parser.add_argument("--backbone", metavar="NAME",
                        help="fit a classifier on the embeddings of a trained network: shipped, "
                        "installed (`audiocnn models`) or a bundle's folder; auto: the best at "
                        "hand in a quick cross-validation (the default where a general one is at "
                        "hand; on signals, rocket or a network); rocket: fixed kernels, for "
                        "signals; takes seconds, and needs no PyTorch")  # fmt: skip
    parser.add_argument("--no-comparison", action="store_true",
                        help="with --backbone NAME: do not try the other backbones at hand on a "
                        "sample of the clips")  # fmt: skip
    parser.add_argument("--hidden", type=int, metavar="N",
                        help="with --backbone: also try a hidden layer of N units, and keep it "
                        "where it is better")  # fmt: skip
    parser.add_argument("--fine-tune", action="store_true",
                        help="with --backbone: train its network further too; needs PyTorch, and "
                        "a network of ours")  # fmt: skip
    parser.add_argument("--copies", type=int, metavar="N",
                        help="with --backbone: varied copies of each window to fit on (default: "
                        "1; 0 is faster)")  # fmt: skip
    parser.add_argument("--use-length", action="store_true",
                        help="with --backbone rocket: the length of a series means something "
                             "(a gesture's, not a cut-out's)")  # fmt: skip
    parser.add_argument("--no-embeddings", action="store_true",
                        help="with --backbone: leave the features of the training windows out of "
                        "the bundle; add-class and improve need them")  # fmt: skip


def _add_judging(parser: argparse.ArgumentParser) -> None:
    """Add what says how the model is judged."""
    parser.add_argument("--folds", metavar="K or COLUMN",
                        help="judge by cross-validation: K parts, or a column that names them; "
                        "1 keeps a fifth apart instead (default: 4 where there is little data, "
                        "else 1)")  # fmt: skip
    parser.add_argument("--valid", metavar="COLUMN=VALUE", help="rows that are kept apart instead")
    parser.add_argument("--group", metavar="COLUMN",
                        help="clips of one value (source, speaker, day) stay together; name: as "
                        "file names suggest; moment: only what overlaps, where a class is in one "
                        "recording")  # fmt: skip


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    """Add what says how it is fitted."""
    parser.add_argument("--window", type=float, metavar="SECONDS", help="length of a window")
    parser.add_argument("--hop", type=float, metavar="SECONDS",
                        help="with --backbone: from window to window (default: a half or a quarter "
                        "of the window)")  # fmt: skip
    parser.add_argument("--epochs", type=int, help="how often the data is gone through")
    parser.add_argument("--batch", type=int, metavar="N", help="windows a step (default: 64)")
    parser.add_argument("--learning-rate", type=float, metavar="R",
                        help="the highest (default: 0.004, with --from 0.002)")  # fmt: skip
    parser.add_argument("--balance", choices=["sampling", "loss", "none"],
                        help="rarer classes are drawn more often, or weighed more (default: "
                        "sampling)")  # fmt: skip
    parser.add_argument("--patience", type=int, metavar="EPOCHS",
                        help="stop after so many without a lower held-out loss (default: 0, "
                        "never)")  # fmt: skip
    parser.add_argument("--precision", choices=["auto", "32-true", "bf16-mixed", "16-mixed"],
                        help="of the numbers (default: auto, mixed on a GPU)")  # fmt: skip
    parser.add_argument("--devices", type=int, default=1, metavar="N",
                        help="GPUs, or processes without one, that share each batch (default: 1); "
                        "for several machines start it with torchrun")  # fmt: skip
    parser.add_argument("--log", choices=["csv", "tensorboard"], default="csv",
                        help="tensorboard writes its logs beside the curves as CSV")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument("--cache", metavar="FOLDER",
                        help="keeps decoded sound for other trainings (default: none is "
                        "kept)")  # fmt: skip
    parser.add_argument("--no-report", action="store_true",
                        help="write no BUNDLE.html (`audiocnn report` makes it later)")  # fmt: skip


def add_add_class(verbs: Any) -> None:
    """Add `audiocnn add-class`."""
    parser = add_verb(verbs, "add-class", "add a class to a model from a few clips, in seconds", [
        "audiocnn add-class my_model bell/ -o with_bell            a folder of recordings of bells",
        "audiocnn add-class my_model new_clips/ -o more --overwrite     a folder a class",
    ])  # fmt: skip
    parser.add_argument("model", metavar="MODEL",
                        help="what `train --backbone` wrote; the recordings it was fitted on are "
                        "not needed")  # fmt: skip
    parser.add_argument("clips", metavar="CLIPS",
                        help="recordings of one class, a folder of class folders, or a CSV; five "
                        "clips are a start")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="the new folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--label", metavar="NAME", help="of the class (default: the folder's name)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of a CSV")  # fmt: skip
    add_reading(parser)


def add_improve(verbs: Any) -> None:
    """Add `audiocnn improve`."""
    parser = add_verb(verbs, "improve", "correct a model by verdicts on its events, in seconds", [
        "audiocnn improve my_model --reviews review/review.csv -o better",
        "audiocnn improve my_model --reviews monday.csv --reviews tuesday.csv -o better --json",
    ])  # fmt: skip
    parser.add_argument("model", metavar="MODEL", help="what `train --backbone` wrote")
    parser.add_argument("--reviews", action="append", required=True, metavar="CSV",
                        help="a model's events with your verdicts (see clips); may be given "
                        "again")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="the new folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--json", action="store_true", help="old against new, for a program")
    add_reading(parser)


def add_report(verbs: Any) -> None:
    """Add `audiocnn report`."""
    parser = add_verb(verbs, "report", "make the report of a training again, as one HTML file", [
        "audiocnn report my_model                     writes my_model.html",
        "audiocnn report my_model --run old.run -o report.html",
    ])  # fmt: skip
    parser.add_argument("bundle", metavar="BUNDLE", help="what `audiocnn train -o` wrote")
    parser.add_argument("--run", dest="run_folder", metavar="FOLDER",
                        help="what the training left (default: BUNDLE.run)")  # fmt: skip
    parser.add_argument("--findings", metavar="FILE",
                        help="what `audiocnn check DATA --json` printed")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", help="default: BUNDLE.html")


def add_evaluate(verbs: Any) -> None:
    """Add `audiocnn evaluate`."""
    parser = add_verb(verbs, "evaluate", "measure a model on labelled clips", [
        "audiocnn evaluate clips.csv --model environment --where fold=4",
        "audiocnn evaluate my_sounds/ --model my_model --json --predictions scores.csv",
        "audiocnn evaluate nights/ --model my_model --events      night.wav, night.txt ...",
    ])  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="a CSV, or a folder of class folders")
    add_model(parser)
    add_classes(parser)
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE,VALUE",
                        help="only these rows of the CSV; may be given again")  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN",
                        help="clips of one value are not independent: bounds by drawing them "
                        "together")  # fmt: skip
    parser.add_argument("--events", action="store_true",
                        help="DATA has times: annotations beside recordings, or a CSV with start "
                        "and end; measure events found, not clips named")  # fmt: skip
    parser.add_argument("--collar", type=float, metavar="SECONDS",
                        help="with --events: how far an onset may be off (default: half of the "
                        "model's window, at least DCASE's 0.2 s)")  # fmt: skip
    parser.add_argument("--predictions", metavar="CSV", help="write each clip's scores")
    parser.add_argument("--json", action="store_true", help="for a program")
    add_reading(parser, labels=True)
