"""Several ways of training on one dataset, of which cross-validation chooses one.

Each trains a bundle of its own in the run folder, on the same folds, so their figures are of
the same clips; test data take no part. The best one becomes the bundle, and its card says
what it was compared with.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.bundle_writer import check_free
from audiocnn.io.files.atomic import replacing

FIGURES = ("accuracy", "mean_average_precision")  # the second decides between equals
FOLDER = "candidates"  # in the run folder


def train_best(
    out: str | Path,
    ways: Mapping[str, Callable[[Path], Bundle]],
    report: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> Bundle:
    """Train in several ways and keep the bundle with the highest cross-validated accuracy.

    Parameters
    ----------
    out
        Folder of the bundle; ``out.run`` holds the candidates until one is chosen.
    ways
        By name, what trains a bundle into a folder; it may continue a training that was
        stopped. Of equal ones the first is taken.
    report
        Called with a line at each step.
    overwrite
        Whether a bundle in ``out`` is replaced.

    Raises
    ------
    ArgumentError
        If there is something else in ``out``.
    """
    out = Path(out)
    check_free(out, overwrite=overwrite)
    run = out.with_name(out.name + ".run")
    folders = {name: run / FOLDER / name / out.name for name in ways}
    figures: dict[str, dict[str, float]] = {}
    for name, train in ways.items():
        if not (folders[name] / "bundle.json").exists():
            report(f"-- {name}")
            train(folders[name])
        card = load(folders[name]).card
        figures[name] = {figure: round(float(card[figure]), 4) for figure in FIGURES}
    best = max(figures, key=lambda name: tuple(figures[name].values()))
    report(in_words(best, figures))
    _take(folders[best], out, best, figures)
    _take_run(folders[best].with_name(out.name + ".run"), run)
    shutil.rmtree(run / FOLDER, ignore_errors=True)
    return load(out)


def in_words(best: str, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Describe the choice in a sentence."""
    each = ", ".join(f"{name} {100 * f['accuracy']:.1f} %" for name, f in figures.items())
    return f"chosen by cross-validated accuracy: {best} ({each})"


def _take(chosen: Path, out: Path, best: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Put a bundle into its place, and what it was compared with into its card."""
    contents = {path.name: path.read_bytes() for path in chosen.iterdir() if path.is_file()}
    described: dict[str, Any] = json.loads(contents.pop("bundle.json"))
    described["card"]["compared"] = {"chosen": best, "figures": dict(figures)}
    contents["README.md"] += (
        f"\n## Ways of training compared\n\n{in_words(best, figures)[0].upper()}"
        f"{in_words(best, figures)[1:]}.\n"
    ).encode()
    contents["bundle.json"] = (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()
    out.mkdir(parents=True, exist_ok=True)
    for path in out.iterdir():
        if path.name not in contents:
            path.unlink()  # of the model that is replaced
    for name, content in contents.items():  # bundle.json last: before it there is no bundle
        with replacing(out / name) as part:
            part.write_bytes(content)


def _take_run(chosen: Path, run: Path) -> None:
    """Move what a training left for its report into the run folder."""
    for path in chosen.iterdir():
        if path.is_file():
            path.replace(run / path.name)
