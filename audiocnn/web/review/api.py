"""The HTTP API of a review: its events, their sound, verdicts one by one or together, undo."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.event_plots import draw_trace, read_trace
from audiocnn.web.access import problem
from audiocnn.web.api import Endpoint, number, read_json, routes
from audiocnn.web.review.items import Item
from audiocnn.web.review.review import Review
from audiocnn.web.review.verdicts import Verdict
from audiocnn.web.site import Site
from audiocnn.web.spectrum import picture as draw_spectrogram

CACHE = "private, max-age=3600"
MOST_TOGETHER = 1000  # events of one request
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def review_routes(review: Review, site: Site) -> list[Route]:
    """Make the routes of a review."""
    handlers = Handlers(review)
    return routes(site, (
        Endpoint("GET", "/api/review", "read", handlers.overview),
        Endpoint("GET", "/api/review/items", "read", handlers.items),
        Endpoint("POST", "/api/review/verdicts", "write", handlers.judge),
        Endpoint("POST", "/api/review/undo", "write", handlers.undo),
        Endpoint("GET", "/api/review/items/{n}/clip", "read", handlers.clip),
        Endpoint("GET", "/api/review/items/{n}/picture", "read", handlers.picture),
    ))  # fmt: skip


class Handlers:
    """The handlers of one review."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self._encoded = functools.lru_cache(maxsize=24)(self._encode)

    def overview(self, request: Request, site: Site) -> dict[str, Any]:
        """Give title, progress, and the labels that a verdict may name."""
        review = self._review
        return {
            "title": review.source.title, "list": str(review.source.verdicts.path),
            "labels": review.labels(), **review.progress(),
        }  # fmt: skip

    def items(self, request: Request, site: Site) -> dict[str, Any]:
        """List all events in an order, or by likeness to one of them."""
        if like := request.query_params.get("like", ""):
            if not (like.isascii() and like.isdigit()):
                raise ArgumentError(f"like is the number of an event, got {like[:40]!r}")
            order = self._review.like(int(like))
        else:
            order = self._review.order(request.query_params.get("order", "") or "doubt")
        return {"items": [self._describe(n) for n in order], **self._review.progress()}

    async def judge(self, request: Request, site: Site) -> dict[str, Any]:
        """Give events a verdict, or take it back with null."""
        content = await read_json(request)
        numbers, kind = content.get("items"), content.get("verdict") or ""
        label = content.get("label") or ""
        if (
            not isinstance(numbers, list) or not 1 <= len(numbers) <= MOST_TOGETHER
            or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
            or not isinstance(kind, str) or not isinstance(label, str)
        ):  # fmt: skip
            raise ArgumentError(f"items are 1 to {MOST_TOGETHER} numbers; verdict, label are texts")
        await run_in_threadpool(self._review.judge, numbers, Verdict(kind, label.strip()))
        return self._changed(numbers)

    def undo(self, request: Request, site: Site) -> dict[str, Any]:
        """Take the last step back."""
        return self._changed(self._review.undo())

    def clip(self, request: Request, site: Site) -> Response:
        """Give the sound of an event with some seconds around it, as FLAC."""
        item = self._item(request)
        try:
            content, _ = self._encoded(self._review.items.index(item))
        except AudioError as error:
            return problem(404, str(error))
        return in_range(request, content, "audio/flac")

    def picture(self, request: Request, site: Site) -> Response:
        """Draw an event: a spectrogram, or the traces of other signals."""
        item = self._item(request)
        width = int(number(request, "width", 640, 16, 2000))
        height = int(number(request, "height", 160, 16, 512))
        try:
            if item.file is not None and not RecordingRef.of(item.file).is_sound:
                return Response(draw_signal(item), media_type="image/svg+xml")
            excerpt = item.excerpt()
        except AudioError as error:
            return problem(404, str(error))
        content = draw_spectrogram(excerpt.samples.mean(axis=1), excerpt.rate, width, height)
        return Response(content, media_type="image/png", headers={"Cache-Control": CACHE})

    def _item(self, request: Request) -> Item:
        text = request.path_params["n"]
        if not text.isascii() or not text.isdigit() or int(text) >= len(self._review.items):
            raise HTTPException(404, "no event with this number")
        return self._review.items[int(text)]

    def _encode(self, number: int) -> tuple[bytes, float]:
        import soundfile

        excerpt = self._review.items[number].excerpt()
        samples = np.clip(np.nan_to_num(excerpt.samples[:, :2]), -1, 1)
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, excerpt.rate, "PCM_16", format="FLAC")
        return buffer.getvalue(), len(samples) / excerpt.rate

    def _changed(self, numbers: list[int]) -> dict[str, Any]:
        return {"changed": [self._describe(n) for n in numbers], **self._review.progress()}

    def _describe(self, number: int) -> dict[str, Any]:
        item = self._review.items[number]
        event, end = item.event, item.event.end
        seconds = None
        if item.begin is not None and item.end is not None:
            seconds = item.end - item.begin
        return {
            "n": number, "label": event.label, "score": event.score, "source": event.source,
            "start": event.start, "end": end, "time": item.time or None,
            "verdict": item.verdict.kind or None, "verdict_label": item.verdict.label or None,
            "offset": item.offset, "seconds": seconds, "length": item.length,
            "has_sound": item.file is not None, "group": self._review.group_of(number),
        }  # fmt: skip


def draw_signal(item: Item) -> str:
    """Draw the traces of a signal that is not sound, with the event marked."""
    assert item.file is not None
    event = item.event
    end = event.start if event.end is None else event.end
    margin = max(end - event.start, 1e-9)
    trace = read_trace(item.file, max(0.0, event.start - margin), end + margin)
    return draw_trace(trace, event.start, end, event.label)


def in_range(request: Request, content: bytes, media_type: str) -> Response:
    """Give bytes, whole or the one range that was asked for."""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": CACHE}
    found = RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found.groups() == ("", ""):
        return Response(content, media_type=media_type, headers=headers)
    first, last = found.groups()
    size = len(content)
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], 206, headers, media_type)
