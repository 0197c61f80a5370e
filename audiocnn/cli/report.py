"""`audiocnn report`: the report of a training, made again from what the training left."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiocnn.errors import AudiocnnError, DatasetError


def run(args: argparse.Namespace) -> int:
    """Write the report and print its path."""
    model = Path(args.bundle)
    out = Path(args.output) if args.output else report_path(model)
    findings = read_findings(Path(args.findings)) if args.findings else None
    print(write(model, Path(args.run_folder) if args.run_folder else None, out, findings))
    return 0


def report_path(model: Path) -> Path:
    """Return the path of a bundle's report: beside it, as it contains recordings."""
    return model.with_name(model.name + ".html")


def read_findings(path: Path) -> list[dict[str, Any]]:
    """Read what `audiocnn check --json` printed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["findings"]
        needed = ("severity", "kind", "message", "advice", "places")
        return [{name: finding[name] for name in needed} for finding in found]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path}: {type(error).__name__}: {error}; it must be what `audiocnn check DATA "
            "--json` prints"
        ) from error


def write(
    model: Path, run_folder: Path | None = None, out: Path | None = None,
    findings: Sequence[Mapping[str, Any]] | None = None,
) -> Path:  # fmt: skip
    """Write the report of a bundle.

    Parameters
    ----------
    model
        The bundle.
    run_folder
        What its training left; beside it if None.
    out
        The file; beside it if None.
    findings
        Of the dataset doctor; None if it was not asked.
    """
    try:
        from audiocnn.training.report.writing import write_report
    except ModuleNotFoundError as error:
        raise AudiocnnError(
            f"a report needs {error.name}, which is not installed; run: "
            "pip install 'audiocnn[train]'"
        ) from error
    folder = run_folder or model.with_name(model.name + ".run")
    return write_report(folder, model, out or report_path(model), findings=findings)
