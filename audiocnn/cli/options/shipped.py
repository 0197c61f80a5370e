"""Verbs about models: models (get, add, remove), info."""

from __future__ import annotations

import argparse
from typing import Any

from audiocnn.cli.options.parsing import add_verb


def add_models(verbs: Any) -> None:
    """Add `audiocnn models`."""
    models = add_verb(verbs, "models", "list, fetch and add models", [
        "audiocnn models                              shipped, installed and available",
        "audiocnn models --measure                    what they cost on this machine, anew",
        "audiocnn models get mn04                     AudioSet's 527 classes",
        "audiocnn models get yamnet --file ~/Downloads",
        "audiocnn models add net.onnx --sample-rate 16000 --labels labels.txt",
        "audiocnn models add BirdNET.tflite --name birdnet --sample-rate 48000 \\",
        "    --labels Labels.txt --licence 'CC BY-NC-SA 4.0' --non-commercial",
        "audiocnn models remove yamnet",
    ])  # fmt: skip
    models.add_argument("--json", action="store_true", help="for a program")
    models.add_argument("--measure", action="store_true",
                        help="measure anew what each model costs on this machine; otherwise it is "
                        "measured once and remembered")  # fmt: skip
    actions = models.add_subparsers(dest="action", metavar="ACTION", title="actions")
    _add_get(actions)
    _add_add(actions)
    remove = add_verb(actions, "remove", "delete an installed model",
                      ["audiocnn models remove yamnet"])  # fmt: skip
    remove.add_argument("name", metavar="NAME", help="of an installed model")


def _add_get(actions: Any) -> None:
    get = add_verb(actions, "get", "fetch a network that others trained, and install it", [
        "audiocnn models get mn04",
        "audiocnn models get speech-embedding --file ~/Downloads   copies that are at hand",
    ])  # fmt: skip
    get.add_argument("name", metavar="NAME", help="as `audiocnn models` lists it")
    get.add_argument("--file", action="append", default=[], metavar="PATH",
                     help="a copy of the published file, or a folder with it: nothing is "
                     "downloaded; recognised by its content, whatever its name; may be given "
                     "again")  # fmt: skip
    get.add_argument("--overwrite", action="store_true", help="replace it if it is installed")


def _add_add(actions: Any) -> None:
    add = add_verb(actions, "add", "make a model of an ONNX or TFLite file", [
        "audiocnn models add net.onnx --sample-rate 16000 --labels labels.txt",
        "audiocnn models add net.tflite --sample-rate 16000     labels in the file",
        "audiocnn models add net.onnx --front mn04 --window 2   takes mn04's frames",
    ])  # fmt: skip
    add.add_argument("file", metavar="FILE", help=".onnx or .tflite")
    add.add_argument("--name", metavar="NAME", help="of the model (default: the file's)")
    add.add_argument("--sample-rate", type=int, metavar="HZ",
                     help="that the network was trained at; no file says it")  # fmt: skip
    add.add_argument("--window", type=float, metavar="SECONDS",
                     help="of one score (default: what the network takes at once)")  # fmt: skip
    add.add_argument("--hop", type=float, metavar="SECONDS",
                     help="from window to window (default: half a window)")  # fmt: skip
    add.add_argument("--labels", metavar="FILE",
                     help="a label a line, or a CSV with a column display_name, label or name, in "
                     "the order of the scores")  # fmt: skip
    add.add_argument("--scores", metavar="OUTPUT",
                     help="which output, if there are several; '' for none")  # fmt: skip
    add.add_argument("--embeddings", metavar="OUTPUT",
                     help="output, or tensor inside a TFLite file, to train on")  # fmt: skip
    add.add_argument("--activation", choices=["none", "sigmoid", "softmax"],
                     help="what the scores have gone through (default: found by running "
                     "it)")  # fmt: skip
    add.add_argument("--gain", type=float, default=1.0, metavar="FACTOR",
                     help="for samples, whose full scale is 1: 32768 for a network that takes "
                     "16-bit integers")  # fmt: skip
    add.add_argument("--front", metavar="FRONT",
                     help="for a network that takes frames: a model with the same front end, or a "
                     ".json file with one as `audiocnn info MODEL --json` shows it")  # fmt: skip
    add.add_argument("--licence", metavar="TEXT", default="not stated", help="of the weights")
    add.add_argument("--non-commercial", action="store_true",
                     help="the licence forbids commercial use")  # fmt: skip
    add.add_argument("--overwrite", action="store_true", help="replace one of this name")


def add_info(verbs: Any) -> None:
    """Add `audiocnn info`."""
    info: argparse.ArgumentParser = add_verb(
        verbs, "info", "show what is in a model", ["audiocnn info environment"]
    )
    info.add_argument("model", metavar="MODEL", help="a model's name or a bundle's folder")
    info.add_argument("--json", action="store_true", help="for a program")
