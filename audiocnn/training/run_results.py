"""What a training leaves for those who judge it: curves, held-out predictions, figures.

A training writes this into its run folder, and a report is made from it without
training again:

    training.json     labels, config, clips, curves, calibration, rules, figures
    held_out.npz      window logits of clips, each by a network that was not fitted on it
    background.npz    the same of background; not there if none was given
    predictions.csv   clip scores, as `audiocnn evaluate --predictions` writes them

Numbers and text only: it knows no network, and nothing in it is unpickled.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.clip import Clip, targets_of
from audiocnn.errors import DatasetError
from audiocnn.frontend.specs import front_of
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration
from audiocnn.io.files.atomic import replacing
from audiocnn.training.config import Augmentation, TrainingConfig
from audiocnn.training.heads.config import HeadConfig, Variation
from audiocnn.training.predictions import Predictions, load_predictions

FORMAT = 1
EMBEDDINGS = "clip_embeddings.npz"
NEVER = -1  # the `fold` of a clip that was in no held-out part


@dataclass(frozen=True)
class Curve:
    """One fit, epoch by epoch; NaN where something was not measured.

    Parameters
    ----------
    name
        ``"fold 1"`` ... for those of a cross-validation, ``"final"`` for the one
        whose network is in the bundle.
    loss, held_out_loss
        Mean binary cross-entropy of a window, over the labels summed: of the varied
        training windows, and of plain windows of what this fit held out.
    held_out_accuracy
        Share of those windows whose best label is right.
    learning_rate
        At the end of the epoch.
    seconds
        Wall time.
    """

    name: str
    loss: tuple[float, ...] = ()
    held_out_loss: tuple[float, ...] = ()
    held_out_accuracy: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()

    def grown(self, **values: float) -> Curve:
        """Return the curve with one epoch more; what is not given is NaN."""
        columns = {n: (*getattr(self, n), float(values.get(n, math.nan))) for n in COLUMNS}
        return Curve(self.name, **columns)


COLUMNS = tuple(f.name for f in fields(Curve) if f.name != "name")


@dataclass(frozen=True)
class Training:
    """All results of one training, without its network.

    Parameters
    ----------
    data
        What was trained on, as it was named.
    labels
        In the order of all scores.
    config
        How.
    clips
        All clips of the dataset; `targets` has a row, `fold` an entry for each.
    fold
        (K,) in which part a clip was held out; `NEVER` if in none.
    held_out
        Window logits of the clips that were held out, before calibration; its
        ``clip`` counts in ``clips``.
    scores
        (K, C) clip scores, calibrated on the other parts; NaN for clips that were
        not held out, or are silent.
    background
        Recordings (or parts of them) that are none of the classes.
    background_held_out
        The same as ``held_out`` of those; None if there are none.
    curves
        One for each fit, the final one last.
    calibration, rules
        Those of the bundle.
    figures
        Of the held-out clips: see `audiocnn.training.metrics`; plain values.
    groups
        (K,) clips of one number belong together; empty where no embeddings are stored.
    clip_embeddings
        (K, F) mean features of each clip, of a head's training; NaN for clips without
        windows, None for a network's training.
    """

    data: str
    labels: tuple[str, ...]
    config: TrainingConfig | HeadConfig
    clips: tuple[Clip, ...]
    fold: NDArray[np.int64]
    held_out: Predictions
    scores: NDArray[np.float32]
    curves: tuple[Curve, ...]
    calibration: Calibration
    rules: Mapping[str, EventRule]
    background: tuple[Clip, ...] = ()
    background_held_out: Predictions | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    groups: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    clip_embeddings: NDArray[np.float32] | None = None

    @property
    def targets(self) -> NDArray[np.float32]:
        """(K, C) 1 where a clip has a label."""
        return targets_of(self.clips, self.labels)


def save_training(training: Training, folder: Path) -> None:
    """Write a training into a folder, ``training.json`` last: before it there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    training.held_out.save(folder / "held_out.npz")
    quiet = folder / "background.npz"
    if training.background_held_out is None:
        quiet.unlink(missing_ok=True)
    else:
        training.background_held_out.save(quiet)
    _write_predictions(training, folder / "predictions.csv")
    _write_embeddings(training, folder / EMBEDDINGS)
    stored = {
        "format": FORMAT,
        "data": training.data,
        "labels": list(training.labels),
        "recipe": training.config.described(),
        "clips": [_clip_row(clip) for clip in training.clips],
        "background": [_clip_row(clip) for clip in training.background],
        "fold": training.fold.tolist(),
        "scores": training.scores.astype(float).round(6).tolist(),
        "curves": [asdict(curve) for curve in training.curves],
        "calibration": asdict(training.calibration),
        "rules": {label: asdict(rule) for label, rule in training.rules.items()},
        "figures": dict(training.figures),
    }
    with replacing(folder / "training.json") as part:  # ASCII: names of files need not be UTF-8
        part.write_text(json.dumps(_without_nan(stored), indent=1) + "\n", encoding="ascii")


