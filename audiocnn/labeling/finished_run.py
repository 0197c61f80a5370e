"""Reading a labelling run, finished or not: its events and its coverage.

A run is named by its output, or by the ledger beside it. The output may have been edited
since, so its events count; only the ledger knows which seconds were scored.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiocnn.annotations.formats import FORMATS, format_of, iter_events
from audiocnn.errors import DatasetError
from audiocnn.inference.events import Event
from audiocnn.labeling.label import LabelResult
from audiocnn.labeling.ledger import SUFFIX, RunSettings, open_ledger, results_of, settings_of


@dataclass(frozen=True)
class Run:
    """A labelling run.

    Parameters
    ----------
    events
        Returns an iterator over its events.
    results
        Returns an iterator over the results of its recordings; None without a ledger.
    from_ledger
        Whether the events are those of the ledger.
    settings
        Returns its settings; None without a ledger.
    """

    events: Callable[[], Iterator[Event]]
    results: Callable[[], Iterator[LabelResult]] | None
    from_ledger: bool = False
    settings: Callable[[], RunSettings] | None = None


def open_run(path: str | Path) -> Run:
    """Open a labelling run for reading.

    Parameters
    ----------
    path
        Its output (a file, or the folder with a file for each recording), or its ledger.

    Raises
    ------
    ArgumentError
        If the name does not end in the suffix of a format.
    DatasetError
        If there is no such run.
    """
    path = Path(path)
    if path.name.endswith(SUFFIX):
        return Run(lambda: _events(path), lambda: _results(path), True, lambda: _settings(path))
    if not path.exists():
        raise DatasetError(f"no such file or folder: {path}; check the name and the folder")
    ledger = Path(f"{path}{SUFFIX}")
    results = (lambda: _results(ledger)) if ledger.exists() else None
    settings = (lambda: _settings(ledger)) if results else None
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and _is_output(file)]
        if not files:
            raise DatasetError(f"{path}: no file in it that label writes")
        joined = itertools.chain.from_iterable
        return Run(lambda: joined(map(iter_events, files)), results, settings=settings)
    format_of(path)
    return Run(lambda: iter_events(path), results, settings=settings)


def _results(ledger: Path) -> Iterator[LabelResult]:
    with open_ledger(ledger) as opened:
        yield from results_of(opened)


def _settings(ledger: Path) -> RunSettings:
    with open_ledger(ledger) as opened:
        return settings_of(opened)


def _events(ledger: Path) -> Iterator[Event]:
    return itertools.chain.from_iterable(result.events for result in _results(ledger))


def _is_output(path: Path) -> bool:
    return path.name.lower().endswith(tuple(FORMATS)) and not path.name.startswith(".")
