"""BirdNET-Analyzer's CSV results: a row a detection, with two names for each species.

Its other outputs are Raven selection tables, Audacity labels and Kaleidoscope results, and
are read as those.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audiocnn.annotations.records import event_of
from audiocnn.inference.events import Event
from audiocnn.io.files.tables import no_column, read_table

NEEDED = ("Start (s)", "End (s)")
LABELS = ("Common name", "Scientific name", "Label")
OPTIONAL = (*LABELS, "Confidence", "File")


def read_birdnet(path: Path) -> Iterator[Event]:
    """Read detections; the label is the common name, the score the confidence."""
    for place, row in read_table(path, NEEDED, optional=OPTIONAL):
        label = next((row[name] for name in LABELS if row.get(name)), None)
        if label is None:
            raise no_column(place, LABELS[0], row)
        start, end = (row[name] for name in NEEDED)
        yield event_of(place, start, end, label, row.get("Confidence", ""), row.get("File", ""))