def load_training(folder: str | Path) -> Training:
    """Read what `save_training` wrote.

    Raises
    ------
    DatasetError
        If there is no finished training in the folder, or it cannot be read.
    """
    folder = Path(folder)
    path = folder / "training.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise DatasetError(
                f"{path}: has format {stored['format']}, this version of audiocnn reads {FORMAT}"
            )
        quiet = folder / "background.npz"
        return Training(
            data=stored["data"],
            labels=tuple(stored["labels"]),
            config=read_config(stored["recipe"]),
            clips=tuple(map(_read_clip, stored["clips"])),
            fold=np.array(stored["fold"], np.int64),
            held_out=load_predictions(folder / "held_out.npz"),
            scores=np.array(stored["scores"], np.float32).reshape(-1, len(stored["labels"])),
            curves=tuple(map(_read_curve, stored["curves"])),
            calibration=Calibration(**{n: tuple(v) for n, v in stored["calibration"].items()}),
            rules={label: EventRule(**rule) for label, rule in stored["rules"].items()},
            background=tuple(map(_read_clip, stored["background"])),
            background_held_out=load_predictions(quiet) if quiet.exists() else None,
            figures=stored["figures"],
            **_read_embeddings(folder / EMBEDDINGS),
        )
    except FileNotFoundError as error:
        raise DatasetError(
            f"{folder}: holds no finished training ({Path(error.filename).name} is missing); "
            "it is the folder that `audiocnn train -o BUNDLE` leaves as BUNDLE.run"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: {type(error).__name__}: {error}; train again") from error


def read_config(stored: Mapping[str, Any]) -> TrainingConfig | HeadConfig:
    """Make a config of what JSON gives back: lists are tuples again."""
    if "backbone" in stored:
        variation: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in stored["variation"].items()
        }
        front = front_of(stored["front"])
        return HeadConfig(**{**stored, "front": front, "variation": Variation(**variation)})
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in stored.items()}
    varied: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list) else v for n, v in stored["augmentation"].items()
    }
    front = front_of({"kind": "log-mel", **stored["front"]})  # the only kind, once
    values |= {"front": front, "augmentation": Augmentation(**varied)}
    return TrainingConfig(**values)


def _write_embeddings(training: Training, path: Path) -> None:
    if training.clip_embeddings is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, groups=training.groups,
                 clips=training.clip_embeddings.astype(np.float16))  # fmt: skip


def _read_embeddings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {"groups": stored["groups"], "clip_embeddings": np.float32(stored["clips"])}


def _write_predictions(training: Training, path: Path) -> None:
    with replacing(path) as part, part.open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:  # fmt: skip
        write = csv.writer(file).writerow
        write(["path", "label", *training.labels])
        for clip, row in zip(training.clips, training.scores.tolist(), strict=True):
            if not math.isnan(row[0]):
                write([clip.path, "|".join(clip.labels), *(f"{v:.6f}" for v in row)])


def _clip_row(clip: Clip) -> dict[str, Any]:
    return {**asdict(clip), "path": str(clip.path.absolute()), "columns": dict(clip.columns)}


def _read_clip(row: Mapping[str, Any]) -> Clip:
    return Clip(Path(row["path"]), tuple(row["labels"]), row["start"], row["end"], row["columns"])


def _read_curve(stored: Mapping[str, Any]) -> Curve:
    columns = {n: tuple(math.nan if v is None else v for v in stored[n]) for n in COLUMNS}
    return Curve(stored["name"], **columns)


def _without_nan(value: Any) -> Any:
    """Write NaN as null: JSON has no such number."""
    if isinstance(value, dict):
        return {name: _without_nan(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
