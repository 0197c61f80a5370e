"""The report of a training as one file, made from what the training left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiocnn.io.files.atomic import replacing
from audiocnn.training.report.embedding_map import map_section
from audiocnn.training.report.judged import (
    class_section,
    confusion_section,
    precision_section,
    reliability_section,
)
from audiocnn.training.report.learning import config_section, curve_section, data_section
from audiocnn.training.report.mistakes import background_section, mistakes_section
from audiocnn.training.report.page import LIMIT, Section, page
from audiocnn.training.report.subject import Subject, open_subject
from audiocnn.training.report.summary import counted, in_short

Make = Callable[[Subject], Section]
FIRST: tuple[Make, ...] = (
    in_short, class_section, confusion_section, mistakes_section, background_section,
    precision_section, reliability_section,
)  # fmt: skip


def sections_for(subject: Subject) -> tuple[Make, ...]:
    """List the sections: of a head, those that need no network in PyTorch."""
    if subject.network is None:
        return (*FIRST, map_section, data_section, config_section)
    from audiocnn.training.report.inside import inside_section
    from audiocnn.training.report.shifting import shifting_section
    from audiocnn.training.report.size import size_section
    from audiocnn.training.report.variation import variation_section

    return (
        *FIRST, curve_section, data_section, variation_section, inside_section,
        shifting_section, size_section, config_section,
    )  # fmt: skip


def made_of(subject: Subject) -> str:
    """Name the network, or the backbone that a head was fitted on."""
    details = subject.bundle.network.details
    if subject.network is None:
        return f"a head on {subject.bundle.card['backbone']['name']}"
    return f"{details['arch']} {details['size']}"


def write_report(
    run: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    findings: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the report of a training.

    Parameters
    ----------
    run
        The folder that the training left, see `audiocnn.training.run_results`.
    model
        Its bundle.
    out
        The file, HTML; nothing else is needed to read it.
    findings
        Of the dataset doctor, as ``audiocnn check --json`` prints them: ``severity``,
        ``kind``, ``message``, ``advice`` and ``places`` (``path``, ``detail``); None if it
        was not asked.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DatasetError, BundleError
        If the run or the bundle cannot be read, or are not of one training.

    Notes
    -----
    Recordings are read again for spectrograms and players; where one is gone, the page
    says so. The page stays under `audiocnn.training.report.page.LIMIT` bytes, whatever
    the data: what is shown is limited in number, and sound in bytes.
    """
    out = Path(out)
    subject = open_subject(Path(run), Path(model), findings)
    name = subject.bundle.name
    under = (
        f"{counted(len(subject.labels), 'class', 'classes')}, "
        f"{counted(len(subject.training.clips), 'clip', 'clips')}; "
        f"{made_of(subject)}, windows of "
        f"{subject.grid.window:.3g} s at {subject.rate:g} Hz. Made by audiocnn train."
    )
    written = page(f"What {name} learnt", under, [make(subject) for make in sections_for(subject)])
    encoded = written.encode("utf-8", errors="replace")
    assert len(encoded) < LIMIT, f"the report has {len(encoded)} bytes"
    with replacing(out) as part:
        part.write_bytes(encoded)
    return out
