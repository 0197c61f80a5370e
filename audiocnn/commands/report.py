"""`audiocnn report`: the report of a training, made again from what the training left."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiocnn.errors import AudiocnnError


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    model = Path(args.bundle)
    out = Path(args.output) if args.output else report_path(model)
    print(write(model, Path(args.run_folder) if args.run_folder else None, out))
    return 0


def report_path(model: Path) -> Path:
    """Say where the report of a bundle lies: beside it, as it holds recordings, and is no model."""
    return model.with_name(model.name + ".html")


def write(model: Path, run_folder: Path | None = None, out: Path | None = None) -> Path:
    """Write the report of a bundle.

    Parameters
    ----------
    model
        The bundle.
    run_folder
        What its training left; beside it if None.
    out
        The file; beside it if None.
    """
    try:
        from audiocnn.training.report.writing import write_report
    except ModuleNotFoundError as error:
        raise AudiocnnError(
            f"a report needs {error.name}, which is not installed; run: "
            "pip install 'audiocnn[train]'"
        ) from error
    folder = run_folder or model.with_name(model.name + ".run")
    return write_report(folder, model, out or report_path(model))
