"""Clips over HTTP: ranges of their bytes, their spectrogram; and levels in fewer steps."""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from audiocnn.errors import AudioError
from audiocnn.web.access import problem
from audiocnn.web.spectrum import picture

TYPES = {".flac": "audio/flac", ".wav": "audio/wav", ".ogg": "audio/ogg", ".mp3": "audio/mpeg"}
LONGEST = 600.0  # seconds of a clip that are drawn
CACHE = "private, max-age=86400"
_drawing = threading.Lock()


def file_response(path: Path) -> Response:
    """Give a file, whole or the range that was asked for."""
    media_type = TYPES.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": CACHE})


def picture_response(request: Request, path: Path, width: int, height: int) -> Response:
    """Give the spectrogram of a file as PNG; unchanged pictures are not sent again."""
    try:
        status = os.stat(path)
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{width}x{height}"'
        headers = {"Cache-Control": CACHE, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        content = draw(path, status.st_mtime_ns, width, height)
    except (OSError, AudioError) as error:
        return problem(404, f"the sound cannot be drawn: {error}")
    return Response(content, media_type="image/png", headers=headers)


@functools.lru_cache(maxsize=256)
def draw(path: Path, changed: int, width: int, height: int) -> bytes:
    """Draw a file; ``changed`` tells versions of it apart.

    One at a time: a list of pictures must not take all cores from the live sessions.
    """
    from audiocnn.io.audio.excerpts import read_excerpt

    with _drawing:
        excerpt = read_excerpt(path, 0.0, LONGEST)
        return picture(excerpt.samples.mean(axis=1), excerpt.rate, width, height)


def thinned(rows: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    """Join minutes to steps of equal length, so that about ``most`` are left at most.

    LAeq is averaged as energy, LAFmax is the highest, L10 and L90 are the highest and
    lowest of the minutes' (percentiles cannot be joined).
    """
    step = 1
    for step in (1, 5, 15, 60, 240):
        if len(rows) / step <= most:
            break
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        minute = int(datetime.fromisoformat(row["time"]).timestamp() // 60)
        groups.setdefault(minute // step, []).append(row)
    joined = [_join(group, number * step * 60.0) for number, group in groups.items()]
    calibrated = bool(rows) and all(row["calibrated"] for row in rows)
    return {"step": step * 60, "calibrated": calibrated, "levels": joined}


def _join(group: Sequence[dict[str, Any]], start: float) -> dict[str, Any]:
    values = {
        name: np.array([math.nan if row[name] is None else row[name] for row in group])
        for name in ("laeq", "lafmax", "l10", "l90")
    }
    time = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if np.isnan(values["laeq"]).all():
        return {"time": time, **dict.fromkeys(values)}
    energy = np.nanmean(10 ** (values["laeq"] / 10))
    joined = {
        "laeq": 10 * np.log10(energy), "lafmax": np.nanmax(values["lafmax"]),
        "l10": np.nanmax(values["l10"]), "l90": np.nanmin(values["l90"]),
    }  # fmt: skip
    return {"time": time, **{name: round(float(value), 2) for name, value in joined.items()}}
