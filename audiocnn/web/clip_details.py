"""Metadata of a clip: its length, and the offset of the event in it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any


def clip_details(path: Path, start: float | None) -> dict[str, Any] | None:
    """Give the length of a clip, and the second in it at which its event begins (or None).

    The clips sink writes into each file where it begins, in the session's seconds.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            seconds, comment = file.frames / file.samplerate, file.comment
    except (OSError, soundfile.LibsndfileError):
        return None
    offset = None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        offset = round(max(0.0, float(start or 0) - float(json.loads(comment)["clip_start"])), 3)
    return {"seconds": round(seconds, 3), "offset": offset}
