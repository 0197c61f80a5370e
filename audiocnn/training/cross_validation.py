"""The fits of one training: each part of the split held out once, and the final one.

What a fit that is over leaves, its predictions of what it held out, is kept in its
folder; so a training that was stopped goes on within the fit that it was in.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audiocnn.networks.classifier import Classifier
from audiocnn.training.checkpoints import CHECKPOINT, DONE, claim, describe
from audiocnn.training.config import TrainingConfig
from audiocnn.training.data.sampler import Examples
from audiocnn.training.data.training_set import TrainingSet
from audiocnn.training.fit import fit
from audiocnn.training.network_predictions import predict
from audiocnn.training.predictions import Predictions, load_predictions
from audiocnn.training.preparation import is_first_process
from audiocnn.training.progress import Step, Watcher, read_curve
from audiocnn.training.run_results import Curve


@dataclass(frozen=True)
class Fits:
    """The fits of a training: a fold each, if folds there are, and the final one."""

    training_set: TrainingSet[TrainingConfig]
    run: Path
    tell: Callable[[str], None]
    watcher: Watcher | None
    devices: int
    log: str

    @property
    def parts(self) -> list[int]:
        """The parts that have a fit of their own."""
        return self.training_set.split.parts if self.training_set.split.crossed else []

    def all(self) -> tuple[list[Predictions], list[Predictions], Classifier]:
        """Make what is not made yet: predictions of clips and background, and the network."""
        m = self.training_set
        held_out, quiet = [], []
        for part in self.parts:
            self.fit_fold(part)
            if is_first_process():
                held_out.append(load_predictions(self.folder(part) / DONE))
                if m.background:
                    quiet.append(load_predictions(self.folder(part) / "background.npz"))
        final = None if m.split.crossed else m.split.parts[0]
        model = self.fit(
            m.without(final), self.run / "final", final, len(self.parts), self.final_config()
        )
        if final is not None and is_first_process():
            clips, others = self.predict(model, final)
            held_out.append(clips)
            quiet += [others] if others else []
        return held_out, quiet, model

    def resumed(self) -> str:
        """Return where a training that was stopped continues; nothing for a new one."""
        done = sum((self.folder(part) / DONE).exists() for part in self.parts)
        folders = [*map(self.folder, self.parts), self.run / "final"]
        begun = [f for f in folders if (f / CHECKPOINT).exists() and not (f / DONE).exists()]
        if not done and not begun:
            return ""
        epochs = len(read_curve(begun[0] / "curve.csv", "").loss) if begun else 0
        return f"continuing a training that was stopped: {done} of {len(folders)} fits are done" + (
            f", and {epochs} epochs of the next one" if epochs else ""
        )

    def fit_fold(self, part: int) -> None:
        """Fit without a part and keep what the network says of it, unless that is done."""
        m, folder = self.training_set, self.folder(part)
        examples = m.without(part)
        claim(
            folder, describe(examples, m.config, None if m.start is None else m.start.state_dict())
        )
        if (folder / DONE).exists():
            return
        model = self.fit(examples, folder, part, self.parts.index(part), m.config)
        if is_first_process():
            clips, others = self.predict(model, part)
            if others:
                others.save(folder / "background.npz")
            clips.save(folder / DONE)
            (folder / CHECKPOINT).unlink()

    def final_config(self) -> TrainingConfig:
        """Return the config of the fit on all: where folds ended early, as long as they took."""
        config = self.training_set.config
        if not config.patience or not self.parts:
            return config
        curves = [read_curve(self.folder(p) / "curve.csv", "") for p in self.parts]
        epochs = round(statistics.median(len(curve.loss) for curve in curves))
        return replace(config, epochs=epochs, patience=0)

    def fit(
        self,
        examples: Examples,
        folder: Path,
        part: int | None,
        number: int,
        config: TrainingConfig,
    ) -> Classifier:
        """Fit one network."""
        m = self.training_set
        judged = np.zeros(0, np.intp) if part is None else m.split.judged(part)
        held_out = judged[m.targets[judged].any(1)]
        return fit(
            examples, config, folder, held_out=held_out, start=m.start, devices=self.devices,
            log=self.log, watcher=self.numbered(number),
        )  # fmt: skip

    def numbered(self, number: int) -> Watcher:
        """Tell the epochs of one of the fits, and how much is left of all."""
        names = [*(f"fold {n} of {len(self.parts)}" for n in range(1, len(self.parts) + 1)), "all"]
        name = names[number] if self.parts else ""

        def watch(step: Step) -> None:
            step = replace(step, fit=name, fits_left=len(names) - 1 - number)
            self.watcher(step) if self.watcher else self.tell(str(step))

        return watch

    def predict(self, model: Classifier, part: int) -> tuple[Predictions, Predictions | None]:
        """Hear a part: its clips and its background."""
        m = self.training_set
        clips = predict(model, m.config, m.waveforms, m.split.judged(part))
        rows = np.flatnonzero(m.background_part == part)
        if m.background_waveforms is None or not rows.size:
            return clips, None
        return clips, predict(model, m.config, m.background_waveforms, rows)

    def folder(self, part: int) -> Path:
        """Return where the fit without a part lies."""
        return self.run / f"fold-{part + 1}"

    def curves(self) -> tuple[Curve, ...]:
        """Read the curves, the final one last."""
        folds = [
            read_curve(self.folder(p) / "curve.csv", f"fold {n}")
            for n, p in enumerate(self.parts, 1)
        ]
        return (*folds, read_curve(self.run / "final" / "curve.csv", "final"))

    def clean(self, sounds: Path | None) -> None:
        """Remove what only an unfinished training needs."""
        for folder in [*map(self.folder, self.parts), self.run / "final", sounds]:
            if folder is not None and not (folder / "tensorboard").exists():
                shutil.rmtree(folder, ignore_errors=True)
